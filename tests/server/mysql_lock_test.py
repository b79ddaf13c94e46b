# SPDX-License-Identifier: MIT
"""The mysql plugin's lock on a real MariaDB: what it holds, what it waits for, how its loss shows."""

import os
import time

import mysql_case
from driver import Refused
from lab import servers
from lab.proxy import Proxy
from mysql_case import MysqlCase, only_mariadb
from plugin_case import SLACK


class Lock(MysqlCase):
    def test_it_holds_writers_of_every_engine_and_ddl_but_no_reader(self):
        self.db.run("CREATE TABLE shop.altered (a INT)")
        plugin = self.plugin()
        plugin.freeze()
        writers = self.assert_held(
            *self.inserts(7), "CREATE TABLE shop.created (a INT)",
            "ALTER TABLE shop.altered ADD COLUMN b INT")
        for engine in self.db.engines:
            self.assertEqual(self.db.run(f"SELECT COUNT(*) FROM shop.{engine} WHERE a = 7"), ["0"])
        plugin.check()
        plugin.release()
        for writer in writers:
            writer.finish(5)
        self.db.run("DROP TABLE shop.created, shop.altered;"
                    + "".join(f"DELETE FROM shop.{engine} WHERE a = 7;" for engine in self.db.engines))

    def test_a_commit_of_an_open_transaction_waits_for_the_release(self):
        transaction = self.session()
        transaction.run("BEGIN; INSERT INTO shop.InnoDB VALUES (8)")
        plugin = self.plugin()
        before = plugin.freeze().position
        transaction.send("COMMIT")
        self.assertTrue(transaction.blocked_for(0.2))
        self.assertEqual(plugin.check().position, before)
        plugin.release()
        transaction.finish(5)

    @only_mariadb
    def test_a_long_read_delays_nothing(self):
        reader = self.running("SELECT SLEEP(3), a FROM shop.InnoDB LIMIT 1")
        self.grow_older(reader, 100)
        plugin = self.plugin(long_statement_threshold="100ms")
        start = time.monotonic()
        plugin.freeze()
        self.assertLess(time.monotonic() - start, 1)
        plugin.release()

    def test_a_long_statement_is_waited_for_and_then_the_freeze_is_refused(self):
        updater = self.running("UPDATE shop.InnoDB SET a = a + SLEEP(0.8)")
        self.grow_older(updater, 100)
        plugin = self.plugin(long_statement_threshold="100ms", long_statement_wait="300ms")
        refused = self.assert_refused_like(
            "busy", rf"unable to prepare 'mysql:test': session {updater.number} of user "
            rf"'{self.db.administrator}' has been running a statement for \d\.\d s \(let it end, or "
            r"raise long-statement-wait, which is 300ms\)", plugin.prepare)
        self.assertGreater(refused.ms, 290)
        self.assertLess(refused.ms, 300 + SLACK)
        # Nobody was stalled meanwhile, and nothing is left.
        self.assert_writable(within=1)
        plugin.rollback()
        updater.finish(20)

    def test_a_long_statement_that_ends_in_time_lets_the_freeze_go_on(self):
        updater = self.running("UPDATE shop.InnoDB SET a = SLEEP(1.2) + 1 LIMIT 1")
        plugin = self.plugin(long_statement_threshold="100ms", long_statement_wait="10s")
        plugin.freeze()
        plugin.check()
        plugin.release()
        updater.finish(5)

    @only_mariadb
    def test_a_statement_that_has_only_begun_is_waited_for_too(self):
        # Were it not, the lock would wait for it, with all writers, until lock-timeout.
        updater = self.running("UPDATE shop.InnoDB SET a = SLEEP(2.5) + 1 LIMIT 1")
        plugin = self.plugin(long_statement_threshold="1s", lock_timeout="500ms")
        start = time.monotonic()
        plugin.prepare()
        self.assertGreater(time.monotonic() - start, 1)
        plugin.hold()
        plugin.check()
        plugin.release()
        updater.finish(5)

    def test_it_never_waits_longer_than_lock_timeout_behind_a_statement(self):
        updater = self.running("UPDATE shop.InnoDB SET a = a + SLEEP(0.8)")
        self.refused_by_lock_timeout()
        self.assert_writable(within=1)
        updater.finish(20)

    def test_it_never_waits_longer_than_lock_timeout_behind_lock_tables(self):
        locker = self.session()
        locker.run("LOCK TABLES shop.MyISAM WRITE")
        self.refused_by_lock_timeout()
        self.db.run("INSERT INTO shop.InnoDB VALUES (0)", timeout=1)
        locker.close()
        self.assert_writable()

    def refused_by_lock_timeout(self):
        plugin = self.plugin(lock_timeout="400ms", long_statement_threshold="1h")
        plugin.prepare()
        refused = self.assert_refused_like(
            "timed-out", r"unable to lock tables on 'mysql:test': timed out after \d+ ms \(a "
            r"statement or LOCK TABLES of another session is in the way; see lock-timeout and "
            r"long-statement-wait\)", plugin.hold)
        self.assertGreater(refused.ms, 300)
        self.assertLess(refused.ms, 400 + SLACK)

    def test_a_failed_lock_leaves_a_plugin_that_works_again(self):
        locker = self.session()
        locker.run("LOCK TABLES shop.MyISAM WRITE")
        plugin = self.plugin(lock_timeout="200ms")
        plugin.prepare()
        with self.assertRaises(Refused):
            plugin.hold()
        locker.run("UNLOCK TABLES")
        plugin.probe()
        plugin.freeze()
        plugin.check()
        plugin.release()
        self.assert_writable()


