# SPDX-License-Identifier: MIT
"""The redis plugin on a real server: windows that hold."""

import socket
import time

from lab import servers
from lab.agent_rig import await_true
from redis_case import BLOCKED, RedisCase, main


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Window(RedisCase):
    def test_writes_wait_until_the_release_and_reads_go_on(self):
        self.redis.run("SET", "k", "old")
        plugin = self.plugin()
        plugin.freeze()
        writer = self.writer("SET", "k", "new")
        self.assertEqual(self.redis.run("GET", "k"), "old")
        plugin.check()
        plugin.release()
        self.assertEqual(writer.finish(5), "OK")
        self.assertEqual(self.redis.run("GET", "k"), "new")

    def test_the_record_has_server_session_position_and_bound(self):
        plugin = self.plugin()
        held = plugin.freeze()
        info = self.redis.info()
        self.assertEqual(held.identity["server_uuid"], info["run_id"])
        self.assertIn(held.identity["engine"], ("Redis", "Valkey"))
        self.assertRegex(held.identity["version"], r"^\d+\.\d+")
        self.assertIn("id=" + held.identity["session_id"] + " ", self.redis.run("CLIENT", "LIST"))
        self.assertEqual(held.position, {
            "replication-id": info["master_replid"], "replication-offset": info["master_repl_offset"],
            "aof-size": info["aof_current_size"], "last-save": info["rdb_last_save_time"],
            "changes-since-save": info["rdb_changes_since_last_save"]})
        self.assertEqual(held.details,
                         {"lock": "client-pause", "bound-ms": "70000", "persistence": "aof"})
        self.assertEqual(plugin.check().position, held.position)
        plugin.release()

    def test_everything_acknowledged_is_in_a_copy_and_nothing_later(self):
        server = self.server()
        with server.session() as session:
            for number in range(2000):
                session.run("SET", f"k{number}", number)
        plugin = self.plugin(server)
        plugin.freeze()
        writer = self.writer("SET", "late", "1", server=server)
        copy = self.restored(server)
        plugin.check()
        plugin.release()
        writer.finish(5)
        self.assertEqual(copy.run("DBSIZE"), 2000)
        self.assertEqual(copy.run("GET", "k1999"), "1999")

    def test_transactions_scripts_and_pushes_to_blocked_clients_wait_as_a_whole(self):
        plugin = self.plugin()
        popper, transaction = self.session(), self.session()
        popper.send("BLPOP", "list", "30")
        self.assertTrue(popper.blocked_for(BLOCKED))
        transaction.run("MULTI")
        transaction.run("SET", "t", "1")
        plugin.freeze()
        waiting = [self.writer("EVAL", "return redis.call('SET', 's', '1')", 0),
                   self.writer("LPUSH", "list", "a")]
        transaction.send("EXEC")
        self.assertTrue(transaction.blocked_for(BLOCKED))
        self.assertTrue(popper.blocked_for(0.01))
        self.assertIsNone(self.redis.run("GET", "t"))
        plugin.check()
        plugin.release()
        self.assertEqual(transaction.finish(5), ["OK"])
        self.assertEqual([writer.finish(5) for writer in waiting], ["OK", 1])
        self.assertEqual(popper.finish(5), ["list", "a"])

    def test_keys_whose_time_comes_do_not_break_the_hold(self):
        for number in range(50):
            self.redis.run("SET", f"brief{number}", "1", "PX", 200)
        plugin = self.plugin()
        plugin.freeze()
        time.sleep(0.4)  # their time, and several rounds of the server's own expiry
        self.assertIsNone(self.redis.run("GET", "brief0"))
        plugin.check()
        plugin.release()

    def test_windows_follow_each_other_on_the_same_sessions(self):
        plugin = self.plugin()
        sessions = set()
        for _ in range(5):
            sessions.add(plugin.freeze().identity["session_id"])
            plugin.check()
            plugin.release()
            self.assert_writable()
        self.assertEqual(len(sessions), 1)

    def test_a_window_taken_over_lasts_beyond_the_bound_of_the_first(self):
        # The bound is max-hold and ten seconds, and so is this test: both cases at once.
        other = self.server()
        extended, left = self.plugin(), self.plugin(other)
        for plugin in extended, left:
            plugin.max_hold(0)
            plugin.freeze()
        extended.max_hold(60000)
        extended.check()
        extended.extend()
        self.assertTrue(left.watch(15000), "the bound did not end the pause")
        self.assert_writable(other)
        refused = self.assert_refused_like(
            "hold-lost", "the pause of writes on 'redis:test' was lost: the pause has ended: CLIENT "
            "UNPAUSE of somebody else, or its time ran out", left.check)
        self.assertLess(refused.ms, 1000)
        left.release()
        self.writer()
        extended.check()
        extended.release()
        self.assert_writable()

    def test_a_pause_of_somebody_else_refuses_the_freeze_and_is_left_alone(self):
        plugin = self.plugin()
        self.redis.run("CLIENT", "PAUSE", 60000, "WRITE")
        words = ("writes are paused by somebody else already "
                 r"\(wait until that CLIENT PAUSE ends, or end it with CLIENT UNPAUSE\)")
        plugin.prepare()
        self.assert_refused_like("busy", "unable to pause writes on 'redis:test': " + words,
                                 plugin.hold)
        self.writer()
        self.assert_refused_like("busy", "unable to use 'redis:test': " + words, plugin.probe)
        self.writer()
        self.redis.run("CLIENT", "UNPAUSE")
        plugin.probe()
        plugin.freeze()
        plugin.check()
        plugin.release()

    @staticmethod
    def is_busy(server):
        try:
            server.run("PING")
        except servers.ServerError as error:
            return str(error).startswith("BUSY")
        return False

    def test_a_script_that_runs_for_long_refuses_the_freeze(self):
        server = self.server(options=["--lua-time-limit", "100"])
        plugin = self.plugin(server)
        script = self.session(server)
        script.send("EVAL", "while true do end", 0)
        await_true(lambda: self.is_busy(server), "the script has run for longer than the limit")
        refused = self.assert_refused_like("busy", ".*BUSY.*", plugin.prepare)
        self.assertLess(refused.ms, 5000)
        server.run("SCRIPT", "KILL")
        with self.assertRaisesRegex(servers.ServerError, "killed"):
            script.finish(5)
        plugin.probe()
        plugin.freeze()
        plugin.release()

    def test_tcp_does_as_well(self):
        server = self.server(options=["--bind", "127.0.0.1", "--port", str(free_port())])
        port = server.run("CONFIG", "GET", "port")[1]
        driver = self.configured(host="localhost", port=port)
        driver.probe()
        driver.freeze()
        self.writer(server=server)
        driver.check()
        driver.release()


