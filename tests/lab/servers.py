# SPDX-License-Identifier: MIT
"""Real database servers for tests: started on a unix socket in a directory of their own, and ended.

    with servers.MariaDb() as db:
        db.run("CREATE DATABASE shop")
        with db.session() as session:            # a connection that stays
            session.run("LOCK TABLES shop.t WRITE")

    with servers.PostgreSql(parent="/mnt/test") as pg:   # data directory under a given mount point
        pg.run("SELECT 1")

Each server runs as the user that its package made (mysql, postgres) when the test runs as root, else
as the user of the test. It listens on no network address. It dies with the thread that started it
(PR_SET_PDEATHSIG), so start servers from the main thread. Children of the test inherit its mount
namespace: mount first, start afterwards.

Nothing here waits without a bound. A failure to start raises ServerError with the end of the server's
log. `missing()` of each class says why it can't run here, or None: pass it to testing.skip_all().

For tests that hurt servers: pause()/resume() (SIGSTOP/SIGCONT), kill() (SIGKILL), stop(), start(),
restart(). `pid` is that of the server itself. A data directory on a filesystem that may be frozen:
thaw before any of these; a frozen server can't end.
"""

import ctypes
import glob
import os
import pwd
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class ServerError(Exception):
    """A server or a client of one did not do what it was asked to, within its time."""


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _identity(user):
    """The arguments of Popen that run a child as `user`; none unless we are root."""
    if os.geteuid() != 0 or user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _known_user(*names):
    """The first of these users that the system has."""
    for name in names:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


class Session:
    """One connection of a command-line client, kept open; statements are sent as lines.

    run() waits for the end of a statement; send() does not, and done()/finish() tell about it later.
    """

    def __init__(self, argv, marker, user=None, environment=None):
        self._marker = marker
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            bufsize=0, env=environment, preexec_fn=_die_with_parent, **_identity(user))
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

    user = None
    engine = ""

    def __init__(self, parent=None, options=()):
        """`parent`: an existing directory for data and socket, such as a mount point. `options`:
        further arguments of the server. Sockets are always short paths under the system's own
        temporary directory: they must stay usable while `parent` is frozen, and under 108 bytes."""
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
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _tool(self, argv, timeout=120):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              cwd="/", preexec_fn=_die_with_parent, **_identity(self.user))
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
                stderr=subprocess.STDOUT, cwd="/", preexec_fn=_die_with_parent,
                **_identity(self.user))
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
        self.process.send_signal(signal.SIGSTOP)

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
                              stderr=subprocess.PIPE, timeout=timeout, cwd="/",
                              preexec_fn=_die_with_parent, **_identity(user or self.client_user))
        if done.returncode != 0:
            raise ServerError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout.decode("utf-8", "replace").splitlines()

    def session(self):
        """A connection that stays open, as the administrator."""
        return Session(self._client(), self._marker, user=self.client_user)


class MariaDb(Server):
    """MariaDB with binary log (GTID) and InnoDB. `socket` is its unix socket; the administrator is
    the user of the test itself (unix_socket authentication)."""

    engine = "mariadb"
    # The user that mariadb-server makes; the server's programs come without it.
    user = _known_user("mysql", "nobody")
    client_user = None
    stop_signal = signal.SIGTERM

    def __init__(self, parent=None, options=(), binlog=True):
        super().__init__(parent, options)
        self.binlog = binlog
        self.socket = os.path.join(self.run_directory, "sock")

    @staticmethod
    def missing():
        for program in ("mariadbd", "mariadb-install-db", "mariadb"):
            if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
                return f"'{program}' is not installed (apt-get install mariadb-server)"
        return None

    def _initialise(self):
        me = pwd.getpwuid(os.geteuid()).pw_name
        self._tool(["mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                    "--auth-root-authentication-method=socket", f"--auth-root-socket-user={me}",
                    "--skip-test-db", "--skip-name-resolve"])

    def _argv(self):
        program = shutil.which("mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        argv = [program, "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                f"--pid-file={self.run_directory}/pid", "--skip-networking", "--server-id=1",
                "--innodb-buffer-pool-size=64M", "--skip-name-resolve"]
        if self.binlog:
            argv.append(f"--log-bin={self.data}/binlog")
        return argv

    def _client(self):
        return ["mariadb", "--no-defaults", f"--socket={self.socket}", "--batch", "--force",
                "--skip-column-names", "--unbuffered", "--skip-reconnect"]

    @staticmethod
    def _marker(text):
        return f"SELECT '{text}';"