class Position(MysqlCase):
    def test_the_recorded_position_is_that_of_the_restored_server(self):
        writer = self.session()
        writer.run("CREATE TABLE shop.steps (a INT PRIMARY KEY) ENGINE=InnoDB;"
                   "CREATE TABLE shop.mirror (a INT PRIMARY KEY) ENGINE=MyISAM")
        for step in range(200):
            writer.run(f"INSERT INTO shop.steps VALUES ({step});"
                       f"INSERT INTO shop.mirror VALUES ({step})")
        plugin = self.plugin()
        position = plugin.freeze().position
        # A stopped process writes nothing: its files are a snapshot.
        self.db.pause()
        restored = mysql_case.new_server()
        self.addCleanup(restored.close)
        try:
            restored.adopt(self.db.data)
        finally:
            self.db.resume()
        plugin.check()
        plugin.release()
        log = os.path.join(restored.data, position["binlog-file"])
        self.assertEqual(os.path.getsize(log), int(position["binlog-position"]))
        restored.start()
        if self.db.mariadb:
            self.assertEqual(restored.run("SELECT @@gtid_binlog_pos"), [position["gtid"]])
        self.assertEqual(restored.run("SELECT COUNT(*) FROM shop.steps"), ["200"])
        self.assertEqual(restored.run("SELECT COUNT(*) FROM shop.mirror"), ["200"])
        self.assertIn("OK", restored.run("CHECK TABLE shop.mirror")[-1])

    def test_a_rotation_of_the_binary_log_is_seen(self):
        plugin = self.plugin()
        position = plugin.freeze().position
        self.db.run("FLUSH BINARY LOGS")
        rotated = self.db.binary_log()[0]
        self.assert_refused(
            "hold-lost", "the lock on 'mysql:test' was lost: binlog-file was "
            f"{position['binlog-file']} and is {rotated} (something wrote in spite of the lock, or "
            "rotated the binary log)", plugin.check)
        plugin.release()
        self.assert_writable()


