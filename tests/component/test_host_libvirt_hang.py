# SPDX-License-Identifier: MIT
"""A libvirtd that hangs in the middle of a run. It owns the way to the guest agent, so that nobody
can thaw the guest before it goes on; all else is as after any failure: in bounded time one line, and
what is left is made good by the next command. Nearly all of it is waiting, which the tests do at the
same time, each with a libvirtd of its own."""

import os
import signal

from host_case import MIB, VM
from lab import testing
from libvirt_case import LibvirtCase
from support.qemu_machine import pattern_at
from test_host_libvirt_backup import BackupCase

# What the bounds below add up to, beside 40 s for a libvirtd that is merely busy; and a busy host.
LONGEST = 240
# For commands that nothing keeps from their work.
UNHURRIED = {"qmp_timeout": "20s", "agent_timeout": "10s", "thaw_timeout": "20s",
             "snapshot_timeout": "20s"}


class Hang(BackupCase):
    def by_overlays(self):
        self.method, self.INCREMENTAL = "overlay", "no"

    def setUp(self):
        super().setUp()
        self.method = "backup"

    def command(self, verb, *arguments, **settings):
        values = {"method": self.method, "qmp_timeout": "5s", "agent_timeout": "3s",
                  "freeze_timeout": "20s", "thaw_timeout": "3s", "snapshot_timeout": "3s"}
        return super().command(verb, *arguments, **(values | settings))

    def assert_nothing_left(self):
        if self.method == "backup":
            return super().assert_nothing_left()
        self.assertEqual(self.machine.checkpoints(), [])
        return LibvirtCase.assert_nothing_left(self)

    def stop_at(self, command, when="before", armed=True):
        """Starts a run in which libvirtd is stopped at this command, which reaches it all the same."""
        program, self.target = self.proxy_at(command, when, signal.SIGSTOP)
        self.tell(self.daemon.pid())
        self.addCleanup(self.daemon.signal, signal.SIGCONT)
        if armed:
            self.arm()
        return self.start_host("backup", VM, libvirt_program=program)

    def arm(self):
        with open(self.target + ".wanted", "w", encoding="ascii"):
            pass

    def is_stopped(self):
        with open(f"/proc/{self.daemon.pid()}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def agents(self):
        """How often somebody has set out for the agent."""
        with open(self.target + ".agents", encoding="ascii") as file:
            return len(file.readlines())

    def ended(self, run):
        """The one error of a run that failed, in time."""
        run.wait(LONGEST)
        # A guardian that is still at work has it open as well.
        os.set_blocking(run.stderr.fileno(), False)
        err = os.read(run.stderr.fileno(), 65536).decode()
        self.assertEqual(run.returncode, 1, err)
        errors = [line for line in err.splitlines()
                  if not line.startswith(("holdfast: guardian: ", f"holdfast: {VM}: "))]
        self.assertEqual(len(errors), 1, err)
        return errors[0]

    def go_on(self):
        self.assertTrue(self.is_stopped())
        self.daemon.signal(signal.SIGCONT)

    def recovered(self):
        done = self.run_host("recover", VM, **UNHURRIED)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_nothing_left()
        return done.stdout

    def assert_written(self, pattern):
        path, kind = self.machine.images["vdb"]
        self.assertTrue(pattern_at(path, kind, 7 * MIB, MIB, pattern))

    def before_the_freeze(self, command):
        line = self.ended(self.stop_at(command))
        self.assertIn("timed out", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.published(), [])
        self.go_on()
        self.assert_nothing_left()
        self.back_up(**UNHURRIED)
        self.assert_nothing_left()

    def test_at_the_status_ends_the_run_and_the_next_one_works(self):
        self.before_the_freeze("query-status")

    def test_at_the_agent_ends_the_run_and_the_next_one_works(self):
        self.before_the_freeze("guest-info")

    def test_at_the_definition_ends_the_run_and_the_next_one_works(self):
        self.before_the_freeze("query-domain")

    def test_in_the_window_ends_the_run_and_the_guardian_thaws_once_it_goes_on(self):
        run = self.stop_at("begin-backup")
        # the driver's one, and the guardian's when the driver has given up
        self.daemon.wait_for(lambda: os.path.exists(self.target + ".agents") and self.agents() == 2,
                             LONGEST)
        self.assertIsNone(run.poll())
        self.assertTrue(self.agent.frozen)
        self.go_on()
        self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 30))
        self.assertIn("unable to thaw the guest", self.ended(run))
        self.assertEqual(self.published(), [])
        self.recovered()

    def test_in_the_window_does_what_it_was_asked_for_and_recover_undoes_it(self):
        self.by_overlays()
        self.assertIn("unable to thaw the guest", self.ended(self.stop_at("snapshot-disks")))
        self.assertEqual(self.published(), [])
        self.assertTrue(self.agent.frozen)
        self.go_on()
        # For nobody: an overlay is on top of each disk.
        self.daemon.wait_for(lambda: ".holdfast-" in self.machine.sources()["vdb"])
        self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 30))
        self.machine.write("vdb", 0x42, 7 * MIB, MIB)
        self.assertIn("finished the interrupted run", self.recovered())
        self.assert_written(0x42)

    def test_in_the_copy_ends_the_run_and_recover_clears_up(self):
        run = self.stop_at("query-backup", armed=False)
        self.agent.behaviours["guest-fsfreeze-thaw"] = lambda agent, request: (
            self.arm(), agent.respond(request))[1]
        line = self.ended(run)
        self.assertIn("unable to copy the disk 'vda'", line)
        self.assertIn("query-backup: timed out", line)
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.published(), [])
        self.go_on()
        self.assertIn("interrupted run", self.recovered())
        self.back_up(**UNHURRIED)
        self.assert_nothing_left()

    def test_in_the_copy_of_overlays_publishes_what_is_complete_and_says_what_is_left(self):
        self.by_overlays()
        tool = self.qemu_img(("convert", f"kill -STOP {self.daemon.pid()}"))
        self.addCleanup(self.daemon.signal, signal.SIGCONT)
        line = self.ended(self.start_host("backup", VM, qemu_img=tool))
        self.assertIn("is complete and published, but something of it is left in QEMU", line)
        self.go_on()
        self.machine.write("vdb", 0x43, 7 * MIB, MIB)
        self.assertIn("finished the interrupted run", self.recovered())
        self.assert_written(0x43)
        self.assertEqual(len(self.published()), 1)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)


if __name__ == "__main__":
    testing.main_at_once()
