# SPDX-License-Identifier: MIT
"""What the tests of the postgresql plugin on real servers share.

The bodies ask for nothing but a cluster with the surface of lab.servers.PostgreSql, and fit
themselves to its version. To run them on another one:

    from postgresql_case import PostgresqlCase
    PostgresqlCase.make_cluster = staticmethod(lambda **options: ...)   # before the classes are run
    from postgresql_window_test import *
"""

import getpass
import os
import time
import unittest

from driver import Driver, Refused
from lab import servers, testing

SLACK = 1500  # milliseconds, for a busy machine; what is bounded would else never end
ME = getpass.getuser()


def lsn(text):
    high, low = text.strip().split("/")
    return (int(high, 16) << 32) + int(low, 16)


class PostgresqlCase(unittest.TestCase):
    make_cluster = staticmethod(servers.PostgreSql)
    # Further arguments of the server, as strings.
    server_options = ()

    @classmethod
    def setUpClass(cls):
        cls.pg = cls.new_cluster(options=cls.server_options)
        cls.addClassCleanup(cls.pg.close)
        cls.pg.start()
        cls.major = int(cls.pg.run("SHOW server_version_num")[0]) // 10000
        cls.pg.run(f'CREATE ROLE "{ME}" LOGIN; CREATE TABLE t (a INT)')
        cls.grant(ME)

    @classmethod
    def new_cluster(cls, **arguments):
        """A cluster of its own, not started; close it."""
        return cls.make_cluster(**arguments)

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

    def standby(self, **arguments):
        """A running streaming standby of the class's cluster, closed after the test."""
        standby = self.new_cluster(**arguments)
        self.addCleanup(standby.close)
        self.pg.allow("local replication postgres peer")
        self.pg.reload()
        standby._tool([self.pg.binaries() + "/pg_basebackup", "-h", self.pg.socket_directory, "-p",
                       str(self.pg.port), "-U", "postgres", "-D", standby.data, "-R", "-X",
                       "stream", "--checkpoint=fast"])
        standby._initialised = True
        return standby.start()

    def plugin(self, pg=None, **settings):
        """A configured plugin for a cluster, the class's by default."""
        settings.setdefault("user", ME)
        driver = Driver("postgresql", socket=(pg or self.pg).socket_directory, **settings)
        self.addCleanup(driver.close)
        driver.configure()
        return driver

    def refusal(self, **settings):
        """(code, line) of a refusal to be configured or probed."""
        driver = Driver("postgresql", **settings)
        self.addCleanup(driver.close)
        with self.assertRaises(Refused) as refused:
            driver.configure()
            driver.probe()
        return refused.exception.code, str(refused.exception)

    def assert_refused(self, code, line, call):
        with self.assertRaises(Refused) as refused:
            call()
        self.assertEqual((refused.exception.code, str(refused.exception)), (code, line))

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


def main():
    if servers.PostgreSql.missing():
        testing.skip_all(servers.PostgreSql.missing())
    testing.main()
