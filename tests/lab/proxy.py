# SPDX-License-Identifier: MIT
"""Stands between a plugin and its server: a unix stream socket that forwards, until it is told not to.

black_hole() is a network that swallows: nothing is forwarded any more in either direction, and an end
of one side is not passed to the other. cut() is the opposite: both sides see the end at once. heal()
lets everything through again, ends of connections included. rewrite() makes a server that is told
something else than it is asked.

One thread for all connections. Every call from any thread.
"""

import contextlib
import os
import selectors
import socket
import threading

PIECE = 1 << 16


class _Pair:
    """Two connected sockets, and what is on its way between them."""

    def __init__(self, client, server):
        self.client = client
        self.peer = {client: server, server: client}
        self.ended = set()


class Proxy:
    def __init__(self, path, target):
        self.path, self.target = path, target
        self._swallows = False
        self._cut = False
        self._rewrite = None
        self._closed = False
        self._pairs = {}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = socket.socketpair()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(32)
        self._selector.register(self._listener, selectors.EVENT_READ, "listener")
        self._selector.register(self._wake_read, selectors.EVENT_READ, "wake")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _tell(self, **what):
        with self._lock:
            for name, value in what.items():
                setattr(self, name, value)
        self._wake_write.send(b"x")

    def black_hole(self):
        self._tell(_swallows=True)

    def cut(self):
        self._tell(_cut=True)

    def heal(self):
        self._tell(_swallows=False)

    def rewrite(self, change):
        """What clients send goes through change(bytes) from now on, which must keep the length: packets
        tell their own. What is sent at once and fits into PIECE comes in one piece."""
        self._tell(_rewrite=change)

    def close(self):
        self._tell(_closed=True)
        self._thread.join(10)
        for one in list(self._pairs):
            one.close()
        for one in (self._listener, self._wake_read, self._wake_write):
            one.close()
        self._selector.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _work(self):
        while not self._closed:
            # A black hole reads nothing, so that what is sent piles up, as it does on a dead link.
            for key, _ in self._selector.select():
                if key.data == "wake":
                    self._wake_read.recv(4096)
                    self._obey()
                elif key.data == "listener":
                    self._accept()
                elif key.fileobj in self._pairs and not self._swallows:
                    self._forward(key.fileobj)

    def _obey(self):
        if self._cut:
            self._cut = False
            for one in list(self._pairs):
                self._drop(one)
        for one in self._pairs:
            registered = one in self._selector.get_map()
            if self._swallows and registered:
                self._selector.unregister(one)
            elif not self._swallows and not registered:
                self._selector.register(one, selectors.EVENT_READ, "data")

    def _accept(self):
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            # On a unix socket this waits only for a place in the backlog, never for the server.
            server.settimeout(5)
            server.connect(self.target)
            server.settimeout(None)
        except OSError:
            client.close()
            server.close()
            return
        pair = _Pair(client, server)
        for one in (client, server):
            self._pairs[one] = pair
            if not self._swallows:
                self._selector.register(one, selectors.EVENT_READ, "data")

    def _forward(self, source):
        try:
            data = source.recv(PIECE)
            if data:
                pair = self._pairs[source]
                if self._rewrite and source is pair.client:
                    data = self._rewrite(data)
                pair.peer[source].sendall(data)
                return
        except OSError:
            pass
        self._drop(source)

    def _drop(self, one):
        pair = self._pairs.get(one)
        if pair is None:
            return
        for end in pair.peer:
            self._pairs.pop(end, None)
            if end in self._selector.get_map():
                self._selector.unregister(end)
            end.close()
