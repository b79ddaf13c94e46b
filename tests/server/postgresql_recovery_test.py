# SPDX-License-Identifier: MIT
"""A snapshot as a base backup: holdfast-postgresql(5), POINT-IN-TIME RECOVERY, followed to the
letter on a copy that was taken in a window of mode `backup`, with a tablespace and a WAL archive.
"""

import os
import shutil

from lab import servers
from postgresql_case import PostgresqlCase, lsn, main

AMCHECK = """CREATE EXTENSION IF NOT EXISTS amcheck;
SELECT count(bt_index_check(c.oid, true)::text)
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND i.indisvalid"""


class Snapshot(PostgresqlCase):
    """The primary, its archive, and the copy: of the primary, or of what source() gives."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.archive = os.path.join(cls.pg.home, "archive")
        cls.space = os.path.join(cls.pg.home, "space")
        for place in (cls.archive, cls.space):
            os.mkdir(place, 0o700)
            cls.pg._give(place)
        cls.pg.run("ALTER SYSTEM SET archive_mode = on;"
                   f"ALTER SYSTEM SET archive_command = 'cp %p {cls.archive}/%f'")
        cls.pg.restart()
        cls.pg.run(f"CREATE TABLESPACE space LOCATION '{cls.space}';"
                   "CREATE TABLE here (n int PRIMARY KEY);"
                   "CREATE TABLE there (n int PRIMARY KEY USING INDEX TABLESPACE space) "
                   "TABLESPACE space")
        cls.source, cls.source_space = cls.make_source()
        cls.take_snapshot()

    @classmethod
    def make_source(cls):
        """What the copy is taken of, and where its tablespace lies."""
        return cls.pg, cls.space

    @classmethod
    def insert(cls, first, last):
        for table in ("here", "there"):
            cls.pg.run(f"INSERT INTO {table} SELECT generate_series({first}, {last})")

    @classmethod
    def take_snapshot(cls):
        """Rows 1-100 are there before the window, 101-150 come in it before the copy, 151-200 in it
        after the copy, 201-300 after it; then comes the accident."""
        cls.insert(1, 100)
        case = cls()
        cls.addClassCleanup(case.doCleanups)
        plugin = case.plugin(cls.source, mode="backup")
        cls.warnings = plugin.probe().warnings
        cls.start = plugin.freeze().position
        cls.insert(101, 150)
        if cls.source is not cls.pg:
            case.await_replay(cls.source)
        cls.copy = os.path.join(cls.pg.home, "copy")
        # Stopped processes write nothing: their files are a snapshot.
        cls.source.pause()
        try:
            shutil.copytree(cls.source.data, os.path.join(cls.copy, "data"), symlinks=True)
            shutil.copytree(cls.source_space, os.path.join(cls.copy, "space"), symlinks=True)
        finally:
            cls.source.resume()
        cls.insert(151, 200)
        plugin.check()
        report = plugin.release()
        cls.position, cls.files = report.position, report.files
        cls.kept_files, _ = case.kept(plugin)
        cls.insert(201, 300)
        cls.pg.run("SELECT pg_create_restore_point('before the accident')")
        cls.pg.run("DELETE FROM here; DROP TABLE there")
        last = cls.pg.run("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")[0]
        cls.pg.run("SELECT pg_switch_wal()")
        case.await_true(lambda: os.path.exists(os.path.join(cls.archive, last)), "the archive")

    def restored(self):
        """A cluster on the copy, not started. Its tablespace lies elsewhere than the original's,
        which is still in use."""
        restored = self.new_cluster()
        self.addCleanup(restored.close)
        restored.adopt(os.path.join(self.copy, "data"))
        os.chmod(restored.data, 0o700)
        os.unlink(os.path.join(restored.data, "postmaster.pid"))
        space = os.path.join(restored.home, "space")
        shutil.copytree(os.path.join(self.copy, "space"), space, symlinks=True)
        for root, directories, files in os.walk(space):
            for name in directories + files:
                restored._give(os.path.join(root, name))
        os.chmod(space, 0o700)
        restored._give(space)
        links = os.path.join(restored.data, "pg_tblspc")
        for oid in os.listdir(links):
            os.unlink(os.path.join(links, oid))
            os.symlink(space, os.path.join(links, oid))
        return restored

    def put(self, restored, name, content):
        path = os.path.join(restored.data, name)
        with open(path, "a", encoding="utf-8") as file:
            file.write(content)
        os.chmod(path, 0o600)
        restored._give(path)

    def put_label(self, restored):
        self.put(restored, "backup_label", self.files["backup_label"])
        self.put(restored, "tablespace_map", self.files["tablespace_map"].replace(
            self.source_space, os.path.join(restored.home, "space")))

    def recover(self, restored, target):
        self.put_label(restored)
        self.put(restored, "postgresql.auto.conf", f"restore_command = 'cp {self.archive}/%f %p'\n"
                 f"archive_mode = off\n{target}\nrecovery_target_action = 'promote'\n")
        self.put(restored, "recovery.signal", "")
        restored.start()
        self.await_true(lambda: restored.run("SELECT pg_is_in_recovery()") == ["f"],
                        "the promotion")

    def assert_rows(self, restored, last):
        for table in ("here", "there"):
            self.assertEqual(restored.run(f"SELECT count(*), min(n), max(n) FROM {table}"),
                             [f"{last}|1|{last}"])
        checked = restored.run(AMCHECK)[-1]
        self.assertGreater(int(checked), 100)

    def assert_kept_as_recorded(self):
        self.assertEqual(self.warnings, [])
        self.assertEqual(set(self.files), {"backup_label", "tablespace_map"})
        for name, content in self.files.items():
            self.assertEqual(self.read(self.kept_files, name), content)
        self.assertIn(self.source_space, self.files["tablespace_map"])
        label = self.files["backup_label"]
        self.assertIn(f"START WAL LOCATION: {self.start['backup-start-lsn']} ", label)
        stop, wal_file = self.position["backup-stop-lsn"], self.position["backup-stop-wal-file"]
        self.assertGreaterEqual(lsn(stop), lsn(self.start["backup-start-lsn"]))
        self.assertEqual(self.read(self.kept_files, "backup_stop_lsn"), stop + "\n")
        self.assertEqual(self.read(self.kept_files, "backup_stop_wal_file"), wal_file + "\n")
        self.assertEqual(self.position["backup-files"], self.kept_files)


class Recovery(Snapshot):
    def test_the_label_and_the_map_are_kept_and_recorded_alike(self):
        self.assert_kept_as_recorded()
        # The server's own history file of this backup names the same file.
        stop, wal_file = self.position["backup-stop-lsn"], self.position["backup-stop-wal-file"]
        history, = [name for name in os.listdir(self.archive) if name.endswith(".backup")]
        self.assertIn(f"STOP WAL LOCATION: {stop} (file {wal_file})",
                      self.read(self.archive, history))

    def test_it_recovers_to_a_point_after_the_window(self):
        restored = self.restored()
        self.recover(restored, "recovery_target_name = 'before the accident'")
        self.assert_rows(restored, 300)
        self.assertEqual(restored.run(
            "SELECT timeline_id FROM pg_control_checkpoint()"), ["2"])

    def test_it_recovers_to_the_end_of_the_backup_at_the_earliest(self):
        restored = self.restored()
        self.recover(restored, "recovery_target = 'immediate'")
        self.assert_rows(restored, 200)

    def test_without_the_label_it_restores_by_crash_recovery(self):
        restored = self.restored()
        self.put(restored, "postgresql.auto.conf", "archive_mode = off\n")
        restored.start()
        self.assert_rows(restored, 150)

    def test_with_the_label_and_no_archive_it_does_not_start(self):
        restored = self.restored()
        self.put_label(restored)
        with self.assertRaisesRegex(servers.ServerError, "WAL ends before end of online backup"):
            restored.start()


class RecoveryFromAStandby(Snapshot):
    @classmethod
    def make_source(cls):
        space = os.path.join(cls.pg.home, "standby-space")
        os.mkdir(space, 0o700)
        cls.pg._give(space)
        standby = cls.standby(f"--tablespace-mapping={cls.space}={space}")
        cls.addClassCleanup(standby.close)
        return standby, space

    def restored(self):
        restored = super().restored()
        os.unlink(os.path.join(restored.data, "standby.signal"))
        return restored

    def recover(self, restored, target):
        self.put(restored, "postgresql.auto.conf", "primary_conninfo = ''\n")
        super().recover(restored, target)

    def test_the_label_says_that_it_is_of_a_standby(self):
        self.assert_kept_as_recorded()
        self.assertIn("BACKUP FROM: standby\n", self.files["backup_label"])

    def test_it_recovers_to_a_point_after_the_window(self):
        restored = self.restored()
        self.recover(restored, "recovery_target_name = 'before the accident'")
        self.assert_rows(restored, 300)


if __name__ == "__main__":
    main()
