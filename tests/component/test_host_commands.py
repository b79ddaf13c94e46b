# SPDX-License-Identifier: MIT
"""pre-command and post-command: when they run, what they are told, and what their failure does."""

import json
import os
import signal
import subprocess
import time

from host_case import VM, HostCase
from lab import testing


class Commands(HostCase):
    def setUp(self):
        super().setUp()
        self.log = self.path("log")

    def script(self, name, lines=""):
        """Writes its arguments and what it was told into the log, whole lines at once."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as script:
            script.write("#!/bin/sh\n"
                         f"echo \"{name}|$*|$(env | grep ^HOLDFAST_ | sort | tr '\\n' ';')\" "
                         f">>{self.log}\n{lines}\n")
        os.chmod(path, 0o755)
        return path

    def entries(self):
        """[(name, arguments, variables)]."""
        if not os.path.exists(self.log):
            return []
        found = []
        with open(self.log, encoding="utf-8") as file:
            for line in file.read().splitlines():
                name, arguments, variables = line.split("|", 2)
                found.append((name, arguments, dict(
                    entry.split("=", 1) for entry in variables.split(";") if entry)))
        return found

    def names(self):
        return [name for name, _, _ in self.entries()]

    def both(self, before="", after=""):
        return {"pre_command": self.script("before", before),
                "post_command": self.script("after", after)}

    def test_they_are_told_what_is_going_on(self):
        manifest = self.back_up(**self.both())
        (_, _, before), (_, _, after) = self.entries()
        common = {"HOLDFAST_VM": VM, "HOLDFAST_ID": manifest["id"],
                  "HOLDFAST_REPOSITORY": self.repository}
        self.assertEqual(before, common)
        self.assertEqual(after, {**common, "HOLDFAST_RESULT": "success", "HOLDFAST_STATUS": "0",
                                 "HOLDFAST_LEVEL": "application", "HOLDFAST_ERROR": "",
                                 "HOLDFAST_DIRECTORY": manifest["directory"]})
        self.assert_nothing_left()

    def test_no_shell_reads_them(self):
        script = self.script("before")
        self.back_up(pre_command=f"{script} 'two words' $HOME ; * \\& 'it'\\''s'")
        self.assertEqual(self.entries()[0][1], "two words $HOME ; * & it's")

    def test_the_guest_is_never_frozen_meanwhile(self):
        frozen = []
        looking = {"guest-fsfreeze-freeze": lambda agent, request: (
            frozen.append(("freeze", self.names())), agent.respond(request))[1],
                   "guest-fsfreeze-thaw": lambda agent, request: (
            frozen.append(("thaw", self.names())), agent.respond(request))[1]}
        self.agent.behaviours.update(looking)
        self.back_up(**self.both())
        self.assertEqual(frozen, [("freeze", ["before"]), ("thaw", ["before"])])
        self.assertEqual(self.names(), ["before", "after"])

    def test_before_anything_is_attached(self):
        gate = self.gate("gate")
        process = self.start_host("backup", VM, pre_command=self.script("before", gate.stop))
        gate.reached(process)
        self.assertEqual(self.machine.leftovers(), [])
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.published(), [])
        # The lock is held: another run does not even begin, and has no commands.
        self.failing(self.run_host("backup", VM, **{"pre_command": self.script("other"),
                                                    "post_command": self.script("other")}), 4)
        gate.open()
        self.assertEqual(process.communicate(timeout=60)[1], "")
        self.assertEqual(self.names(), ["before"])

    def test_a_failing_pre_command_ends_the_run_before_the_freeze(self):
        commands = self.both(before="echo 'no licence left' >&2; exit 7")
        line = self.failing(self.run_host("backup", VM, **commands))
        self.assertEqual(line, f"holdfast: pre-command: unable to run '{self.path('before')}': "
                               "exited with status 7: no licence left")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.published(), [])
        # What it had begun is for the other one to undo.
        after = self.entries()[1][2]
        self.assertEqual((after["HOLDFAST_RESULT"], after["HOLDFAST_STATUS"],
                          after["HOLDFAST_DIRECTORY"]), ("failed", "1", ""))
        self.assertIn("no licence left", after["HOLDFAST_ERROR"])
        self.assert_nothing_left()

    def test_a_failing_post_command_leaves_the_backup_and_is_said(self):
        done = self.run_host("backup", VM, post_command=self.script("after", "exit 3"))
        self.assertEqual(self.failing(done),
                         f"holdfast: {VM}: the backup is published: post-command: unable to run "
                         f"'{self.path('after')}': exited with status 3")
        self.assertEqual(len(self.published()), 1)
        self.assertRegex(done.stdout, f"^{VM}: .* application, ")
        self.assertEqual(self.run_host("verify", VM).returncode, 0)

    def test_the_results_have_names(self):
        def result(**settings):
            os.path.exists(self.log) and os.unlink(self.log)
            self.run_host("backup", VM, post_command=self.script("after"), **settings)
            (_, _, told), = self.entries()
            return told["HOLDFAST_RESULT"], told["HOLDFAST_STATUS"]
        first = self.back_up()
        with open(f"{first['directory']}/manifest.json", "w", encoding="utf-8") as file:
            file.write("{")
        self.assertEqual(result(), ("success", "0"))
        self.assertEqual(result(keep_last="1"), ("incomplete", "1"))
        self.agent.holdfast = False
        self.agent.files.clear()
        self.assertEqual(result(), ("below-preferred", "3"))
        self.assertEqual(result(require="application"), ("failed", "1"))
        self.assertEqual(result(qmp=self.path("none")), ("failed", "1"))

    def test_after_a_guest_that_was_not_thawed_nothing_runs(self):
        self.agent.behaviours["guest-fsfreeze-thaw"] = lambda agent, _: agent.error("no")
        # Not into a pipe: the guardian, which goes on, has its other end as well.
        with open(self.path("stderr"), "w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                self.command("backup", VM, thaw_timeout="1s", **self.both()), stderr=errors,
                stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            self.assertEqual(process.wait(60), 1)
            errors.seek(0)
            self.assertIn(f"{VM}: the guest may still be frozen: not running post-command\n",
                          errors.read())
        self.assertEqual(self.names(), ["before"])
        # The guardian goes on.
        del self.agent.behaviours["guest-fsfreeze-thaw"]
        self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 30))

    def test_a_command_has_a_limit(self):
        begun = time.monotonic()
        line = self.failing(self.run_host(
            "backup", VM, command_timeout="1s", pre_command=self.script("before", "sleep 300")))
        self.assertIn("before': timed out", line)
        self.assertLess(time.monotonic() - begun, 60)
        self.assert_nothing_left()

    def test_a_signal_ends_the_pre_command_and_the_other_one_still_runs(self):
        gate = self.gate("gate")
        process = self.start_host("backup", VM, **self.both(before=gate.stop))
        gate.reached(process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        self.assertEqual(self.names(), ["before", "after"])
        self.assertEqual(self.entries()[1][2]["HOLDFAST_RESULT"], "failed")
        self.assert_nothing_left()

    def test_what_is_no_command_is_an_error_of_the_configuration(self):
        for value, why in (("backup.sh", "'backup.sh' is no absolute path"),
                           ("/x 'y", "the quote ' is not closed"),
                           ("'' /x", "'' is no absolute path")):
            for key in ("pre_command", "post_command"):
                line = self.failing(self.run_host("backup", VM, **{key: value}), 2)
                self.assertIn(f"the value of '{key.replace('_', '-')}' is no command: {why}", line)

    def test_machines_side_by_side_have_their_own(self):
        os.makedirs(self.path("etc/vms.d"))
        with open(self.path(f"etc/vms.d/{VM}.conf"), "w", encoding="utf-8") as file:
            file.write(f"qmp = {self.machine.qmp}\nagent = {self.agent.path}\n"
                       f"post-command = {self.script('after')} 'a b'\n")
        done = self.run_host("backup", "--all", "--json", qmp=None, agent=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.entries()[0][1], "a b")
        self.assertEqual(self.entries()[0][2]["HOLDFAST_ID"],
                         json.loads(done.stdout)["machines"][0]["backup"]["id"])


if __name__ == "__main__":
    testing.main()
