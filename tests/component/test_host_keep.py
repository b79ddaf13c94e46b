# SPDX-License-Identifier: MIT
"""Restore points beside the images: overlays that are kept. Taken, gone back to, removed in any order
and flattened, with the machine running or off, and whatever is killed meanwhile."""

import json
import os
import random
import subprocess

from host_case import VM, Killer
from lab import testing
from support.qemu_machine import MIB, halting_bios, pattern_at
from support.qmp_proxy import Cut
from support.waiting import until
from test_host_snapshot import PointCase, TwoQcow2

DISKS = ("data", "sys")
# Each state of a disk is a pattern in one of these places; what was there before stays elsewhere.
PLACES = 8


class KeepCase(PointCase):
    """The model: `self.present` and `self.kept[point]` are {place: pattern}."""

    def setUp(self):
        super().setUp()
        self.present = {}
        self.kept = {}
        self.pattern = 0

    def command(self, verb, *arguments, **settings):
        settings.setdefault("snapshot_method", "overlay")
        return super().command(verb, *arguments, **settings)

    def write(self, place=None):
        self.pattern = self.pattern % 250 + 1
        place = self.pattern % PLACES if place is None else place
        for disk in DISKS:
            self.machine.write(disk, self.pattern, place * MIB, MIB)
        self.present[place] = self.pattern

    def take(self, *words):
        point = self.create(*words)["id"]
        self.kept[point] = dict(self.present)
        return point

    def path_of(self, disk, point):
        return f"{self.machine.images[disk][0]}.point-{point}"

    def reads(self, path, state, what):
        words = []
        for place in range(PLACES):
            words += ["-c", f"read -P {state.get(place, 0)} {place * MIB} {MIB}"]
        kind = "raw" if path.endswith(".raw") else "qcow2"
        done = subprocess.run(["qemu-io", "-r", "-U", "-f", kind, *words, path],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{what}: {done.stderr}")
        self.assertNotIn("Pattern verification failed", done.stdout, what)

    def check(self):
        """Every point holds what it held, and the present what was written last."""
        for disk in DISKS:
            self.reads(self.machine.images[disk][0], self.present, f"{disk}: the present")
            for point, state in self.kept.items():
                self.reads(self.path_of(disk, point), state, f"{disk}: {point}")
        self.assertEqual(set(self.ids()), set(self.kept))

    def files(self):
        """Besides the images and the points' files."""
        expected = {os.path.basename(self.path_of(disk, point)) for disk in DISKS
                    for point in self.kept}
        return sorted(name for name in os.listdir(self.machine.directory)
                      if ".point-" in name and name not in expected)

    def revert(self, point, *words):
        said = json.loads(self.point("revert", point, "--json", *words).stdout)
        if said["saved"]:
            self.kept[said["saved"]] = self.present
        self.present = dict(self.kept[point])
        return said["saved"]

    def tidy(self):
        """Any command that may change something."""
        self.point("prune", "--snapshot-keep-last=1000")

    def delete(self, *points):
        self.point("delete", *points)
        for point in points:
            del self.kept[point]

    def killed(self, words, command, after=False, skip=0):
        """A command that is killed at the nth such command to QEMU."""
        proxy = self.proxy or self.through_proxy()
        proxy.before.clear()
        proxy.after.clear()
        killer = Killer(skip=skip)

        def kill_and_cut(*_):
            before = killer.used
            killer()
            if killer.used and not before:
                raise Cut

        if after:
            proxy.after[command] = killer
        else:
            proxy.before[command] = kill_and_cut
        process = self.start_host("snapshot", *words)
        killer.aim(process)
        process.wait(60)
        self.assertTrue(killer.used, f"{words} never came to {command} {skip}")
        proxy.before.clear()
        proxy.after.clear()
        self.agent.wait_until(lambda: not self.agent.frozen)

    def recover(self):
        done = self.run_host("recover", VM, repository=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check()


class Kept(KeepCase):
    def test_the_image_s_name_is_the_present_and_a_machine_goes_on_from_it(self):
        self.write()
        first = self.take("--label", "before")
        self.write()
        second = self.take()
        self.write()
        self.check()
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 2)
        self.machine.stop()
        self.check()
        self.machine.start()
        self.write()
        self.check()
        self.assertEqual([point["method"] for point in self.listed()["points"]],
                         ["overlay", "overlay"])
        self.delete(second, first)
        self.check()
        self.machine.stop()
        self.tidy()
        self.check()
        self.assertEqual(self.files(), [])
        for disk in DISKS:
            subprocess.run(["qemu-img", "check", "-q", self.machine.images[disk][0]], check=True)

    def test_points_are_extracted_in_one_piece_while_the_machine_writes(self):
        self.write()
        first = self.take()
        self.write()
        second = self.take()
        self.write()
        for point in (first, second):
            for disk, (path, _) in self.extracted(point, point).items():
                self.reads(path, self.kept[point], disk)
                self.assertTrue(pattern_at(path, "qcow2", 32 * MIB, MIB, 9 if disk == "sys" else 0))


class Reverted(KeepCase):
    def test_a_revert_makes_a_branch_and_keeps_what_was_there_unless_told_not_to(self):
        self.write()
        first = self.take()
        self.write()
        second = self.take()
        self.write()
        refused = self.run_host("snapshot", "revert", VM, first)
        self.assertIn("runs: disks that it has open cannot be put back", self.failing(refused))
        self.machine.stop()
        saved = self.revert(first)
        self.check()
        self.machine.start()
        self.write()
        third = self.take()
        self.write()
        self.check()
        tree = {point["id"]: point for point in self.listed()["points"]}
        self.assertEqual([tree[one]["parent"] for one in (first, second, saved, third)],
                         [None, first, second, first])
        self.machine.stop()
        self.assertIsNone(self.revert(saved, "--discard"))
        self.check()
        # Several stand on it: two points.
        self.delete(first)
        self.check()
        self.delete(saved)
        self.check()
        self.delete(third, second)
        self.check()
        self.assertEqual(self.files(), [])

    def test_after_a_point_and_after_a_revert_backups_are_full_and_hold_the_present(self):
        self.write()
        self.back_up()
        point = self.take()
        self.write()
        for full in (True, False):
            manifest = self.back_up()
            for disk in manifest["disks"]:
                self.assertEqual(disk["backing"] is None, full, disk)
            self.holds_present(manifest)
            self.write()
        self.machine.stop()
        self.revert(point, "--discard")
        self.machine.start()
        self.holds_present(self.back_up())
        self.delete(point)
        self.check()
        self.holds_present(self.back_up(method="backup"))
        self.check()

    def holds_present(self, manifest):
        out = self.path("restored-" + manifest["id"])
        done = self.run_host("restore", VM, manifest["id"], f"--to={out}")
        self.assertEqual(done.returncode, 0, done.stderr)
        for disk in DISKS:
            self.reads(os.path.join(out, disk + ".qcow2"), self.present, disk)


class InAnyOrder(KeepCase):
    SEED = 20261122
    STEPS = 14

    def test_whatever_is_done_in_whatever_order_each_point_holds_what_it_held(self):
        chance = random.Random(self.SEED)
        self.write()
        self.take()
        for step in range(self.STEPS):
            running = self.machine.process is not None
            kinds = ["delete", "flatten", "turn"] if self.kept else ["turn"]
            kinds += ["take"] * 3 if running else ["revert"] * 2 if self.kept else []
            kind = chance.choice(kinds)
            with self.subTest(step=step, kind=kind, running=running, points=len(self.kept)):
                if kind == "turn":
                    if running:
                        self.machine.stop()
                    else:
                        self.machine.start()
                elif kind == "take":
                    self.write(chance.randrange(PLACES))
                    self.take()
                    self.write(chance.randrange(PLACES))
                elif kind == "delete":
                    self.delete(chance.choice(sorted(self.kept)))
                elif kind == "flatten":
                    self.point("flatten")
                else:
                    self.revert(chance.choice(sorted(self.kept)),
                                *chance.choice([(), ("--discard",)]))
                self.check()
        if self.machine.process is None:
            self.machine.start()
        self.write()
        self.delete(*sorted(self.kept))
        self.check()
        self.machine.stop()
        self.tidy()
        for disk in DISKS:
            subprocess.run(["qemu-img", "check", "-q", self.machine.images[disk][0]], check=True)

    def test_an_image_that_is_flat_rests_on_nothing_and_its_points_stay(self):
        for running in (True, False):
            with self.subTest(running=running):
                self.write()
                point = self.take()
                self.write()
                if not running:
                    self.machine.stop()
                self.point("flatten")
                self.check()
                for disk in DISKS:
                    said = subprocess.run(["qemu-img", "info", "-U", "--output=json",
                                           self.machine.images[disk][0]], capture_output=True,
                                          text=True, check=True).stdout
                    self.assertNotIn("backing-filename", json.loads(said))
                self.delete(point)
                self.check()

    def test_rules_rotate_points_and_the_chain_stays_short(self):
        for _ in range(4):
            self.write()
            point = self.take("--snapshot-keep-last=2")
            for gone in set(self.kept) - set(self.ids()):
                del self.kept[gone]
            self.check()
        self.assertEqual(len(self.kept), 2)
        self.assertIn(point, self.kept)
        self.machine.stop()
        self.machine.start()
        self.tidy()
        self.check()
        self.point("prune", "--snapshot-keep-last=1")
        self.kept = {point: self.kept[point]}
        self.check()


class Running(KeepCase):
    """Its processor runs, and does nothing."""

    def make_machine(self):
        return TwoQcow2(self.path("vm"), extra=("-bios", halting_bios(self.path("bios"))))

    def status(self):
        return self.machine.monitor.execute("query-status")["status"]

    def test_a_machine_that_stands_still_for_a_name_goes_on_whoever_is_killed(self):
        self.machine.monitor.execute("cont")
        for _ in range(3):
            self.write()
        self.delete(self.take())
        self.assertEqual(self.status(), "running")
        self.check()
        point = self.take()
        self.write()
        self.killed(("delete", VM, point), "cont")
        until(lambda: self.status() == "running", "the guardian lets it go on")
        self.write()
        del self.kept[point]
        self.recover()
        self.assertEqual(self.status(), "running")


class Refused(KeepCase):
    def test_points_of_two_kinds_are_not_mixed(self):
        self.write()
        point = self.take()
        failed = self.run_host("snapshot", "create", VM, snapshot_method="internal")
        self.assertIn("has restore points by the method 'overlay'", self.failing(failed))
        self.delete(point)
        self.create(snapshot_method="internal")
        failed = self.run_host("snapshot", "create", VM)
        self.assertIn("has restore points by the method 'internal'", self.failing(failed))
        self.assertIn("internal snapshots", self.failing(self.run_host("snapshot", "flatten", VM)))

    def test_a_snapshot_inside_a_link_or_a_foreign_overlay_is_seen(self):
        sys = self.machine.images["sys"][0]
        self.write()
        point = self.take()
        self.machine.stop()
        os.rename(self.path_of("data", point), self.path("vm/away"))
        self.assertEqual([one["state"] for one in self.listed(status=1)["points"]], ["incomplete"])
        self.failing(self.run_host("snapshot", "revert", VM, point))
        os.rename(self.path("vm/away"), self.path_of("data", point))
        self.check()
        self.delete(point)
        subprocess.run(["qemu-img", "snapshot", "-c", "by hand", sys], check=True)
        self.machine.start()
        failed = self.run_host("snapshot", "create", VM)
        self.assertIn("it has the internal snapshot 'by hand'", self.failing(failed))
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)
        self.check()

    def test_a_level_below_what_is_required_keeps_nothing(self):
        self.write()
        self.agent.hook_status = 30
        failed = self.run_host("snapshot", "create", VM, require="application")
        self.assertIn("'application' is required", self.failing(failed))
        self.check()
        self.machine.stop()
        self.tidy()
        self.assertEqual(self.files(), [])
        self.check()


    def test_the_doctor_says_what_no_point_can_be_kept_of(self):
        done = self.run_host("doctor", VM)
        self.assertIn("restore points can be kept beside the images of all of them", done.stdout)
        data = self.machine.images["data"][0]
        self.machine.stop()
        os.rename(data, data + ".away")
        os.symlink(data + ".away", data)
        self.machine.start()
        done = self.run_host("doctor", VM)
        self.assertIn("is a link or a device", done.stdout)
        failed = self.run_host("snapshot", "create", VM)
        self.assertIn("is a link or a device", self.failing(failed))


