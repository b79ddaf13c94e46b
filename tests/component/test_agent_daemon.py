# SPDX-License-Identifier: MIT
"""What holdfastd refuses to start on, what holdfastctl shows, and what both cost."""

import json
import os
import re
import stat
import subprocess
import time
import unittest

from agent_case import HOLDFASTCTL, HOLDFASTD, AgentCase
from lab import testing
from support.waiting import until


class BadConfiguration(AgentCase):
    def refusal(self):
        """The one line on which holdfastd does not start; with the test's directory as DIR."""
        for argument in ((), ("--check-config",)):
            done = subprocess.run([HOLDFASTD, "--config", self.path("agent.conf"), *argument],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 23, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr.strip().replace(self.directory, "DIR")

    def test_an_unknown_key(self):
        self.configure(more="freezetimeout = 3s\n")
        self.assertEqual(self.refusal(), "holdfastd: DIR/agent.conf:10: unknown key 'freezetimeout' "
                                         "(did you mean 'freeze-timeout'?)")

    def test_a_repeated_key(self):
        self.configure(more="max-hold = 3s\n")
        self.assertEqual(self.refusal(), "holdfastd: DIR/agent.conf:10: key 'max-hold' is given again, "
                                         "after DIR/agent.conf:8")

    def test_a_value_out_of_range(self):
        self.configure(more="records-kept = 0\n")
        self.assertEqual(self.refusal(), "holdfastd: DIR/agent.conf:10: '0' is not right for "
                                         "'records-kept': a whole number from 1 to 1000")

    def test_a_line_that_is_no_setting(self):
        self.configure(more="[daemon]\n")
        self.assertEqual(self.refusal(), "holdfastd: DIR/agent.conf:10: '[daemon]': there are no sections")

    def test_a_file_that_is_not_there(self):
        os.unlink(self.path("agent.conf"))
        self.assertEqual(self.refusal(), "holdfastd: unable to open 'DIR/agent.conf': No such file or directory")

    def test_a_plugin_that_is_not_installed(self):
        self.write("resources.d/x.conf", "plugin = oracle\n")
        self.assertRegex(self.refusal(),
                         r"^holdfastd: DIR/resources.d/x.conf: plugin 'oracle' cannot be had: unable to open "
                         r"'.*/holdfast-oracle.so': No such file or directory \(install the package "
                         r"holdfast-plugin-oracle\)$")

    def test_a_plugin_of_another_version(self):
        self.write("resources.d/x.conf", "plugin = future\n")
        refusal = self.refusal()
        pattern = (r"'.*/holdfast-future.so': its interface is version (\d+), holdfastd's is version (\d+) "
                   r"\(install the plugin package of the same version as holdfast-agent\)$")
        self.assertRegex(refusal, pattern)
        theirs, ours = map(int, re.search(pattern, refusal).groups())
        self.assertEqual(theirs, ours + 1)

    def test_a_key_that_the_plugin_does_not_know(self):
        self.resource("x", "sokcet = /x\n")
        self.assertEqual(self.refusal(), "holdfastd: DIR/resources.d/x.conf:3: unknown key 'sokcet' "
                                         "(did you mean 'socket'?)")

    def test_a_key_that_the_plugin_misses(self):
        self.write("resources.d/x.conf", "plugin = fake\n")
        self.assertEqual(self.refusal(), "holdfastd: DIR/resources.d/x.conf: key 'socket' is missing")

    def test_a_wrong_argument(self):
        for argument in ("--frobnicate", "--conf=/x", "surplus"):
            done = subprocess.run([HOLDFASTD, argument], stderr=subprocess.PIPE, timeout=20, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 64)
            self.assertEqual(done.stderr.count("\n"), 1)


class TheDaemon(AgentCase):
    def setUp(self):
        super().setUp()
        self.resource("a", "password = hunter2\n")

    def test_is_ready_before_its_databases_are(self):
        self.database.script["fake:a probe"] = None
        self.start(ready=())
        self.assertEqual(self.status()["resources"][0]["state"], "connecting")

    def test_prints_its_configuration_without_secrets(self):
        done = subprocess.run([HOLDFASTD, "--config", self.path("agent.conf"), "--print-config"],
                              stdout=subprocess.PIPE, timeout=20, text=True, check=True)
        self.assertIn("max-hold = 60s", done.stdout)
        self.assertIn(f"{self.path('agent.conf')}:8", done.stdout)
        self.assertIn("password = ***", done.stdout)
        self.assertNotIn("hunter2", done.stdout)

    def test_keeps_its_socket_and_its_memory_to_itself(self):
        self.start()
        self.assertEqual(stat.S_IMODE(os.stat(self.path("run/control.sock")).st_mode), 0o600)
        # PR_SET_DUMPABLE 0 shows as root's ownership of what would else be the user's own.
        with open(f"/proc/{self.daemon.pid}/status", encoding="utf-8") as file:
            status = file.read()
        self.assertRegex(status, r"CoreDumping:\s+0")
        self.assertEqual(os.stat(f"/proc/{self.daemon.pid}/environ").st_uid, 0)

    def test_refuses_a_second_daemon_on_the_same_socket(self):
        self.start()
        done = subprocess.run([HOLDFASTD, "--config", self.path("agent.conf")], stderr=subprocess.PIPE,
                              timeout=20, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another process listens there", done.stderr)
        self.assertEqual(self.hook("freeze"), (0, ""))

    def test_tells_systemd_how_it_is_and_that_it_lives(self):
        self.start(environment={"WATCHDOG_USEC": "400000"})
        self.wait_notification("WATCHDOG=1")
        self.wait_notification("STATUS=idle: 1 of 1 resources ready")
        self.wait_notification("WATCHDOG=1")
        self.assertEqual(self.stop(), 0)
        self.wait_notification("STOPPING=1")

    def test_stops_telling_systemd_that_it_lives_when_a_call_hangs_beyond_every_bound(self):
        """A watchdog that is always fed proves nothing."""
        self.configure(self.settings)
        self.start(environment={"WATCHDOG_USEC": "400000"})
        self.database.script["fake:a probe"] = "stuck"
        self.database.calls.clear()
        self.database.end_session("fake:a")
        self.database.wait_call("fake:a probe")
        # The bound of a probe and the grace after it: 20 s. Then no more.
        self._notify.settimeout(1.5)
        deadline = time.monotonic() + 40
        with self.assertRaises(TimeoutError):
            while time.monotonic() < deadline:
                self._notify.recv(4096)

    def test_logs_no_secret_and_nothing_while_a_window_is_open(self):
        self.configure(more="log-level = debug\n")
        self.start()
        before = self.log()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.database.end_session("fake:a")
        self.wait_for(lambda: self.status()["resources"][0]["state"] == "lost")
        self.assertEqual(self.log(), before)
        self.assertEqual(self.hook("thaw")[0], 30)
        self.wait_for(lambda: "the session of 'fake:a' closed" in self.log())
        self.assertIn("changed 'preparing' -> 'holding'", self.log())
        self.assertNotIn("hunter2", self.log())

    def test_sleeps_while_nothing_happens(self):
        if "TSAN_OPTIONS" in os.environ:
            return  # that sanitizer has a thread of its own, which wakes up all the time
        self.start()
        self.hook("freeze")
        self.hook("thaw")
        self.wait_for(lambda: self.status()["state"] == "idle")
        # Once it has settled after the last call; a tick of any kind would show in every span.
        until(lambda: self._switches_within(5) <= 1, "it sleeps for five seconds")

    def _switches_within(self, seconds):
        before = self._switches()
        time.sleep(seconds)
        return self._switches() - before

    def _switches(self):
        total = 0
        for task in os.listdir(f"/proc/{self.daemon.pid}/task"):
            with open(f"/proc/{self.daemon.pid}/task/{task}/status", encoding="utf-8") as file:
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
        return total

    def test_says_what_is_ready_and_what_is_not(self):
        self.resource("b", "required = no\n")
        self.database.script["fake:b probe"] = "error refused access denied for user"
        self.start(ready=("fake:a",))
        self.wait_for(lambda: self.status()["resources"][1]["state"] == "not-ready")
        status, text, problem = self.ctl("status")
        self.assertEqual((status, problem), (0, ""))
        self.assertRegex(text, r"(?m)^fake:a    ready      yes       Fake 1$")
        self.assertRegex(text, r"(?m)^fake:b    not-ready  no        -$")
        self.assertIn("fake:b: access denied for user\n", text)
        status, text, problem = self.ctl("check")
        self.assertEqual((status, problem), (0, ""))

    def test_checks_what_is_required_and_changes_nothing(self):
        self.start()
        self.database.calls.clear()
        self.assertEqual(self.ctl("check")[0], 0)
        self.assertEqual(self.database.calls, ["fake:a probe"])
        self.database.script["fake:a probe"] = "error permission RELOAD is missing"
        status, _, problem = self.ctl("check")
        self.assertEqual((status, problem),
                         (1, "holdfastctl: unable to use 'fake:a': RELOAD is missing\n"))

    def test_does_not_check_while_a_window_is_open(self):
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.ctl("check")[2], "holdfastctl: unable to check: a window is open\n")
        self.assertEqual(self.database.calls.count("fake:a probe"), 1)
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_holdfastctl_freezes_thaws_and_reports(self):
        self.start()
        self.assertEqual(self.ctl("freeze"), (0, "held: thaw before max-hold is over\n", ""))
        self.assertEqual(self.ctl("thaw"), (0, "thawed: nothing is held\n", ""))
        self.wait_for(lambda: self.record("state/freeze.json")["state"] == "done")
        status, text, _ = self.ctl("report")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"window [0-9a-f-]{36}  ok\n")
        self.assertRegex(text, r"(?m)^  phases: arm .* ms, prepare .* ms, sync .* ms, hold .* ms, "
                               r"record .* ms, verify .* ms, release .* ms$")
        self.assertRegex(text, r"(?m)^  fake:a  ok  Fake 1  lsn=100$")
        report = json.loads(self.ctl("report", "--json")[1])
        self.assertEqual(report["records"], [self.record("state/freeze.json")])
        self.assertEqual((report["status"], report["name"]), (0, "ok"))

    def test_holdfastctl_ends_with_20_when_nobody_is_there(self):
        status, text, problem = self.ctl("status")
        self.assertEqual((status, text), (20, ""))
        self.assertIn("(is holdfastd running, and are you root?)", problem)

    def test_holdfastctl_ends_with_64_when_it_is_called_wrongly(self):
        for arguments in ((), ("melt",), ("status", "surplus"), ("--jason", "status")):
            status, text, problem = self.ctl(*arguments)
            self.assertEqual((status, text, problem.count("\n")), (64, "", 1), arguments)


@unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
class AnotherUser(AgentCase):
    def test_may_not_control_the_daemon(self):
        self.resource("a")
        self.start()
        os.chmod(self.directory, 0o755)
        os.chmod(self.path("run/control.sock"), 0o666)  # as if the mode did not protect it
        done = subprocess.run([HOLDFASTCTL, f"--socket={self.path('run/control.sock')}", "freeze"],
                              user=65534, stderr=subprocess.PIPE, timeout=20, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "holdfastctl: only root may control holdfastd\n"))
        self.assertEqual(self.database.locked(), [])


if __name__ == "__main__":
    testing.main()
