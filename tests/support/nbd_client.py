# SPDX-License-Identifier: MIT
"""As much of an NBD client as tests need: which exports there are, and what a server does with a
request that ordinary clients would not even send (NBD: doc/proto.md)."""

import socket
import struct

LIST, GO = 3, 7
ACK, SERVER, INFO = 1, 2, 3
READ, WRITE = 0, 1
READ_ONLY = 2
EPERM, EINVAL = 1, 22


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        if self._read(16) != b"NBDMAGICIHAVEOPT":
            raise AssertionError("no NBD server")
        self._read(2)
        self.socket.sendall(struct.pack(">I", 3))

    def _read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the server has gone")
            data += piece
        return data

    def _option(self, number, data=b""):
        """The replies up to the one that says that it is done."""
        self.socket.sendall(b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data)
        replies = []
        while True:
            _, _, kind, length = struct.unpack(">QIII", self._read(20))
            reply = self._read(length)
            if kind == ACK:
                return replies
            if kind & 0x80000000:
                raise LookupError(reply.decode())
            replies.append((kind, reply))

    def names(self):
        return sorted(reply[4:4 + struct.unpack(">I", reply[:4])[0]].decode()
                      for kind, reply in self._option(LIST) if kind == SERVER)

    def open(self, name):
        """(size, flags)."""
        data = struct.pack(">I", len(name)) + name.encode() + struct.pack(">H", 0)
        for kind, reply in self._option(GO, data):
            if kind == INFO and struct.unpack(">H", reply[:2])[0] == 0:
                return struct.unpack(">QH", reply[2:12])
        raise AssertionError("no size")

    def request(self, kind, offset, length, data=b""):
        """(the server's errno, what was read)."""
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 7, offset, length) + data)
        _, problem, _ = struct.unpack(">IIQ", self._read(16))
        return problem, self._read(length) if kind == READ and problem == 0 else b""

    def close(self):
        self.socket.close()