class Loss(MysqlCase):
    def test_a_killed_session_is_seen_at_once_and_at_the_check(self):
        plugin = self.plugin()
        number = plugin.freeze().identity["session_id"]
        self.assertFalse(plugin.watch(0))
        self.db.run(f"KILL {number}")
        self.assertTrue(plugin.watch(2000))
        self.assert_refused("hold-lost", "the lock on 'mysql:test' was lost: the server has ended "
                            f"session {number}", plugin.check)
        self.assert_writable()
        plugin.release()

    def test_a_connection_that_goes_silent_keeps_its_lock_for_max_hold_and_no_longer(self):
        proxy = Proxy(os.path.join(self.directory(), "sock"), self.db.socket)
        self.addCleanup(proxy.close)
        plugin = self.plugin(socket=proxy.path)
        plugin.max_hold(2000)
        plugin.freeze()
        proxy.black_hole()
        began = time.monotonic()
        writer = self.session()
        writer.send("INSERT INTO shop.InnoDB VALUES (9)")
        self.assertTrue(writer.blocked_for(1.5))
        writer.finish(10)
        self.assertLess(time.monotonic() - began, 4 + SLACK / 1000)

    def rewritten(self, found, instead, **settings):
        """A plugin whose server gets `instead` of what has `found` in it, once; and what it got."""
        proxy = Proxy(os.path.join(self.directory(), "sock"), self.db.socket)
        self.addCleanup(proxy.close)
        plugin = self.plugin(socket=proxy.path, **settings)
        got = []

        def change(data):
            if found not in data or got:
                return data
            got.append(instead(data))
            return got[0]

        plugin.prepare()
        proxy.rewrite(change)
        return plugin, got

    @only_mariadb
    def test_a_lock_that_the_server_never_took_is_denied_by_the_server(self):
        for lock, statement, says in (
                ("ftwrl", b"FLUSH TABLES WITH READ LOCK", "holds no read lock"),
                ("backup-stage", b"BACKUP STAGE BLOCK_COMMIT", "does not block commits")):
            nothing = b"DO 0".ljust(len(statement))
            plugin, got = self.rewritten(
                statement, lambda data, one=statement, other=nothing: data.replace(one, other, 1),
                lock=lock)
            plugin.hold()
            self.assertTrue(got)
            self.assert_refused("hold-lost", "the lock on 'mysql:test' was lost: the server says that "
                                f"this session {says}", plugin.check)
            plugin.release()
            # The question was a statement that could succeed: nothing may be left of it.
            with self.db.session() as session:
                session.run("BACKUP STAGE START")
                session.run("BACKUP STAGE END")
            self.assert_writable()

    @only_mariadb
    def test_fewer_answers_than_statements_are_no_answers(self):
        lock = b"FLUSH TABLES WITH READ LOCK"
        # The length of the packet stays, and blanks are no statement.
        plugin, got = self.rewritten(
            lock, lambda data: data.split(b";")[0].ljust(len(data)), lock="ftwrl")
        self.assert_refused_like(
            "protocol", r"unable to lock tables on 'mysql:test': the server gave 1 of \d answers",
            plugin.hold)
        self.assertTrue(got)
        # It was taken, and the end of its session gives it back.
        self.assert_writable()
        plugin.probe()
        plugin.freeze()
        plugin.check()
        plugin.release()

    def test_a_session_is_not_ended_for_its_silence_between_windows(self):
        plugin = self.plugin()
        plugin.max_hold(1000)
        for end in (lambda: (plugin.hold(), plugin.release()), plugin.rollback):
            plugin.prepare()
            end()
            self.assertFalse(plugin.watch(3000))

    @only_mariadb
    def test_the_server_tells_the_owner_of_the_lock_from_others(self):
        # What the proof rests on (mysql_hold.h): if a server version ends this, the check is void.
        with self.db.session() as session:
            session.run("BACKUP STAGE START")
            session.run("BACKUP STAGE END")
            session.run("FLUSH TABLES WITH READ LOCK")
            with self.assertRaisesRegex(servers.ServerError, "ERROR 1223"):
                session.run("BACKUP STAGE START")
            session.run("UNLOCK TABLES")
            session.run("BACKUP STAGE START")
            session.run("BACKUP STAGE END")

    def test_a_server_that_was_restarted_is_another_one(self):
        plugin = self.plugin()
        held = plugin.freeze().identity
        time.sleep(1.1)  # the server counts its uptime in seconds
        self.db.restart()
        self.assertTrue(plugin.watch(0))
        self.assert_refused("hold-lost", "the lock on 'mysql:test' was lost: the server has ended "
                            f"session {held['session_id']}", plugin.check)
        plugin.release()
        self.assertNotEqual(plugin.probe().identity["server_uuid"], held["server_uuid"])
        plugin.freeze()
        plugin.release()

    def test_a_server_that_crashed_is_seen(self):
        plugin = self.plugin()
        plugin.freeze()
        self.db.kill()
        try:
            self.assertTrue(plugin.watch(1000))
            with self.assertRaisesRegex(Refused, "^the lock on 'mysql:test' was lost: "):
                plugin.check()
            plugin.release()
            # The words in the middle are the client library's: Oracle's says "MySQL server".
            self.assert_refused_like(
                "unreachable", f"unable to connect to 'mysql:test' at '{self.db.socket}': Can't "
                rf"connect to local (MySQL )?server through socket '{self.db.socket}' \(111\) "
                r"\(2002\) \(is the server running, and is this where it listens\?\)", plugin.probe)
        finally:
            self.db.start()
        plugin.probe()

    def test_a_daemon_that_dies_leaves_no_lock(self):
        plugin = self.plugin()
        plugin.freeze()
        plugin.kill()
        self.assert_writable()


