# SPDX-License-Identifier: MIT
"""What holdfast-postgresql-setup makes is enough for the plugin, no more, and can be taken back."""

import json
import os
import stat
import subprocess
import tempfile
import unittest

from driver import Driver
from lab import servers, testing
from postgresql_case import PostgresqlCase, main

SETUP = os.path.join(testing.SOURCE, "plugins/postgresql/holdfast-postgresql-setup")


@unittest.skipUnless(os.geteuid() == 0, "the program is for root")
class Setup(PostgresqlCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="hf-setup-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.config = os.path.join(self.directory, "resources.d", "postgresql.conf")
        self.state = os.path.join(self.directory, "state")
        self.addCleanup(self.drop)

    def drop(self):
        if self.role():
            self.pg.run("DROP OWNED BY nobody; DROP ROLE nobody")

    def program(self, *arguments):
        done = subprocess.run([SETUP, f"--state={self.state}", f"--config={self.config}",
                               f"--socket={self.pg.socket_directory}", "--user=nobody", *arguments],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def taken(self, *arguments):
        return [(step["step"], step["text"]) for step in map(json.loads, self.program(*arguments))]

    def made(self):
        granted = [f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO \"nobody\""
                   for function in (self.start_function(), self.stop_function())]
        if self.major >= 15:
            granted.insert(0, 'GRANT pg_checkpoint TO "nobody"')
        return ['CREATE ROLE "nobody" LOGIN', *granted]

    def role(self):
        return self.pg.run("SELECT count(*) FROM pg_roles WHERE rolname = 'nobody'") == ["1"]

    def test_alone_it_does_it_prints_it_and_has_nothing_to_do_the_second_time(self):
        self.assertEqual(self.program()[1:], [
            *(f"  {statement};" for statement in self.made()),
            f"wrote '{self.config}'; to use it: systemctl restart holdfastd"])
        self.assertEqual(self.program()[1:], [f"'{self.config}' exists and stays as it is"])
        with open(self.config, encoding="utf-8") as written:
            self.assertEqual(written.read().splitlines()[1:], [
                "plugin = postgresql", f"socket = {self.pg.socket_directory}", "port = 5432",
                "user = nobody"])
        self.assertEqual(stat.S_IMODE(os.stat(self.config).st_mode), 0o640)

    def test_the_role_can_do_the_job_and_nothing_else(self):
        self.program("apply")
        for mode in ("checkpoint", "backup"):
            with Driver("postgresql", run_as="nobody", socket=self.pg.socket_directory,
                        user="nobody", mode=mode) as plugin:
                os.mkdir(plugin.state)
                os.chmod(plugin.state, 0o777)
                plugin.freeze()
                plugin.check()
                plugin.release()
        for statement in ("SELECT * FROM t", "INSERT INTO t VALUES (1)", "CREATE ROLE x",
                          "CREATE DATABASE d", "SELECT pg_read_file('/etc/passwd')",
                          "ALTER SYSTEM SET work_mem = '1MB'", "SELECT pg_switch_wal()",
                          "SELECT pg_reload_conf()"):
            with self.subTest(statement):
                with self.assertRaisesRegex(servers.ServerError, "permission denied|must be"):
                    self.pg.run(f"SET ROLE nobody; {statement}")

    def test_shows_what_it_would_do_and_does_nothing(self):
        self.assertEqual(self.taken("plan"), [*(("statement", text) for text in self.made()),
                                              ("file", self.config)])
        self.assertFalse(self.role())
        self.assertEqual(os.listdir(self.directory), [])

    def test_takes_back_what_it_made_and_leaves_nothing(self):
        privileges = "SELECT oid::text || coalesce(proacl::text, '') FROM pg_proc WHERE proname ~ " \
                     "'backup_st' ORDER BY 1"
        self.program("apply")
        planned = self.taken("plan", "--remove")
        self.assertTrue(self.role())
        self.assertEqual(self.taken("apply", "--remove"), planned)
        self.assertEqual(planned[0], ("remove", self.config))
        self.assertEqual(planned[-1], ("statement", 'DROP ROLE IF EXISTS "nobody"'))
        self.assertFalse(self.role())
        self.assertNotIn("nobody", "".join(self.pg.run(privileges)))
        self.assertEqual(os.listdir(os.path.dirname(self.config)), [])
        self.assertEqual(os.listdir(self.state), [])

    def test_takes_back_of_the_administrators_role_only_what_it_gave(self):
        self.pg.run("CREATE ROLE nobody LOGIN")
        self.assertNotIn(("statement", self.made()[0]), self.taken("apply"))
        self.taken("apply", "--remove")
        self.assertTrue(self.role())
        self.assertEqual(self.taken("plan")[:-1],
                         [("statement", text) for text in self.made()[1:]])

    def test_finds_the_cluster(self):
        mine = f"--socket={self.pg.socket_directory}"
        entry, = [entry for entry in map(json.loads, self.program("detect"))
                  if mine in entry["arguments"]]
        self.assertIn("--port=5432", entry["arguments"])
        self.assertTrue(any(argument.startswith("--superuser=") for argument in entry["arguments"]))


if __name__ == "__main__":
    main()