class PostgreSql(Server):
    """PostgreSQL with peer authentication. `socket_directory` is what libpq takes as host; the
    administrator is role postgres."""

    engine = "postgresql"
    user = "postgres"
    stop_signal = signal.SIGINT

    def __init__(self, parent=None, options=()):
        super().__init__(parent, options)
        self.socket_directory = self.run_directory
        self.port = 5432
        self.client_user = "postgres" if os.geteuid() == 0 else None

    @staticmethod
    def binaries():
        """The newest installed server's directory of programs, or None."""
        found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
        found.sort(key=lambda path: int(path.split("/")[4]))
        return os.path.dirname(found[-1]) if found else None

    @staticmethod
    def missing():
        if PostgreSql.binaries() is None:
            return "no PostgreSQL server is installed (apt-get install postgresql)"
        return None

    def _initialise(self):
        self._tool([self.binaries() + "/initdb", "--no-sync", "--auth-local=peer",
                    "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C",
                    "--username=postgres", "-D", self.data])
        with open(os.path.join(self.data, "pg_ident.conf"), "a", encoding="ascii") as ident:
            ident.write("test /^(.*)$ \\1\n")
            if os.geteuid() != 0:
                ident.write(f"test {pwd.getpwuid(os.geteuid()).pw_name} postgres\n")
        if os.geteuid() != 0:
            self.allow("local all all peer map=test")

    def allow(self, line):
        """Puts a line at the head of pg_hba.conf; takes effect at start or after reload()."""
        path = os.path.join(self.data, "pg_hba.conf")
        with open(path, encoding="ascii") as old:
            content = old.read()
        with open(path, "w", encoding="ascii") as new:
            new.write(line + "\n" + content)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        """Kills the postmaster and waits for its children, which notice by themselves."""
        children = self._children()
        super().kill()
        deadline = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{pid}") for pid in children):
            if time.monotonic() > deadline:
                raise ServerError("server processes outlive their postmaster")
            time.sleep(0.02)
        # A killed postmaster leaves its pid file; the next start would look whether it lives.
        pid_file = os.path.join(self.data, "postmaster.pid")
        if os.path.exists(pid_file):
            os.unlink(pid_file)

    def _children(self):
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as children:
                return [int(pid) for pid in children.read().split()]
        except OSError:
            return []

    def pause(self):
        """Stops the postmaster and every process of the server."""
        super().pause()
        self._paused = self._children()
        for pid in self._paused:
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in getattr(self, "_paused", []):
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # it ended meanwhile
        self._paused = []
        super().resume()

    def stop(self, timeout=30):
        if self.running and getattr(self, "_paused", []):
            self.resume()
        super().stop(timeout)

    def _argv(self):
        return [self.binaries() + "/postgres", "-D", self.data, "-k", self.socket_directory,
                "-c", "listen_addresses=", "-p", str(self.port), "-c", "shared_buffers=32MB",
                "-c", "logging_collector=off"]

    def _client(self):
        return [self.binaries() + "/psql", "-X", "-q", "-A", "-t", "-h", self.socket_directory,
                "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=0"]

    def run(self, sql, timeout=30, user=None):
        argv = self._client() + ["-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(argv, input=sql.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, cwd="/",
                              preexec_fn=_die_with_parent, **_identity(user or self.client_user))
        if done.returncode != 0:
            raise ServerError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout.decode("utf-8", "replace").splitlines()

    @staticmethod
    def _marker(text):
        return f"\\echo '{text}'"
