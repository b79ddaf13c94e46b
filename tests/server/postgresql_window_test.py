# SPDX-License-Identifier: MIT
"""What a window of the postgresql plugin proves on a real server: a fresh checkpoint, positions
that are bounds, and a copy that has every acknowledged commit."""

import os
import signal

from postgresql_case import ME, PostgresqlCase, SLACK, lsn, main


class Window(PostgresqlCase):
    def test_a_checkpoint_precedes_the_position(self):
        self.pg.run("INSERT INTO t SELECT generate_series(1, 1000)")
        written = self.pg.run("SELECT pg_current_wal_lsn()")[0]
        position = self.plugin().freeze().position
        redo = self.pg.run("SELECT redo_lsn FROM pg_control_checkpoint()")[0]
        self.assertGreaterEqual(lsn(redo), lsn(written))
        self.assertGreaterEqual(lsn(position["lsn"]), lsn(redo))
        self.assertEqual(position["timeline"], "1")

    def test_writers_go_on_and_the_positions_are_bounds(self):
        plugin = self.plugin()
        before = plugin.freeze().position
        self.pg.run("INSERT INTO t VALUES (1)")
        after = plugin.check().position
        self.assertGreater(lsn(after["lsn"]), lsn(before["lsn"]))
        self.assertEqual(after["timeline"], before["timeline"])
        plugin.release()

    def test_a_checkpoint_that_takes_too_long_is_given_up_and_the_freeze_goes_on(self):
        plugin = self.plugin(checkpoint_timeout="200ms")
        session = plugin.probe().identity["session_id"]
        checkpointer = int(self.pg.run(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")[0])
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            prepared = plugin.prepare()
        finally:
            os.kill(checkpointer, signal.SIGCONT)
        self.assertGreater(prepared.ms, 190)
        self.assertLess(prepared.ms, 200 + SLACK)
        warning, = plugin.hold().warnings
        self.assertRegex(warning, r"^unable to run CHECKPOINT: timed out after \d+ ms, continuing: "
                         "recovery takes longer$")
        plugin.check()
        plugin.release()
        report = plugin.probe()
        self.assertRegex(report.warnings[0], "^the last snapshot has no fresh checkpoint and takes "
                         r"longer to start: unable to run CHECKPOINT: timed out after \d+ ms$")
        if self.major >= 15:
            self.assertEqual(report.identity["session_id"], session, "it was not cancelled")
        else:
            # There it was the beginning of a backup, which may have come through in spite of it.
            self.assertNotEqual(report.identity["session_id"], session)
        plugin.prepare()
        self.assertEqual(plugin.probe().warnings, [])
        self.assertEqual(plugin.hold().warnings, [])

    def test_a_slow_checkpoint_leaves_time_for_the_rest_of_the_freeze(self):
        plugin = self.plugin(checkpoint_timeout="10min")
        plugin.probe()
        checkpointer = int(self.pg.run(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")[0])
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            prepared = plugin.prepare(6000)
        finally:
            os.kill(checkpointer, signal.SIGCONT)
        self.assertLess(prepared.ms, 4000 + SLACK)
        self.assertRegex(plugin.hold().warnings[0], "^unable to run CHECKPOINT: timed out after ")

    def test_a_session_sets_itself_up_without_an_error_in_the_servers_log(self):
        def errors():
            return [line for line in self.pg.log_tail(1 << 20).splitlines() if "ERROR:" in line]
        before = errors()
        plugin = self.plugin()
        number = plugin.freeze().identity["session_id"]
        plugin.check()
        plugin.release()
        self.assertEqual(errors(), before)
        self.assertEqual(self.pg.run(
            f"SELECT application_name FROM pg_stat_activity WHERE pid = {number}"), ["holdfast"])

    def test_no_timeout_of_the_role_ends_an_idle_session(self):
        timeouts = ["statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"]
        if self.major >= 14:
            timeouts.append("idle_session_timeout")
        if self.major >= 17:
            timeouts.append("transaction_timeout")
        for name in timeouts:
            self.pg.run(f"ALTER ROLE \"{ME}\" SET {name} = '50ms'")
            self.addCleanup(self.pg.run, f'ALTER ROLE "{ME}" RESET {name}')
        plugin = self.plugin()
        plugin.freeze()
        self.assertFalse(plugin.watch(500))
        plugin.check()
        plugin.release()

    def test_every_acknowledged_commit_is_in_a_restored_snapshot(self):
        with self.pg.session() as writer:
            for step in range(100):
                writer.run(f"INSERT INTO t VALUES (100000 + {step})")
        plugin = self.plugin()
        plugin.freeze()
        restored = self.new_cluster()
        self.addCleanup(restored.close)
        # Stopped processes write nothing: their files are a snapshot.
        self.pg.pause()
        try:
            restored.adopt(self.pg.data)
        finally:
            self.pg.resume()
        plugin.check()
        plugin.release()
        os.chmod(restored.data, 0o700)
        os.unlink(os.path.join(restored.data, "postmaster.pid"))
        restored.start()
        self.assertEqual(restored.run("SELECT count(*) FROM t WHERE a >= 100000"), ["100"])


if __name__ == "__main__":
    main()
