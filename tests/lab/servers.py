# SPDX-License-Identifier: MIT
"""Real database servers for tests: started on a unix socket in a directory of their own, and ended.

    with servers.MariaDb() as db:
        db.run("CREATE DATABASE shop")
        with db.session() as session:            # a connection that stays
            session.run("LOCK TABLES shop.t WRITE")

    with servers.PostgreSql(parent="/mnt/test") as pg:   # data directory under a given mount point
        pg.run("SELECT 1")

MariaDb and MySql share what MysqlServer has (mysql_servers.py). `installation` takes the programs from
another root than this system's (installation.py); for PostgreSQL the environment can do so for all of
a test: HOLDFAST_TEST_POSTGRESQL=ROOT.

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

import glob
import os
import pwd
import signal
import subprocess
import time

from lab.installation import Installation
from lab.mysql_servers import MariaDb, MySql
from lab.server_process import Server, ServerError, Session, stop_process

__all__ = ["MariaDb", "MySql", "PostgreSql", "Server", "ServerError", "Session"]


def _chosen_root():
    return os.environ.get("HOLDFAST_TEST_POSTGRESQL") or None


class PostgreSql(Server):
    """PostgreSQL with peer authentication. `socket_directory` is what libpq takes as host; the
    administrator is role postgres."""

    engine = "postgresql"
    users = ("postgres",)
    stop_signal = signal.SIGINT

    def __init__(self, parent=None, options=(), installation=None):
        super().__init__(parent, options, installation or Installation(_chosen_root()))
        self.socket_directory = self.run_directory
        self.port = 5432
        self.client_user = "postgres" if os.geteuid() == 0 else None

    @staticmethod
    def binaries():
        """The newest installed server's directory of programs, or None."""
        root = _chosen_root() or ""
        found = [path[len(root):] for path in
                 glob.glob(f"{root}/usr/lib/postgresql/*/bin/postgres")]
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
            stop_process(pid)

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
                              stderr=subprocess.PIPE, timeout=timeout,
                              **self._spawn_client(user))
        if done.returncode != 0:
            raise ServerError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout.decode("utf-8", "replace").splitlines()

    @staticmethod
    def _marker(text):
        return f"\\echo '{text}'"
