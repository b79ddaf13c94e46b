# SPDX-License-Identifier: MIT
"""What only Oracle's MySQL does: each trap shown on the server, and the plugin not in it.

To be run on that server (matrix.py). The reader below is what makes FLUSH TABLES WITH READ LOCK fail
there: it waits for every table in use, with all writers already held.
"""

import subprocess

from driver import Refused
from lab import servers
from mysql_case import MysqlCase, main

READER = "SELECT SLEEP(20), a FROM shop.InnoDB LIMIT 1"
WRITE = "INSERT INTO shop.MyISAM VALUES (1)"  # a table that the reader doesn't use
IN_A_MOMENT = 5  # seconds; much less than the reader takes


class MysqlOracleCase(MysqlCase):
    def setUp(self):
        self.addCleanup(self.assert_no_lock)

    def global_locks(self):
        """The sessions that hold the global read lock."""
        return self.db.run(
            "SELECT PROCESSLIST_ID FROM performance_schema.metadata_locks JOIN "
            "performance_schema.threads ON THREAD_ID = OWNER_THREAD_ID WHERE "
            "OBJECT_TYPE = 'GLOBAL' AND LOCK_TYPE = 'SHARED' AND LOCK_STATUS = 'GRANTED'")

    def assert_no_lock(self):
        self.wait_until(lambda: self.global_locks() == [])

    def reader(self):
        reader = self.running(READER)
        # Before other cleanups look whether the tables can be used.
        self.addCleanup(self.kill, reader.number)
        return reader

    def kill(self, number):
        try:
            self.db.run(f"KILL {number}")
        except servers.ServerError as error:
            self.assertIn("1094", str(error), "there is no such session any more")

    def state_of(self, number):
        return self.db.run("SELECT STATE FROM information_schema.processlist WHERE "
                           f"ID = {number}")

    def pending_lock(self):
        """A session whose FLUSH TABLES WITH READ LOCK waits for the reader."""
        locker = self.session()
        number = locker.run("SELECT CONNECTION_ID()")[0]
        locker.send("FLUSH TABLES WITH READ LOCK")
        self.wait_until(lambda: self.state_of(number) == ["Waiting for table flush"])
        return locker, number


class FailedLock(MysqlOracleCase):
    def test_a_lock_that_the_server_reports_as_failed_is_held_all_the_same(self):
        self.reader()
        locker = self.session()
        number = locker.run("SELECT CONNECTION_ID()")[0]
        locker.run("SET SESSION lock_wait_timeout = 1")
        with self.assertRaisesRegex(servers.ServerError, "ERROR 1205"):
            locker.run("FLUSH TABLES WITH READ LOCK")
        self.assertEqual(self.global_locks(), [number])
        writer, = self.assert_held(WRITE)
        locker.run("UNLOCK TABLES")
        writer.finish(IN_A_MOMENT)

    def test_the_plugin_leaves_no_lock_behind_a_failed_one(self):
        reader = self.reader()
        plugin = self.plugin(lock_timeout="500ms", long_statement_threshold="1h")
        plugin.prepare()
        with self.assertRaises(Refused) as refused:
            plugin.hold()
        self.assertEqual(refused.exception.code, "timed-out")
        self.assertEqual(self.global_locks(), [])
        self.db.run(WRITE, timeout=IN_A_MOMENT)
        self.assertTrue(reader.blocked_for(0.01), "the reader is still there")

    def test_a_killed_statement_keeps_the_lock_and_a_killed_session_does_not(self):
        self.reader()
        locker, number = self.pending_lock()
        self.db.run(f"KILL QUERY {number}")
        with self.assertRaisesRegex(servers.ServerError, "ERROR 1317"):
            locker.finish(IN_A_MOMENT)
        self.assertEqual(self.global_locks(), [number])
        writer, = self.assert_held(WRITE)
        self.db.run(f"KILL {number}")
        writer.finish(IN_A_MOMENT)

    def test_the_plugin_leaves_no_lock_behind_when_its_time_is_over(self):
        self.reader()
        plugin = self.plugin(lock_timeout="10s", long_statement_threshold="1h")
        plugin.prepare()
        with self.assertRaises(Refused):
            plugin.hold(700)
        self.assert_no_lock()
        self.db.run(WRITE, timeout=IN_A_MOMENT)

    def test_the_plugin_does_not_ask_for_the_lock_while_a_long_read_is_running(self):
        reader = self.reader()
        self.grow_older(reader, 1000)
        plugin = self.plugin(long_statement_threshold="1s", long_statement_wait="300ms")
        with self.assertRaisesRegex(Refused, f"session {reader.number} of user") as refused:
            plugin.prepare()
        self.assertEqual(refused.exception.code, "busy")
        # Neither writers nor other readers of the table have noticed.
        self.db.run(WRITE + "; SELECT COUNT(*) FROM shop.InnoDB", timeout=IN_A_MOMENT)