class Replicas(RedisCase):
    def pair(self):
        port = str(free_port())
        primary = self.server(options=["--bind", "127.0.0.1", "--port", port,
                                       "--repl-ping-replica-period", "1",
                                       "--repl-diskless-sync-delay", "0"])
        replica = self.server(options=["--replicaof", "127.0.0.1", port])
        replica.await_info("the replica's link", master_link_status="up")
        return primary, replica

    def test_the_pings_of_a_primary_do_not_break_its_hold(self):
        primary, _ = self.pair()
        plugin = self.plugin(primary)
        held = plugin.freeze()
        offset = held.position["replication-offset"]
        await_true(lambda: primary.info()["master_repl_offset"] != offset, "a ping", 20)
        writer = self.writer(server=primary)
        self.assertGreater(int(plugin.check().position["replication-offset"]), int(offset))
        plugin.release()
        writer.finish(5)

    def test_a_replica_takes_up_nothing_from_freeze_to_thaw(self):
        primary, replica = self.pair()
        plugin = self.plugin(replica)
        plugin.freeze()
        primary.run("SET", "k", "1")
        time.sleep(BLOCKED)
        self.assertIsNone(replica.run("GET", "k"))
        plugin.check()
        plugin.release()
        await_true(lambda: replica.run("GET", "k") == "1", "the replica has caught up", 20)

    def test_a_replica_that_is_promoted_during_the_window_loses_its_hold(self):
        _, replica = self.pair()
        plugin = self.plugin(replica)
        plugin.freeze()
        replica.run("REPLICAOF", "NO", "ONE")
        self.assert_refused("hold-lost", "the pause of writes on 'redis:test' was lost: role was "
                            "slave and is master", plugin.check)
        plugin.release()
        self.assert_writable(replica)


