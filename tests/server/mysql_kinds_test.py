# SPDX-License-Identifier: MIT
"""The mysql plugin's kinds of lock: what each holds, how it is chosen, and how its loss shows."""

import time

import mysql_case
from mysql_case import MysqlCase, only_mariadb, only_mysql
from plugin_case import SLACK

# Statement -> the kinds of lock under which it waits, by server where they differ. This is the table
# of the manual page.
WRITE = {
    "SELECT COUNT(*) FROM shop.MyISAM": (),
    "SELECT a FROM shop.InnoDB LIMIT 1 FOR UPDATE": ("ftwrl",),
    "INSERT INTO shop.InnoDB VALUES (7)": ("ftwrl", "backup-stage"),
    "INSERT INTO shop.MyISAM VALUES (7)": ("ftwrl", "backup-stage"),
    "CREATE TABLE shop.created (a INT)": ("ftwrl", "backup-stage", "instance"),
    "ALTER TABLE shop.altered ADD COLUMN b INT": ("ftwrl", "backup-stage", "instance"),
    "TRUNCATE shop.emptied": ("ftwrl", "backup-stage", "instance"),
    "CREATE USER somebody": ("ftwrl", "backup-stage", "instance"),
}
TEMPORARY = "CREATE TEMPORARY TABLE shop.passing (a INT)"


class Kinds(MysqlCase):
    def setUp(self):
        self.db.run("CREATE TABLE IF NOT EXISTS shop.altered (a INT); CREATE TABLE IF NOT EXISTS "
                    "shop.emptied (a INT)")
        self.addCleanup(self.db.run, "DROP TABLE IF EXISTS shop.created, shop.altered; DROP USER IF "
                        "EXISTS somebody; DELETE FROM shop.MyISAM WHERE a = 7")

    def statements_that_wait(self, lock):
        return {sql for sql, kinds in WRITE.items() if lock in kinds} | (
            {TEMPORARY} if self.db.mariadb else set())

    def test_each_holds_what_its_manual_says_and_nothing_else(self):
        for lock in ("ftwrl", self.db.light_lock):
            with self.subTest(lock):
                self.setUp()
                plugin = self.plugin(lock=lock)
                self.assertEqual(plugin.freeze().details,
                                 {"lock": lock, "lock-reason": "configured"})
                waiting, sessions = set(), {}
                for sql in (*WRITE, TEMPORARY):
                    sessions[sql] = self.session()
                    sessions[sql].send(sql)
                for sql, session in sessions.items():
                    if session.blocked_for(0.4):
                        waiting.add(sql)
                plugin.check()
                plugin.release()
                for sql in waiting:
                    sessions[sql].finish(10)
                self.assertEqual(waiting, self.statements_that_wait(lock))
                self.doCleanups()

    def test_prepare_alone_holds_up_nobody_but_ddl(self):
        for lock in ("ftwrl", self.db.light_lock):
            plugin = self.plugin(lock=lock)
            plugin.prepare()
            self.assert_writable(within=2)
            plugin.rollback()
            self.db.run("CREATE TABLE shop.created (a INT); DROP TABLE shop.created", timeout=2)

    def test_a_kind_that_the_server_lacks_is_refused_with_advice(self):
        other = {"backup-stage": "instance", "instance": "backup-stage"}[self.db.light_lock]
        code, line = self.refusal(socket=self.db.socket, user=self.db.administrator, lock=other)
        self.assertEqual(code, "unsupported")
        self.assertRegex(line, rf"^unable to use 'mysql:test': lock '{other}' needs .*, and the server "
                         r"is \w+ [\d.]+ \(set lock = auto, or lock = ftwrl, which every server can "
                         r"do\)$")

    def test_the_loss_of_each_is_seen(self):
        for lock in ("ftwrl", self.db.light_lock):
            plugin = self.plugin(lock=lock)
            number = plugin.freeze().identity["session_id"]
            self.db.run(f"KILL {number}")
            self.assertTrue(plugin.watch(2000))
            self.assert_refused("hold-lost", "the lock on 'mysql:test' was lost: the server has "
                                f"ended session {number}", plugin.check)
            plugin.release()
            self.assert_writable()


