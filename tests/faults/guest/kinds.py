# SPDX-License-Identifier: MIT
"""The kinds of resources that faults are injected into: each a real server, what can be done to it,
and what it knows about the lock by itself - the oracle, which asks neither holdfastd nor its plugin.

    window_begins()   the freeze has answered 0, nothing is frozen yet
    window_ends()     the filesystems are thawed, the thaw has not begun: how was it held meanwhile?
                      None if unbroken, else what got through
    prove_unlocked()  somebody else can write, within this time; raises otherwise

`session` is the name of the session that holds: what the record calls session_id.
"""

import contextlib
import os
import signal
import subprocess

from faults.guest.rig import MAX_HOLD
from lab import redis_servers, servers
from lab.agent_rig import await_true
from lab.fake_database import Database

# That nothing happens can't be awaited: how long a writer may try at the end of a window.
BLOCKED = 0.05


def descendants(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return []


class Kind:
    """`proxy_path` is where the plugin connects, `target` where the server listens."""

    name = ""
    plugin = ""
    # Does the engine itself keep writers out? PostgreSQL doesn't: the frozen filesystem does.
    locks = True
    # Are its data on the filesystem that is frozen? Then it can't end while that is frozen.
    on_disk = False
    # Does the server end sessions of which it hears no more? Else the connection's own end has to.
    bounds_itself = False
    # Does a process of its own serve each session, and go on for a moment when the server is killed?
    session_survives_server = False
    # Does the release write to the disk, as a backup's label has to be?
    keeps_on_disk = False
    # How long the lock may last, in seconds, if the service is killed and no other one comes.
    outlives_service = 0

    def __init__(self, directory):
        self.directory = directory

    def kill_session(self, session):
        raise NotImplementedError

    def after_kill(self):
        """The call in which the server was killed has ended."""

    def ensure_running(self):
        """After a case: as if nothing had been."""


class Sql(Kind):
    on_disk = True
    server = None

    def stop(self):
        self.server.pause()

    def cont(self):
        self.server.resume()

    _killed = False
    _children = ()

    def kill(self):
        # Not waited for: threads that write to a frozen filesystem can't die before its thaw.
        self._killed = True
        self._children = descendants(self.server.pid)
        os.kill(self.server.pid, signal.SIGKILL)

    def ensure_running(self):
        with contextlib.suppress(ProcessLookupError):
            self.server.resume()
        if self._killed or not self.server.running:
            self._killed = False
            self.server.kill()
            await_true(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in self._children),
                       "the server's processes have ended")
            pid_file = os.path.join(self.server.data, "postmaster.pid")
            if os.path.exists(pid_file):
                os.unlink(pid_file)
            self.server.start()

    def close(self):
        self.server.close()


class Mysql(Sql):
    name = plugin = "mysql"
    bounds_itself = True

    def __init__(self, directory, filesystem):
        super().__init__(directory)
        self.server = servers.MariaDb(parent=filesystem.mount_point)
        self.server.start()
        self.target = self.server.socket
        self.proxy_path = os.path.join(directory, "mysql.sock")
        self.server.run("CREATE DATABASE shop; CREATE TABLE shop.t (n int) ENGINE=InnoDB")
        self._writer = None

    def configuration(self):
        return f"plugin = mysql\nsocket = {self.proxy_path}\nuser = root\nlock-timeout = 1s\n"

    def kill_session(self, session):
        self.server.run(f"KILL {session}", timeout=10)

    def window_begins(self):
        try:
            self._writer = self.server.session()
            self._writer.send("INSERT INTO shop.t VALUES (1)")
        except (servers.ServerError, OSError):
            self.window_over()  # no server, no writers

    def window_ends(self):
        """A writer that began right after the freeze's answer still waits; or, if its session went
        with the server, a new one has to."""
        try:
            if self._writer is not None:
                if self._writer.blocked_for(BLOCKED):
                    return None
                return "a writer's commit got through"
        except (servers.ServerError, OSError):
            pass
        finally:
            self.window_over()
        try:
            with self.server.session() as again:
                again.send("INSERT INTO shop.t VALUES (2)")
                return None if again.blocked_for(4 * BLOCKED) else "a later writer got through"
        except (servers.ServerError, OSError):
            return None  # no server, no writers

    def window_over(self):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def prove_unlocked(self, seconds):
        self.server.run("INSERT INTO shop.t VALUES (0); DROP TABLE IF EXISTS shop.ddl; "
                        "CREATE TABLE shop.ddl (n int)", timeout=seconds)


