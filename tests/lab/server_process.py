# SPDX-License-Identifier: MIT
"""What every server of the tests is: a process on a directory of its own, and sessions on it.

servers.py has the engines, and says how they are used.
"""

import glob
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from lab.installation import Installation


class ServerError(Exception):
    """A server or a client of one did not do what it was asked to, within its time."""


def stop_process(pid):
    """SIGSTOP, and waits for its effect: a thread that runs at that moment goes on for a while."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while not all(_stopped(path) for path in glob.glob(f"/proc/{pid}/task/*/stat")):
        if time.monotonic() > deadline:
            raise ServerError(f"process {pid} does not stop")
        time.sleep(0.001)


def _stopped(stat):
    try:
        with open(stat, encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "TtXZ"
    except FileNotFoundError:
        return True  # the thread has ended


class Session:
    """One connection of a command-line client, kept open; statements are sent as lines.

    run() waits for the end of a statement; send() does not, and done()/finish() tell about it later.
    """

    def __init__(self, argv, marker, spawn):
        self._marker = marker
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, bufsize=0, **spawn)
        self._lines = queue.Queue()
        self._pending = 0
        self._serial = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.decode("utf-8", "replace").rstrip("\n"))
        self._lines.put(None)

    def send(self, sql):
        """Sends a statement and does not wait."""
        self._serial += 1
        self._pending += 1
        text = sql.rstrip().rstrip(";") + ";\n" + self._marker(f"--done-{self._serial}--") + "\n"
        self._process.stdin.write(text.encode())

    def finish(self, timeout=30):
        """Waits for everything sent; the lines of the last statement. ServerError if it failed."""
        deadline = time.monotonic() + timeout
        lines = []
        while self._pending:
            try:
                line = self._lines.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                raise ServerError(f"no answer within {timeout} s") from None
            if line is None:
                self._pending = 0
                raise ServerError("the session has ended: " + " | ".join(lines))
            if re.fullmatch(r"--done-\d+--", line):
                self._pending -= 1
                if self._pending:
                    lines = []
            else:
                lines.append(line)
        problems = [line for line in lines if re.match(r"ERROR|FATAL|psql:", line)]
        if problems:
            raise ServerError(problems[0])
        return lines

    def blocked_for(self, seconds):
        """Is the statement sent last still unanswered after `seconds`?"""
        try:
            self.finish(timeout=seconds)
        except ServerError as error:
            if str(error).startswith("no answer"):
                return True
            raise
        return False

    def run(self, sql, timeout=30):
        self.send(sql)
        return self.finish(timeout)

    def close(self):
        """Ends the client, and with it the session on the server."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._process.stdin.close()
        self._reader.join(10)
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Server:
    """What both engines share: directories, the process, and its end."""

    users = ()  # whom it runs as where the test is root: the first of them that there is
    engine = ""
    client_user = None

    def __init__(self, parent=None, options=(), installation=None):
        """`parent`: an existing directory for data and socket, such as a mount point. `options`:
        further arguments of the server. `installation`: whose programs run, those of this system
        by default. Sockets are always short paths under the system's own temporary directory: they
        must stay usable while `parent` is frozen, and under 108 bytes."""
        self.installation = installation or Installation()
        self._server_user = self.installation.user(*self.users)
        self.options = list(options)
        self.process = None
        self.home = tempfile.mkdtemp(prefix="hf-" + self.engine + "-")
        os.chmod(self.home, 0o755)
        data_parent = parent or self.home
        self.data = tempfile.mkdtemp(prefix=self.engine + "-", dir=data_parent)
        self.run_directory = os.path.join(self.home, "run")
        self.log = os.path.join(self.home, "server.log")
        os.mkdir(self.run_directory)
        os.chmod(self.run_directory, 0o755)
        for path in (self.data, self.run_directory):
            self._give(path)
        self._initialised = False

    def adopt(self, data):
        """Before start(): takes a copy of another server's data directory instead of a new one."""
        shutil.rmtree(self.data)
        shutil.copytree(data, self.data, symlinks=True)
        for root, directories, files in os.walk(self.data):
            for name in directories + files:
                self._give(os.path.join(root, name))
        self._give(self.data)
        self._initialised = True

    def _give(self, path):
        if os.geteuid() == 0:
            os.chown(path, *self._server_user)

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _tool(self, argv, timeout=120):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              **self.installation.spawn(self._server_user))
        if done.returncode != 0:
            raise ServerError(f"{argv[0]} failed:\n" + done.stdout.decode("utf-8", "replace")[-2000:])

    def start(self, timeout=60):
        """Starts the server on its data directory and waits until it answers."""
        if not self._initialised:
            self._initialise()
            self._initialised = True
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self._argv() + self.options, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, **self.installation.spawn(self._server_user))
        deadline = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise ServerError(f"{self.engine} ended at once:\n{self.log_tail()}")
            try:
                self.run("SELECT 1", timeout=5)
                return self
            except (ServerError, subprocess.TimeoutExpired):
                if time.monotonic() > deadline:
                    self.kill()
                    raise ServerError(f"{self.engine} is not up after {timeout} s:\n"
                                      f"{self.log_tail()}") from None
                time.sleep(0.05)

    def stop(self, timeout=30):
        """A clean shutdown; SIGKILL when it takes longer."""
        if not self.running:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        """SIGKILL: what a crash looks like."""
        if self.running:
            self.process.kill()
        if self.process is not None:
            self.process.wait(10)

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        """The server stops answering, and its sockets stay open."""
        stop_process(self.pid)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log_tail(self, size=2000):
        with open(self.log, "rb") as log:
            return log.read().decode("utf-8", "replace")[-size:]

    def close(self):
        """Stops the server and removes all it had."""
        self.stop(10)
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc):
        self.close()

    def run(self, sql, timeout=30, user=None):
        """Runs statements in a session of their own, as the administrator; the lines of output."""
        done = subprocess.run(self._client(), input=sql.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout,
                              **self._spawn_client(user))
        if done.returncode != 0:
            raise ServerError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout.decode("utf-8", "replace").splitlines()

    def session(self):
        """A connection that stays open, as the administrator."""
        return Session(self._session_client(), self._marker, self._spawn_client())

    def _session_client(self):
        """The client that goes on after a statement that failed."""
        return self._client()

    def _spawn_client(self, user=None):
        name = user or self.client_user
        return self.installation.spawn(self.installation.user(name) if name else None)