class DeadClient(MysqlOracleCase):
    def test_a_client_that_dies_while_the_lock_is_pending_is_not_noticed(self):
        self.reader()
        locker, number = self.pending_lock()
        locker.close()
        writer, = self.assert_held(WRITE)
        # Its end would be the end of the wait; it is the session that has to be ended.
        self.assertEqual(self.state_of(number), ["Waiting for table flush"])
        self.db.run(f"KILL {number}")
        writer.finish(IN_A_MOMENT)

    def test_a_daemon_that_dies_then_stalls_writers_no_longer_than_its_lock_timeout(self):
        reader = self.reader()
        plugin = self.plugin(lock_timeout="2s", long_statement_threshold="1h")
        plugin.prepare()
        number = plugin.probe().identity["session_id"]
        plugin.send("hold 15000")
        self.wait_until(lambda: self.state_of(number) == ["Waiting for table flush"])
        plugin.kill()
        writer = self.session()
        writer.send(WRITE)
        writer.finish(2 + IN_A_MOMENT)
        self.assertTrue(reader.blocked_for(0.01), "the reader is still there")


class InstanceLock(MysqlOracleCase):
    def test_ddl_is_held_from_the_preparation_on_and_writers_are_not(self):
        plugin = self.plugin()
        plugin.prepare()
        creator, = self.assert_held("CREATE TABLE shop.later (a INT)")
        self.assert_writable()
        plugin.rollback()
        creator.finish(IN_A_MOMENT)
        self.db.run("DROP TABLE shop.later")

    def test_ddl_that_runs_is_waited_for_and_no_writer_is_stalled(self):
        holder = self.session()
        holder.run("BEGIN; SELECT COUNT(*) FROM shop.InnoDB")
        ddl = self.running("ALTER TABLE shop.InnoDB ADD COLUMN b INT")
        plugin = self.plugin()
        number = plugin.probe().identity["session_id"]
        plugin.send("prepare 20000")
        self.wait_until(lambda: self.state_of(number) == ["Waiting for backup lock"])
        self.db.run(WRITE, timeout=IN_A_MOMENT)
        holder.run("COMMIT")
        plugin.receive()
        ddl.finish(IN_A_MOMENT)
        plugin.hold()
        plugin.check()
        plugin.release()
        self.db.run("ALTER TABLE shop.InnoDB DROP COLUMN b")


class Position(MysqlOracleCase):
    def test_the_old_words_for_the_position_are_gone_and_it_is_found_all_the_same(self):
        with self.assertRaisesRegex(servers.ServerError, "ERROR 1064"):
            self.db.run("SHOW MASTER STATUS")
        plugin = self.plugin()
        position = plugin.freeze().position
        self.assertEqual((position["binlog-file"], int(position["binlog-position"])),
                         self.db.binary_log())
        executed = "".join(self.db.run("SELECT @@GLOBAL.gtid_executed"))
        self.assertEqual(position.get("gtid", ""), executed.replace("\\n", ""))
        plugin.check()
        plugin.release()


