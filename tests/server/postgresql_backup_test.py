# SPDX-License-Identifier: MIT
"""Mode `backup` of the postgresql plugin: the label that is kept, where, and how many."""

import os

from driver import Refused
from postgresql_case import PostgresqlCase, lsn, main


class Backup(PostgresqlCase):
    def test_the_label_is_kept_outside_the_data_directory(self):
        plugin = self.plugin(mode="backup")
        self.assertEqual(plugin.probe().warnings, [
            "archive_mode is off: mode 'backup' is of use only with archived WAL"])
        position = plugin.freeze().position
        self.assertEqual(set(position), {"lsn", "timeline", "backup-start-lsn"})
        self.pg.run("INSERT INTO t VALUES (1)")
        plugin.check()
        plugin.release()
        directory, window = self.kept(plugin)
        self.assertEqual(sorted(os.listdir(directory)), [
            "backup_label", "backup_stop_lsn", "backup_stop_wal_file"])
        for name in os.listdir(directory):
            self.assertEqual(self.mode_of(directory, name), 0o600)
        self.assertEqual(self.mode_of(directory), 0o700)
        content = self.read(directory, "backup_label")
        self.assertTrue(content.startswith(f"START WAL LOCATION: {position['backup-start-lsn']} "))
        self.assertIn(f"LABEL: holdfast {window}\n", content)
        self.assertGreater(lsn(self.read(directory, "backup_stop_lsn")), lsn(position["lsn"]))
        self.assertFalse(os.path.exists(os.path.join(self.pg.data, "backup_label")))

    def test_a_tablespace_map_is_kept_where_there_are_tablespaces(self):
        place = os.path.join(self.pg.run_directory, "space")
        os.mkdir(place)
        self.pg._give(place)
        self.pg.run(f"CREATE TABLESPACE space LOCATION '{place}'")
        self.addCleanup(self.pg.run, "DROP TABLESPACE space")
        plugin = self.plugin(mode="backup")
        plugin.freeze()
        plugin.release()
        directory, _ = self.kept(plugin)
        self.assertIn(place, self.read(directory, "tablespace_map"))

    def test_a_rollback_ends_the_backup_and_keeps_nothing(self):
        plugin = self.plugin(mode="backup")
        session = plugin.probe().identity["session_id"]
        plugin.prepare()
        plugin.rollback()
        self.assertFalse(os.path.exists(plugin.state))
        # In a session with a backup, a second one would be refused.
        plugin.freeze()
        self.assertEqual(plugin.check().position.keys(), {"lsn", "timeline", "backup-start-lsn"})
        plugin.release()
        self.assertEqual(plugin.probe().identity["session_id"], session)

    def test_a_label_that_cannot_be_written_is_an_error_and_the_backup_has_ended(self):
        plugin = self.plugin(mode="backup")
        plugin.freeze()
        with open(plugin.state, "w", encoding="utf-8"):
            pass  # a file where the directory should be
        with self.assertRaisesRegex(
                Refused, "^unable to keep the backup label of 'postgresql:test': unable to make "
                f"directory '{plugin.state}/.*': Not a directory "):
            plugin.release()
        plugin.release()
        os.unlink(plugin.state)
        plugin.freeze()
        plugin.release()

    def test_an_abandoned_backup_ends_and_nothing_is_written(self):
        plugin = self.plugin(mode="backup")
        session = int(plugin.probe().identity["session_id"])
        plugin.freeze()
        plugin.abandon()
        self.assertFalse(os.path.exists(plugin.state), "a label was kept")
        self.await_true(lambda: not os.path.exists(f"/proc/{session}"), "the session has ended")
        plugin.release()
        self.assertFalse(os.path.exists(plugin.state), "a label was kept")
        plugin.freeze()
        plugin.check()
        plugin.release()
        self.assertTrue(os.listdir(plugin.state))

    def test_only_the_newest_labels_are_kept(self):
        plugin = self.plugin(mode="backup", labels_kept=3)
        for number in range(8):
            directory = os.path.join(plugin.state, f"window-{number}")
            os.makedirs(directory)
            with open(os.path.join(directory, "backup_label"), "w", encoding="utf-8"):
                os.utime(directory, (1000 + number, 1000 + number))
        os.makedirs(os.path.join(plugin.state, "something-else"))
        plugin.freeze()
        plugin.release()
        left = os.listdir(plugin.state)
        ours, = set(left) - {f"window-{number}" for number in range(8)} - {"something-else"}
        self.assertEqual(set(left), {ours, "window-7", "window-6", "something-else"})


if __name__ == "__main__":
    main()
