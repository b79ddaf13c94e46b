# SPDX-License-Identifier: MIT
"""The mysql plugin while the server's filesystem is frozen for real."""

import fcntl
import os
import time
import unittest

import mysql_case
from driver import Refused
from lab import agent_rig, loopfs, mysql_servers, testing
from mysql_case import MysqlCase
from plugin_case import SLACK

_FIFREEZE = 0xC0045877  # _IOWR('X', 119, int), linux/fs.h


class Frozen(MysqlCase):
    """`db` keeps its data, and its general log, on a filesystem of the test's own."""

    @classmethod
    def setUpClass(cls):
        cls.filesystem = loopfs.LoopFilesystem(512)
        cls.addClassCleanup(cls.filesystem.close)
        cls.db = cls.begin(mysql_case.new_server(
            parent=cls.filesystem.mount_point, options=("--general-log=1",)))
        # The end of the server writes, and so must never find a frozen filesystem.
        cls.addClassCleanup(cls.filesystem.thaw)
        cls.db.run("CREATE DATABASE shop; CREATE TABLE shop.InnoDB (a INT) ENGINE=InnoDB;"
                   "CREATE TABLE shop.MyISAM (a INT) ENGINE=MyISAM")

    def setUp(self):
        # Nobody may ask a server that logs to a frozen file: who does, hangs.
        lease = self.filesystem.lease(60)
        lease.__enter__()
        self.addCleanup(lease.__exit__, None, None, None)

    def freeze(self):
        # Never anything but the mount point that this test made.
        fd = os.open(self.filesystem.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _FIFREEZE, 0)
        finally:
            os.close(fd)

    def test_a_hold_over_a_frozen_general_log_needs_no_word_from_the_server(self):
        for lock in ("ftwrl", self.db.light_lock):
            plugin = self.plugin(lock=lock)
            position = plugin.freeze().position
            self.freeze()
            self.assertFalse(plugin.watch(300), "the session showed something")
            self.assertTrue(self.filesystem.thaw())
            after = plugin.check().position
            if lock != "instance":
                self.assertEqual(after, position)
            plugin.release()
            self.db.run("INSERT INTO shop.MyISAM VALUES (1)", timeout=5)

    def test_a_check_too_early_ends_by_its_deadline_and_is_no_success(self):
        plugin = self.plugin()
        plugin.freeze()
        self.freeze()
        refused = self.assert_refused_like(
            "hold-lost", r"the lock on 'mysql:test' was lost: timed out after \d+ ms",
            lambda: plugin.check(400))
        self.assertLess(refused.ms, 400 + SLACK)
        start = time.monotonic()
        try:
            plugin.release(400)
        except Refused:
            pass  # that the server could not be told is no success either
        self.assertLess(time.monotonic() - start, 0.4 + SLACK / 1000)
        self.assertTrue(self.filesystem.thaw())
        self.db.run("INSERT INTO shop.MyISAM VALUES (1)", timeout=5)

    def test_a_freeze_that_comes_too_late_is_refused_in_time_and_leaves_nothing(self):
        plugin = self.plugin(lock_timeout="400ms")
        plugin.probe()
        self.freeze()
        with self.assertRaises(Refused) as refused:
            plugin.freeze(600)
        self.assertLess(refused.exception.ms, 600 + SLACK)
        self.assertTrue(self.filesystem.thaw())
        self.wait_until(lambda: self.db.run("INSERT INTO shop.MyISAM VALUES (1); SELECT 1",
                                            timeout=5) == ["1"])
        plugin.probe()
        plugin.freeze()
        plugin.check()
        plugin.release()


class TwoServers(unittest.TestCase):
    def test_two_resource_files_are_two_servers_in_one_window(self):
        filesystem = loopfs.LoopFilesystem(768)
        self.addCleanup(filesystem.close)
        rig = agent_rig.Rig(filesystem)
        databases = {}
        for name, lock in (("orders", "ftwrl"), ("stock", "auto")):
            database = mysql_case.new_server(parent=filesystem.mount_point)
            self.addCleanup(database.close)
            self.addCleanup(filesystem.thaw)
            database.start()
            database.run("CREATE DATABASE shop; CREATE TABLE shop.t (a INT)")
            rig.resource(name, f"plugin = mysql\nsocket = {database.socket}\nlock = {lock}\n"
                               f"user = {database.administrator}\n")
            databases[f"mysql:{name}"] = database
        self.addCleanup(rig.close)
        rig.start()
        rig.await_ready()
        rig.freeze()
        writers = []
        for database in databases.values():
            writers.append(database.session())
            self.addCleanup(writers[-1].close)
            writers[-1].send("INSERT INTO shop.t VALUES (1)")
        for writer in writers:
            self.assertTrue(writer.blocked_for(0.3))
        rig.thaw()
        for writer in writers:
            writer.finish(10)
        record = rig.record()
        self.assertEqual(record["verdict"]["code"], "ok")
        by_name = {resource["name"]: resource for resource in record["resources"]}
        self.assertEqual(set(by_name), set(databases))
        self.assertEqual(len({resource["server_uuid"] for resource in by_name.values()}), 2)
        for resource in by_name.values():
            self.assertEqual(resource["verdict"]["code"], "ok")
            self.assertEqual(resource["position"], resource["position_at_thaw"])
        self.assertEqual(by_name["mysql:orders"]["details"],
                         {"lock": "ftwrl", "lock-reason": "configured"})
        self.assertNotEqual(by_name["mysql:stock"]["details"]["lock-reason"], "configured")


if __name__ == "__main__":
    for module in (loopfs, agent_rig, mysql_servers):
        if module.missing():
            testing.skip_all(module.missing())
    loopfs.enter_namespace()
    testing.main()
