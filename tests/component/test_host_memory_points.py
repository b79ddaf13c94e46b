# SPDX-License-Identifier: MIT
"""Restore points with memory, of a machine that counts in its memory and on a disk at once: taken,
listed, gone back and forth between, and never half of one left."""

import json
import os
import signal
import subprocess
import time

from host_case import MIB, VM, HostCase, Killer
from lab import testing
from support.counting_machine import CountingMachine, number_on, problem_of
from support.qemu_machine import pattern_at
from support.qmp_proxy import Cut
from support.waiting import ended, until

SOON = 30.0
# In the memory, of nobody.
MARK = 16 * MIB
DISKS = ["data", "sys", CountingMachine.COUNT]


class QcowCounting(CountingMachine):
    DATA = "qcow2"


class MemoryPointCase(HostCase):
    def setUp(self):
        super().setUp()
        self.machine.run()
        until(lambda: self.machine.first() > 100, "the machine counts", SOON)

    def make_machine(self):
        return QcowCounting(self.path("vm"), extra=("-smp", "2"))

    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **{"memory_timeout": "60s", **settings})

    def point(self, action, *words, status=0, **settings):
        done = self.run_host("snapshot", action, VM, *words, **settings)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def create(self, *words, **settings):
        return json.loads(self.point("create", "--with-memory", "--json", *words, **settings).stdout)

    def revert(self, point, *words):
        """To the memory of a guest that was frozen then."""
        self.agent.frozen = True
        return json.loads(self.point("revert", point, "--resume", "--json", *words).stdout)

    def listed(self):
        return json.loads(self.point("list", "--json").stdout)["points"]

    def ids(self):
        return [point["id"] for point in self.listed()]

    def mark(self, pattern):
        """In the memory, and on the disks, one after the other."""
        self.machine._qtest.ask(f"memset {MARK:#x} 0x10 {pattern:#x}")
        self.machine.write("data", pattern, 0, MIB)
        self.machine.write("sys", pattern, 2 * MIB, MIB)

    def marked(self):
        answer = self.machine.monitor.execute(
            "human-monitor-command", **{"command-line": f"xp /1bx {MARK:#x}"})
        return int(answer.split(":")[1], 16)

    def disks_hold(self, pattern, images=None):
        data, sys = ((images or self.machine.images)[name] for name in ("data", "sys"))
        self.assertTrue(pattern_at(*data, 0, MIB, pattern), f"data is not {pattern}")
        self.assertTrue(pattern_at(*sys, 2 * MIB, MIB, pattern), f"sys is not {pattern}")

    def snapshots(self):
        """Names and sizes of memory, of all images."""
        found = {}
        for path in (self.machine.images["data"][0], self.machine.images["sys"][0],
                     self.machine.count):
            said = subprocess.run(["qemu-img", "info", "-U", "--output=json", "-f", "qcow2", path],
                                  capture_output=True, text=True, check=True).stdout
            for one in json.loads(said).get("snapshots", []):
                found.setdefault(one["name"], []).append(one["vm-state-size"])
        return found

    def assert_is(self, pattern):
        """The machine goes on, in a state of one instant, which is that of this pattern."""
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.machine.status(), "running")
        self.assertEqual(self.marked(), pattern)
        self.disks_hold(pattern)
        before = self.machine.first()
        until(lambda: self.machine.first() > before, "the machine counts on", SOON)
        self.machine.monitor.execute("stop")
        self.assertIsNone(problem_of(self.machine.numbers(), number_on(self.machine.count)))
        self.machine.run()
        self.assertEqual(self.machine.leftovers(), [])
        self.assertEqual(self.left_in_state(), [])


