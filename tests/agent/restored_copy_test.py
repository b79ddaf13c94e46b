# SPDX-License-Identifier: MIT
"""A copy of the filesystem, made while it was frozen, is what a snapshot would be: both servers
start on it, and it holds what was acknowledged before the freeze and nothing that began after the
lock."""

import os
import subprocess
import unittest

from lab import agent_rig, loopfs, servers, testing

BEFORE = 40


class RestoredCopy(unittest.TestCase):
    def setUp(self):
        self.filesystem = loopfs.LoopFilesystem(768)
        self.addCleanup(self.filesystem.close)
        self.mariadb = servers.MariaDb(parent=self.filesystem.mount_point)
        self.addCleanup(self.mariadb.close)
        self.mariadb.start()
        self.postgresql = servers.PostgreSql(parent=self.filesystem.mount_point)
        self.addCleanup(self.postgresql.close)
        self.postgresql.start()
        self.postgresql.allow("local all all peer map=test")
        self.postgresql.reload()
        self.postgresql.run("CREATE ROLE root SUPERUSER LOGIN; CREATE TABLE t (n int)")
        self.mariadb.run("CREATE DATABASE shop; CREATE TABLE shop.safe (n int) ENGINE=InnoDB; "
                         "CREATE TABLE shop.plain (n int) ENGINE=Aria TRANSACTIONAL=0")
        self.addCleanup(self.filesystem.thaw)

    def window(self):
        """Writes, freezes, tries to write, copies, thaws; the record and the copy's path."""
        with agent_rig.Rig(self.filesystem) as rig:
            rig.resource("main", f"plugin = mysql\nsocket = {self.mariadb.socket}\nuser = root\n")
            rig.resource("cluster", "plugin = postgresql\nuser = root\n"
                                    f"socket = {self.postgresql.socket_directory}\n")
            rig.start()
            rig.await_ready()
            # The copy outlives the rig, in the filesystem's own home.
            copy = os.path.join(self.filesystem.home, "copy")
            with self.mariadb.session() as writer, self.postgresql.session() as pg_writer:
                for number in range(BEFORE):
                    writer.run(f"INSERT INTO shop.safe VALUES ({number})")
                    writer.run(f"INSERT INTO shop.plain VALUES ({number})")
                    pg_writer.run(f"INSERT INTO t VALUES ({number})")
                rig.freeze()
                writer.send("INSERT INTO shop.plain VALUES (1000)")
                pg_writer.send("INSERT INTO t VALUES (1000)")
                self.filesystem.copy_image(copy)
                rig.thaw()
                writer.finish(10)
                pg_writer.finish(10)
            return rig.record(), copy

    def test_agrees_with_the_record_and_both_servers_start_on_it(self):
        record, copy = self.window()
        self.assertEqual(record["verdict"]["code"], "ok")
        positions = {resource["name"]: resource["position"] for resource in record["resources"]}
        self.mariadb.stop()
        self.postgresql.stop()
        # At the same place: the binary log's index and the servers' options hold absolute paths.
        self.filesystem.replace_image(copy)

        inside = os.path.join(self.filesystem.mount_point, "holdfast/freeze.json")
        with open(inside, encoding="utf-8") as file:
            self.assertIn(record["window"], file.read())
        mysql = positions["mysql:main"]
        binlog = os.path.join(self.mariadb.data, mysql["binlog-file"])
        self.assertEqual(os.path.getsize(binlog), int(mysql["binlog-position"]))

        self.mariadb.start()
        count = "SELECT COUNT(*), COALESCE(MAX(n), -1) FROM shop."
        self.assertEqual(self.mariadb.run(count + "safe"), [f"{BEFORE}\t{BEFORE - 1}"])
        self.assertEqual(self.mariadb.run(count + "plain"), [f"{BEFORE}\t{BEFORE - 1}"])
        self.assertEqual(self.mariadb.run("SELECT @@gtid_binlog_pos"), [mysql["gtid"]])
        checked = subprocess.run(["mariadb-check", "--no-defaults",
                                  "--socket=" + self.mariadb.socket, "--silent",
                                  "--all-databases"], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=120, check=False)
        self.assertEqual((checked.returncode, checked.stdout), (0, b""))

        # A server that was killed leaves its pid file; a restored machine has no such process.
        pid_file = os.path.join(self.postgresql.data, "postmaster.pid")
        if os.path.exists(pid_file):
            os.unlink(pid_file)
        self.postgresql.start()
        self.assertEqual(self.postgresql.run("SELECT COUNT(*), MAX(n) FROM t"),
                         [f"{BEFORE}|{BEFORE - 1}"])
        lsn = positions["postgresql:cluster"]["lsn"]
        self.assertEqual(self.postgresql.run(f"SELECT pg_current_wal_lsn() >= '{lsn}'::pg_lsn"),
                         ["t"])


if __name__ == "__main__":
    for module in (loopfs, agent_rig, servers.MariaDb, servers.PostgreSql):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
