# SPDX-License-Identifier: MIT
"""Restore points inside the images: taken, listed, gone back to, extracted, removed, and never left
on some of the disks alone."""

import json
import os
import subprocess
import unittest

from host_case import VM, HostCase, Killer
from support.qemu_machine import MIB, Machine, pattern_at
from support.qmp_proxy import Cut
from support.waiting import until


class TwoQcow2(Machine):
    """Both disks are qcow2; 'sys' stands on a backing file."""

    DATA = "qcow2"


class PointCase(HostCase):
    def make_machine(self):
        return TwoQcow2(self.path("vm"))

    def point(self, action, *words, status=0, **settings):
        done = self.run_host("snapshot", action, VM, *words, **settings)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def create(self, *words, **settings):
        return json.loads(self.point("create", "--json", *words, **settings).stdout)

    def listed(self, status=0):
        return json.loads(self.point("list", "--json", status=status).stdout)

    def ids(self, status=0):
        return [point["id"] for point in self.listed(status)["points"]]

    def fill(self, pattern):
        """Two disks with the same pattern, one in a place of its own."""
        self.machine.write("data", pattern, 0, MIB)
        self.machine.write("sys", pattern, 2 * MIB, MIB)

    def holds(self, images, pattern):
        self.assertTrue(pattern_at(*images["data"], 0, MIB, pattern), f"data is not {pattern}")
        self.assertTrue(pattern_at(*images["sys"], 2 * MIB, MIB, pattern), f"sys is not {pattern}")
        # What comes from the backing file, which is never written to.
        self.assertTrue(pattern_at(*images["sys"], 32 * MIB, MIB, 9))

    def snapshots(self, disk):
        """The names that are in the image, whoever has it open."""
        said = subprocess.run(["qemu-img", "info", "-U", "--output=json", "-f", "qcow2",
                               self.machine.images[disk][0]],
                              capture_output=True, text=True, check=True).stdout
        return [one["name"] for one in json.loads(said).get("snapshots", [])]

    def assert_snapshots(self, *names):
        for disk in ("data", "sys"):
            self.assertEqual(self.snapshots(disk), list(names), disk)

    def extracted(self, point, directory):
        self.point("extract", point, f"--to={self.path(directory)}")
        return {disk: (self.path(f"{directory}/{disk}.qcow2"), "qcow2") for disk in ("data", "sys")}


