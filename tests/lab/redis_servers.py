# SPDX-License-Identifier: MIT
"""Redis and Valkey, with an append-only file unless told otherwise, on a unix socket.

    with redis_servers.Redis() as server:
        server.run("SET", "k", "v")
        with server.session() as session:      # a connection that stays
            session.send("SET", "k", "w")
            session.blocked_for(0.5)

HOLDFAST_TEST_REDIS=ROOT in the environment takes the programs from that root (installation.py).
"""

import os
import signal
import socket
import time

from lab.installation import Installation
from lab.server_process import Server, ServerError

# All that the plugin asks for: the line of holdfast-redis(5), which a test compares.
ACL = ("on", "resetkeys", "resetchannels", "&holdfast:window", "-@all", "+client|id",
       "+client|list", "+client|pause", "+client|setname", "+client|unpause", "+info", "+publish",
       "+bgsave", "+multi", "+discard")


def _chosen_installation():
    return Installation(os.environ.get("HOLDFAST_TEST_REDIS") or None)


class Client:
    """One connection, as an administrator. Replies are str, int, None, lists of these."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")
        self._pending = 0

    @staticmethod
    def _encoded(words):
        data = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return b"*%d\r\n" % len(data) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in data)

    def send(self, *words):
        """Sends a command and does not wait."""
        self.send_together(words)

    def send_together(self, *commands):
        """Several in one piece."""
        self._socket.sendall(b"".join(self._encoded(words) for words in commands))
        self._pending += len(commands)

    def _reply(self):
        line = self._file.readline().decode()
        if not line:
            raise ServerError("the session has ended")
        kind, text = line[0], line[1:].rstrip("\r\n")
        if kind == "-":
            return ServerError(text)
        if kind == ":":
            return int(text)
        if kind == "$":
            return None if text == "-1" else self._file.read(int(text) + 2)[:-2].decode()
        if kind == "*":
            return [self._reply() for _ in range(int(text))]
        return text

    def blocked_for(self, seconds):
        """Is what was sent still unanswered after `seconds`?"""
        self._socket.settimeout(seconds)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(30)

    def finish(self, timeout=30):
        """The reply to what was sent last; ServerError if it is one."""
        self._socket.settimeout(timeout)
        reply = None
        try:
            while self._pending:
                reply = self._reply()
                self._pending -= 1
        except TimeoutError:
            raise ServerError(f"no answer within {timeout} s") from None
        if isinstance(reply, ServerError):
            raise reply
        return reply

    def run(self, *words, timeout=30):
        self.send(*words)
        return self.finish(timeout)

    def close(self):
        self._file.close()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Redis(Server):
    """`socket` is its unix socket; the default user may do everything, without a password."""

    engine = "redis"
    users = ("redis", "valkey", "nobody")
    stop_signal = signal.SIGTERM

    def __init__(self, parent=None, options=(), installation=None, aof=True):
        super().__init__(parent, options, installation or _chosen_installation())
        self.aof = aof
        self.socket = os.path.join(self.run_directory, "sock")

    @staticmethod
    def missing():
        found = _chosen_installation().program(*Redis._PROGRAMS)
        return None if found else "no Redis is installed (apt-get install redis-tools)"

    # The server is one program with the checkers, which are in Debian's package of tools: what it
    # does depends on the name it is called by. So no package is needed that starts a service.
    _PROGRAMS = ("redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb")

    def _initialise(self):
        pass

    def start(self, timeout=60):
        super().start(timeout)
        # It answers while it loads its data, but not about them.
        self.await_info("the server's data", timeout, loading="0")
        return self

    def _argv(self):
        program = self.installation.program(*self._PROGRAMS)
        if program.endswith("-check-rdb"):
            name = os.path.join(self.home, os.path.basename(program).replace("check-rdb", "server"))
            if not os.path.islink(name):
                os.symlink(program, name)
            program = name
        argv = [program, "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "777",
                "--dir", self.data, "--save", "", "--daemonize", "no"]
        return argv + ["--appendonly", "yes" if self.aof else "no"]

    def run(self, *words, timeout=30, user=None):
        """One command in a session of its own; the reply."""
        try:
            with self.session() as session:
                return session.run(*(words if len(words) > 1 else words[0].split()),
                                   timeout=timeout)
        except OSError as error:
            raise ServerError(str(error)) from None

    def session(self):
        return Client(self.socket)

    def info(self):
        lines = self.run("INFO").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def allow(self, user, password, *rules):
        """Makes an ACL user, by default with what the plugin needs and no more."""
        self.run("ACL", "SETUSER", user, "reset", ">" + password, *(rules or ACL))

    def await_info(self, what, seconds=20, **expected):
        """Until INFO says so."""
        deadline = time.monotonic() + seconds
        while True:
            info = self.info()
            if all(info.get(key) == value for key, value in expected.items()):
                return info
            if time.monotonic() > deadline:
                raise ServerError(f"{what}: not within {seconds} s: {info}")
            time.sleep(0.01)