class MemoryPoints(MemoryPointCase):
    def test_a_machine_goes_back_and_forth_between_its_points(self):
        self.mark(1)
        first = self.create("--label", "one")
        print(f"32 MiB: stood still for {first['memory']['standstill_ms']} ms", flush=True)
        self.assertEqual((first["level"], first["memory"]["disk"], first["memory"]["bytes"]),
                         ("application", DISKS[0], 32 * MIB))
        self.assert_is(1)
        [sizes] = self.snapshots().values()
        self.assertEqual((len(sizes), len([size for size in sizes if size > 0])), (3, 1))
        table = self.point("list").stdout
        self.assertRegex(table, r"STATE +MEMORY +LABEL\n.* kept +32 MiB +one\n")
        self.mark(2)
        said = self.revert(first["id"])
        self.assert_is(1)
        self.assertLess(abs(self.agent.time_set / 1e9 - time.time()), 60)
        self.assertEqual(said["resumed"], {"clock_not_set": None})
        present = self.listed()[-1]
        self.assertEqual((present["id"], present["level"], present["current"]),
                         (said["saved"], "crash", False))
        self.revert(said["saved"], "--discard")
        self.assert_is(2)
        self.assertEqual(self.ids(), [first["id"], said["saved"]])
        # Its disks alone, and no trace of it in the end.
        self.point("extract", first["id"], f"--to={self.path('out')}")
        self.disks_hold(1, {name: (self.path(f"out/{name}.qcow2"), "qcow2")
                            for name in ("data", "sys")})
        self.point("prune", "--snapshot-keep-last=1")
        self.assertEqual(list(self.snapshots()), ["holdfast-" + said["saved"]])
        self.point("delete", said["saved"])
        self.assertEqual(self.snapshots(), {})
        self.assert_is(2)

    def test_a_qemu_that_was_started_again_takes_the_memory_and_one_that_is_off_does_not(self):
        self.mark(1)
        point = self.create()["id"]
        self.mark(2)
        refused = self.run_host("snapshot", "revert", VM, point)
        self.assertIn("(--resume puts its memory back as well", self.failing(refused))
        self.machine.stop()
        refused = self.run_host("snapshot", "revert", VM, point, "--resume")
        self.assertIn("is off: its own QEMU takes the memory back", self.failing(refused))
        self.machine.start()
        self.assertEqual(self.machine.status(), "prelaunch")
        self.revert(point, "--discard")
        self.assert_is(1)
        self.machine.stop()
        # Without the memory.
        self.point("revert", point, "--discard")
        self.disks_hold(1)

    def test_dirty_bitmaps_go_and_the_next_backup_is_full(self):
        self.mark(1)
        point = self.create()["id"]
        self.back_up()
        self.assertEqual(self.back_up()["kind"], "increment")
        self.machine.monitor.execute("block-dirty-bitmap-add", node="sysnode", name="theirs")
        refused = self.run_host("snapshot", "revert", VM, point, "--resume")
        self.assertIn("disk 'sys' has the dirty bitmap 'theirs', which is not ours",
                      self.failing(refused))
        self.assertEqual(self.ids(), [point])
        self.machine.monitor.execute("block-dirty-bitmap-remove", node="sysnode", name="theirs")
        self.mark(2)
        self.revert(point, "--discard")
        self.assert_is(1)
        for disk in self.back_up()["disks"]:
            self.assertIn("bitmap", disk["full_because"])

    def test_a_memory_that_qemu_does_not_take_leaves_the_machine_as_it_was(self):
        self.mark(1)
        point = self.create()["id"]
        self.machine.stop()
        # Its second processor is missing here: QEMU finds that out when the disks are back.
        self.machine.more = []
        self.machine.start()
        self.machine.run()
        self.mark(2)
        line = self.failing(self.run_host("snapshot", "revert", VM, point, "--resume"))
        self.assertIn("the revert is not done, and the machine is as it was: ", line)
        self.assert_is(2)
        self.assertEqual(self.ids(), [point])
        # Nothing was kept: the disks alone are left to be put back.
        line = self.failing(self.run_host("snapshot", "revert", VM, point, "--resume", "--discard"))
        self.assertRegex(line, r"and the machine stands still: .*\(end it, then: holdfast recover")
        self.assertIn("and the machine stands still",
                      self.failing(self.run_host("recover", VM)))
        self.assertNotEqual(self.machine.status(), "running")
        self.machine.stop()
        done = self.run_host("recover", VM)
        self.assertIn("finished the revert to", done.stdout, done.stderr)
        self.disks_hold(1)
        self.machine.more = ["-m", "64"]
        self.machine.start()
        line = self.failing(self.run_host("snapshot", "revert", VM, point, "--resume"))
        self.assertIn("the machine is another one than when", line)

    def test_what_cannot_be_kept_is_refused_before_the_guest_is_frozen(self):
        for settings, words in (({"memory": "live"}, "cannot be saved live"),
                                ({"snapshot_method": "overlay"}, "keeps the disks alone")):
            line = self.failing(self.run_host("snapshot", "create", VM, "--with-memory", **settings))
            self.assertIn(words, line)
        point = json.loads(self.point("create", "--json").stdout)
        self.assertIsNone(point["memory"])
        line = self.failing(self.run_host("snapshot", "revert", VM, point["id"], "--resume"))
        self.assertIn("has no memory to go on from", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)
        self.assertEqual(self.machine.status(), "running")