class Points(PointCase):
    def test_a_point_is_one_instant_of_all_disks_with_the_evidence_of_a_backup(self):
        self.fill(1)
        point = self.create("--label", "before the update")
        self.assertEqual(point["level"], "application")
        self.assertEqual(point["label"], "before the update")
        self.assertEqual([disk["name"] for disk in point["disks"]], ["data", "sys"])
        self.assertEqual(point["evidence"]["evidence"]["reasons"], [])
        self.assertEqual(point["evidence"]["evidence"]["freeze_count"], 3)
        self.assert_snapshots("holdfast-" + point["id"])
        # Between freeze and thaw: the transaction, and whether it is still frozen.
        names = self.agent.names()
        begin = names.index("guest-fsfreeze-freeze")
        self.assertEqual(names[begin:begin + 3], ["guest-fsfreeze-freeze", "guest-fsfreeze-status",
                                                  "guest-fsfreeze-thaw"])
        kept = os.path.join(self.state, "points", VM + ".json")
        self.assertEqual(os.stat(kept).st_mode & 0o777, 0o600)
        self.assert_nothing_left()

    def test_qemu_has_read_all_of_the_transaction_but_its_name_before_the_freeze(self):
        proxy, begun = self.through_proxy(), []

        def frozen():
            until(lambda: proxy.begun.endswith(b'"execute":'), "it has come")
            begun.append(proxy.begun)
        self.agent.on_freeze = frozen
        for method, word in (("internal", b'"blockdev-snapshot-internal-sync"'),
                             ("overlay", b'"blockdev-snapshot"')):
            point = self.create(snapshot_method=method)
            self.assertEqual(begun.pop().count(word), 2, method)
            self.point("delete", point["id"], snapshot_method=method)

    def test_a_running_machine_s_points_are_extracted_whatever_it_writes(self):
        self.fill(1)
        first = self.create()["id"]
        self.fill(2)
        second = self.create()["id"]
        self.fill(3)
        self.holds(self.extracted(first, "one"), 1)
        self.holds(self.extracted(second, "two"), 2)
        self.assertEqual(os.stat(self.path("one/data.qcow2")).st_mode & 0o777, 0o600)
        again = self.run_host("snapshot", "extract", VM, first, f"--to={self.path('one')}")
        self.assertIn("it exists", self.failing(again))
        self.point("extract", second, f"--to={self.path('raw')}", "--disk=data", "--format=raw")
        self.assertEqual(os.listdir(self.path("raw")), ["data.raw"])
        self.assertTrue(pattern_at(self.path("raw/data.raw"), "raw", 0, MIB, 2))

    def test_a_machine_that_is_off_goes_back_and_forth_between_its_points(self):
        self.fill(1)
        first = self.create()["id"]
        self.fill(2)
        second = self.create()["id"]
        self.fill(3)
        refused = self.run_host("snapshot", "revert", VM, first)
        self.assertIn("runs: disks that it has open cannot be put back", self.failing(refused))
        self.machine.stop()
        said = json.loads(self.point("revert", first, "--json").stdout)
        self.assertEqual(said["reverted_to"], first)
        self.holds(self.machine.images, 1)
        self.point("revert", said["saved"], "--discard")
        self.holds(self.machine.images, 3)
        self.point("revert", second, "--discard")
        self.holds(self.machine.images, 2)
        # first <- second <- saved; a point that is taken now stands on the second one.
        self.machine.start()
        fourth = self.create()["id"]
        tree = {point["id"]: point for point in self.listed()["points"]}
        self.assertEqual([tree[one]["parent"] for one in (first, second, said["saved"], fourth)],
                         [None, first, second, second])
        self.assertEqual([one for one in tree if tree[one]["current"]], [fourth])
        self.assertEqual([tree[one]["depth"] for one in (first, second, said["saved"], fourth)],
                         [0, 0, 1, 1])
        self.assertIn(f"* {fourth}", self.point("list").stdout)

    def test_after_a_revert_the_next_backup_is_full_and_says_why(self):
        self.fill(1)
        point = self.create()["id"]
        self.back_up()
        self.fill(2)
        self.machine.stop()
        self.point("revert", point, "--discard")
        self.machine.start()
        manifest = self.back_up()
        for disk in manifest["disks"]:
            self.assertIsNone(disk["backing"])
            self.assertIn("bitmap", disk["full_because"])
        backup = os.path.join(self.repository, VM, manifest["id"])
        self.holds({disk: (os.path.join(backup, disk + ".qcow2"), "qcow2")
                    for disk in ("data", "sys")}, 1)

    def test_points_are_deleted_in_any_order_whether_the_machine_runs_or_not(self):
        first, second, third = (self.create()["id"] for _ in range(3))
        self.point("delete", second)
        self.assert_snapshots("holdfast-" + first, "holdfast-" + third)
        self.assertEqual([(point["id"], point["parent"]) for point in self.listed()["points"]],
                         [(first, None), (third, first)])
        self.machine.stop()
        self.point("delete", first[:-3])
        self.assert_snapshots("holdfast-" + third)
        self.point("delete", "latest")
        self.assert_snapshots()
        self.assertEqual(self.ids(), [])
        self.assertIn("has no restore point 'latest'",
                      self.failing(self.run_host("snapshot", "delete", VM, "latest")))

    def test_rules_rotate_points_after_each_and_on_demand(self):
        ids = [self.create("--snapshot-keep-last=2")["id"] for _ in range(3)]
        self.assertEqual(self.ids(), ids[1:])
        self.assert_snapshots(*("holdfast-" + one for one in ids[1:]))
        self.assertIn("no rule says which restore points",
                      self.failing(self.run_host("snapshot", "prune", VM), status=2))
        shown = self.point("prune", "--snapshot-keep-last=1", "--dry-run").stdout
        self.assertIn("no rule keeps it", shown)
        self.assertEqual(self.ids(), ids[1:])
        self.point("prune", "--snapshot-keep-last=1")
        self.assertEqual(self.ids(), ids[2:])

    def test_what_others_have_made_or_removed_is_shown_and_left_alone(self):
        point = self.create()["id"]
        data = self.machine.images["data"][0]
        self.machine.stop()
        subprocess.run(["qemu-img", "snapshot", "-c", "by hand", data], check=True)
        subprocess.run(["qemu-img", "snapshot", "-d", "holdfast-" + point, data], check=True)
        seen = self.listed(status=1)
        self.assertEqual([one["state"] for one in seen["points"]], ["incomplete"])
        self.assertEqual([(one["name"], one["images"]) for one in seen["foreign"]],
                         [("by hand", [data])])
        refused = self.run_host("snapshot", "revert", VM, point)
        self.assertIn("has no snapshot 'holdfast-", self.failing(refused))
        kept = self.run_host("snapshot", "prune", VM, "--snapshot-keep-last=1")
        self.assertIn("not removed", self.failing(kept))
        self.assertIn("has no restore point 'by hand'",
                      self.failing(self.run_host("snapshot", "delete", VM, "by hand")))
        self.point("delete", "by hand", "--foreign")
        self.point("delete", point)
        self.assert_snapshots()

    def test_another_s_bitmap_or_another_backing_file_forbids_a_revert(self):
        point = self.create()["id"]
        self.machine.stop()
        sys = self.machine.images["sys"][0]
        subprocess.run(["qemu-img", "bitmap", "--add", "-f", "qcow2", sys, "theirs"], check=True)
        refused = self.failing(self.run_host("snapshot", "revert", VM, point))
        self.assertIn("the dirty bitmap 'theirs', which is not ours", refused)
        subprocess.run(["qemu-img", "bitmap", "--remove", "-f", "qcow2", sys, "theirs"], check=True)
        other = self.path("vm/other.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other, "64M"], check=True)
        subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", other, sys],
                       check=True)
        for words in (("revert", VM, point), ("extract", VM, point, f"--to={self.path('new')}")):
            self.assertIn("is not what it was when the point was taken",
                          self.failing(self.run_host("snapshot", *words)))
        self.assert_snapshots("holdfast-" + point)

    def test_a_level_below_what_is_required_keeps_nothing(self):
        self.agent.hook_status = 30
        failed = self.run_host("snapshot", "create", VM, require="application")
        self.assertIn("'application' is required", self.failing(failed))
        self.assert_snapshots()
        self.assertEqual(self.ids(), [])
        done = self.point("create", status=3, require="filesystem")
        self.assertIn("level 'filesystem', 'application' is preferred", done.stderr)
        self.assertEqual(len(self.ids()), 1)


