# SPDX-License-Identifier: MIT
"""What the mysql plugin says when it may not, or cannot, do its work."""

import os
import unittest

import mysql_case
from driver import Driver, Refused
from plugin_case import PluginCase

PASSWORD = "correct # horse"


class MysqlAccount(PluginCase):
    plugin_name = "mysql"

    @classmethod
    def setUpClass(cls):
        cls.db = cls.begin(mysql_case.new_server())
        cls.required = ("RELOAD", "PROCESS", cls.db.position_grant)
        cls.db.run(f"CREATE USER holdfast@localhost IDENTIFIED BY '{PASSWORD}';"
                   f"GRANT {', '.join(cls.db.grants)} ON *.* TO holdfast@localhost")

    def test_no_server_is_said_with_where_it_was_looked_for(self):
        socket = os.path.join(self.directory(), "no.sock")
        self.assertEqual(self.refusal(socket=socket), (
            "unreachable", f"unable to connect to 'mysql:test' at '{socket}': Can't connect to local "
            f"server through socket '{socket}' (2) (2002) (is the server running, and is this where "
            "it listens?)"))

    def test_a_wrong_password_is_said_and_not_shown(self):
        code, line = self.refusal(socket=self.db.socket,
                                  password_file=self.file("password", "wrong\n"))
        self.assertEqual((code, line), (
            "permission", f"unable to connect to 'mysql:test' at '{self.db.socket}': Access denied "
            "for user 'holdfast'@'localhost' (using password: YES) (1045) (does the account exist? "
            "/usr/lib/holdfast/holdfast-mysql-setup makes it)"))

    def test_an_account_that_does_not_exist_is_said(self):
        code, line = self.refusal(socket=self.db.socket, user="nobody-here")
        self.assertEqual(code, "permission")
        # The server doesn't give away whether there is such an account: its words vary.
        self.assertRegex(
            line, f"^unable to connect to 'mysql:test' at '{self.db.socket}': Access denied for user "
            r"'nobody-here'@'localhost'( \(using password: NO\))? \((1045|1698)\) \(does the account "
            r"exist\? /usr/lib/holdfast/holdfast-mysql-setup makes it\)$")

    def test_each_missing_privilege_is_named_with_the_grant_to_run(self):
        for number, missing in enumerate((*((grant,) for grant in self.required), self.required)):
            granted = ", ".join(p for p in self.required if p not in missing) or "USAGE"
            account = f"lacking{number}"
            self.db.run(f"CREATE USER {account}@localhost IDENTIFIED BY 'x';"
                        f"GRANT {granted} ON *.* TO {account}@localhost")
            listed = ", ".join(missing)
            with self.subTest(missing=listed):
                self.assertEqual(
                    self.refusal(socket=self.db.socket, user=account,
                                 password_file=self.file("password", "x\n")),
                    ("permission", f"unable to use 'mysql:test': account '{account}'@'localhost' lacks "
                     f"{listed} (GRANT {listed} ON *.* TO '{account}'@'localhost')"))

    def test_privileges_of_a_role_count(self):
        self.db.run(f"CREATE ROLE backup; GRANT {', '.join(self.db.grants)} ON *.* TO backup;"
                    "CREATE USER rolled@localhost IDENTIFIED BY 'x'; GRANT backup TO rolled@localhost;"
                    f"SET DEFAULT ROLE backup {'FOR' if self.db.mariadb else 'TO'} rolled@localhost")
        with Driver("mysql", socket=self.db.socket, user="rolled",
                    password_file=self.file("password", "x\n")) as plugin:
            plugin.probe()
            plugin.freeze()
            plugin.check()

    def test_a_password_file_that_others_may_read_is_refused(self):
        path = self.file("password", PASSWORD, 0o640)
        self.assertEqual(self.refusal(socket=self.db.socket, password_file=path), (
            "permission", "unable to use the settings of 'mysql:test': unable to use key "
            f"'password-file': unable to use '{path}': others than its owner may read or write it "
            f"(it holds a password: chmod 600 {path})"))

    def test_an_option_file_that_others_may_read_is_refused(self):
        path = self.file("my.cnf", "[client]\n", 0o644)
        self.assertEqual(self.refusal(option_file=path), (
            "permission", "unable to use the settings of 'mysql:test': unable to use key "
            f"'option-file': unable to use '{path}': others than its owner may read or write it "
            f"(it holds a password: chmod 600 {path})"))

    def test_a_password_file_that_is_missing_or_empty_is_refused(self):
        path = os.path.join(self.directory(), "missing")
        self.assertEqual(self.refusal(password_file=path), (
            "not-found", "unable to use the settings of 'mysql:test': unable to use key "
            f"'password-file': unable to open '{path}': No such file or directory"))
        self.assertEqual(self.refusal(password_file=self.file("empty", "\n")), (
            "configuration", "unable to use the settings of 'mysql:test': unable to use key "
            "'password-file': its first line is empty"))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_a_password_file_that_the_service_cannot_read_is_refused(self):
        path = self.file("password", PASSWORD)
        os.chmod(os.path.dirname(path), 0o755)
        self.assertEqual(self.refusal(run_as="nobody", password_file=path), (
            "permission", "unable to use the settings of 'mysql:test': unable to use key "
            f"'password-file': unable to open '{path}': Permission denied"))

    def test_settings_that_exclude_each_other_are_refused(self):
        prefix = "unable to use the settings of 'mysql:test': "
        for settings, line in (
                ({"socket": "/s", "host": "h"}, "keys 'socket' and 'host' exclude each other"),
                ({"socket": "/s", "port": 3306}, "key 'port' needs key 'host'"),
                ({"option_group": "g"}, "key 'option-group' needs key 'option-file'")):
            with self.subTest(line):
                self.assertEqual(self.refusal(**settings), ("configuration", prefix + line))

    def test_values_out_of_range_are_refused_with_their_place(self):
        for settings in ({"lock": "none"}, {"lock_timeout": "10ms"}, {"lock_timeout": 5},
                         {"long_statement_wait": "1h"}, {"socket": "relative"}, {"locktimeout": "1s"}):
            with self.subTest(settings):
                code, line = self.refusal(**settings)
                self.assertEqual(code, "configuration")
                self.assertTrue(line.startswith("driver:1: "), line)

    def test_an_option_file_supplies_account_password_and_socket(self):
        path = self.file("my.cnf", f'[client]\nsocket={self.db.socket}\n[holdfast]\nuser=holdfast\n'
                         f'password="{PASSWORD}"\n')
        with Driver("mysql", option_file=path) as plugin:
            self.assertEqual(plugin.probe().identity["engine"],
                             "MariaDB" if self.db.mariadb else "MySQL")
            plugin.freeze()
            plugin.check()
            plugin.release()

    def test_failed_attempts_cost_no_descriptors(self):
        with Driver("mysql", socket=self.db.socket,
                    password_file=self.file("password", PASSWORD + "\n")) as plugin:
            def attempt():
                with self.assertRaises(Refused):
                    plugin.probe(30)
            self.db.pause()
            try:
                attempt()
                before = os.listdir(f"/proc/{plugin.pid}/fd")
                for _ in range(20):
                    attempt()
                self.assertEqual(os.listdir(f"/proc/{plugin.pid}/fd"), before)
            finally:
                self.db.resume()
            plugin.probe()

    def test_the_client_library_adds_little_memory(self):
        driver = Driver("mysql", socket=self.db.socket, user=self.db.administrator)
        with driver as plugin:
            plugin.probe()
            plugin.freeze()
            plugin.check()
            plugin.release()
            added = plugin.memory() - plugin.kib_at_start
        print(f"resident memory added by the mysql plugin: {added} KiB")
        self.assertLess(added, 8 * 1024)


if __name__ == "__main__":
    mysql_case.main()