@only_mariadb
class BackupStage(MysqlCase):
    server_options = ("--event-scheduler=ON",)

    def test_it_does_not_wait_for_running_statements_on_transactional_tables(self):
        updater = self.running("UPDATE shop.InnoDB SET a = a + SLEEP(0.7)")
        self.grow_older(updater, 100)
        plugin = self.plugin(lock="backup-stage", long_statement_threshold="100ms")
        start = time.monotonic()
        plugin.freeze()
        self.assertLess(time.monotonic() - start, 1.0)
        plugin.check()
        plugin.release()
        updater.finish(20)

    def test_a_running_statement_on_another_table_is_waited_for_within_lock_timeout(self):
        self.db.run("INSERT INTO shop.MyISAM VALUES (1)")
        updater = self.running("UPDATE shop.MyISAM SET a = a + SLEEP(2) LIMIT 1")
        plugin = self.plugin(lock="backup-stage", lock_timeout="400ms")
        plugin.prepare()
        refused = self.assert_refused_like(
            "timed-out", r"unable to lock tables on 'mysql:test': timed out after \d+ ms .*",
            plugin.hold)
        self.assertLess(refused.ms, 400 + SLACK)
        # No stage stays: FLUSH would keep MyISAM waiting, BLOCK_DDL DDL.
        updater.finish(10)
        self.assert_writable(within=1)
        self.db.run("CREATE TABLE shop.after (a INT); DROP TABLE shop.after", timeout=1)

    def test_another_backup_is_in_the_way_of_it_and_auto_takes_the_read_lock(self):
        other = self.session()
        other.run("BACKUP STAGE START")
        plugin = self.plugin(lock="backup-stage")
        with_deadline = self.assert_refused_like(
            "timed-out", r"unable to prepare 'mysql:test': unable to begin a backup stage: .*",
            lambda: plugin.prepare(500))
        self.assertLess(with_deadline.ms, 500 + SLACK)
        plugin = self.plugin(lock="auto")
        self.assertEqual(plugin.freeze().details, {
            "lock": "ftwrl", "lock-reason": "another backup, or LOCK TABLES of a session, is in the "
            "way of a backup stage"})
        plugin.check()
        plugin.release()
        other.run("BACKUP STAGE END")
        self.assertEqual(plugin.freeze().details["lock"], "backup-stage")
        plugin.release()

    def test_the_server_tells_the_session_that_blocks_commits_from_others(self):
        # What the proof rests on (backup_stage_lock.h): if a server version ends this, it is void.
        session = self.session()
        with self.assertRaisesRegex(Exception, "ERROR 4146"):
            session.run("BACKUP STAGE BLOCK_COMMIT")
        session.run("BACKUP STAGE START")
        session.run("BACKUP STAGE BLOCK_COMMIT")
        with self.assertRaisesRegex(Exception, "ERROR 4147"):
            session.run("BACKUP STAGE BLOCK_COMMIT")
        session.run("BACKUP STAGE END")

    def test_a_rotation_of_the_binary_log_is_seen(self):
        plugin = self.plugin(lock="backup-stage")
        plugin.freeze()
        self.db.run("FLUSH BINARY LOGS")
        self.assert_refused_like("hold-lost", "the lock on 'mysql:test' was lost: binlog-file was .*",
                                 plugin.check)
        plugin.release()
        self.assert_writable()

    def test_auto_says_what_it_chose_and_why(self):
        plugin = self.plugin(lock="auto")
        expected = {"lock": "backup-stage",
                    "lock-reason": "MariaDB with backup stages, and no parallel replica"}
        self.assertEqual(plugin.probe().details, expected)
        self.assertEqual(plugin.freeze().details, expected)
        plugin.check()
        plugin.release()


