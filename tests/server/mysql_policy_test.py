# SPDX-License-Identifier: MIT
"""What the mysql plugin does about statements that its lock would have to wait for."""

import mysql_case
from driver import Refused
from lab import servers
from mysql_case import MysqlCase, only_mariadb, only_mysql
from plugin_case import SLACK

BRIEF = {"long_statement_threshold": "100ms", "long_statement_wait": "200ms"}


class Policy(MysqlCase):
    server_options = ("--event-scheduler=ON",)

    def setUp(self):
        self.db.run("TRUNCATE shop.InnoDB; INSERT INTO shop.InnoDB VALUES (1)")

    def long_update(self):
        return self.aged("UPDATE shop.InnoDB SET a = a + SLEEP(25)")

    def aged(self, statement):
        session = self.running(statement)
        self.grow_older(session, 100 if self.db.mariadb else 1000)
        return session

    def test_fail_gives_up_at_once_and_ends_nothing(self):
        updater = self.aged("UPDATE shop.InnoDB SET a = a + SLEEP(3)")
        plugin = self.plugin(long_statement_policy="fail", long_statement_threshold="100ms",
                             long_statement_wait="1min")
        refused = self.assert_refused_like(
            "busy", rf"unable to prepare 'mysql:test': session {updater.number} of user .* has been "
            r"running a statement for \d\.\d s \(let it end; long-statement-policy is fail\)",
            plugin.prepare)
        self.assertLess(refused.ms, 1000)
        updater.finish(10)

    def test_kill_all_ends_the_statement_and_not_its_session_and_the_record_tells(self):
        updater = self.long_update()
        plugin = self.plugin(long_statement_policy="kill-all", **BRIEF)
        prepared = plugin.prepare()
        self.assertGreater(prepared.ms, 190)
        held = plugin.hold()
        self.assertEqual(len(held.warnings), 1)
        self.assertRegex(held.warnings[0], rf"^killed a statement of user '{self.db.administrator}' "
                         rf"\(session {updater.number}\) after \d\.\d s$")
        plugin.check()
        plugin.release()
        with self.assertRaisesRegex(servers.ServerError, "ERROR 1317"):
            updater.finish(5)
        self.assertEqual(updater.run("SELECT CONNECTION_ID()"), [updater.number])
        # Told once, with the window that it belongs to.
        self.assertEqual(plugin.freeze().warnings, [])
        plugin.release()

    def test_what_was_killed_for_nothing_is_told_by_the_next_probe(self):
        self.long_update()
        plugin = self.plugin(long_statement_policy="kill-all", **BRIEF)
        plugin.prepare()
        plugin.rollback()
        self.assertRegex("\n".join(plugin.probe().warnings),
                         r"(?m)^an earlier freeze killed a statement of user '.*$")

    def test_kill_select_leaves_what_writes(self):
        updater = self.aged("UPDATE shop.InnoDB SET a = a + SLEEP(4)")
        plugin = self.plugin(long_statement_policy="kill-select", **BRIEF)
        self.assert_refused_like(
            "busy", rf"unable to prepare 'mysql:test': session {updater.number} of .* \(let it end; "
            r"long-statement-policy kill-select kills none but plain SELECTs\)", plugin.prepare)
        updater.finish(10)

    @only_mysql
    def test_kill_select_ends_a_select_that_is_in_the_way(self):
        reader = self.aged("SELECT SLEEP(25), a FROM shop.InnoDB")
        plugin = self.plugin(long_statement_policy="kill-select", **BRIEF)
        self.assertEqual(len(plugin.freeze().warnings), 1)
        plugin.release()
        self.assertEqual(reader.run("SELECT CONNECTION_ID()"), [reader.number])

    @only_mariadb
    def test_kill_select_leaves_a_select_that_is_not_in_the_way(self):
        reader = self.aged("SELECT SLEEP(1.5), a FROM shop.InnoDB")
        plugin = self.plugin(long_statement_policy="kill-select", **BRIEF)
        self.assertEqual(plugin.freeze().warnings, [])
        plugin.release()
        self.assertEqual(reader.finish(10), ["0\t1"])

    def test_a_statement_of_the_event_scheduler_is_never_killed(self):
        self.db.run("CREATE EVENT shop.night ON SCHEDULE EVERY 1 HOUR DO "
                    "UPDATE shop.InnoDB SET a = a + SLEEP(3)")
        self.addCleanup(self.db.run, "DROP EVENT IF EXISTS shop.night")
        self.wait_until(lambda: self.db.run(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE 'UPDATE%'") == ["1"])
        plugin = self.plugin(long_statement_policy="kill-all", lock_timeout="300ms", **BRIEF)
        with self.assertRaises(Refused):
            plugin.freeze()
        self.assert_writable(within=5)
        self.wait_until(lambda: self.db.run("SELECT a FROM shop.InnoDB LIMIT 1") == ["1"])
        self.assertEqual(plugin.probe().warnings, self.plugin().probe().warnings)

    def test_killing_needs_a_privilege_that_is_asked_for_beforehand(self):
        privilege = "CONNECTION ADMIN" if self.db.mariadb else "CONNECTION_ADMIN"
        self.db.make_account("killer", "x")
        settings = {"socket": self.db.socket, "user": "killer", "long_statement_policy": "kill-all",
                    "password_file": self.file("password", "x\n"), **BRIEF}
        self.assertEqual(self.refusal(**settings), (
            "permission", f"unable to use 'mysql:test': account 'killer'@'localhost' lacks {privilege} "
            f"(GRANT {privilege} ON *.* TO 'killer'@'localhost')"))
        self.db.run(f"GRANT {privilege} ON *.* TO killer@localhost")
        updater = self.long_update()
        plugin = self.configured(**settings)
        if self.db.mariadb:
            self.assertEqual(len(plugin.freeze().warnings), 1)
            with self.assertRaisesRegex(servers.ServerError, "ERROR 1317"):
                updater.finish(5)
            return
        # The administrator has SYSTEM_USER, whose statements only the like may end.
        self.assert_refused_like("permission", "unable to prepare 'mysql:test': unable to kill the "
                                 rf"statement of session {updater.number}: .*", plugin.prepare)

    def test_an_idle_hold_outlives_the_servers_idle_timeout(self):
        self.db.run("SET GLOBAL wait_timeout = 1; SET GLOBAL interactive_timeout = 1")
        self.addCleanup(self.db.run, "SET GLOBAL wait_timeout = 28800")
        plugin = self.plugin()
        plugin.freeze()
        self.assertFalse(plugin.watch(2500))
        plugin.check()
        plugin.release()

    def test_a_daemon_that_dies_while_it_waits_for_the_lock_stalls_no_longer_than_lock_timeout(self):
        # MySQL doesn't see the closed connection of a pending lock: lock_wait_timeout ends it.
        updater = self.running("UPDATE shop.InnoDB SET a = a + SLEEP(6)")
        plugin = self.plugin(lock_timeout="2s", long_statement_threshold="1h")
        plugin.prepare()
        plugin.send("hold 10000")
        self.wait_until(lambda: self.db.run(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE 'FLUSH TABLES%'")
            == ["1"])
        plugin.kill()
        self.db.run("INSERT INTO shop.MyISAM VALUES (0)", timeout=2 + 1 + SLACK / 1000)
        updater.finish(20)


if __name__ == "__main__":
    mysql_case.main()
