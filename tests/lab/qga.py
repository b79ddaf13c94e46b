# SPDX-License-Identifier: MIT
"""Clients for a guest's two sockets: the guest agent's and QMP's.

Both are bounded: every answer is awaited up to a deadline, and a line that grows past LIMIT ends
the connection. The agent's channel carries late answers of earlier clients, so each connection
begins with guest-sync-delimited and a random id, and so does each one after a time-out.
One client per channel: close before another program (the driver under test) connects.
"""

import base64
import contextlib
import json
import os
import secrets
import socket
import time

LIMIT = 64 << 20


class AgentError(Exception):
    """The agent, or QMP, answered with an error."""


class AgentTimeout(Exception):
    """No answer in time."""


class _LineSocket:
    def __init__(self, path, timeout):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._buffer = b""

    def close(self):
        self._socket.close()

    def send(self, data, timeout):
        self._socket.settimeout(timeout)
        self._socket.sendall(data)

    def receive(self, separator, deadline):
        """The bytes up to and without the separator."""
        searched = 0
        while True:
            found = self._buffer.find(separator, searched)
            if found >= 0:
                line, self._buffer = (self._buffer[:found],
                                      self._buffer[found + len(separator):])
                return line
            searched = len(self._buffer)
            if searched > LIMIT:
                raise AgentError(f"answer longer than {LIMIT} bytes")
            left = deadline - time.monotonic()
            if left <= 0:
                raise AgentTimeout("no answer in time")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except (TimeoutError, socket.timeout):
                raise AgentTimeout("no answer in time") from None
            if not data:
                raise ConnectionError("the other side closed the channel")
            self._buffer += data


class ExecResult:
    """How a program in the guest ended, and what it wrote."""

    def __init__(self, argv, answer):
        self.argv = argv
        self.status = answer.get("exitcode", -answer.get("signal", 0) or -1)
        self.out = base64.b64decode(answer.get("out-data", "")).decode(errors="replace")
        self.err = base64.b64decode(answer.get("err-data", "")).decode(errors="replace")

    def __str__(self):
        return f"'{' '.join(self.argv)}' ended with {self.status}: {self.out}{self.err}".strip()


class Agent:
    """A connection to qemu-ga. As a context manager it is closed at the end."""

    def __init__(self, path, timeout=10.0):
        self._channel = _LineSocket(path, timeout)
        try:
            self.sync(timeout)
        except BaseException:
            self._channel.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._channel.close()

    def sync(self, timeout=10.0):
        """Empties the channel of all that was meant for others."""
        deadline = time.monotonic() + timeout
        number = secrets.randbits(62)
        request = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        self._channel.send(b"\xff" + json.dumps(request).encode() + b"\n", timeout)
        while True:
            self._channel.receive(b"\xff", deadline)
            with contextlib.suppress(ValueError):
                if json.loads(self._channel.receive(b"\n", deadline)) == {"return": number}:
                    return

    def call(self, command, arguments=None, timeout=20.0):
        request = {"execute": command}
        if arguments is not None:
            request["arguments"] = arguments
        self._channel.send(json.dumps(request).encode() + b"\n", timeout)
        answer = json.loads(self._channel.receive(b"\n", time.monotonic() + timeout))
        if "error" in answer:
            raise AgentError(f"{command}: {answer['error'].get('desc', answer['error'])}")
        return answer["return"]

    def run(self, argv, timeout=60.0, input_text=None, check=True, environment=None):
        """Runs a program in the guest. qemu-ga keeps at most 16 MiB of its output."""
        arguments = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if input_text is not None:
            arguments["input-data"] = base64.b64encode(input_text.encode()).decode()
        if environment:
            arguments["env"] = [f"{key}={value}" for key, value in environment.items()]
        deadline = time.monotonic() + timeout
        pid = self.call("guest-exec", arguments)["pid"]
        pause = 0.01
        while True:
            answer = self.call("guest-exec-status", {"pid": pid})
            if answer["exited"]:
                break
            if time.monotonic() > deadline:
                raise AgentTimeout(f"'{' '.join(argv)}' runs longer than {timeout} s")
            # qemu-ga has no event for the end of a process
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)
        result = ExecResult(argv, answer)
        if check and result.status != 0:
            raise AgentError(str(result))
        return result

    def shell(self, script, timeout=60.0, check=True):
        return self.run(["/bin/sh", "-c", script], timeout, check=check)

    def read_file(self, path, timeout=60.0, offset=0):
        deadline = time.monotonic() + timeout
        handle = self.call("guest-file-open", {"path": path, "mode": "r"})
        try:
            if offset:
                self.call("guest-file-seek", {"handle": handle, "offset": offset, "whence": "set"})
            data = b""
            while time.monotonic() < deadline:
                part = self.call("guest-file-read", {"handle": handle, "count": 1 << 20})
                data += base64.b64decode(part["buf-b64"])
                if part["eof"]:
                    return data
            raise AgentTimeout(f"reading '{path}' takes longer than {timeout} s")
        finally:
            self.call("guest-file-close", {"handle": handle})

    def write_file(self, path, data, mode=None):
        handle = self.call("guest-file-open", {"path": path, "mode": "w"})
        try:
            for at in range(0, len(data), 1 << 18):
                part = base64.b64encode(data[at:at + (1 << 18)]).decode()
                self.call("guest-file-write", {"handle": handle, "buf-b64": part})
        finally:
            self.call("guest-file-close", {"handle": handle})
        if mode is not None:
            self.run(["/bin/chmod", mode, path])


class Qmp:
    """A connection to QEMU's monitor, with capabilities negotiated. Events are kept in order."""

    def __init__(self, path, timeout=10.0):
        self._channel = _LineSocket(path, timeout)
        self.events = []
        try:
            greeting = json.loads(self._channel.receive(b"\n", time.monotonic() + timeout))
            if "QMP" not in greeting:
                raise AgentError(f"'{path}' does not speak QMP")
            self.call("qmp_capabilities")
        except BaseException:
            self._channel.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._channel.close()

    def _next(self, deadline):
        return json.loads(self._channel.receive(b"\n", deadline))

    def call(self, command, arguments=None, timeout=30.0):
        number = secrets.randbits(31)
        request = {"execute": command, "id": number}
        if arguments is not None:
            request["arguments"] = arguments
        self._channel.send(json.dumps(request).encode() + b"\n", timeout)
        deadline = time.monotonic() + timeout
        while True:
            answer = self._next(deadline)
            if "event" in answer:
                self.events.append(answer)
            elif answer.get("id") == number:
                if "error" in answer:
                    raise AgentError(f"{command}: {answer['error'].get('desc')}")
                return answer["return"]

    def wait_event(self, matches, timeout=60.0):
        """The first event, old or new, for which `matches(event)` holds; it is taken off."""
        deadline = time.monotonic() + timeout
        while True:
            for event in self.events:
                if matches(event):
                    self.events.remove(event)
                    return event
            answer = self._next(deadline)
            if "event" in answer:
                self.events.append(answer)


def wait_for_agent(path, timeout, alive=lambda: True):
    """An agent connection to a guest that is still booting."""
    deadline = time.monotonic() + timeout
    while True:
        if not alive():
            raise ConnectionError("the guest's process has ended")
        left = deadline - time.monotonic()
        if left <= 0:
            raise AgentTimeout(f"no guest agent on '{os.path.basename(path)}' in {timeout} s")
        try:
            return Agent(path, timeout=min(left, 2.0))
        except (AgentTimeout, OSError):
            # Nobody listens in the guest yet, and the channel says nothing when that changes.
            time.sleep(0.1)