@only_mysql
class Instance(MysqlCase):
    def test_writers_go_on_and_the_positions_are_bounds(self):
        plugin = self.plugin(lock="instance")
        before = plugin.freeze().position
        for _ in range(3):
            self.db.run("INSERT INTO shop.InnoDB VALUES (1)", timeout=2)
        after = plugin.check().position
        self.assertGreater(int(after["lsn"]), int(before["lsn"]))
        self.assertEqual(after["binlog-file"], before["binlog-file"])
        self.assertGreater(int(after["binlog-position"]), int(before["binlog-position"]))
        plugin.release()

    def test_the_position_is_that_of_one_instant(self):
        position = self.plugin(lock="instance").freeze().position
        self.assertEqual((position["binlog-file"], int(position["binlog-position"])),
                         self.db.binary_log())

    def test_tables_that_it_does_not_protect_are_told(self):
        self.assertIn("tables outside InnoDB, which lock = instance does not protect: 1",
                      self.plugin(lock="instance").probe().warnings)

    def test_auto_is_as_safe_as_what_the_account_can_see(self):
        self.db.make_account("auto", "x")
        password_file = self.file("password", "x\n")

        def plugin():
            # A session keeps the global privileges that it began with.
            return self.plugin(lock="auto", user="auto", password_file=password_file)

        def chosen():
            return plugin().probe().details["lock-reason"]
        self.assertEqual(chosen(), "the account cannot see every table, so some may be outside InnoDB")
        # REFERENCES shows every table, and no row of any.
        self.db.run("GRANT REFERENCES ON *.* TO auto@localhost")
        self.assertEqual(chosen(), "tables outside InnoDB: 1")
        self.db.run("ALTER TABLE shop.MyISAM ENGINE=InnoDB")
        self.addCleanup(self.db.run, "ALTER TABLE shop.MyISAM ENGINE=MyISAM")
        self.assertEqual(chosen(), "every table is in InnoDB")
        holder = plugin()
        self.assertEqual(holder.freeze().details["lock"], "instance")
        holder.check()
        holder.release()

    def test_the_privileges_that_it_needs_are_asked_for(self):
        self.db.run("CREATE USER plain@localhost IDENTIFIED BY 'x'; GRANT RELOAD, PROCESS, "
                    "REPLICATION CLIENT ON *.* TO plain@localhost")
        settings = {"socket": self.db.socket, "user": "plain", "lock": "instance",
                    "password_file": self.file("password", "x\n")}
        lacks = "unable to use 'mysql:test': account 'plain'@'localhost' lacks "
        self.assertEqual(self.refusal(**settings), (
            "permission", lacks + "BACKUP_ADMIN (GRANT BACKUP_ADMIN ON *.* TO 'plain'@'localhost')"))
        self.db.run("GRANT BACKUP_ADMIN ON *.* TO plain@localhost")
        self.assertEqual(self.refusal(**settings), (
            "permission", lacks + "SELECT on performance_schema.log_status (GRANT SELECT ON "
            "performance_schema.log_status TO 'plain'@'localhost')"))

    def test_a_failed_read_lock_behind_a_long_read_leaves_nothing_locked(self):
        # On MySQL the statement fails and its lock stays, until it is let go of (error 1205).
        reader = self.running("SELECT SLEEP(4), a FROM shop.MyISAM LIMIT 1",
                              self.with_a_row("shop.MyISAM"))
        plugin = self.plugin(lock_timeout="1200ms", long_statement_threshold="1h")
        plugin.prepare()
        self.assert_refused_like("timed-out", "unable to lock tables on 'mysql:test': .*", plugin.hold)
        self.db.run("INSERT INTO shop.InnoDB VALUES (0)", timeout=1)
        reader.finish(10)

    def with_a_row(self, table):
        session = self.session()
        session.run(f"INSERT INTO {table} VALUES (1)")
        return session


if __name__ == "__main__":
    mysql_case.main()
