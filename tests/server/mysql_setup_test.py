# SPDX-License-Identifier: MIT
"""What holdfast-mysql-setup makes is enough for the plugin and no more, and can be taken back."""

import json
import os
import shutil
import stat
import subprocess
import unittest

import mysql_case
from driver import Driver
from lab import testing
from plugin_case import PluginCase

SETUP = os.path.join(testing.SOURCE, "plugins/mysql/holdfast-mysql-setup")
USER = "nobody"


@unittest.skipUnless(os.geteuid() == 0, "the program is for root")
class MysqlSetup(PluginCase):
    plugin_name = "mysql"

    @classmethod
    def setUpClass(cls):
        cls.db = cls.begin(mysql_case.new_server())
        cls.db.run("CREATE DATABASE shop; CREATE TABLE shop.t (a INT)")
        cls.client = shutil.which("mariadb") or shutil.which("mysql")

    def setUp(self):
        self.where = self.directory()
        self.config = os.path.join(self.where, "resources.d", "main.conf")
        self.state = os.path.join(self.where, "state")
        self.addCleanup(self.db.run, f"DROP USER IF EXISTS {USER}@localhost")

    def setup_program(self, *arguments, status=0):
        done = subprocess.run([SETUP, f"--state={self.state}", f"--config={self.config}",
                               *arguments], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr if status else done.stdout.splitlines()

    def steps(self, verb, *arguments):
        return [json.loads(line) for line in self.setup_program(
            verb, f"--socket={self.db.socket}", f"--user={USER}", *arguments)]

    def taken(self, verb, *arguments):
        return [(step["step"], step["text"]) for step in self.steps(verb, *arguments)]

    def statements(self, *arguments):
        account = f"'{USER}'@'localhost'"
        kill = "--kill" in arguments
        if self.db.mariadb:
            return [f"CREATE USER {account} IDENTIFIED VIA unix_socket",
                    "GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR"
                    f"{', CONNECTION ADMIN' if kill else ''} ON *.* TO {account}"]
        return [f"CREATE USER {account} IDENTIFIED WITH auth_socket",
                "GRANT RELOAD, PROCESS, REPLICATION CLIENT, BACKUP_ADMIN"
                f"{', CONNECTION_ADMIN' if kill else ''} ON *.* TO {account}",
                f"GRANT SELECT ON performance_schema.log_status TO {account}",
                f"GRANT SELECT ON performance_schema.metadata_locks TO {account}",
                f"GRANT SELECT ON performance_schema.processlist TO {account}"]

    def made(self, *arguments):
        return [("statement", text) for text in self.statements(*arguments)] + [
            ("file", self.config)]

    def without_plugin(self, steps):
        """Whether the server's plugin was loaded before is up to the test that ran first."""
        return [step for step in steps if "auth_socket SONAME" not in step[1]]

    def account(self):
        return self.db.run(f"SELECT COUNT(*) FROM mysql.user WHERE user = '{USER}'") == ["1"]

    def as_account(self, statement):
        return subprocess.run([self.client, "--no-defaults", f"--socket={self.db.socket}", "-N",
                               "-B", "-e", statement], user=USER, extra_groups=[], cwd="/",
                              capture_output=True, text=True, timeout=30, check=False)

    def test_shows_what_it_would_do_and_does_nothing(self):
        self.assertEqual(self.without_plugin(self.taken("plan")), self.made())
        self.assertFalse(self.account())
        self.assertEqual(os.listdir(self.where), [])

    def test_makes_what_it_showed_and_has_nothing_to_do_the_second_time(self):
        self.assertEqual(self.without_plugin(self.taken("apply")), self.made())
        stays = [("note", f"'{self.config}' exists and stays as it is")]
        self.assertEqual(self.taken("plan"), stays)
        self.assertEqual(self.taken("apply"), stays)
        with open(self.config, encoding="utf-8") as written:
            self.assertEqual(written.read().splitlines()[1:], [
                "plugin = mysql", f"socket = {self.db.socket}", f"user = {USER}"])
        self.assertEqual(stat.S_IMODE(os.stat(self.config).st_mode), 0o640)

    def test_the_account_can_do_the_job_and_nothing_else(self):
        self.steps("apply")
        with Driver("mysql", run_as=USER, socket=self.db.socket, user=USER) as plugin:
            self.assertEqual(plugin.probe().warnings, [])
            plugin.freeze()
            plugin.check()
            plugin.release()
        for statement in ("SELECT * FROM shop.t", "SELECT * FROM mysql.user",
                          "INSERT INTO shop.t VALUES (1)", "DROP TABLE shop.t", "CREATE USER x",
                          "CREATE DATABASE d", "SET GLOBAL read_only = 1", "SHUTDOWN",
                          "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/x'",
                          f"GRANT SELECT ON *.* TO {USER}@localhost"):
            with self.subTest(statement):
                self.assertRegex(self.as_account(statement).stderr, "denied|GRANT")
        other = self.db.session()
        self.addCleanup(other.close)
        number = other.run("SELECT CONNECTION_ID()")[0]
        self.assertNotEqual(self.as_account(f"KILL {number}").returncode, 0)
        self.assertEqual(other.run("SELECT 1"), ["1"])

    def test_with_kill_it_may_end_other_sessions(self):
        self.assertEqual(self.without_plugin(self.taken("apply", "--kill")), self.made("--kill"))
        other = self.db.session()
        self.addCleanup(other.close)
        # MySQL guards sessions with SYSTEM_USER besides, and the administrator's has it.
        if self.db.mariadb:
            number = other.run("SELECT CONNECTION_ID()")[0]
            self.assertEqual(self.as_account(f"KILL {number}").returncode, 0)

    def test_takes_back_what_it_made_and_leaves_nothing(self):
        plugins = self.db.run("SELECT plugin_name FROM information_schema.plugins")
        made = [step["text"] for step in self.steps("apply") if step["step"] == "statement"]
        self.assertTrue(made)
        planned = self.taken("plan", "--remove")
        self.assertTrue(self.account())
        self.assertEqual(self.taken("apply", "--remove"), planned)
        self.assertEqual(planned[0], ("remove", self.config))
        self.assertIn(("statement", f"DROP USER IF EXISTS '{USER}'@'localhost'"), planned)
        self.assertFalse(self.account())
        self.assertEqual(os.listdir(os.path.dirname(self.config)), [])
        self.assertEqual(os.listdir(self.state), [])
        self.assertEqual(self.db.run("SELECT plugin_name FROM information_schema.plugins"), plugins)
        self.assertEqual(self.taken("apply", "--remove")[0][0], "note")

    def test_completes_an_account_of_the_administrators_and_takes_only_that_back(self):
        how = "VIA unix_socket" if self.db.mariadb else "WITH auth_socket"
        if not self.db.mariadb:
            self.steps("apply")  # for the server's plugin
            self.db.run(f"DROP USER {USER}@localhost")
            shutil.rmtree(self.state)
            os.remove(self.config)
        self.db.run(f"CREATE USER {USER}@localhost IDENTIFIED {how};"
                    f"GRANT RELOAD ON *.* TO {USER}@localhost")
        os.makedirs(os.path.dirname(self.config), exist_ok=True)
        own = "# mine\nplugin = mysql\n"
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(own)
        taken = self.taken("apply")
        self.assertIn("GRANT PROCESS, ", taken[0][1])
        self.assertEqual(taken[-1], ("note", f"'{self.config}' exists and stays as it is"))
        self.taken("apply", "--remove")
        self.assertTrue(self.account())
        held = self.db.run("SELECT privilege_type FROM information_schema.user_privileges WHERE "
                           f"grantee = '''{USER}''@''localhost'''")
        self.assertEqual(held, ["RELOAD"])
        with open(self.config, encoding="utf-8") as file:
            self.assertEqual(file.read(), own)

    def test_keeps_a_resource_file_that_was_changed_since(self):
        self.steps("apply")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("lock = auto\n")
        self.assertIn(("note", f"'{self.config}' has been changed since, and stays"),
                      self.taken("apply", "--remove"))
        self.assertTrue(os.path.exists(self.config))

    def test_leaves_a_server_alone_that_another_resource_file_is_for(self):
        other = os.path.join(os.path.dirname(self.config), "other.conf")
        os.makedirs(os.path.dirname(other))
        with open(other, "w", encoding="utf-8") as file:
            file.write(f"plugin=mysql\nsocket={self.db.socket}\n")
        self.assertEqual(self.taken("apply")[-1],
                         ("note", f"'{other}' is for this server, and stays as it is"))
        self.assertFalse(os.path.exists(self.config))

    def test_finds_the_server_and_what_was_made(self):
        server, = [entry for entry in map(json.loads, self.setup_program("detect"))
                   if f"--socket={self.db.socket}" in entry["arguments"]]
        self.assertRegex(server["name"], "^mysql-[A-Za-z0-9-]+$")
        self.assertIn(f"--config={os.path.dirname(self.config)}/{server['name']}.conf",
                      server["arguments"])
        self.steps("apply")
        entry, = map(json.loads, self.setup_program("detect", "--remove"))
        self.assertIn(f"--socket={self.db.socket}", entry["arguments"])
        # What it says is what takes it back.
        done = subprocess.run([SETUP, "apply", "--remove", *entry["arguments"]],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(self.account())

    def test_alone_it_does_it_and_prints_what_it_does(self):
        lines = self.setup_program(f"--socket={self.db.socket}", f"--user={USER}")
        self.assertRegex(lines[0], f"^server: .* at {self.db.socket}$")
        self.assertEqual([line for line in lines[1:] if "SONAME" not in line], [
            *(f"  {text};" for text in self.statements()),
            f"wrote '{self.config}'; to use it: systemctl restart holdfastd"])

    def test_refuses_what_it_does_not_understand(self):
        for argument, status, line in (
                ("--what", 64, "holdfast-mysql-setup: unknown argument '--what'"),
                ("--user=a'b", 1, "holdfast-mysql-setup: 'a'b' is not a user name"),
                ("--socket=x", 1, "holdfast-mysql-setup: 'x' is not an absolute path"),
                ("--socket=/no/sock", 1, "holdfast-mysql-setup: there is no socket '/no/sock': is "
                 "the server running? (--socket=PATH)")):
            self.assertEqual(self.setup_program(argument, status=status).strip(), line)


if __name__ == "__main__":
    mysql_case.main()
