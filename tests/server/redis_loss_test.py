# SPDX-License-Identifier: MIT
"""The redis plugin on a real server: holds that are lost, and accounts that may not."""

import os
import re

from lab import redis_servers, servers, testing
from redis_case import PASSWORD, RedisCase, main

LOST = "the pause of writes on 'redis:test' was lost: "


class Loss(RedisCase):
    def assert_lost(self, plugin, pattern):
        self.assert_refused_like("hold-lost", LOST + pattern, plugin.check)

    def test_an_unpause_of_somebody_else_is_seen(self):
        plugin = self.plugin()
        plugin.freeze()
        self.assertFalse(plugin.watch(0))
        self.redis.run("CLIENT", "UNPAUSE")
        self.assertTrue(plugin.watch(5000))
        self.assert_lost(plugin, "the pause has ended: CLIENT UNPAUSE of somebody else, .*")
        plugin.release()
        self.assert_writable()

    def test_a_break_in_the_pause_is_seen_and_the_pause_after_it_left_alone(self):
        plugin = self.plugin()
        plugin.freeze()
        writer = self.writer()
        self.redis.run("CLIENT", "UNPAUSE")
        writer.finish(5)
        self.redis.run("CLIENT", "PAUSE", 60000, "WRITE")
        self.assert_lost(plugin, "the pause has ended: .*")
        plugin.release()
        self.writer()

    def test_a_write_in_a_break_of_no_time_is_seen(self):
        # All three in one turn of the server's loop: whoever waits finds the pause on again, and
        # goes on waiting. What was written shows it.
        plugin = self.plugin()
        plugin.freeze()
        with self.redis.session() as other:
            other.send_together(("CLIENT", "UNPAUSE"), ("SET", "k", "broken"),
                                ("CLIENT", "PAUSE", 60000, "WRITE"))
            other.finish(5)
        self.assert_lost(plugin, "(the pause has ended: .*|.* was [0-9]+ and is [0-9]+)")
        plugin.release()

    def test_the_end_of_the_session_that_waits_is_seen_and_writers_go_on_after_the_release(self):
        plugin = self.plugin()
        held = plugin.freeze()
        self.redis.run("CLIENT", "KILL", "ID", held.identity["session_id"])
        self.assertTrue(plugin.watch(5000))
        self.assert_lost(plugin, "session [0-9]+, which had to wait for the end of the pause, "
                                 "has ended")
        writer = self.writer()
        plugin.release()
        self.assertEqual(writer.finish(5), "OK")
        plugin.probe()
        plugin.freeze()
        plugin.release()

    def test_the_end_of_the_session_that_only_asks_is_no_loss(self):
        plugin = self.plugin()
        held = plugin.freeze()
        ours = re.findall(r"id=(\d+) .* name=holdfast ", self.redis.run("CLIENT", "LIST"))
        control, = set(ours) - {held.identity["session_id"]}
        self.redis.run("CLIENT", "KILL", "ID", control)
        plugin.check()
        writer = self.writer()
        plugin.release()
        writer.finish(5)

    def test_both_sessions_killed_still_let_the_release_unpause(self):
        plugin = self.plugin()
        plugin.freeze()
        for session in re.findall(r"id=(\d+) .* name=holdfast ", self.redis.run("CLIENT", "LIST")):
            self.redis.run("CLIENT", "KILL", "ID", session)
        self.assert_lost(plugin, "session .* has ended")
        plugin.release()
        self.assert_writable()

    def test_a_killed_and_a_restarted_server_are_losses(self):
        for hurt in (lambda server: server.kill(),
                     lambda server: (server.kill(), server.start())):
            server = self.server()
            plugin = self.plugin(server)
            plugin.freeze()
            hurt(server)
            self.assertTrue(plugin.watch(5000))
            self.assert_lost(plugin, "session .* has ended")
            plugin.release()

    def test_a_server_that_stops_answering_is_given_up_in_time_and_unpaused_later(self):
        plugin = self.plugin()
        plugin.freeze()
        self.redis.pause()
        refused = self.assert_refused_like(
            "hold-lost", LOST + "unable to ask the server: timed out after [0-9]+ ms",
            lambda: plugin.check(300))
        self.assertLess(refused.ms, 300 + 1000)
        refused = self.assert_refused_like(
            "timed-out", "unable to end the pause of writes on 'redis:test': timed out after .*"
            r"\(it ends by itself, 10 s after max-hold at the latest\)",
            lambda: plugin.release(300))
        self.assertLess(refused.ms, 300 + 1000)
        self.redis.resume()
        self.assert_writable()

    def test_a_server_that_stops_before_the_hold_ends_the_attempt_in_time_and_stays_unpaused(self):
        plugin = self.plugin()
        plugin.prepare()
        self.redis.pause()
        refused = self.assert_refused_like("timed-out", "unable to pause writes on .*",
                                           lambda: plugin.hold(300))
        self.assertLess(refused.ms, 300 + 1000)
        self.redis.resume()
        self.assert_writable()

    def test_the_next_daemon_ends_the_pause_of_one_that_was_killed(self):
        note = os.path.join(self.directory(), "note")
        first = self.plugin(run_file=note)
        first.freeze()
        first.kill()
        writer = self.writer()
        second = self.plugin(run_file=note)
        self.assertEqual(writer.finish(5), "OK")
        self.assertFalse(os.path.exists(note))
        second.freeze()
        self.assertTrue(os.path.exists(note))
        self.assertEqual(os.stat(note).st_mode & 0o777, 0o600)
        second.release()
        self.assertFalse(os.path.exists(note))

    def test_the_next_daemon_leaves_a_restarted_servers_pauses_alone(self):
        note = os.path.join(self.directory(), "note")
        first = self.plugin(run_file=note)
        first.freeze()
        first.kill()
        self.redis.restart()
        self.redis.run("CLIENT", "PAUSE", 60000, "WRITE")
        second = self.configured(socket=self.redis.socket, run_file=note)
        self.assert_refused_like("busy", ".*writes are paused by somebody else already .*",
                                 second.probe)
        self.writer()
        self.assertFalse(os.path.exists(note))


