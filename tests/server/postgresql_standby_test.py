# SPDX-License-Identifier: MIT
"""The postgresql plugin on a streaming standby."""

import os

from driver import Refused
from postgresql_case import PostgresqlCase, lsn, main

PROMOTED = "the session on 'postgresql:test' was lost: the server was promoted"


class Standby(PostgresqlCase):
    def setUp(self):
        self.server = self.standby()
        self.addCleanup(self.server.close)

    def promote(self):
        self.server.run("SELECT pg_promote()")
        self.await_true(lambda: self.server.run("SELECT pg_is_in_recovery()") == ["f"], "promotion")

    def test_it_is_shown_as_one_and_its_positions_are_what_it_has_replayed(self):
        plugin = self.plugin(self.server)
        self.assertRegex(plugin.probe().identity["version"], rf"^{self.major}\..*, standby$")
        self.await_replay(self.server)
        replayed = self.server.run("SELECT pg_last_wal_replay_lsn()")[0]
        held = plugin.freeze()
        self.assertEqual(held.details, {"mode": "checkpoint", "role": "standby"})
        self.assertGreaterEqual(lsn(held.position["lsn"]), lsn(replayed))
        self.assertEqual(held.position["timeline"], "1")
        self.pg.run("INSERT INTO t VALUES (1)")
        self.await_replay(self.server)
        after = plugin.check().position
        self.assertGreater(lsn(after["lsn"]), lsn(held.position["lsn"]))
        plugin.release()

    def test_its_checkpoint_is_a_restartpoint(self):
        control = "SELECT redo_lsn FROM pg_control_checkpoint()"
        self.pg.run("INSERT INTO t SELECT generate_series(1, 1000)")
        self.pg.run("CHECKPOINT")
        expected = self.pg.run(control)[0]
        self.await_replay(self.server)
        self.assertLess(lsn(self.server.run(control)[0]), lsn(expected))
        self.plugin(self.server).prepare()
        self.assertEqual(self.server.run(control)[0], expected)

    def test_its_promotion_is_a_loss(self):
        plugin = self.plugin(self.server)
        plugin.freeze()
        self.promote()
        self.assert_refused("hold-lost", PROMOTED, plugin.check)
        plugin.release()
        # At once with the timeline that it writes, whatever its last checkpoint says.
        self.assertNotIn("standby", plugin.probe().identity["version"])
        held = plugin.freeze()
        self.assertEqual(held.position["timeline"], "2")
        self.assertEqual(held.details["role"], "primary")
        plugin.check()
        plugin.release()

    def test_its_promotion_ends_its_backup(self):
        plugin = self.plugin(self.server, mode="backup")
        plugin.freeze()
        self.promote()
        self.assert_refused("hold-lost", PROMOTED, plugin.check)
        self.assert_refused_like(
            "refused", r"unable to keep the backup label of 'postgresql:test': the standby was "
            r"promoted during online backup \(55000\) \(the snapshot restores without it; only "
            r"archived WAL can't be applied to it\)", plugin.release)
        self.assertFalse(os.path.exists(plugin.state))

    def test_a_backup_of_it_needs_the_primarys_full_page_writes(self):
        plugin = self.plugin(self.server, mode="backup")
        self.pg.run("ALTER SYSTEM SET full_page_writes = off")
        self.addCleanup(self.pg.run, "ALTER SYSTEM RESET full_page_writes")
        self.pg.reload()
        refusals = []

        def refused():
            self.pg.run("CHECKPOINT; INSERT INTO t VALUES (1)")
            self.await_replay(self.server)
            try:
                plugin.prepare()
                plugin.rollback()
            except Refused as refusal:
                refusals.append(refusal)
            return refusals
        self.await_true(refused, "the refusal")
        self.assertRegex(str(refusals[0]), r"^unable to start a backup of 'postgresql:test': WAL "
                         r'generated with "?full_page_writes=off"? was replayed since last '
                         r"restartpoint \(55000\) \(This means that the backup being taken on the "
                         r'standby is corrupt .*Enable "?full_page_writes"? .*\)$')

    def test_its_restart_is_a_loss(self):
        plugin = self.plugin(self.server)
        number = plugin.freeze().identity["session_id"]
        self.server.restart()
        self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the server "
                            f"has ended session {number}", plugin.check)
        plugin.release()


if __name__ == "__main__":
    main()
