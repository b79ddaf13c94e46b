# SPDX-License-Identifier: MIT
"""What holdfast-postgresql-prove finds of a server: up, all of it readable, at the position or not."""

import os
import unittest

from lab import servers, testing
from postgresql_case import PostgresqlCase
from prove_case import ProveCase

PAGE = 8192


@unittest.skipUnless(os.geteuid() == 0, "the program is for root")
class PostgresqlProve(ProveCase):
    plugin_name = "postgresql"

    @classmethod
    def setUpClass(cls):
        cls.pg = cls.begin(PostgresqlCase.new_cluster())
        cls.pg.run("CREATE TABLE t (a INT); INSERT INTO t SELECT generate_series(1, 1000);"
                   "CREATE DATABASE \"odd name\"")
        # For the operating system's user who owns the socket.
        cls.pg.allow("local all all peer")
        cls.pg.reload()

    def setUp(self):
        self.config = self.resource_file(socket=self.pg.socket_directory, user="nobody")

    def test_a_sound_server_is_proven_and_has_no_position_to_be_compared(self):
        answers = self.prove(self.config)
        self.assert_verdicts(answers, up="ok", sound="ok", position="none")
        self.assertRegex(answers["sound"][1], "^3 databases read, of which 0 by amcheck; ")

    def test_it_stands_where_it_was_after_a_crash_and_not_where_it_has_never_been(self):
        now = self.pg.run("SELECT pg_current_wal_lsn()")[0]
        timeline = self.pg.run("SELECT timeline_id FROM pg_control_checkpoint()")[0]
        self.pg.run("INSERT INTO t VALUES (0)")
        self.pg.kill()
        self.pg.start()
        answers = self.prove(self.config, lsn=now, timeline=timeline)
        self.assert_verdicts(answers, up="ok", sound="ok", position="ok")
        ahead = self.prove(self.config, lsn="FFFF/0", timeline=timeline)["position"]
        self.assertEqual(ahead[0], "bad")
        self.assertRegex(ahead[1], "^LSN [0-9A-F/]+ is before the recorded FFFF/0$")
        branch = self.prove(self.config, lsn=now, timeline=int(timeline) + 1)["position"]
        self.assertEqual(branch[0], "bad")

    def test_what_is_not_there_is_not_up(self):
        answers = self.prove(self.resource_file(socket="/nonexistent"))
        self.assert_verdicts(answers, up="bad")
        self.assertRegex(answers["up"][1], "^there is no socket '/nonexistent/")
        answers = self.prove(self.resource_file(host="db.example"))
        self.assert_verdicts(answers, up="bad")
        self.assertIn("on this machine", answers["up"][1])

    def test_a_table_whose_page_is_overwritten_is_told(self):
        self.pg.run("CREATE TABLE spoilt (a INT); INSERT INTO spoilt SELECT generate_series(1, 999)")
        path = os.path.join(self.pg.data,
                            self.pg.run("SELECT pg_relation_filepath('spoilt')")[0])
        self.addCleanup(self.pg.run, "DROP TABLE spoilt")
        self.pg.stop()
        with open(path, "r+b") as file:
            file.seek(PAGE)
            file.write(b"\x5a" * PAGE)
        self.pg.start()
        answers = self.prove(self.config)
        self.assert_verdicts(answers, up="ok", sound="bad", position="none")
        self.assertRegex(answers["sound"][1], "^postgres: ERROR: .*invalid page in block 1")

    def test_where_amcheck_is_an_index_that_does_not_fit_its_table_is_told(self):
        # Servers of another root have their programs there.
        if self.pg.installation.root is not None:
            return
        self.pg.run("CREATE EXTENSION amcheck; CREATE TABLE keyed (a TEXT);"
                    "INSERT INTO keyed SELECT generate_series(1, 99)::text;"
                    "CREATE INDEX keyed_a ON keyed (a)")
        self.addCleanup(self.pg.run, "DROP TABLE keyed; DROP EXTENSION amcheck")
        self.assertRegex(self.prove(self.config)["sound"][1], "of which 1 by amcheck")
        path = os.path.join(self.pg.data,
                            self.pg.run("SELECT pg_relation_filepath('keyed_a')")[0])
        self.pg.stop()
        with open(path, "r+b") as file:
            page = file.read(2 * PAGE)
            file.seek(0)
            file.write(page.replace(b"\x0777", b"\x0717"))
        self.pg.start()
        answers = self.prove(self.config)
        self.assertEqual(answers["sound"][0], "bad", answers)
        self.assertIn("keyed_a", answers["sound"][1])


if __name__ == "__main__":
    if servers.PostgreSql.missing():
        testing.skip_all(servers.PostgreSql.missing())
    testing.main()
