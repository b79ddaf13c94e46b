# SPDX-License-Identifier: MIT
"""How the postgresql plugin gets in: roles, privileges, password files; and what it says when it
does not."""

import os
import subprocess

from driver import Driver, Refused
from postgresql_case import ME, PostgresqlCase, main

class Account(PostgresqlCase):
    def test_no_server_is_said_with_where_it_was_looked_for(self):
        empty = self.directory()
        self.assertEqual(self.refusal(socket=empty), (
            "unreachable", f"unable to connect to 'postgresql:test' at '{empty}': "
            f'connection to server on socket "{empty}/.s.PGSQL.5432" failed: No such '
            "file or directory (is the server running, and is this where it listens?)"))

    def test_a_role_that_is_missing_is_said(self):
        self.assertEqual(self.refusal(socket=self.pg.socket_directory, user="nobody-here"), (
            "permission",
            f"unable to connect to 'postgresql:test' at '{self.pg.socket_directory}': "
            f'connection to server on socket "{self.pg.socket_directory}/.s.PGSQL.5432" failed: '
            'FATAL:  Peer authentication failed for user "nobody-here" (does the role exist? '
            "/usr/lib/holdfast/holdfast-postgresql-setup makes it)"))

    def test_a_missing_privilege_is_named_with_the_grant_to_run(self):
        self.pg.run("CREATE ROLE bare LOGIN")
        self.pg.allow("local all bare trust")
        self.pg.reload()
        self.addCleanup(self.pg.run, "DROP ROLE bare")
        settings = {"socket": self.pg.socket_directory, "user": "bare"}
        self.wait_for_login("bare")
        missing = "unable to use 'postgresql:test': role \"bare\" lacks "
        if self.major >= 15:
            self.assertEqual(self.refusal(**settings), (
                "permission", missing + 'pg_checkpoint (GRANT pg_checkpoint TO "bare")'))
            functions = "pg_backup_start, pg_backup_stop"
            names = "pg_backup_start and pg_backup_stop"
        else:
            functions = "pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean)"
            names = "pg_start_backup and pg_stop_backup"
        self.assertEqual(self.refusal(mode="backup", **settings), (
            "permission", f"{missing}EXECUTE on {names} (GRANT EXECUTE ON FUNCTION {functions} "
            'TO "bare")'))

    def wait_for_login(self, role):
        command = ["psql", "-X", "-h", self.pg.socket_directory, "-U", role, "-d", "postgres", "-c",
                   "SELECT 1"]
        self.await_true(lambda: subprocess.run(command, capture_output=True, timeout=10,
                                               check=False).returncode == 0, "the login")

    def test_a_password_file_is_used_and_a_wrong_password_is_said(self):
        self.pg.run("CREATE ROLE secret LOGIN PASSWORD 'right'")
        self.addCleanup(self.pg.run, "DROP OWNED BY secret; DROP ROLE secret")
        self.grant("secret")
        self.pg.allow("local all secret scram-sha-256")
        self.pg.restart()
        settings = {"socket": self.pg.socket_directory, "user": "secret"}
        right = self.file("right", "*:*:*:*:right\n")
        with Driver("postgresql", password_file=right, **settings) as plugin:
            plugin.probe()
        code, line = self.refusal(password_file=self.file("wrong", "*:*:*:*:wrong\n"), **settings)
        self.assertEqual(code, "permission")
        self.assertIn('password authentication failed for user "secret"', line)
        self.assertNotIn("\n", line)

    def test_a_password_file_that_others_may_read_is_refused(self):
        path = self.file("pgpass", "*:*:*:*:right\n", 0o644)
        self.assertEqual(self.refusal(socket=self.pg.socket_directory, password_file=path), (
            "permission", "unable to use the settings of 'postgresql:test': unable to use key "
            f"'password-file': unable to use '{path}': others than its owner may read or write it "
            f"(it holds a password: chmod 600 {path})"))

    def test_a_service_file_says_where_and_who(self):
        services = self.file("services", f"[main]\nhost={self.pg.socket_directory}\nuser={ME}\n"
                             "dbname=postgres\n\n[lost]\nhost=/nowhere\n", 0o644)
        for mode in ("checkpoint", "backup"):
            plugin = self.configured(service="main", service_file=services, mode=mode)
            plugin.freeze()
            plugin.check()
            plugin.release()
        # What stands in the resource file counts more.
        self.configured(service="lost", service_file=services, user=ME,
                        socket=self.pg.socket_directory, dbname="postgres").probe()
        code, line = self.refusal(service="lost", service_file=services)
        self.assertEqual(code, "unreachable")
        self.assertTrue(line.startswith("unable to connect to 'postgresql:test' at 'lost': "), line)
        self.assertEqual(self.refusal(service="none", service_file=services), (
            "not-found", "unable to use the settings of 'postgresql:test': unable to use key "
            f"'service': there is no service 'none' in '{services}'"))

    def test_a_password_in_a_service_file_that_others_may_read_is_refused(self):
        services = self.file("services", "[main]\nhost=/nowhere\npassword=right\n", 0o640)
        self.assertEqual(self.refusal(service="main", service_file=services), (
            "permission", "unable to use the settings of 'postgresql:test': unable to use key "
            f"'service': unable to use '{services}': others than its owner may read or write it "
            f"(it holds a password: chmod 600 {services})"))

    def test_clusters_of_one_socket_directory_are_told_apart_by_their_ports(self):
        other = self.new_cluster()
        other.socket_directory, other.port = self.pg.socket_directory, 5433
        self.begin(other)
        other.run(f'CREATE ROLE "{ME}" SUPERUSER LOGIN')
        plugins = [self.plugin(), self.plugin(port=5433)]
        held = [plugin.freeze() for plugin in plugins]
        self.assertNotEqual(held[0].identity["server_uuid"], held[1].identity["server_uuid"])
        other.restart()
        plugins[0].check()
        with self.assertRaisesRegex(Refused, "was lost"):
            plugins[1].check()
        for plugin in plugins:
            plugin.release()

    def test_settings_that_are_wrong_are_refused(self):
        self.assertEqual(self.refusal(socket="/s", host="h"), (
            "configuration", "unable to use the settings of 'postgresql:test': keys 'socket' and "
            "'host' exclude each other"))
        for settings in ({"mode": "lock"}, {"port": 0}, {"checkpoint_timeout": "1ms"}):
            with self.subTest(settings):
                code, line = self.refusal(**settings)
                self.assertEqual(code, "configuration")
                self.assertTrue(line.startswith("driver:1: "), line)

    def test_failed_attempts_cost_no_descriptors(self):
        with Driver("postgresql", socket=self.pg.socket_directory, user=ME) as plugin:
            def attempt():
                with self.assertRaises(Refused):
                    plugin.probe(30)
            self.pg.pause()
            try:
                attempt()
                before = os.listdir(f"/proc/{plugin.pid}/fd")
                for _ in range(20):
                    attempt()
                self.assertEqual(os.listdir(f"/proc/{plugin.pid}/fd"), before)
            finally:
                self.pg.resume()
            plugin.probe()

    def test_the_client_library_adds_little_memory(self):
        plugin = self.plugin()
        plugin.freeze()
        plugin.check()
        plugin.release()
        added = plugin.memory() - plugin.kib_at_start
        print(f"resident memory added by the postgresql plugin: {added} KiB")
        self.assertLess(added, 8 * 1024)


if __name__ == "__main__":
    main()
