# SPDX-License-Identifier: MIT
"""A real qemu-ga freezes a real filesystem under the append-only file of a real Redis. Without the
plugin one write takes the whole server with it, reads included; with it reads go on all the time,
and a copy of the frozen filesystem has what was acknowledged before and nothing that came later."""

import os
import time
import unittest

from lab import agent_rig, loopfs, qga, redis_servers, testing

BEFORE = 500
FROZEN = 2.0  # seconds; the server flushes its append-only file once a second
BLOCKED = 0.5


class RedisWindow(unittest.TestCase):
    def setUp(self):
        self.filesystem = loopfs.LoopFilesystem(256)
        self.addCleanup(self.filesystem.close)
        self.redis = redis_servers.Redis(parent=self.filesystem.mount_point)
        self.addCleanup(self.redis.close)
        self.redis.start()
        # A server that hangs in a write can't be ended.
        self.addCleanup(self.filesystem.thaw)
        with self.redis.session() as session:
            for number in range(BEFORE):
                session.run("SET", f"k{number}", number)

    def rig(self, resource=True, **settings):
        rig = agent_rig.Rig(self.filesystem, **settings)
        self.addCleanup(rig.close)
        if resource:
            rig.resource("store", f"plugin = redis\nsocket = {self.redis.socket}\n")
        rig.start()
        rig.await_ready()
        return rig

    def sessions(self, count):
        sessions = [self.redis.session() for _ in range(count)]
        for session in sessions:
            self.addCleanup(session.close)
        return sessions

    def assert_thaw_reports(self, rig, status):
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn(f"status {status}", str(caught.exception))

    def test_without_the_plugin_one_write_hangs_reads_and_all_until_the_thaw(self):
        rig = self.rig(resource=False)
        writer, reader = self.sessions(2)
        self.assertEqual(rig.freeze(), 1)
        writer.send("SET", "late", "1")
        time.sleep(BLOCKED)
        reader.send("GET", "k0")
        self.assertTrue(reader.blocked_for(FROZEN), "reads go on: there is nothing to be held")
        rig.thaw()
        self.assertEqual(reader.finish(10), "0")
        writer.finish(10)

    def test_with_it_reads_go_on_all_the_time_and_the_copy_is_exact(self):
        rig = self.rig()
        writer, reader = self.sessions(2)
        copy = os.path.join(self.filesystem.home, "copy")
        self.assertEqual(rig.freeze(), 1)
        writer.send("SET", "late", "1")
        end = time.monotonic() + FROZEN
        reads, slowest = 0, 0.0
        while time.monotonic() < end:
            start = time.monotonic()
            self.assertEqual(reader.run("GET", f"k{reads % BEFORE}", timeout=5), str(reads % BEFORE))
            slowest = max(slowest, time.monotonic() - start)
            reads += 1
            time.sleep(0.01)
        # New connections, too.
        self.assertEqual(self.redis.run("GET", "k1"), "1")
        self.assertTrue(writer.blocked_for(0.01))
        self.filesystem.copy_image(copy)
        self.assertEqual(rig.thaw(), 1)
        self.assertEqual(writer.finish(10), "OK")
        print(f"{reads} reads while frozen, the slowest took {slowest * 1000:.1f} ms", flush=True)

        record = rig.record()
        store, = record["resources"]
        self.assertEqual((record["verdict"]["code"], store["verdict"]["code"]), ("ok", "ok"))
        self.assertEqual(store["position"], store["position_at_thaw"])
        rig.close()
        self.redis.stop()
        self.filesystem.replace_image(copy)
        self.redis.start()
        self.assertEqual(self.redis.run("DBSIZE"), BEFORE)
        self.assertEqual(self.redis.run("GET", f"k{BEFORE - 1}"), str(BEFORE - 1))
        self.assertIsNone(self.redis.run("GET", "late"))

    def test_a_host_that_never_thaws_costs_max_hold_and_no_more(self):
        rig = self.rig(max_hold="4s", freeze_timeout="3s")
        writer, = self.sessions(1)
        rig.freeze()
        writer.send("SET", "late", "1")
        self.assertTrue(writer.blocked_for(BLOCKED))
        # The server's own bound is ten seconds later.
        self.assertEqual(writer.finish(4 + 5), "OK")
        self.assert_thaw_reports(rig, 31)

    def test_a_daemon_that_is_killed_leaves_no_pause_for_longer_than_its_restart(self):
        rig = self.rig()
        writer, = self.sessions(1)
        rig.freeze()
        writer.send("SET", "late", "1")
        rig.kill_daemon()
        self.assertTrue(writer.blocked_for(BLOCKED), "a pause does not end with its session")
        rig.filesystem.thaw()
        self.assertTrue(writer.blocked_for(BLOCKED))
        rig.start_daemon()
        self.assertEqual(writer.finish(10), "OK")
        self.assert_thaw_reports(rig, 33)

    def test_a_freeze_that_fails_elsewhere_leaves_no_pause(self):
        rig = agent_rig.Rig(self.filesystem)
        self.addCleanup(rig.close)
        rig.resource("store", f"plugin = redis\nsocket = {self.redis.socket}\n")
        rig.hook_script("no", 'if [ "$1" = freeze ]; then exit 1; fi')
        rig.resource("hooks", f"plugin = exec\ndirectory = {rig.path('hooks.d')}\norder = 5\n")
        rig.start()
        rig.await_ready()
        with self.assertRaises(qga.AgentError) as caught:
            rig.freeze()
        self.assertIn("status 21", str(caught.exception))
        self.assertEqual(self.redis.run("SET", "w", "1", timeout=5), "OK")


if __name__ == "__main__":
    for module in (loopfs, agent_rig, redis_servers.Redis):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