class PostgreSql(Sql):
    name = plugin = "postgresql"
    locks = False
    session_survives_server = True

    mode = "checkpoint"
    options = ()

    def __init__(self, directory, filesystem):
        super().__init__(directory)
        self.server = servers.PostgreSql(parent=filesystem.mount_point, options=self.options)
        self.server.start()
        self.server.allow("local all all peer map=test")
        self.server.reload()
        self.server.run("CREATE ROLE root SUPERUSER LOGIN; CREATE TABLE t (n int)")
        self.target = self.server.socket_directory + "/.s.PGSQL.5432"
        self.proxy_path = os.path.join(directory, ".s.PGSQL.5432")
        self._held = None

    def configuration(self):
        return (f"plugin = postgresql\nuser = root\nsocket = {self.directory}\n"
                f"mode = {self.mode}\n")

    def kill_session(self, session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(session), signal.SIGTERM)

    @staticmethod
    def _birth(pid):
        """When a process began: with its number, who it is."""
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]

    def note_session(self, session):
        self._session = session

    def window_begins(self):
        """Writers are kept out by the filesystem alone; what is held is the session."""
        self._held = {pid: self._birth(pid) for pid in (self.server.pid, self._session)}

    def window_ends(self):
        for pid, birth in self._held.items():
            if birth is None or self._birth(pid) != birth:
                return f"process {pid} of the server is not the one of the freeze"
        return None

    def window_over(self):
        self._held = None

    def prove_unlocked(self, seconds):
        self.server.run("INSERT INTO t VALUES (0)", timeout=seconds)


class PostgreSqlBackup(PostgreSql):
    """What is held is a backup that is going on. No view shows it, but the log does: a server that
    has full_page_writes off writes whole pages all the same while it is backed up."""

    name = "postgresql-backup"
    keeps_on_disk = True
    mode = "backup"
    options = ("-c", "full_page_writes=off", "-c", "autovacuum=off")
    bounds_itself = True

    _PAGE = 7000
    # Changes the page for the first time after a checkpoint, and says by how much the log grew.
    _PROBE = ("CHECKPOINT; SELECT pg_current_wal_insert_lsn() AS before \\gset\n"
              "DO $$ BEGIN PERFORM n FROM page FOR UPDATE; END $$;"
              "SELECT pg_current_wal_insert_lsn() - :'before'")

    def __init__(self, directory, filesystem):
        super().__init__(directory, filesystem)
        self.server.run("CREATE TABLE page (n int, filler text);"
                        "ALTER TABLE page ALTER filler SET STORAGE plain;"
                        f"INSERT INTO page VALUES (1, repeat('x', {self._PAGE}))")
        if self.backed_up():
            raise servers.ServerError("the probe for a backup says that there always is one")

    def backed_up(self, seconds=10):
        return int(self.server.run(self._PROBE, timeout=seconds)[-1]) > self._PAGE

    def window_ends(self):
        gone = super().window_ends()
        if gone:
            return gone
        try:
            return None if self.backed_up(2) else "no backup was going on"
        except (servers.ServerError, subprocess.TimeoutExpired):
            return None  # no server, no writers

    def prove_unlocked(self, seconds):
        super().prove_unlocked(seconds)
        await_true(lambda: not self.backed_up(), "the end of the backup", seconds)


class Redis(Sql):
    """The pause is the server's, with a bound of its own: max-hold and ten seconds. The next service
    ends it, as holdfast-redis(8) says."""

    name = plugin = "redis"
    bounds_itself = True
    outlives_service = MAX_HOLD + 10

    def __init__(self, directory, filesystem):
        super().__init__(directory)
        self.server = redis_servers.Redis(parent=filesystem.mount_point)
        self.server.start()
        self.target = self.server.socket
        self.proxy_path = os.path.join(directory, "redis.sock")
        self._writer = None

    def configuration(self):
        return f"plugin = redis\nsocket = {self.proxy_path}\n"

    def kill_session(self, session):
        self.server.run("CLIENT", "KILL", "ID", session)

    def window_begins(self):
        try:
            self._writer = self.server.session()
            self._writer.send("SET", "window", "1")
        except (servers.ServerError, OSError):
            self.window_over()  # no server, no writers

    def window_ends(self):
        try:
            if self._writer is not None:
                if self._writer.blocked_for(BLOCKED):
                    return None
                self._writer.finish(1)
                return "a writer's SET got through"
        except (servers.ServerError, OSError):
            pass
        finally:
            self.window_over()
        try:
            with self.server.session() as again:
                again.send("SET", "window", "2")
                return None if again.blocked_for(4 * BLOCKED) else "a later writer got through"
        except (servers.ServerError, OSError):
            return None  # no server, no writers

    def window_over(self):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def prove_unlocked(self, seconds):
        self.server.run("SET", "window", "0", timeout=seconds)