class Interrupted(KeepCase):
    STEPS = (("blockdev-add", False, 0, False), ("blockdev-add", True, 1, True),
             ("transaction", False, 0, False), ("transaction", False, 0, True),
             ("transaction", True, 0, False), ("transaction", True, 0, True),
             ("blockdev-reopen", False, 0, False), ("blockdev-reopen", True, 0, True),
             ("blockdev-reopen", True, 1, True))

    def test_a_point_killed_at_any_step_is_taken_back_and_the_present_goes_on(self):
        self.write()
        self.take()
        for command, after, skip, ends in self.STEPS:
            with self.subTest(command=command, after=after, skip=skip, machine_ends=ends):
                self.write()
                self.killed(("create", VM), command, after, skip)
                if ends:
                    self.machine.stop()
                else:
                    self.write()
                self.recover()
                if ends:
                    self.assertEqual(self.files(), [])
                    self.machine.start()
                self.write()

    def test_a_removal_killed_at_any_step_is_finished(self):
        self.write()
        last = self.take()
        for step, (command, after, skip) in enumerate((
                ("block-commit", False, 0), ("job-finalize", True, 0), ("block-commit", True, 0),
                ("block-commit", True, 1), ("job-finalize", False, 0), ("job-finalize", True, 1))):
            ends = step % 2 == 1
            with self.subTest(command=command, after=after, skip=skip, machine_ends=ends):
                self.write()
                last, gone = self.take(), last
                self.write()
                self.killed(("delete", VM, gone), command, after, skip)
                del self.kept[gone]
                if ends:
                    self.machine.stop()
                self.recover()
                if ends:
                    self.assertEqual(self.files(), [])
                    self.machine.start()
                    self.write()

    def removed_below_present(self, much_before, steps):
        """What lies below the present is more than what it holds itself, or less."""
        below = self.take()
        for step, (command, after, skip) in enumerate(steps):
            ends = step % 2 == 1
            with self.subTest(command=command, after=after, skip=skip, machine_ends=ends):
                for place in range(4 if much_before else 1):
                    self.write(place)
                point = self.take()
                for place in range(1 if much_before else 6):
                    self.write(place)
                self.killed(("delete", VM, point), command, after, skip)
                del self.kept[point]
                if ends:
                    self.machine.stop()
                else:
                    self.write(0)
                self.recover()
                if ends:
                    self.machine.start()
                self.write()
                self.delete(below)
                below = self.take()

    def test_the_present_that_takes_over_more_than_it_holds_is_never_less(self):
        self.removed_below_present(True, (
            ("block-commit", True, 1), ("job-complete", False, 0), ("job-complete", True, 0),
            ("job-complete", True, 1)))

    def test_the_present_that_takes_over_less_is_never_less_either(self):
        self.removed_below_present(False, (
            ("block-stream", True, 0), ("job-finalize", False, 0), ("job-finalize", True, 0),
            ("block-stream", False, 1)))

    def stopped_at(self, words, subcommand, times):
        """A command, of a machine that is off, killed at the nth qemu-img of this kind."""
        gate = self.gate(f"gate-{subcommand}-{times}-{self.pattern}")
        count = self.path(f"count-{subcommand}-{times}-{self.pattern}")
        lines = f'echo >>{count}; if [ "$(wc -l <{count})" = {times} ]; then {gate.stop}; fi'
        script = self.qemu_img((subcommand, lines))
        process = self.start_host("snapshot", *words, qemu_img=script)
        gate.reached(process)
        process.kill()
        process.wait(60)
        gate.open()

    def test_a_revert_killed_at_any_step_is_finished_or_undone(self):
        self.write()
        first = self.take()
        self.write()
        self.machine.stop()
        for times in (1, 2):
            with self.subTest(times=times):
                self.stopped_at(("revert", VM, first), "create", times)
                saved = [one for one in self.ids(status=1) if one not in self.kept]
                self.kept[saved[0]] = self.present
                self.present = dict(self.kept[first])
                self.recover()
                self.assertEqual(self.files(), [])
                self.revert(saved[0], "--discard")
                self.check()
                self.delete(saved[0])
                self.check()

    def test_a_removal_of_a_machine_that_is_off_killed_at_any_step_is_finished(self):
        for subcommand, times in (("commit", 1), ("commit", 2)):
            with self.subTest(subcommand=subcommand, times=times):
                self.write()
                first = self.take()
                self.write()
                self.machine.stop()
                self.stopped_at(("delete", VM, first), subcommand, times)
                del self.kept[first]
                self.recover()
                self.assertEqual(self.files(), [])
                self.machine.start()


if __name__ == "__main__":
    testing.main()