class Idle(MysqlOracleCase):
    def test_a_session_that_is_idle_too_long_is_ended_and_its_lock_with_it(self):
        # The client itself, which says what it read.
        client = subprocess.Popen(self.db._client(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, **self.db._spawn_client())
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)
        client.stdin.write(b"SET SESSION wait_timeout = 1, interactive_timeout = 1;"
                           b"FLUSH TABLES WITH READ LOCK; SELECT CONNECTION_ID();\n")
        client.stdin.flush()
        number = client.stdout.readline().decode().strip()
        self.db.run(WRITE, timeout=1 + IN_A_MOMENT)
        self.wait_until(lambda: self.state_of(number) == [])
        # The server has sent the reason before it closed: a socket that was lost has more to read
        # than its end.
        out, _ = client.communicate(b"SELECT 1;\n", timeout=IN_A_MOMENT)
        self.assertIn(b"ERROR 4031", out)

    def test_the_plugins_session_outlives_an_idle_timeout_of_the_server(self):
        self.db.run("SET GLOBAL wait_timeout = 1, GLOBAL interactive_timeout = 1")
        self.addCleanup(self.db.run, "SET GLOBAL wait_timeout = DEFAULT, "
                        "GLOBAL interactive_timeout = DEFAULT")
        plugin = self.plugin()
        held = plugin.freeze()
        self.assertFalse(plugin.watch(2500))
        self.assertEqual(plugin.check().position, held.position)
        plugin.release()


class Proof(MysqlOracleCase):
    """What the proof of ownership rests on: a server that ends this voids it."""

    OWN = ("SELECT OBJECT_TYPE FROM performance_schema.metadata_locks WHERE LOCK_TYPE = 'SHARED' "
           "AND LOCK_DURATION = 'EXPLICIT' AND LOCK_STATUS = 'GRANTED' AND OWNER_THREAD_ID = "
           "PS_CURRENT_THREAD_ID() ORDER BY OBJECT_TYPE")

    def test_the_server_tells_the_owner_of_the_lock_from_others(self):
        one, other = self.session(), self.session()
        one.run("FLUSH TABLES WITH READ LOCK")
        self.assertEqual(one.run(self.OWN), ["COMMIT", "GLOBAL"])
        self.assertEqual(other.run(self.OWN), [])
        other.run("FLUSH TABLES WITH READ LOCK")
        one.run("UNLOCK TABLES")
        self.assertEqual(one.run(self.OWN), [], "the lock of somebody else is not one's own")
        self.assertEqual(other.run(self.OWN), ["COMMIT", "GLOBAL"])
        other.run("UNLOCK TABLES; LOCK INSTANCE FOR BACKUP")
        self.assertEqual(other.run(self.OWN), ["BACKUP LOCK"])

    def test_it_tells_nobody_who_may_not_ask(self):
        self.db.run("CREATE USER plain@localhost IDENTIFIED BY ''; "
                    f"GRANT {', '.join(self.db.grants)} ON *.* TO plain@localhost")
        plugin = self.plugin(user="plain")
        plugin.freeze()
        plugin.check()
        plugin.release()

    def test_it_tells_nothing_without_its_instrument(self):
        switch = ("UPDATE performance_schema.setup_instruments SET ENABLED = '{}' WHERE NAME = "
                  "'wait/lock/metadata/sql/mdl'")
        self.db.run(switch.format("NO"))
        self.addCleanup(self.db.run, switch.format("YES"))
        session = self.session()
        session.run("FLUSH TABLES WITH READ LOCK")
        self.assertEqual(session.run(self.OWN), [])
        session.run("UNLOCK TABLES")
        plugin = self.plugin()
        plugin.freeze()
        self.assert_held(WRITE)
        plugin.check()
        plugin.release()


if __name__ == "__main__":
    main()
