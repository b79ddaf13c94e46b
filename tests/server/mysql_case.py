# SPDX-License-Identifier: MIT
"""What the tests of the mysql plugin share: a server, and words for what is asked of it.

The same test bodies run on every server of the family; lab/mysql_servers.py says how one is chosen.
What a test body shows on one of the products only is marked, and is not there on the other.
"""

import time

from lab import mysql_servers, testing
from plugin_case import PluginCase

new_server = mysql_servers.new_server
_SERVER, _ROOT = mysql_servers.chosen()


def _kept_if(condition):
    return lambda body: body if condition else None


# unittest doesn't collect what isn't callable: not there is not the same as skipped.
only_mariadb = _kept_if(_SERVER.mariadb)
only_mysql = _kept_if(not _SERVER.mariadb)
only_here = _kept_if(_ROOT is None)


class MysqlCase(PluginCase):
    """`db` runs for the whole class; shop has a table per storage engine, named after it."""

    plugin_name = "mysql"
    server_options = ()
    binlog = True

    @classmethod
    def setUpClass(cls):
        cls.db = cls.begin(new_server(options=cls.server_options, binlog=cls.binlog))
        cls.db.run("CREATE DATABASE shop;" + "".join(
            f"CREATE TABLE shop.{engine} (a INT) ENGINE={engine};" for engine in cls.db.engines))
        cls.db.run("INSERT INTO shop.InnoDB VALUES (1), (2), (3)")

    def plugin(self, **settings):
        settings.setdefault("socket", self.db.socket)
        settings.setdefault("user", self.db.administrator)
        return self.configured(**settings)

    def session(self):
        session = self.db.session()
        self.addCleanup(session.close)
        return session

    def running(self, statement, session=None):
        """A session in which this statement runs; over when it is finished or the test ends."""
        session = session or self.session()
        number = session.run("SELECT CONNECTION_ID()")[0]
        session.send(statement)
        word = statement.split()[0]
        self.wait_until(lambda: self.db.run(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE COMMAND = 'Query' "
            f"AND INFO LIKE '{word}%' AND ID = {number}") == ["1"])
        session.number = number
        return session

    def wait_until(self, condition, seconds=10):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it has not come to be")
            time.sleep(0.01)

    def grow_older(self, session, milliseconds):
        """Waits until the running statement of the session is older than that; whole seconds are
        all that MySQL counts."""
        age, least = ("TIME_MS", milliseconds) if self.db.mariadb else (
            "TIME", milliseconds // 1000)
        self.wait_until(lambda: int(float(self.db.run(
            f"SELECT {age} FROM information_schema.processlist WHERE ID = {session.number}")[0]))
            > least)

    def assert_writable(self, within=2):
        for engine in self.db.engines:
            self.db.run(f"INSERT INTO shop.{engine} VALUES (0)", timeout=within)

    def assert_held(self, *statements):
        """Each of these, in a session of its own, waits. Returns the sessions."""
        sessions = []
        for statement in statements:
            sessions.append(self.session())
            sessions[-1].send(statement)
        for session in sessions:
            self.assertTrue(session.blocked_for(0.2))
        return sessions

    def inserts(self, value):
        return [f"INSERT INTO shop.{engine} VALUES ({value})" for engine in self.db.engines]


def main():
    if mysql_servers.missing():
        testing.skip_all(mysql_servers.missing())
    testing.main()