class LazyRedo(MysqlCase):
    server_options = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-log-at-timeout=2")

    def test_the_redo_log_is_flushed_under_the_lock(self):
        plugin = self.plugin()
        self.assertEqual(
            plugin.probe().warnings, ["innodb_flush_log_at_trx_commit is 0: a freeze may wait for "
                                      "up to a second under the lock"])
        self.db.run(f"INSERT INTO shop.InnoDB SELECT seq FROM {self.db.rows(900)}")
        committed, _ = self.db.redo()
        plugin.freeze()
        # What the server writes for itself goes on under the lock.
        _, flushed = self.db.redo()
        self.assertGreaterEqual(flushed, committed)
        plugin.release()


@only_mariadb
class StubbornRedo(MysqlCase):
    # The background would flush every three quarters of an hour, but for a checkpoint now and then.
    server_options = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-log-at-timeout=2700")

    def hold_behind_a_lag(self, plugin):
        """That checkpoint comes once a second or less often: the hold gets a part of that for its
        wait, and a second for the rest of its work."""
        plugin.prepare()
        self.db.run(f"INSERT INTO shop.InnoDB SELECT seq FROM {self.db.rows(900)}")
        return plugin.hold(ms=1300)

    def test_a_redo_log_that_does_not_come_is_told_and_the_freeze_goes_on(self):
        plugin = self.plugin()
        told = (r"^the last \d+ bytes of the redo log are not flushed \(innodb_flush_log_at_trx_commit "
                r"is 0\): the snapshot may lack commits that its binary log has$")
        # From 11 on the server flushes when it is told to; before, the background may be early.
        stubborn = self.db.version < (11,)
        for _ in range(10):
            held = self.hold_behind_a_lag(plugin)
            plugin.check()
            plugin.release()
            if held.warnings or not stubborn:
                break
        self.assertEqual(len(held.warnings), 1 if stubborn else 0)
        for warning in held.warnings:
            self.assertRegex(warning, told)
            self.assertGreater(held.ms, 200)
            self.assertLess(held.ms, 1300)


class NoBinaryLog(MysqlCase):
    binlog = False

    def test_there_is_no_position_and_the_lock_holds_all_the_same(self):
        plugin = self.plugin()
        self.assertEqual(plugin.probe().warnings, [
            "the binary log is off: there is no position to record and compare"])
        self.assertEqual(plugin.freeze().position, {})
        writer = self.assert_held("INSERT INTO shop.MyISAM VALUES (1)")[0]
        self.assertEqual(plugin.check().position, {})
        plugin.release()
        writer.finish(5)


if __name__ == "__main__":
    mysql_case.main()
