# SPDX-License-Identifier: MIT
"""Stands between holdfastd and holdfast-fsd (agent/fs/fs_protocol.h), and can stop at a request.

The requests mark the steps of a freeze: `open` is the first thing of all, `arm` starts the dead-man,
`sync` comes when everything is prepared and nothing is held.
"""

import contextlib
import os
import socket
import struct
import threading

OPEN, SYNC, ARM, THAW, CLOSE = 1, 2, 3, 4, 5
_HEAD = struct.Struct("=II")


class FsGate:
    """`reached(what)` is called on a thread of the gate's when the request that was asked for has
    come; the request goes on after open()."""

    def __init__(self, path, target, reached):
        self.path, self.target = path, target
        self._reached = reached
        self._stop_at = None
        self._changed = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop_at(self, op):
        with self._changed:
            self._stop_at = op

    def open(self):
        with self._changed:
            self._stop_at = None
            self._changed.notify_all()

    def close(self):
        self.open()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                server.close()
                continue
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, sink, are_requests):
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if are_requests:
                    self._wait_here(_HEAD.unpack_from(data)[1])
                sink.send(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        # Each direction's thread closes what it read from.
        source.close()

    def _wait_here(self, op):
        with self._changed:
            if self._stop_at != op:
                return
        self._reached(op)
        with self._changed:
            while self._stop_at == op:
                self._changed.wait()
