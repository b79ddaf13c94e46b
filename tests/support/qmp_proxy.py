# SPDX-License-Identifier: MIT
"""Stands between a QMP client and a real QEMU, and can do something at any command.

`before[command]` and `after[command]` are functions called when the client's command has come in but
not gone on, and when QEMU has answered but the client has not heard. One that raises Cut ends the
connection there. `extra[command]` are arguments that QEMU gets on top of the client's, and
`rewrite[command]` is a function that makes of QEMU's answer, as bytes, what the client gets.
`begun` is what has come in of a command whose end has not. One client at a time, as QEMU has it.
"""

import json
import os
import socket
import threading


class Cut(Exception):
    """Raised by a hook: the connection ends here."""


class QmpProxy:
    def __init__(self, path, target):
        self.path = path
        self.target = target
        self.before = {}
        self.after = {}
        self.extra = {}
        self.rewrite = {}
        self.commands = []
        self.begun = b""
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen(8)
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping = True
        try:
            self._server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._server.close()
        self._thread.join(5)
        if os.path.exists(self.path):
            os.unlink(self.path)

    def _serve(self):
        while not self._stopping:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as qemu:
                try:
                    qemu.connect(self.target)
                    self._pump(client, qemu)
                except (OSError, Cut):
                    pass

    def _pump(self, client, qemu):
        names = {}
        answers = threading.Thread(target=self._answers, args=(client, qemu, names), daemon=True)
        answers.start()
        try:
            for line, fds in self._requests(client):
                request = json.loads(line)
                command = request["execute"]
                self.commands.append(command)
                names[request.get("id")] = command
                self._call(self.before, command)
                if command in self.extra:
                    request["arguments"].update(self.extra[command])
                    line = json.dumps(request).encode() + b"\n"
                try:
                    # The descriptors go with the first byte, and QEMU takes them from there.
                    sent = socket.send_fds(qemu, [line], fds)
                    qemu.sendall(line[sent:])
                finally:
                    for fd in fds:
                        os.close(fd)
        finally:
            for end in (qemu, client):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            answers.join(5)

    def _requests(self, client):
        """Line by line, each with the descriptors that came with it; the driver awaits each answer
        before it goes on, so that they cannot be those of the next line."""
        buffer, waiting = b"", []
        while True:
            piece, fds, _, _ = socket.recv_fds(client, 65536, 8)
            waiting += fds
            if not piece:
                return
            buffer += piece
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                taken, waiting = waiting, []
                yield line + b"\n", taken
            self.begun = buffer

    def _answers(self, client, qemu, names):
        try:
            for line in qemu.makefile("rb"):
                message = json.loads(line)
                if "return" in message or "error" in message:
                    command = names.get(message.get("id"))
                    self._call(self.after, command)
                    line = self.rewrite.get(command, bytes)(line)
                client.sendall(line)
        except (OSError, Cut, ValueError):
            pass
        finally:
            for end in (client, qemu):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    @staticmethod
    def _call(hooks, command):
        hook = hooks.get(command)
        if hook is not None:
            hook()
