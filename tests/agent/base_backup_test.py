# SPDX-License-Identifier: MIT
"""Two PostgreSQL clusters on a filesystem that is really frozen, one in each mode: no statement of
ours reaches them in the window, and the copy that was made in it starts by itself, and, with the
label that the freeze record carries and a WAL archive, at a point in time after the window."""

import os
import unittest

from lab import agent_rig, loopfs, servers, testing

BEFORE, AFTER = 40, 90


class BaseBackup(unittest.TestCase):
    def setUp(self):
        self.filesystem = loopfs.LoopFilesystem(768)
        self.addCleanup(self.filesystem.close)
        self.plain = self.cluster()
        self.archived = self.cluster()
        # Beside what is frozen, as an archive is on another machine.
        self.archive = os.path.join(self.archived.home, "archive")
        os.mkdir(self.archive)
        self.archived._give(self.archive)
        self.archived.run("ALTER SYSTEM SET archive_mode = on;"
                          f"ALTER SYSTEM SET archive_command = 'cp %p {self.archive}/%f'")
        self.archived.restart()
        self.addCleanup(self.filesystem.thaw)

    def cluster(self):
        cluster = servers.PostgreSql(parent=self.filesystem.mount_point, options=[
            "-c", "log_statement=all", "-c", "log_line_prefix=[%a] "])
        self.addCleanup(cluster.close)
        cluster.start()
        cluster.run("CREATE ROLE root LOGIN; GRANT pg_checkpoint TO root;"
                    "GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop TO root;"
                    "CREATE TABLE t (n int PRIMARY KEY)")
        return cluster

    @staticmethod
    def statements(cluster):
        """What a holdfast session has asked, by the server's own log."""
        return [line for line in cluster.log_tail(1 << 22).splitlines()
                if line.startswith("[holdfast] ")]

    def window(self):
        """Writes, freezes, copies, thaws; the record."""
        with agent_rig.Rig(self.filesystem) as rig:
            for name, cluster, mode in (("plain", self.plain, "checkpoint"),
                                        ("archived", self.archived, "backup")):
                rig.resource(name, f"plugin = postgresql\nuser = root\nmode = {mode}\n"
                                   f"socket = {cluster.socket_directory}\n")
            rig.start()
            rig.await_ready()
            clusters = (self.plain, self.archived)
            for cluster in clusters:
                cluster.run(f"INSERT INTO t SELECT generate_series(1, {BEFORE})")
            rig.freeze()
            asked = [self.statements(cluster) for cluster in clusters]
            with self.archived.session() as writer:
                writer.send(f"INSERT INTO t VALUES ({BEFORE + 1})")
                self.copy = os.path.join(self.filesystem.home, "copy")
                self.filesystem.copy_image(self.copy)
                # The service is awake all the time, and asks them nothing.
                for _ in range(20):
                    self.assertEqual(rig.ctl("status")["state"], "held")
                self.assertEqual([self.statements(cluster) for cluster in clusters], asked)
                rig.thaw()
                writer.finish(10)
            later = self.statements(self.archived)[len(asked[1]):]
            self.assertTrue(any("pg_backup_stop" in line for line in later), later)
            self.assertTrue(self.statements(self.plain)[len(asked[0]):])
            record = rig.record()
            kept = self.resource(record, "archived")["position_at_thaw"]["backup-files"]
            self.assertTrue(kept.startswith(rig.state_directory + "/"))
            for name, lines in self.resource(record, "archived")["files"].items():
                with open(os.path.join(kept, name), encoding="utf-8") as file:
                    self.assertEqual(file.read().splitlines(), lines)
        return record

    @staticmethod
    def resource(record, name):
        resource, = [entry for entry in record["resources"] if entry["name"].endswith(":" + name)]
        return resource

    def go_on(self):
        """More rows, a point to go back to, and what must be undone; all of it archived."""
        self.archived.run(f"INSERT INTO t SELECT generate_series({BEFORE + 2}, {AFTER})")
        self.archived.run("SELECT pg_create_restore_point('before the accident')")
        self.archived.run("DELETE FROM t")
        last = self.archived.run("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")[0]
        self.archived.run("SELECT pg_switch_wal()")
        agent_rig.await_true(lambda: os.path.exists(os.path.join(self.archive, last)),
                             "the archive")

    def put(self, name, content):
        path = os.path.join(self.archived.data, name)
        with open(path, "a", encoding="utf-8") as file:
            file.write(content)
        self.archived._give(path)

    def test_the_copy_starts_by_itself_and_at_a_later_point_in_time(self):
        record = self.window()
        self.assertEqual(record["verdict"]["code"], "ok")
        self.go_on()
        for cluster in (self.plain, self.archived):
            cluster.stop()
        # At the same place, as in a restored machine, where no server runs.
        self.filesystem.replace_image(self.copy)
        for cluster in (self.plain, self.archived):
            os.unlink(os.path.join(cluster.data, "postmaster.pid"))
        count = "SELECT count(*), max(n) FROM t"
        self.plain.start()
        self.assertEqual(self.plain.run(count), [f"{BEFORE}|{BEFORE}"])

        files = self.resource(record, "archived")["files"]
        self.assertEqual(set(files), {"backup_label"})
        self.put("backup_label", "".join(line + "\n" for line in files["backup_label"]))
        self.put("postgresql.auto.conf", f"restore_command = 'cp {self.archive}/%f %p'\n"
                 "archive_mode = off\nrecovery_target_name = 'before the accident'\n"
                 "recovery_target_action = 'promote'\n")
        self.put("recovery.signal", "")
        self.archived.start()
        agent_rig.await_true(lambda: self.archived.run("SELECT pg_is_in_recovery()") == ["f"],
                             "the promotion")
        self.assertEqual(self.archived.run(count), [f"{AFTER}|{AFTER}"])


if __name__ == "__main__":
    for module in (loopfs, agent_rig, servers.PostgreSql):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
