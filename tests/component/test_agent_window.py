# SPDX-License-Identifier: MIT
"""Freeze and thaw through the real hook and the real daemon: every exit status of design 3.3."""

import os
import socket
import subprocess
import time
import unittest

from agent_case import HOOK, AgentCase
from lab import testing


class TheHook(AgentCase):
    def setUp(self):
        super().setUp()
        self.resource("a")
        self.resource("b")

    def start(self, ready=("fake:a", "fake:b"), environment=None):
        super().start(ready, environment)

    def test_holds_at_freeze_and_releases_at_thaw(self):
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.database.locked(), ["fake:a", "fake:b"])
        record = self.record()
        self.assertEqual(record["state"], "held")
        self.assertEqual(record, self.record("state/freeze.json"))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.database.locked(), [])
        record = self.record()
        self.assertEqual((record["state"], record["verdict"]["code"], record["sequence"]),
                         ("done", "ok", 1))
        self.assertEqual(record["resources"][0]["position"], {"lsn": "100"})
        self.assertEqual(record["resources"][0]["position_at_thaw"], {"lsn": "100"})
        self.wait_for(lambda: self.record("state/freeze.json") == record)
        self.assertEqual(self.record(f"state/records/{record['window']}.json"), record)

    def test_may_freeze_again_as_soon_as_the_thaw_has_answered(self):
        self.start()
        for _ in range(30):
            self.assertEqual(self.hook("freeze"), (0, ""))
            self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.record()["sequence"], 30)

    def test_ends_with_64_when_it_is_called_wrongly(self):
        for arguments in ((), ("melt",), ("freeze", "thaw"), ("--help",)):
            status, text = self.hook(*arguments)
            self.assertEqual(status, 64, arguments)
            self.assertEqual(text, "holdfast: usage: fsfreeze-hook [--socket=PATH] freeze|thaw\n")

    def test_ends_with_20_at_freeze_when_the_daemon_cannot_be_reached(self):
        status, text = self.hook("freeze")
        self.assertEqual(status, 20)
        self.assertEqual(text, "holdfast: unable to freeze: unable to connect to "
                               f"'{self.path('run/control.sock')}': No such file or directory "
                               "(is holdfastd running?)\n")

    def test_ends_with_0_at_thaw_when_the_daemon_cannot_be_reached_and_had_no_window(self):
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_ends_with_21_when_a_required_resource_cannot_be_held(self):
        self.start()
        self.database.script["fake:b hold"] = "error refused lock wait timeout exceeded"
        self.assertEqual(self.hook("freeze"), (
            21, "holdfast: unable to hold 'fake:b': lock wait timeout exceeded\n"))
        self.assertEqual(self.database.locked(), [])
        self.assertEqual(self.record()["verdict"]["code"], "hold-failed")
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_ends_with_21_when_a_plugin_throws(self):
        self.start()
        self.database.script["fake:a prepare"] = "throw std::bad_everything"
        self.assertEqual(self.hook("freeze"), (
            21, "holdfast: plugin of 'fake:a' threw an exception in prepare(): "
                "std::bad_everything\n"))

    def test_ends_with_22_within_the_time_out_when_a_database_does_not_answer(self):
        self.start()
        self.database.script["fake:a hold"] = None
        begin = time.monotonic()
        status, text = self.hook("freeze")
        self.assertLess(time.monotonic() - begin, 3)
        self.assertEqual(status, 22)
        self.assertRegex(text, r"^holdfast: unable to hold 'fake:a': (timed out|cancelled)\n$")
        self.database.wait_unlocked()

    def test_ends_with_22_when_a_plugin_only_listens_to_an_interrupt(self):
        self.start()
        self.database.script["fake:b hold"] = "deaf"
        self.assertEqual(self.hook("freeze"), (22, "holdfast: unable to hold 'fake:b': interrupted\n"))
        self.database.wait_unlocked()

    def test_ends_with_22_and_the_daemon_with_itself_when_a_plugin_never_comes_back(self):
        self.start()
        self.database.script["fake:a hold"] = "stuck"
        status, text = self.hook("freeze")
        self.assertEqual(status, 22)
        self.assertIn("unable to hold 'fake:a': no answer in time", text)
        self.assertEqual(self.daemon.wait(10), 1)
        self.database.wait_unlocked()
        self.assertIn("a plugin does not come back", self.log())

    def test_ends_with_23_when_a_resource_turns_out_to_be_misconfigured(self):
        self.start()
        self.database.script["fake:a prepare"] = "error misconfigured there is no such database"
        self.assertEqual(self.hook("freeze"), (
            23, "holdfast: unable to prepare 'fake:a': there is no such database\n"))

    def test_ends_with_30_when_a_session_closed_during_the_window(self):
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.database.end_session("fake:b")
        self.wait_for(lambda: self.status()["resources"][1]["state"] == "lost")
        status, text = self.hook("thaw")
        self.assertEqual(status, 30)
        self.assertRegex(text, r"^holdfast: the session of 'fake:b' closed \d+ ms after it was held\n$")
        self.assertEqual(self.database.locked(), [])
        record = self.record()
        self.assertEqual(record["resources"][0]["verdict"]["code"], "ok")
        self.assertEqual(record["resources"][1]["verdict"]["code"], "hold-lost")
        self.assertEqual(self.database.calls.count("fake:b hold"), 1)

    def test_ends_with_30_when_the_position_moved_under_the_lock(self):
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.database.position["fake:a"] = 101
        self.assertEqual(self.hook("thaw"), (
            30, "holdfast: unable to prove the hold of 'fake:a': the position moved from 100 to 101\n"))

    def test_ends_with_31_when_the_window_had_expired(self):
        self.configure(self.settings.replace("60s", "4s"))
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.database.wait_unlocked()
        self.wait_for(lambda: self.status()["state"] == "expired")
        self.assertEqual(self.hook("thaw"), (
            31, "holdfast: the window had expired: no thaw came within max-hold (4s)\n"))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_ends_with_32_when_only_the_release_reports_an_error(self):
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.database.script["fake:a release"] = "error io disk quota exceeded"
        self.assertEqual(self.hook("thaw"), (
            32, "holdfast: unable to release 'fake:a': disk quota exceeded\n"))
        self.database.wait_unlocked()
        self.assertIn("fake:b release", self.database.calls)

    def test_ends_with_33_when_the_daemon_was_killed_and_is_gone(self):
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.kill()
        self.database.wait_unlocked()
        status, text = self.hook("thaw")
        self.assertEqual(status, 33)
        self.assertTrue(text.startswith("holdfast: the holds were lost: holdfastd went away during the window"))
        # Said once; the next daemon knows, completes the record, and has nothing to say either.
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.start()
        self.assertEqual(self.record()["verdict"]["code"], "daemon-restarted")
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.record()["sequence"], 2)

    def test_ends_with_33_when_another_daemon_has_taken_over(self):
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.kill()
        self.database.calls.clear()
        self.start()
        self.assertEqual(self.database.locked(), [])
        self.assertEqual(self.hook("thaw"), (
            33, "holdfast: the holds were lost: holdfastd restarted during the window\n"))
        self.assertEqual(self.record()["verdict"]["code"], "daemon-restarted")
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.record()["sequence"], 2)

    def test_ends_with_33_when_the_daemon_was_stopped_during_the_window(self):
        self.start()
        self.assertEqual(self.hook("freeze")[0], 0)
        self.assertEqual(self.stop(), 0)
        self.assertEqual(self.database.locked(), [])
        self.assertEqual(self.hook("thaw")[0], 33)
        self.start()
        self.assertEqual(self.record()["verdict"]["code"], "daemon-restarted")
        self.assertEqual(self.hook("thaw")[0], 0)

    def test_frozen_twice_verifies_and_goes_on_with_the_same_locks(self):
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        first = self.record()["window"]
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.database.calls.count("fake:a hold"), 1)
        self.assertEqual(self.database.calls.count("fake:a check"), 1)
        self.assertNotEqual(self.record()["window"], first)
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_lets_go_when_the_one_that_asked_for_the_freeze_goes_away(self):
        self.start()
        self.database.script["fake:b hold"] = None
        hook = subprocess.Popen([HOOK, f"--socket={self.path('run/control.sock')}", "freeze"])
        self.database.wait_call("fake:b hold")
        hook.kill()
        hook.wait(10)
        self.database.wait_unlocked()
        del self.database.script["fake:b hold"]
        self.wait_for(lambda: self.status()["state"] == "idle")
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_thaw_gives_up_a_freeze_that_is_going_on(self):
        self.start()
        self.database.script["fake:b hold"] = None
        hook = subprocess.Popen([HOOK, f"--socket={self.path('run/control.sock')}", "freeze"],
                                stderr=subprocess.DEVNULL)
        self.database.wait_call("fake:b hold")
        self.assertEqual(self.hook("freeze"), (
            21, "holdfast: unable to freeze: another freeze or thaw is in progress\n"))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(hook.wait(10), 21)
        self.assertEqual(self.database.locked(), [])

    def test_reconnects_to_a_database_that_comes_back(self):
        self.start()
        self.database.calls.clear()
        self.database.end_session("fake:a")
        self.database.wait_session("fake:a")
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_goes_on_without_an_optional_resource(self):
        self.resource("c", "required = no\n")
        self.database.script["fake:c probe"] = "error refused starting up"
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.record()["resources"][2]["verdict"],
                         {"code": "hold-failed", "text": "unable to prepare 'fake:c': starting up"})
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_is_not_held_up_by_clients_that_say_nothing(self):
        self.start()
        silent = []
        for _ in range(40):
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.path("run/control.sock"))
            self.addCleanup(client.close)
            silent.append(client)
        silent[-1].sendall(b"holdfast/1 fre")
        begin = time.monotonic()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertLess(time.monotonic() - begin, 2)

    def test_refuses_requests_that_are_none(self):
        self.start()
        for request, answer in ((b"GET / HTTP/1.1\n", b"holdfast/1 1 protocol "),
                                (b"holdfast/2 freeze\n", b"holdfast/1 1 protocol "),
                                (b"x" * 5000, b"holdfast/1 1 too-large ")):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(self.path("run/control.sock"))
                client.sendall(request)
                self.assertTrue(client.recv(4096).startswith(answer), request[:20])

    def test_leaves_no_descriptor_and_no_process_behind(self):
        """From 9.1 on qemu-ga reads the hook's output to its end."""
        self.start()
        read_end, write_end = os.pipe()
        hook = subprocess.Popen([HOOK, f"--socket={self.path('run/control.sock')}", "freeze"],
                                stdout=write_end, stderr=write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as output:
            self.assertEqual(output.read(), b"")
        self.assertEqual(hook.wait(10), 0)


if __name__ == "__main__":
    testing.main()
