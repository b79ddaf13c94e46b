# SPDX-License-Identifier: MIT
"""Windows as a host makes them: a real qemu-ga freezes a real filesystem that holds the data of a
real MariaDB and PostgreSQL, while the real service holds both."""

import os
import signal
import unittest

from lab import agent_rig, loopfs, qga, servers, testing

# Long enough to be sure that a statement waits, short enough for many tests.
BLOCKED = 0.5


class Window(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.filesystem = loopfs.LoopFilesystem(768)
        cls.addClassCleanup(cls.filesystem.close)
        cls.mariadb = servers.MariaDb(parent=cls.filesystem.mount_point)
        cls.addClassCleanup(cls.mariadb.close)
        cls.mariadb.start()
        cls.postgresql = servers.PostgreSql(parent=cls.filesystem.mount_point)
        cls.addClassCleanup(cls.postgresql.close)
        cls.postgresql.start()
        cls.postgresql.allow("local all all peer map=test")
        cls.postgresql.reload()
        cls.postgresql.run("CREATE ROLE root SUPERUSER LOGIN; CREATE TABLE t (n int)")
        cls.mariadb.run("CREATE DATABASE shop; CREATE TABLE shop.t (n int) ENGINE=InnoDB")
        # The clean-ups of the servers write, and so must never find a frozen filesystem.
        cls.addClassCleanup(cls.filesystem.thaw)

    def setUp(self):
        self.addCleanup(self.repair)

    def repair(self):
        """A test may have ended a server."""
        self.filesystem.thaw()
        for server in (self.mariadb, self.postgresql):
            if not server.running:
                server.start()

    def rig(self, **settings):
        rig = agent_rig.Rig(self.filesystem, **settings)
        self.addCleanup(rig.close)
        self.addCleanup(self.show, rig)
        rig.resource("main", f"plugin = mysql\nsocket = {self.mariadb.socket}\nuser = root\n"
                             "lock-timeout = 1s\n")
        rig.resource("cluster", "plugin = postgresql\nuser = root\n"
                                f"socket = {self.postgresql.socket_directory}\n")
        return rig

    def show(self, rig):
        """The service's log goes with a failure."""
        outcome = self._outcome
        if not outcome.success:
            print(rig.log("holdfastd.log"), flush=True)

    def started(self, **settings):
        rig = self.rig(**settings)
        rig.start()
        rig.await_ready()
        return rig

    def open_sessions(self):
        """Two writers' sessions, closed at the end."""
        sessions = self.mariadb.session(), self.postgresql.session()
        for session in sessions:
            self.addCleanup(session.close)
        return sessions

    def assert_nothing_is_held(self, rig):
        self.assertEqual(rig.frozen_status(), "thawed")
        self.assertFalse(self.filesystem.thaw(), "the filesystem was still frozen")
        self.mariadb.run("INSERT INTO shop.t VALUES (0)", timeout=5)
        self.postgresql.run("INSERT INTO t VALUES (0)", timeout=5)

    def resource_of(self, record, name):
        return next(resource for resource in record["resources"] if resource["name"] == name)

    def assert_thaw_reports(self, rig, status, code):
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn(f"status {status}", str(caught.exception))
        record = rig.record()
        self.assertEqual(record["state"], "done")
        self.assertEqual((record["verdict"]["code"], record["verdict"]["status"]), (code, status))
        return record

    def assert_freeze_is_refused(self, rig, status):
        with self.assertRaises(qga.AgentError) as caught:
            rig.freeze()
        self.assertIn(f"status {status}", str(caught.exception))
        self.assert_nothing_is_held(rig)

    def test_writers_wait_from_freeze_to_thaw_and_the_verdict_is_ok(self):
        rig = self.started()
        writer, pg_writer = self.open_sessions()
        count = rig.freeze()
        self.assertEqual(count, 1)
        writer.send("INSERT INTO shop.t VALUES (1)")
        pg_writer.send("INSERT INTO t VALUES (1)")
        self.assertTrue(writer.blocked_for(BLOCKED))
        self.assertTrue(pg_writer.blocked_for(BLOCKED))
        inside = rig.record_inside()
        self.assertEqual(inside["state"], "held")
        self.assertIsNone(inside.get("verdict"))
        self.assertEqual(rig.thaw(), count)
        writer.finish(10)
        pg_writer.finish(10)
        record = rig.record()
        self.assertEqual(record["window"], inside["window"])
        self.assertEqual(record["state"], "done")
        self.assertEqual((record["verdict"]["code"], record["verdict"]["status"]), ("ok", 0))
        self.assertEqual(record["filesystems"], [self.filesystem.mount_point])
        mysql = self.resource_of(record, "mysql:main")
        self.assertEqual(mysql["verdict"]["code"], "ok")
        self.assertEqual(mysql["position"], mysql["position_at_thaw"])
        self.assertTrue(mysql["position"]["binlog-file"].startswith("binlog."))
        self.assertIn("lsn", self.resource_of(record, "postgresql:cluster")["position"])

    def test_windows_are_counted_from_the_first(self):
        rig = self.started()
        for sequence in (1, 2, 3):
            rig.freeze()
            rig.thaw()
            self.assertEqual(rig.record()["sequence"], sequence)

    def test_a_session_that_is_killed_during_the_window_is_a_lost_hold(self):
        rig = self.started()
        administrator, _ = self.open_sessions()
        rig.freeze()
        session = self.resource_of(rig.record_inside(), "mysql:main")["session_id"]
        administrator.run(f"KILL {session}", timeout=5)
        record = self.assert_thaw_reports(rig, 30, "hold-lost")
        self.assertEqual(self.resource_of(record, "mysql:main")["verdict"]["code"], "hold-lost")
        self.assertEqual(self.resource_of(record, "postgresql:cluster")["verdict"]["code"], "ok")
        self.assert_nothing_is_held(rig)

    def test_a_server_that_is_killed_during_the_window_is_a_lost_hold(self):
        rig = self.started()
        rig.freeze()
        # No wait for its end: threads that write can't die before the thaw.
        os.kill(self.mariadb.pid, signal.SIGKILL)
        self.assert_thaw_reports(rig, 30, "hold-lost")
        self.mariadb.kill()
        self.mariadb.start()
        self.assert_nothing_is_held(rig)
        rig.await_ready()
        rig.freeze()
        rig.thaw()
        self.assertEqual(rig.record()["verdict"]["code"], "ok")

    def test_a_postgresql_session_that_is_terminated_is_a_lost_hold(self):
        rig = self.started()
        rig.freeze()
        session = self.resource_of(rig.record_inside(), "postgresql:cluster")["session_id"]
        os.kill(int(session), signal.SIGTERM)
        self.assert_thaw_reports(rig, 30, "hold-lost")
        self.assert_nothing_is_held(rig)

    def test_without_a_thaw_the_dead_man_releases_and_thaws_everything(self):
        rig = self.started(freeze_timeout="1500ms", max_hold="2s")
        writer, pg_writer = self.open_sessions()
        rig.freeze()
        writer.send("INSERT INTO shop.t VALUES (2)")
        pg_writer.send("INSERT INTO t VALUES (2)")
        self.assertTrue(pg_writer.blocked_for(BLOCKED))
        # Nobody asks: both go on, the second only because its filesystem was thawed.
        writer.finish(10)
        pg_writer.finish(10)
        self.assertEqual(rig.frozen_status(), "frozen", "qemu-ga has not noticed")
        self.assert_thaw_reports(rig, 31, "window-expired")
        self.assert_nothing_is_held(rig)

    def test_the_dead_man_thaws_even_when_the_service_is_dead(self):
        rig = self.started(freeze_timeout="1500ms", max_hold="2s")
        _, pg_writer = self.open_sessions()
        rig.freeze()
        rig.kill_daemon()
        pg_writer.send("INSERT INTO t VALUES (3)")
        pg_writer.finish(10)
        self.assertFalse(self.filesystem.thaw(), "the filesystem was still frozen")
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn("status 33", str(caught.exception))

    def test_a_thaw_by_somebody_else_shows_in_the_count(self):
        rig = self.started()
        self.assertEqual(rig.freeze(), 1)
        self.assertTrue(self.filesystem.thaw())
        self.assertEqual(rig.thaw(), 0)

    def test_a_service_that_is_killed_in_the_window_leaves_no_lock_and_no_doubt(self):
        rig = self.started()
        administrator, _ = self.open_sessions()
        rig.freeze()
        session = self.resource_of(rig.record_inside(), "mysql:main")["session_id"]
        rig.kill_daemon()

        def session_is_gone():
            return administrator.run("SELECT COUNT(*) FROM information_schema.processlist "
                                     f"WHERE id = {session}", timeout=5) == ["0"]
        agent_rig.await_true(session_is_gone, "the end of the session")
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn("status 33", str(caught.exception))
        self.assert_nothing_is_held(rig)

    def test_a_service_that_is_restarted_in_the_window_says_so_at_the_thaw(self):
        rig = self.started()
        rig.freeze()
        rig.kill_daemon()
        rig.start_daemon()
        self.assert_thaw_reports(rig, 33, "daemon-restarted")
        self.assert_nothing_is_held(rig)
        rig.await_ready()
        rig.freeze()
        rig.thaw()
        self.assertEqual(rig.record()["verdict"]["code"], "ok")

    def test_a_lock_that_cannot_be_had_refuses_the_freeze_and_nothing_stays_locked(self):
        rig = self.started()
        other, _ = self.open_sessions()
        other.run("LOCK TABLES shop.t WRITE")
        with self.assertRaises(qga.AgentError) as caught:
            rig.freeze()
        self.assertIn("status 21", str(caught.exception))
        other.run("UNLOCK TABLES")
        self.assert_nothing_is_held(rig)
        self.assertEqual(rig.record()["verdict"]["code"], "hold-failed")

    def test_a_server_that_is_down_refuses_the_freeze(self):
        rig = self.started()
        self.postgresql.stop()
        with self.assertRaises(qga.AgentError) as caught:
            rig.freeze()
        self.assertIn("status 21", str(caught.exception))
        self.postgresql.start()
        self.assert_nothing_is_held(rig)

    def test_a_server_that_does_not_answer_ends_the_freeze_at_its_timeout(self):
        rig = self.started(freeze_timeout="1500ms", max_hold="20s")
        self.mariadb.pause()
        try:
            with self.assertRaises(qga.AgentError) as caught:
                rig.freeze()
            self.assertIn("status 22", str(caught.exception))
        finally:
            self.mariadb.resume()
        self.assert_nothing_is_held(rig)

    def test_without_the_service_the_freeze_is_refused(self):
        rig = self.rig()
        rig.start_agent()
        self.assert_freeze_is_refused(rig, 20)
        self.assertEqual(rig.thaw(), 0)


if __name__ == "__main__":
    for module in (loopfs, agent_rig, servers.MariaDb, servers.PostgreSql):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