class Exec(Kind):
    """A program run as root by holdfast-execd, which plays the server. The lock is a file."""

    name = plugin = "exec"

    def __init__(self, directory):
        super().__init__(directory)
        self.target = None  # the rig's holdfast-execd
        self.proxy_path = os.path.join(directory, "exec-proxy.sock")
        self.rig = None
        self._log = os.path.join(directory, "program.log")
        self._flag = os.path.join(directory, "held")
        self._program = os.path.join(directory, "program")
        with open(self._program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n"
                       f"echo $1 $HOLDFAST_WINDOW >>{self._log}\n"
                       "case $1 in\n"
                       f"  freeze) : >{self._flag} ;;\n"
                       f"  thaw) rm -f {self._flag} ;;\n"
                       f"  check) [ -z \"$HOLDFAST_WINDOW\" ] || [ -e {self._flag} ] ;;\n"
                       "  *) exit 2 ;;\n"
                       "esac\n")
        os.chmod(self._program, 0o755)
        self._seen = 0

    def configuration(self):
        return (f"plugin = exec\nprogram = {self._program}\nas-root = yes\n"
                f"exec-socket = {self.proxy_path}\n")

    def _verbs(self):
        try:
            with open(self._log, encoding="utf-8") as log:
                return [line.split()[0] for line in log]
        except FileNotFoundError:
            return []

    def kill_session(self, _session):
        self.rig.target_proxy.cut()

    def stop(self):
        self.rig.execd.send_signal(signal.SIGSTOP)

    def cont(self):
        self.rig.execd.send_signal(signal.SIGCONT)

    def kill(self):
        self.rig.execd.kill()
        self.rig.execd.wait(10)

    def ensure_running(self):
        self.rig.execd.send_signal(signal.SIGCONT)
        if self.rig.execd.poll() is not None:
            self.rig.restart_execd()

    # As its unit has it restarted. Not by a timer: what a thread has started dies with that thread.
    after_kill = ensure_running

    def window_begins(self):
        self._seen = len(self._verbs())

    def window_ends(self):
        since = self._verbs()[self._seen:]
        if "thaw" in since or not os.path.exists(self._flag):
            return "the program was told to thaw"
        return None

    def window_over(self):
        pass

    def prove_unlocked(self, seconds):
        await_true(lambda: not os.path.exists(self._flag), "the program's lock is gone", seconds)

    def close(self):
        pass


class Fake(Kind):
    """tests/support/fake_module.cpp, whose server is this process."""

    name = plugin = "fake"
    resource = "fake:target"

    def __init__(self, directory):
        super().__init__(directory)
        self.target = os.path.join(directory, "fake-server.sock")
        self.proxy_path = os.path.join(directory, "fake-proxy.sock")
        self.database = Database(self.target)
        self._begun = 0
        self._running = True

    def configuration(self):
        return f"plugin = fake\nsocket = {self.proxy_path}\n"

    def kill_session(self, _session):
        self.database.end_session(self.resource)

    def stop(self):
        for call in ("probe", "prepare", "hold", "check", "release", "rollback"):
            self.database.script[f"{self.resource} {call}"] = None

    def cont(self):
        for call in list(self.database.script):
            self.database.answer_now(call)

    def kill(self):
        if self._running:
            self._running = False
            self.database.close()
            os.unlink(self.target)
            self.database.end_sessions()

    def ensure_running(self):
        self.database.script.clear()
        if not self._running:
            self.database.listen()
            self._running = True

    def window_begins(self):
        self._begun = len(self.database.history)

    def window_ends(self):
        if self.resource not in self.database.locked():
            return "the server has no such lock"
        if any(what == "unlock" for _, what, _ in self.database.history[self._begun:]):
            return "the server saw the lock go"
        return None

    def window_over(self):
        pass

    def prove_unlocked(self, seconds):
        self.database.wait_unlocked(seconds)

    def close(self):
        if self._running:
            self.database.close()


ALL = {kind.name: kind for kind in (Mysql, PostgreSql, PostgreSqlBackup, Redis, Exec, Fake)}