class Account(RedisCase):
    def setUp(self):
        super().setUp()
        self.password_file = self.file("password", PASSWORD + "\n")

    def account(self, *rules):
        self.redis.allow("holdfast", PASSWORD, *rules)
        return {"socket": self.redis.socket, "user": "holdfast",
                "password_file": self.password_file}

    def test_with_the_least_privileges_of_the_manual_is_enough(self):
        page = os.path.join(testing.SOURCE, "plugins/redis/holdfast-redis.pod")
        with open(page, encoding="utf-8") as file:
            line = re.search(r"ACL SETUSER holdfast on >PASSWORD((?:\s+\S+)+?)\n\n", file.read())
        rules = line.group(1).split()
        self.assertEqual(sorted(["on", *rules]), sorted(redis_servers.ACL))
        plugin = self.configured(**self.account("on", *rules))
        plugin.probe()
        plugin.freeze()
        writer = self.writer()
        plugin.check()
        plugin.extend()
        plugin.release()
        writer.finish(5)
        with self.redis.session() as session:
            session.run("AUTH", "holdfast", PASSWORD)
            for forbidden in (("GET", "k"), ("SET", "k", "1"), ("CONFIG", "GET", "dir"),
                              ("SUBSCRIBE", "x"), ("PUBLISH", "other", "x"), ("KEYS", "*"),
                              ("CLIENT", "KILL", "ID", "1"), ("ACL", "LIST"), ("SHUTDOWN",)):
                with self.assertRaisesRegex(servers.ServerError, "NOPERM", msg=forbidden):
                    session.run(*forbidden)

    def test_that_lacks_a_privilege_is_told_which_one(self):
        for rule, name in (("+client|pause", "CLIENT PAUSE"), ("+client|unpause", "CLIENT UNPAUSE"),
                           ("+client|list", "CLIENT LIST"), ("+publish", "PUBLISH holdfast:window"),
                           ("&holdfast:window", "PUBLISH holdfast:window")):
            rules = [kept for kept in redis_servers.ACL if kept != rule]
            code, line = self.refusal(**self.account(*rules))
            self.assertEqual(code, "permission")
            self.assertRegex(line, f"^unable to use 'redis:test': the account may not use {name}: "
                                   "NOPERM ")
            self.assert_writable()

    def test_of_no_use_is_told_so(self):
        settings = self.account()
        wrong = self.file("wrong", "wrong\n")
        code, line = self.refusal(**dict(settings, password_file=wrong))
        self.assertEqual(code, "permission")
        self.assertRegex(line, r"^unable to connect to 'redis:test' at '.*': WRONGPASS .* "
                               r"\(see PRIVILEGES in holdfast-redis\(5\)\)$")
        self.assertNotIn("wrong\n", line)
        code, line = self.refusal(socket="/nonexistent/redis.sock")
        self.assertEqual(code, "unreachable")
        self.assertIn("(is the server running, and is this where it listens?)", line)

    def test_bgsave_is_not_asked_for_where_it_is_not_needed(self):
        rules = [kept for kept in redis_servers.ACL if kept != "+bgsave"]
        self.configured(**self.account(*rules)).probe()
        server = self.server(aof=False)
        server.allow("holdfast", PASSWORD, *rules)
        settings = {"socket": server.socket, "user": "holdfast",
                    "password_file": self.password_file}
        code, line = self.refusal(**settings)
        self.assertEqual(code, "permission")
        self.assertIn("may not use BGSAVE", line)
        self.configured(save="no", **settings).probe()

    def test_password_is_in_no_argument_list_and_no_message(self):
        plugin = self.configured(**self.account())
        plugin.probe()
        with open(f"/proc/{plugin.pid}/cmdline", "rb") as file:
            self.assertNotIn(PASSWORD.encode(), file.read())
        self.assertNotIn(PASSWORD, repr(vars(plugin.freeze())))
        plugin.release()


if __name__ == "__main__":
    main()