class Small(MemoryPointCase):
    """The images are on a filesystem of their own, which has hardly room for the memory."""

    SIZE = 80  # MiB

    def make_machine(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small filesystem needs root")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}m", "none",
                        self.path("vm")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("vm")], check=False)
        return super().make_machine()

    def test_without_the_room_nothing_is_kept_and_the_machine_goes_on(self):
        self.mark(1)
        filler = self.path("vm/filler")

        def fill(leaving):
            status = os.statvfs(self.path("vm"))
            with open(filler, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leaving)

        self.agent.on_freeze = lambda: fill(64 << 10)
        line = self.failing(self.run_host("snapshot", "create", VM, "--with-memory"))
        self.agent.on_freeze = None
        self.assertIn("unable to take the snapshot: ", line)
        os.unlink(filler)
        self.assertEqual((self.ids(), self.snapshots()), ([], {}))
        self.assert_is(1)
        # Less than it may need is found out beforehand.
        fill(40 * MIB)
        line = self.failing(self.run_host("snapshot", "create", VM, "--with-memory"))
        self.assertRegex(line, r"40 MiB free, 64\.1 MiB wanted")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)


class Interrupted(MemoryPointCase):
    def setUp(self):
        super().setUp()
        self.through_proxy()

    def killed(self, words, command, when, guardian_too):
        """With SIGKILL before this command to QEMU, which never gets it, or after its answer."""
        killer = Killer()
        guardian = []

        def kill(*_):
            killer.known.wait(10)
            if not killer.used:
                children = f"/proc/{killer.process.pid}/task/{killer.process.pid}/children"
                with open(children, encoding="ascii") as file:
                    guardian.extend(int(child) for child in file.read().split())
                if guardian_too:
                    for child in guardian:
                        os.kill(child, signal.SIGKILL)
            killer()

        def kill_and_cut(*_):
            # The next one is of whoever clears up.
            if not killer.used:
                kill()
                raise Cut

        hooks = self.proxy.before if when == "before" else self.proxy.after
        hooks[command] = kill_and_cut if when == "before" else kill
        process = self.start_host("snapshot", *words)
        killer.aim(process)
        self.assertEqual(process.wait(90), -signal.SIGKILL)
        self.assertTrue(guardian)
        ended(guardian)
        hooks.clear()

    def cleared_up(self, **settings):
        done = self.run_host("recover", VM, repository=None, **settings)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_a_point_that_is_killed_at_any_step_leaves_a_machine_that_runs_and_nothing_else(self):
        self.mark(1)
        for command, when in (("snapshot-save", "before"), ("snapshot-save", "after"),
                              ("job-dismiss", "before"), ("job-dismiss", "after")):
            with self.subTest(command=command, when=when):
                self.killed(("create", VM, "--with-memory"), command, when, False)
                self.assertFalse(self.agent.frozen)
                self.assertIn("removed the unfinished restore point", self.cleared_up())
                self.assertEqual(self.snapshots(), {})
                self.assert_is(1)

    def test_a_revert_that_is_killed_is_given_up_or_finished_by_whoever_comes_next(self):
        """The guardian, `recover`, or the next run, which is a backup in the last case."""
        self.mark(1)
        point = self.create()["id"]
        for command, when, guardian_too, pattern in (
                ("snapshot-save", "after", True, 2), ("snapshot-load", "before", False, 2),
                ("snapshot-load", "before", True, 2), ("snapshot-load", "after", False, 1),
                ("snapshot-load", "after", True, 1), ("job-dismiss", "load", True, 1)):
            with self.subTest(command=command, when=when, guardian_too=guardian_too):
                self.machine.stop()
                self.point("revert", point, "--discard", qmp=self.machine.qmp)
                self.machine.start()
                self.machine.run()
                self.mark(2)
                # As in the memory that is loaded.
                self.agent.frozen = pattern == 1
                words = ["revert", VM, point, "--resume"]
                if when == "load":
                    words.append("--discard")
                self.killed(words, command, "before" if when == "load" else when, guardian_too)
                if not guardian_too:
                    self.assertFalse(self.agent.frozen)
                if when == "load":
                    self.back_up()
                elif guardian_too and pattern == 1:
                    self.assertIn("finished the revert", self.cleared_up())
                else:
                    self.cleared_up()
                self.assert_is(pattern)
                ids = self.ids()
                self.assertEqual(sorted(self.snapshots()), ["holdfast-" + one for one in ids])
                for one in ids[1:]:
                    self.point("delete", one)
                self.assertEqual(self.ids(), [point])

    def test_a_qemu_that_ended_in_the_middle_gets_its_disks_back_alone(self):
        self.mark(1)
        point = self.create()["id"]
        self.mark(2)
        self.killed(("revert", VM, point, "--resume", "--discard"), "snapshot-load", "before", True)
        self.machine.stop()
        self.assertIn("finished the revert", self.cleared_up(qmp=self.machine.qmp, agent=None))
        self.disks_hold(1)
        self.assertEqual(self.ids(), [point])


if __name__ == "__main__":
    testing.main()
