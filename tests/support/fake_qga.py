# SPDX-License-Identifier: MIT
"""A guest agent on a unix socket, with a memory, that can be told to misbehave.

It does what qemu-ga does as far as a client can tell: one client at a time, strictly in order, 0xFF
before the answer to guest-sync-delimited, most commands refused while frozen, answers that no client
has taken are delivered to the next one. It runs in a thread of the test, so that it outlives every
process under test, and keeps when it was frozen and thawed.
"""

import base64
import json
import os
import select
import socket
import threading
import time
import uuid
from collections.abc import Iterator

WHILE_FROZEN = {"guest-ping", "guest-info", "guest-sync", "guest-sync-delimited",
                "guest-fsfreeze-status", "guest-fsfreeze-thaw"}
RECORD = "/run/holdfast/last.json"


class Close(Exception):
    """Raised by a behaviour: close the connection without an answer."""


class FakeQga:
    def __init__(self, path, filesystems=3, holdfast=True):
        self.path = path
        self.filesystems = filesystems
        self.holdfast = holdfast      # is Holdfast installed in this guest?
        self.boot = str(uuid.uuid4())
        self.sequence = 0
        self.frozen = False
        self.froze_at = None          # monotonic, of the last change
        self.thawed_at = None
        self.hook_status = None       # of the thaw hook
        self.verdict = {"code": "ok", "status": 0, "text": ""}
        self.resources = [{"name": "mysql:main", "plugin": "mysql", "required": True,
                           "engine": "MariaDB", "version": "10.11", "session_id": "7",
                           "position": {"binlog-file": "b.000001", "binlog-position": "42"},
                           "verdict": {"code": "ok", "text": ""}}]
        self.files = {}
        self.time_set = None          # by guest-set-time, in nanoseconds
        # command -> function(fake, request) -> answer, or bytes to send as they are, or an iterator
        # over such pieces, which may never end: a client that goes away ends it
        self.behaviours = {}
        self.commands = []            # (monotonic time, command)
        self.on_freeze = None         # called when the filesystems are frozen
        self.unsent = b""
        self._handles = {}
        self._next_handle = 1000
        self._changed = threading.Condition()
        self._stopping = False
        self._serving = threading.Event()
        self._serving.set()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(path)
        self._server.listen(8)
        self._client = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    # -- what tests ask

    def names(self):
        return [name for _, name in self.commands]

    def count(self, name):
        return self.names().count(name)

    def wait_until(self, condition, seconds=10):
        """Waits until condition() holds; looked at after every change. True if it did."""
        limit = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left = limit - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def given_up(self, seconds=30):
        """For a behaviour: waits until the client has gone, or says something else, before it has
        its answer. True if it has."""
        poll = select.poll()
        poll.register(self._client, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def stop(self):
        self._stopping = True
        self._serving.set()
        for end in (self._client, self._server):
            if end is not None:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self._server.close()
        self._thread.join(5)
        if os.path.exists(self.path):
            os.unlink(self.path)

    def pause(self):
        """Serves nobody after this connection: clients connect, and wait in the backlog."""
        self._serving.clear()

    def resume(self):
        self._serving.set()

    # -- the agent

    def _serve(self):
        while not self._stopping:
            self._serving.wait()
            try:
                self._client, _ = self._server.accept()
            except OSError:
                return
            try:
                self._talk(self._client)
            except (OSError, Close):
                pass
            self._client.close()

    def _talk(self, client):
        if self.unsent:
            late, self.unsent = self.unsent, b""
            client.sendall(late)
        buffer = b""
        while True:
            piece = client.recv(65536)
            if not piece:
                return
            buffer += piece
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                line = line.rsplit(b"\xff", 1)[-1].strip()
                if not line:
                    continue
                answer = self._answer(json.loads(line))
                if isinstance(answer, Iterator):
                    self._flood(client, answer)
                elif answer:
                    try:
                        client.sendall(answer)
                    except OSError:
                        self.unsent += answer
                        raise

    @staticmethod
    def _flood(client, pieces):
        """Sends piece after piece; what a client does not take is nobody's."""
        for piece in pieces:
            client.sendall(piece)

    def _note(self, command):
        with self._changed:
            self.commands.append((time.monotonic(), command))
            self._changed.notify_all()

    def _answer(self, request):
        command = request["execute"]
        self._note(command)
        behaviour = self.behaviours.get(command)
        if behaviour is not None:
            answer = behaviour(self, request)
        else:
            answer = self.respond(request)
        if answer is None or isinstance(answer, (bytes, Iterator)):
            return answer
        return self.line(command, answer)

    @staticmethod
    def line(command, answer):
        """An answer as the agent sends it."""
        text = json.dumps(answer).encode() + b"\n"
        return b"\xff" + text if command == "guest-sync-delimited" else text

    def respond(self, request):
        """What a well-behaved agent answers."""
        command = request["execute"]
        if self.frozen and command not in WHILE_FROZEN:
            return self.error(f"Command {command} has been disabled", "CommandNotFound")
        method = getattr(self, "_" + command.replace("-", "_"), None)
        if method is None:
            return self.error(f"The command {command} has not been found", "CommandNotFound")
        return method(request.get("arguments", {}))

    @staticmethod
    def error(text, kind="GenericError"):
        return {"error": {"class": kind, "desc": text}}

    def _guest_sync_delimited(self, arguments):
        return {"return": arguments["id"]}

    _guest_sync = _guest_sync_delimited  # what libvirt sends before each command

    def _guest_ping(self, _):
        return {"return": {}}

    def _guest_info(self, _):
        return {"return": {"version": "7.2.22", "supported_commands": []}}

    def _guest_get_time(self, _):
        return {"return": time.time_ns()}

    def _guest_set_time(self, arguments):
        self.time_set = arguments["time"]
        return {"return": {}}

    def _guest_fsfreeze_status(self, _):
        return {"return": "frozen" if self.frozen else "thawed"}

    def _guest_fsfreeze_freeze(self, _):
        if self.frozen:
            return self.error("already frozen")
        if self.holdfast:
            self.sequence += 1
            self._write_record("held")
        with self._changed:
            self.frozen = True
            self.froze_at = time.monotonic()
            self._changed.notify_all()
        if self.on_freeze:
            self.on_freeze()
        return {"return": self.filesystems}

    def _guest_fsfreeze_thaw(self, _):
        was_frozen = self.frozen
        with self._changed:
            self.frozen = False
            if was_frozen:
                self.thawed_at = time.monotonic()
            self._changed.notify_all()
        if was_frozen and self.holdfast:
            self._write_record("done")
        if was_frozen and self.hook_status is not None:
            return self.error(f"fsfreeze hook has failed with status {self.hook_status}")
        return {"return": self.filesystems if was_frozen else 0}

    def _write_record(self, state):
        record = {"schema": 1, "holdfast": "0.1.0", "window": str(uuid.uuid4()),
                  "sequence": self.sequence, "boot": self.boot, "state": state,
                  "verdict": self.verdict if state == "done" else None,
                  "resources": self.resources}
        self.files[RECORD] = json.dumps(record).encode()

    def _guest_file_open(self, arguments):
        path = arguments["path"]
        if path not in self.files:
            return self.error(f"failed to open file '{path}' (mode: 'r'): "
                              "No such file or directory")
        self._next_handle += 1
        self._handles[self._next_handle] = [self.files[path], 0]
        return {"return": self._next_handle}

    def _guest_file_read(self, arguments):
        handle = self._handles.get(arguments["handle"])
        if handle is None:
            return self.error(f"handle '{arguments['handle']}' has not been found")
        piece = handle[0][handle[1]:handle[1] + arguments.get("count", 4096)]
        handle[1] += len(piece)
        return {"return": {"count": len(piece), "buf-b64": base64.b64encode(piece).decode(),
                           "eof": handle[1] >= len(handle[0])}}

    def _guest_file_close(self, arguments):
        if self._handles.pop(arguments["handle"], None) is None:
            return self.error(f"handle '{arguments['handle']}' has not been found")
        return {"return": {}}
