# SPDX-License-Identifier: MIT
"""The mysql plugin on a replica: how far its source is applied, and what a lock does to that."""

import socket

import mysql_case
from mysql_case import MysqlCase, only_mariadb


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Replica(MysqlCase):
    """`db` is the replica."""

    server_options = ("--server-id=2",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.port = free_port()
        cls.source = cls.begin(mysql_case.new_server(
            options=(f"--port={cls.port}", "--bind-address=127.0.0.1")))
        cls.source.run("CREATE USER follower@'127.0.0.1' IDENTIFIED BY 'secret';"
                       "GRANT REPLICATION SLAVE ON *.* TO follower@'127.0.0.1'")
        file, position = cls.source.binary_log()
        cls.follow(file, position)
        cls.source.run("CREATE DATABASE stock; CREATE TABLE stock.t (a INT PRIMARY KEY)")

    @classmethod
    def follow(cls, file, position):
        if cls.db.mariadb:
            cls.db.run(f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={cls.port}, "
                       "MASTER_USER='follower', MASTER_PASSWORD='secret', "
                       f"MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}; START SLAVE")
        else:
            cls.db.run(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
                       f"SOURCE_PORT={cls.port}, SOURCE_USER='follower', SOURCE_PASSWORD='secret', "
                       f"GET_SOURCE_PUBLIC_KEY=1, SOURCE_LOG_FILE='{file}', "
                       f"SOURCE_LOG_POS={position}; START REPLICA")

    def write(self, number):
        self.source.run(f"INSERT INTO stock.t VALUES ({number})")

    def has(self, number):
        return self.db.run(f"SELECT COUNT(*) FROM stock.t WHERE a = {number}") == ["1"]

    def await_row(self, number):
        self.wait_until(lambda: self.has(number))

    def applied_is_source(self, plugin):
        """Holds when the replica has come to rest, and compares with the source's own word."""
        def settled():
            file, position = self.source.binary_log()
            held = plugin.freeze().position
            if (held["source-file"], held["source-position"]) == (file, str(position)):
                return True
            plugin.release()
            return False
        self.wait_until(settled)

    def test_the_applied_position_is_the_sources_own(self):
        self.write(1)
        self.await_row(1)
        for lock in ("ftwrl", self.db.light_lock):
            plugin = self.plugin(lock=lock)
            self.applied_is_source(plugin)
            self.assertEqual(plugin.check().position["source-host"], "127.0.0.1")
            plugin.release()

    def test_what_the_source_writes_meanwhile_waits_and_is_not_taken_for_a_loss(self):
        self.write(10)
        self.await_row(10)
        for number, lock in enumerate(("ftwrl", *(("backup-stage",) if self.db.mariadb else ())), 11):
            plugin = self.plugin(lock=lock)
            self.applied_is_source(plugin)
            self.write(number)
            self.source.run("FLUSH BINARY LOGS")
            # The rotation reaches the replica behind the row: when its receiver has it, both are here.
            wanted = self.source.binary_log()[0]
            column = 5 if self.db.mariadb else 6
            statement = "SHOW SLAVE STATUS" if self.db.mariadb else "SHOW REPLICA STATUS"
            self.wait_until(lambda: wanted in self.db.run(statement)[0].split("\t")[:column + 2])
            self.assertFalse(self.has(number), "the lock did not hold the applier")
            plugin.check()
            plugin.release()
            self.await_row(number)

    def test_a_rotation_at_the_source_is_not_taken_for_a_loss(self):
        self.write(30)
        self.await_row(30)
        plugin = self.plugin()
        self.applied_is_source(plugin)
        before = self.source.binary_log()[0]
        self.source.run("FLUSH BINARY LOGS")
        self.wait_until(lambda: plugin.check().position["source-file"] != before)
        plugin.check()
        plugin.release()

    @only_mariadb
    def test_the_applied_gtid_is_recorded(self):
        self.write(40)
        self.await_row(40)
        position = self.plugin().freeze().position
        self.assertEqual(position["gtid-applied"], self.source.run("SELECT @@gtid_binlog_pos")[0])

    @only_mariadb
    def test_an_account_that_may_not_see_the_source_is_told_so(self):
        self.db.run("CREATE USER blind@localhost IDENTIFIED BY 'x'; GRANT RELOAD, PROCESS, BINLOG "
                    "MONITOR ON *.* TO blind@localhost")
        plugin = self.plugin(user="blind", password_file=self.file("password", "x\n"))
        self.assertEqual(plugin.probe().warnings, [
            "account 'blind'@'localhost' lacks SLAVE MONITOR: how far this replica has applied its "
            "sources is not recorded (GRANT SLAVE MONITOR ON *.* TO 'blind'@'localhost')"])
        self.assertNotIn("source-file", plugin.freeze().position)
        plugin.check()
        plugin.release()

    @only_mariadb
    def test_auto_takes_the_read_lock_on_a_parallel_replica(self):
        self.db.run("STOP SLAVE; SET GLOBAL slave_parallel_threads = 4; START SLAVE")
        self.addCleanup(self.db.run,
                        "STOP SLAVE; SET GLOBAL slave_parallel_threads = 0; START SLAVE")
        plugin = self.plugin(lock="auto")
        self.assertEqual(plugin.freeze().details, {
            "lock": "ftwrl", "lock-reason":
            "a parallel replica may commit in spite of a backup stage (MDEV-36025)"})
        plugin.check()
        plugin.release()
        self.assertIn("a parallel replica may commit in spite of a backup stage (MDEV-36025): set "
                      "lock = ftwrl or auto", self.plugin(lock="backup-stage").probe().warnings)

    def test_a_named_connection_has_its_name_behind_the_keys(self):
        server = self.begin_second()
        held = self.configured(socket=server.socket, user=server.administrator).freeze().position
        self.assertEqual(held["source-host[paris]"], "127.0.0.1")
        self.assertIn("source-file[paris]", held)

    def begin_second(self):
        server = mysql_case.new_server(options=("--server-id=3",))
        self.addCleanup(server.close)
        server.start()
        file, position = self.source.binary_log()
        if server.mariadb:
            server.run(f"CHANGE MASTER 'paris' TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.port}, "
                       "MASTER_USER='follower', MASTER_PASSWORD='secret', "
                       f"MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}; START SLAVE 'paris'")
        else:
            server.run("CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
                       f"SOURCE_PORT={self.port}, SOURCE_USER='follower', SOURCE_PASSWORD='secret', "
                       f"GET_SOURCE_PUBLIC_KEY=1, SOURCE_LOG_FILE='{file}', "
                       f"SOURCE_LOG_POS={position} FOR CHANNEL 'paris'; "
                       "START REPLICA FOR CHANNEL 'paris'")
        return server


if __name__ == "__main__":
    mysql_case.main()