class Interrupted(PointCase):
    def take_killed(self, command, after):
        """`snapshot create` killed at a command to QEMU that never gets it, or with its answer."""
        proxy = self.proxy or self.through_proxy()
        proxy.before.clear()
        killer = Killer()

        def kill_and_cut(*_):
            killer()
            raise Cut

        if after:
            proxy.after[command] = killer
        else:
            proxy.before[command] = kill_and_cut
        process = self.start_host("snapshot", "create", VM)
        killer.aim(process)
        process.wait(60)
        self.assertTrue(killer.used)
        self.agent.wait_until(lambda: not self.agent.frozen)

    def test_killed_around_the_instant_the_next_command_takes_away_what_is_there(self):
        for after in (False, True):
            with self.subTest(after=after):
                self.take_killed("transaction", after)
                self.proxy.before.clear()
                for disk in ("data", "sys"):
                    self.assertEqual(len(self.snapshots(disk)), 1 if after else 0)
                done = self.run_host("recover", VM, repository=None)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("removed the unfinished restore point", done.stdout)
                self.assert_snapshots()
                self.assertEqual(self.ids(), [])
        point = self.create()["id"]
        self.assert_snapshots("holdfast-" + point)

    def test_a_machine_that_ends_in_the_window_leaves_no_half_of_a_point(self):
        self.take_killed("transaction", True)
        self.machine.stop()
        done = self.run_host("recover", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_snapshots()
        self.assertEqual(self.left_in_state(), [])

    def revert_killed(self, words, times):
        """A revert that stands still at the nth qemu-img of this kind, killed there."""
        gate = self.gate("gate-" + str(times))
        count = self.path("count-" + str(times))
        lines = f'echo >>{count}; if [ "$(wc -l <{count})" = {times} ]; then {gate.stop}; fi'
        script = self.qemu_img(("snapshot", lines))
        process = self.start_host("snapshot", "revert", VM, *words, qemu_img=script)
        gate.reached(process)
        process.kill()
        process.wait(60)
        gate.open()

    def test_a_revert_killed_at_any_step_is_undone_or_finished(self):
        self.fill(1)
        point = self.create()["id"]
        self.fill(2)
        self.machine.stop()
        # create data, create sys, apply data, apply sys
        for times, pattern in ((1, 2), (2, 2), (3, 1), (4, 1)):
            with self.subTest(times=times):
                self.revert_killed((point,), times)
                self.point("list", status=1)
                done = self.run_host("recover", VM)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("removed the unfinished" if pattern == 2 else "finished the revert",
                              done.stdout)
                self.holds(self.machine.images, pattern)
                ids = self.ids()
                self.assert_snapshots(*("holdfast-" + one for one in ids))
                if pattern == 1:
                    saved = [one for one in ids if one != point][-1]
                    self.point("revert", saved, "--discard")
                    self.holds(self.machine.images, 2)

    def test_a_machine_with_disks_of_two_times_is_not_backed_up(self):
        self.fill(1)
        point = self.create()["id"]
        self.fill(2)
        self.machine.stop()
        self.revert_killed((point, "--discard"), 2)
        self.machine.start()
        for words in (("backup", VM), ("recover", VM), ("snapshot", "create", VM)):
            self.assertIn("its disks may be of two times", self.failing(self.run_host(*words)))
        self.machine.stop()
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        self.holds(self.machine.images, 1)

    def test_an_apply_that_fails_puts_back_what_was_there(self):
        self.fill(1)
        point = self.create()["id"]
        self.fill(2)
        self.machine.stop()
        count = self.path("count")
        script = self.qemu_img(("snapshot", f'echo >>{count}; if [ "$(wc -l <{count})" = 4 ]; '
                                            'then echo broken >&2; exit 1; fi'))
        failed = self.run_host("snapshot", "revert", VM, point, qemu_img=script)
        self.assertIn("the disks are as they were", self.failing(failed))
        self.holds(self.machine.images, 2)
        self.assertEqual(self.ids(), [point])
        self.assert_snapshots("holdfast-" + point)


class Raw(HostCase):
    """'data' is raw."""

    def test_a_raw_disk_is_refused_before_the_guest_is_frozen(self):
        failed = self.run_host("snapshot", "create", VM)
        self.assertIn("inside disk 'data': its image is raw, not qcow2", self.failing(failed))
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.left_in_state(), [])


if __name__ == "__main__":
    unittest.main()
