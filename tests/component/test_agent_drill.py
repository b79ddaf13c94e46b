# SPDX-License-Identifier: MIT
"""holdfastctl drill against the real daemon: what it prints, what it leaves, and who wins."""

import json
import os
import signal
import subprocess
import unittest

from agent_case import HOLDFASTCTL, PATIENCE, AgentCase
from lab import testing


class Drill(AgentCase):
    def setUp(self):
        super().setUp()
        self.resource("a")
        self.resource("b")

    def start(self, ready=("fake:a", "fake:b"), environment=None):
        super().start(ready, environment)

    def begin(self):
        """A drill that hangs in its second resource."""
        self.database.script["fake:b hold"] = None
        drill = subprocess.Popen(
            [HOLDFASTCTL, f"--socket={self.path('run/control.sock')}", "drill"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, drill)
        self.database.wait(lambda db: "fake:b hold" in db.calls and "fake:a" in db._locked)
        return drill

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)

    def test_holds_releases_and_says_what_each_call_took(self):
        self.start()
        status, text, error = self.ctl("drill")
        self.assertEqual((status, error), (0, ""))
        self.assertRegex(text, r"^drill [0-9a-f-]{36}: ok\nflush of the filesystems [0-9.]+ ms, "
                               r"record [0-9.]+ ms\nwriters stood still for at most [0-9.]+ ms; ")
        self.assertRegex(text, r"\nRESOURCE +PREPARE +HOLD +CHECK +RELEASE +VERDICT +POSITION\n")
        for name in "ab":
            self.assertRegex(text, rf"\nfake:{name}( +[0-9.]+ ms){{4}} +ok +lsn=100\n")
            self.assertIn(f"fake:{name} release", self.database.calls)
        self.assertEqual(self.database.locked(), [])

    def test_prints_the_record_as_json_and_keeps_it_apart_from_those_of_freezes(self):
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))
        before = self.record()
        status, text, _ = self.ctl("drill", "--json")
        record = json.loads(text)
        self.assertEqual((status, record["status"], record["name"], record["kind"]),
                         (0, 0, "ok", "drill"))
        self.assertEqual(self.record("state/drill.json")["window"], record["window"])
        self.assertEqual(self.record(), before)
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.record()["sequence"], before["sequence"] + 1)
        self.assertNotIn(record["window"], self.ctl("report", "--json")[1])

    def test_ends_as_a_freeze_would_when_a_resource_cannot_be_held(self):
        self.start()
        self.database.script["fake:b hold"] = "error refused lock wait timeout exceeded"
        status, text, error = self.ctl("drill")
        self.assertEqual(status, 21)
        self.assertEqual(error,
                         "holdfastctl: unable to hold 'fake:b': lock wait timeout exceeded\n")
        self.assertIn(": hold-failed: unable to hold 'fake:b'", text.splitlines()[0])
        self.database.wait_unlocked()

    def test_ends_as_a_thaw_would_when_a_hold_did_not_last(self):
        self.start()
        self.database.script["fake:b check"] = "ok 101"
        self.assertEqual(self.ctl("drill")[0], 30)
        self.database.wait_unlocked()

    def test_ends_with_22_within_the_time_out_when_a_database_does_not_answer(self):
        self.start()
        self.database.script["fake:b hold"] = None
        self.assertEqual(self.ctl("drill")[0], 22)
        self.database.wait_unlocked()

    def test_ends_with_20_without_a_daemon(self):
        self.assertEqual(self.ctl("drill")[0], 20)

    def test_releases_when_it_is_interrupted(self):
        self.start()
        drill = self.begin()
        drill.send_signal(signal.SIGINT)
        self.assertEqual(drill.wait(PATIENCE), -signal.SIGINT)
        self.database.wait_unlocked()
        self.wait_for(lambda: self.status()["state"] == "idle")

    def test_gives_way_to_the_freeze_of_a_host_which_then_counts(self):
        self.start()
        drill = self.begin()
        del self.database.script["fake:b hold"]
        self.assertEqual(self.hook("freeze"), (0, ""))
        _, error = drill.communicate(timeout=PATIENCE)
        self.assertEqual(drill.returncode, 1)
        self.assertEqual(error, "holdfastctl: the drill was given up: a freeze or thaw came\n")
        self.assertEqual(self.database.locked(), ["fake:a", "fake:b"])
        self.assertEqual(self.record()["sequence"], 1)
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.record()["verdict"]["code"], "ok")

    def test_is_refused_during_a_window(self):
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.ctl("drill"),
                         (1, "", "holdfastctl: unable to drill: a window is open\n"))
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_leaves_nothing_to_account_for_when_the_daemon_is_killed_in_the_middle(self):
        self.start()
        drill = self.begin()
        self.kill()
        self.assertEqual(drill.wait(PATIENCE), 20)
        self.database.wait_unlocked()
        self.assertFalse(os.path.exists(self.path("run/window.json")))
        self.assertEqual(self.hook("thaw"), (0, ""))


if __name__ == "__main__":
    testing.main()