class WithoutAppendOnlyFile(RedisCase):
    aof = False

    def setUp(self):
        super().setUp()
        self.redis.run("FLUSHALL")
        self.redis.run("SET", "k", "1")

    def test_saves_before_the_hold(self):
        plugin = self.plugin()
        warned = ["the append-only file is off: what is written after the save and before the pause "
                  "is not in a snapshot (save = held)"]
        self.assertEqual(plugin.probe().warnings, warned)
        plugin.prepare()
        self.redis.run("SET", "between", "1")
        held = plugin.hold()
        self.assertEqual(held.details["persistence"], "rdb")
        self.assertEqual(held.position["changes-since-save"], "1")
        self.assertEqual(held.warnings, ["a snapshot lacks 1 changes since the last save"])
        copy = self.restored(self.redis)
        plugin.check()
        plugin.release()
        self.assertEqual((copy.run("GET", "k"), copy.run("GET", "between")), ("1", None))

    def test_does_not_save_again_what_has_not_changed(self):
        plugin = self.plugin()
        before = int(self.redis.info()["rdb_saves"])
        for _ in range(2):
            plugin.freeze()
            plugin.release()
            self.assertEqual(int(self.redis.info()["rdb_saves"]), before + 1)

    def test_saves_under_the_pause_when_told_so(self):
        plugin = self.plugin(save="held")
        self.assertEqual(plugin.probe().warnings, [])
        plugin.prepare()
        self.redis.run("SET", "between", "1")
        held = plugin.hold()
        self.assertEqual((held.position["changes-since-save"], held.warnings), ("0", []))
        writer = self.writer()
        copy = self.restored(self.redis)
        plugin.check()
        plugin.release()
        writer.finish(5)
        self.assertEqual(copy.run("GET", "between"), "1")
        self.assertIsNone(copy.run("GET", "late"))

    def test_does_not_save_when_told_not_to_and_says_what_that_means(self):
        plugin = self.plugin(save="no")
        self.assertEqual(plugin.probe().warnings, [
            "the append-only file is off and save = no: a snapshot has the data of the last save"])
        before = self.redis.info()["rdb_saves"]
        plugin.freeze()
        plugin.check()
        plugin.release()
        self.assertEqual(self.redis.info()["rdb_saves"], before)

    def test_a_save_that_takes_too_long_refuses_the_freeze_and_nobody_was_stalled(self):
        for key in range(40):
            self.redis.run("SET", f"k{key}", "1")
        self.redis.run("CONFIG", "SET", "rdb-key-save-delay", 100000)
        self.addCleanup(self.redis.run, "CONFIG", "SET", "rdb-key-save-delay", 0)
        for when, call in (("before", "prepare"), ("held", "freeze")):
            plugin = self.plugin(save=when, save_timeout="300ms")
            self.assert_refused_like(
                "timed-out", ".*'redis:test': the save is not done after 300ms .*",
                getattr(plugin, call))
            self.assert_writable()

    def test_waits_for_a_save_of_somebody_else_and_then_saves_by_itself(self):
        for key in range(5):
            self.redis.run("SET", f"k{key}", "1")
        self.redis.run("CONFIG", "SET", "rdb-key-save-delay", 100000)
        self.redis.run("BGSAVE")
        self.redis.run("CONFIG", "SET", "rdb-key-save-delay", 0)
        self.redis.run("SET", "after", "1")
        plugin = self.plugin()
        held = plugin.freeze()
        copy = self.restored(self.redis)
        self.assertEqual(held.position["changes-since-save"], "0")
        plugin.check()
        plugin.release()
        self.assertEqual(copy.run("GET", "after"), "1")


if __name__ == "__main__":
    main()
