# SPDX-License-Identifier: MIT
"""What the tests of the postgresql plugin on real servers share. The bodies fit themselves to the
version of the cluster that they are run on (lab/servers.py says how it is chosen)."""

import getpass
import os
import socket
import stat
import time

from lab import servers, testing
from plugin_case import PluginCase

SLACK = 1500  # milliseconds, for a busy machine; what is bounded would else never end
ME = getpass.getuser()


def lsn(text):
    high, low = text.strip().split("/")
    return (int(high, 16) << 32) + int(low, 16)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresqlCase(PluginCase):
    plugin_name = "postgresql"

    @staticmethod
    def new_cluster():
        """A cluster of the chosen version, not started; close it. No test here takes the machine's
        power away: what a process has written is written."""
        return servers.PostgreSql(options=["-c", "fsync=off"])

    @classmethod
    def setUpClass(cls):
        cls.pg = cls.begin(cls.new_cluster())
        cls.major = int(cls.pg.run("SHOW server_version_num")[0]) // 10000
        cls.pg.run(f'CREATE ROLE "{ME}" LOGIN; CREATE TABLE t (a INT)')
        cls.grant(ME)

    # The names changed in 15, and with it CHECKPOINT became something that can be granted.
    @classmethod
    def start_function(cls):
        return "pg_backup_start(text, boolean)" if cls.major >= 15 else \
            "pg_start_backup(text, boolean, boolean)"

    @classmethod
    def stop_function(cls):
        return "pg_backup_stop(boolean)" if cls.major >= 15 else "pg_stop_backup(boolean, boolean)"

    @classmethod
    def grant(cls, role):
        """All that the plugin can use."""
        if cls.major >= 15:
            cls.pg.run(f'GRANT pg_checkpoint TO "{role}"')
        cls.pg.run(f'GRANT EXECUTE ON FUNCTION {cls.start_function()}, {cls.stop_function()} '
                   f'TO "{role}"')

    @classmethod
    def standby(cls, *basebackup_options):
        """A running streaming standby of the class's cluster; close it."""
        standby = cls.new_cluster()
        cls.pg.allow("local replication postgres peer")
        cls.pg.reload()
        standby._tool([cls.pg.binaries() + "/pg_basebackup", "-h", cls.pg.socket_directory, "-p",
                       str(cls.pg.port), "-U", "postgres", "-D", standby.data, "-R", "-X",
                       "stream", "--checkpoint=fast", *basebackup_options])
        standby._initialised = True
        return standby.start()

    def await_replay(self, standby):
        """Until the standby has replayed all that its primary has written by now."""
        written = self.pg.run("SELECT pg_current_wal_insert_lsn()")[0]
        self.await_true(
            lambda: standby.run(f"SELECT pg_last_wal_replay_lsn() >= '{written}'") == ["t"],
            "the replay")

    def plugin(self, pg=None, **settings):
        """A configured plugin for a cluster, the class's by default."""
        settings.setdefault("user", ME)
        return self.configured(socket=(pg or self.pg).socket_directory, **settings)

    def await_true(self, condition, what, seconds=20):
        """For what gives no event."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def kept(self, plugin):
        """The directory of the one window whose label the plugin has kept, and its name."""
        window, = os.listdir(plugin.state)
        return os.path.join(plugin.state, window), window

    def read(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def mode_of(self, *path):
        return stat.S_IMODE(os.stat(os.path.join(*path)).st_mode)


def main():
    if servers.PostgreSql.missing():
        testing.skip_all(servers.PostgreSql.missing())
    testing.main()
