# SPDX-License-Identifier: MIT
"""A run, stopped at a step: whatever the driver is about to do comes by here as an event, and goes on
when the fault has been injected.

    qmp NAME          the monitor's command has come in and not gone on to QEMU
    qmp NAME done     QEMU has answered, and the driver has not heard
    qga NAME          the same of the guest agent
    qga NAME done
    rename WHAT       `journal`, `manifest`, `draft` (to what is published), `backup` (to be removed)
    unlink WHAT       `journal`, `overlay`, `file`
    mkdir draft
    run SUBCOMMAND    of qemu-img, which is about to start
"""

import collections
import socket
import threading


class Stage:
    """Events come from the threads of the proxy, the agent and the gate, each of which its program
    waits for: a run is never in two places."""

    def __init__(self):
        self._lock = threading.Lock()
        self.clear()

    def clear(self):
        with self._lock:
            self.trace = []
            self._counts = collections.Counter()
            self._wanted = None
            self._action = None
            self.reached = threading.Event()   # the step
            self.injected = threading.Event()  # and the fault has been
            self.error = None

    def stop_at(self, event, count, action):
        """`action` is called once, when the event comes for the count-th time."""
        with self._lock:
            self._wanted, self._action = (event, count), action

    def event(self, name):
        with self._lock:
            self.trace.append(name)
            self._counts[name] += 1
            action = None
            if self._wanted == (name, self._counts[name]):
                self._wanted, action = None, self._action
        if action is None:
            return
        self.reached.set()
        try:
            action()
        except (OSError, RuntimeError, ValueError) as error:
            # A Cut of the proxy's is one of the agent's or QEMU's ends: let through.
            self.error = error
            raise
        finally:
            self.injected.set()


class Hooks:
    """For QmpProxy.before and .after: an event for every command."""

    def __init__(self, stage, suffix=""):
        self._stage, self._suffix = stage, suffix

    def get(self, command):
        return lambda: self._stage.event(f"qmp {command}{self._suffix}")


class Gate:
    """Serves step_gate.cpp. `name(words)` says what an event is called, or None."""

    def __init__(self, path, stage, name):
        self.path, self._stage, self._name = path, stage, name
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=(client,), daemon=True).start()

    def _hear(self, client):
        with client:
            line = b""
            while not line.endswith(b"\n"):
                piece = client.recv(4096)
                if not piece:
                    return
                line += piece
            event = self._name(line.decode(errors="replace").split())
            if event is not None:
                self._stage.event(event)

    def stop(self):
        try:
            self._server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._server.close()
        self._thread.join(5)
