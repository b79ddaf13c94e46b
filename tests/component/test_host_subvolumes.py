# SPDX-License-Identifier: MIT
"""Restore points as snapshots of subvolumes of btrfs: taken, gone back to, extracted, and removed in any
order, of a raw image and of one that rests on another, and whatever is killed meanwhile."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile

from host_case import VM, Killer
from lab import loopfs, testing
from storage_case import StorageCase
from support.qemu_machine import MIB, Machine, halting_bios, pattern_at
from support.waiting import until
from test_host_keep import DISKS, PLACES, KeepCase

TOP = 256  # the number of a subvolume's top directory


def setUpModule():
    if loopfs.missing("btrfs") is None:
        loopfs.enter_namespace()


class SubvolumeCase(KeepCase, StorageCase):
    """The machine's directory is a subvolume. Its processor runs, and does nothing."""

    def setUp(self):
        super().setUp()
        self.run_machine()

    def make_machine(self):
        directory = tempfile.mktemp(prefix="vm-", dir=self.filesystem.mount_point)
        subprocess.run(["btrfs", "-q", "subvolume", "create", directory], check=True)
        self.addCleanup(self.delete_all, directory)
        return Machine(directory, extra=("-bios", halting_bios(self.path("bios"))))

    def delete_all(self, top):
        for path in (*self.subvolumes(top), top):
            subprocess.run(["btrfs", "-q", "property", "set", path, "ro", "false"], check=True)
            subprocess.run(["btrfs", "-q", "subvolume", "delete", path], check=True)

    @staticmethod
    def subvolumes(top):
        """Those within it, the innermost first."""
        found = (os.path.join(directory, name) for directory, names, _ in os.walk(top)
                 for name in names)
        return sorted((path for path in found if os.stat(path).st_ino == TOP), reverse=True)

    def command(self, verb, *arguments, **settings):
        settings.setdefault("snapshot_method", "btrfs")
        return super().command(verb, *arguments, **settings)

    def start(self):
        self.machine.start()
        self.run_machine()

    def path_of(self, disk, point):
        path = self.machine.images[disk][0]
        top = os.path.dirname(path)
        return f"{top}/.holdfast-point-{VM}-{point}/{os.path.basename(path)}"

    def files(self):
        """Besides the snapshots of the points."""
        expected = {os.path.dirname(self.path_of(disk, point)) for disk in DISKS
                    for point in self.kept}
        # In a snapshot there is an empty directory where its source had another one.
        return sorted(path for path in set(self.left_on_filesystem()) - expected
                      if not os.path.isdir(path) or os.stat(path).st_ino == TOP)

    def check(self):
        super().check()
        self.assertEqual(self.files(), [])
        self.assertFalse(self.agent.frozen)

    def begin(self, place):
        """As write(), and neither waited for nor flushed."""
        self.pattern = self.pattern % 250 + 1
        for disk in DISKS:
            self.machine.begin_write(disk, self.pattern, place * MIB, MIB)
        self.present[place] = self.pattern

    def killed_by(self, program, when, words, **settings):
        """A command that is killed by the nth run of a program that it starts: `when` is a condition
        of the shell."""
        self.in_place_of(program, f"if {when}; then kill -9 $PPID; exit 1; fi")
        process = self.start_host("snapshot", *words, **settings)
        self.assertEqual(process.wait(60), -signal.SIGKILL, process.stderr.read())
        self.in_place_of(program)


class Kept(SubvolumeCase):
    def test_a_point_is_one_instant_of_all_disks_with_the_evidence_of_a_backup(self):
        self.write(0)
        # Of the qcow2 image, what says where it is stays in QEMU's memory until the machine stops.
        self.begin(1)
        point = self.create("--label", "before")
        self.kept[point["id"]] = dict(self.present)
        self.assertEqual((point["level"], point["label"], point["method"]),
                         ("application", "before", "btrfs"))
        self.assertEqual(self.status(), "running")
        self.begin(1)
        self.begin(2)
        self.machine.flush()
        self.check()
        names = self.agent.names()
        begin = names.index("guest-fsfreeze-freeze")
        self.assertEqual(names[begin:begin + 3], ["guest-fsfreeze-freeze", "guest-fsfreeze-status",
                                                  "guest-fsfreeze-thaw"])
        self.assertEqual(os.listdir(self.state + "/points"), [VM + ".json"])
        self.assertEqual(self.left_in_state(), [])
        top = os.path.dirname(self.path_of("data", point["id"]))
        self.assertEqual([one["path"] for one in point["snapshots"]], [top])
        said = subprocess.run(["btrfs", "property", "get", top, "ro"], capture_output=True,
                              text=True, check=True).stdout
        self.assertEqual(said, "ro=true\n")

    def test_points_are_extracted_in_one_piece_while_the_machine_writes(self):
        self.write()
        first = self.take()
        self.write()
        second = self.take()
        self.write()
        for point in (first, second):
            for disk, (path, _) in self.extracted(point, self.path(point)).items():
                self.reads(path, self.kept[point], disk)
                self.assertTrue(pattern_at(path, "qcow2", 32 * MIB, MIB, 9 if disk == "sys" else 0))

    def test_points_go_in_any_order_and_by_the_rules(self):
        for _ in range(4):
            self.write()
            self.take()
        first, second, third, last = sorted(self.kept)
        self.delete(second)
        self.check()
        self.machine.stop()
        self.delete(first)
        self.check()
        self.start()
        self.point("prune", "--snapshot-keep-last=1")
        del self.kept[third]
        self.check()
        self.assertEqual(list(self.kept), [last])

    def test_a_level_below_what_is_required_keeps_nothing(self):
        self.write()
        self.agent.hook_status = 30
        failed = self.run_host("snapshot", "create", VM, require="application")
        self.assertIn("'application' is required", self.failing(failed))
        self.check()
        self.assertEqual(self.left_in_state(), [])

    def test_a_snapshot_that_fails_keeps_nothing_and_the_machine_goes_on(self):
        self.write()
        self.in_place_of("btrfs", '[ "$2" = snapshot ] && '
                         '{ echo "ERROR: cannot snapshot: No space left on device" >&2; exit 1; }')
        failed = self.run_host("snapshot", "create", VM)
        self.assertIn("No space left on device", self.failing(failed))
        self.assertEqual(self.status(), "running")
        self.check()
        self.assertEqual(self.left_in_state(), [])

    def test_backups_by_the_same_method_and_points_leave_each_other_alone(self):
        self.write()
        self.take()
        self.write()
        self.back_up()
        self.take()
        self.check()
        self.back_up()
        self.check()


class Listed(SubvolumeCase):
    def test_a_snapshot_that_somebody_took_away_is_missed(self):
        self.write()
        point = self.take()
        whole = self.take()
        top = os.path.dirname(self.path_of("data", point))
        subprocess.run(["btrfs", "-q", "subvolume", "delete", top], check=True)
        self.assertEqual([one["state"] for one in self.listed(status=1)["points"]],
                         ["missing", "kept"])
        failed = self.run_host("snapshot", "extract", VM, point, f"--to={self.path('out')}")
        self.assertIn("is not there any more", self.failing(failed))
        self.machine.stop()
        failed = self.run_host("snapshot", "revert", VM, point)
        self.assertIn("is not there any more", self.failing(failed))
        self.delete(point)
        self.revert(whole)
        self.check()


    def test_the_space_of_a_point_is_shown_where_quota_groups_count_it(self):
        self.write(0)
        point = self.take()
        self.assertIsNone(self.listed()["points"][0]["exclusive_bytes"])
        self.assertNotIn("SPACE", self.point("list").stdout)
        mount = self.filesystem.mount_point
        subprocess.run(["btrfs", "quota", "enable", mount], check=True)
        self.addCleanup(subprocess.run, ["btrfs", "quota", "disable", mount], check=True)
        subprocess.run(["btrfs", "quota", "rescan", "-w", mount], check=True, capture_output=True)
        self.write(0)
        subprocess.run(["btrfs", "filesystem", "sync", mount], check=True)
        # What was overwritten on either disk.
        self.assertGreaterEqual(self.listed()["points"][0]["exclusive_bytes"], 2 * MIB)
        self.assertRegex(self.point("list").stdout, r"STATE +SPACE +LABEL\n.*kept +2\.\d+ MiB")
        self.delete(point)
        self.check()


class Reverted(SubvolumeCase):
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
        self.start()
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
        self.delete(first, saved)
        self.check()
        self.start()
        self.delete(third, second)
        self.check()

    def test_owner_mode_attributes_and_copy_on_write_are_as_they_were(self):
        data, sys = (self.machine.images[disk][0] for disk in DISKS)
        self.machine.stop()
        os.unlink(data)
        with open(data, "wb"):
            subprocess.run(["chattr", "+C", data], check=True)
        os.truncate(data, self.machine.size)
        self.start()
        self.write()
        point = self.take()
        self.write()
        self.machine.stop()
        for path in (data, sys):
            os.chown(path, 1234, 2345)
            os.chmod(path, 0o640)
            os.setxattr(path, "user.label", b"theirs")
            os.setxattr(path, "system.posix_acl_access", bytes.fromhex(
                "02000000"  # version; then tag, permissions and id of each entry
                "01000600ffffffff" "02000600d2040000" "04000000ffffffff" "10000600ffffffff"
                "20000000ffffffff"))
        before = [self.attributes(path) for path in (data, sys)]
        self.revert(point)
        self.check()
        self.assertEqual([self.attributes(path) for path in (data, sys)], before)

    @staticmethod
    def attributes(path):
        status = os.stat(path)
        flags = subprocess.run(["lsattr", path], capture_output=True, text=True, check=True).stdout
        return (status.st_uid, status.st_gid, status.st_mode, flags,
                {name: os.getxattr(path, name) for name in os.listxattr(path)})

    def test_an_image_that_was_lost_comes_back(self):
        self.write()
        point = self.take()
        self.machine.stop()
        os.unlink(self.machine.images["sys"][0])
        failed = self.run_host("snapshot", "revert", VM, point)
        self.failing(failed)
        self.assertEqual(self.ids(), [point])
        self.revert(point, "--discard")
        self.check()
        self.start()
        self.write()
        self.check()

    def test_what_the_image_stands_on_must_be_what_it_was(self):
        self.write()
        point = self.take()
        self.machine.stop()
        golden = self.machine.golden
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 8 {50 * MIB} {MIB}", golden],
                       check=True)
        line = self.failing(self.run_host("snapshot", "revert", VM, point))
        self.assertIn("has been written to since the point was taken", line)
        self.assertEqual(self.ids(), [point])
        # What is in the snapshot is still what it was.
        path, _ = self.extracted(point, "out")["sys"]
        self.reads(path, self.kept[point], "extracted")
        self.assertTrue(pattern_at(path, "qcow2", 50 * MIB, MIB, 0))

    def test_an_image_by_a_link_is_put_back_where_it_is(self):
        self.machine.stop()
        path = self.machine.images["sys"][0]
        os.mkdir(self.machine.directory + "/real")
        real = self.machine.directory + "/real/sys.qcow2"
        os.rename(path, real)
        os.symlink(real, path)
        self.start()
        self.write()
        point = self.create()["id"]
        then = dict(self.present)
        self.write()
        self.machine.stop()
        self.point("revert", point)
        self.assertTrue(os.path.islink(path))
        for disk in DISKS:
            self.reads(self.machine.images[disk][0], then, disk)

    def test_a_flat_image_is_kept_as_it_is_before_a_revert(self):
        self.write()
        point = self.take()
        self.machine.stop()
        self.point("flatten")
        saved = self.revert(point)
        self.check()
        self.revert(saved, "--discard")
        self.check()
        self.assertNotIn("backing-filename", self.info("sys"))

    def info(self, disk):
        path, kind = self.machine.images[disk]
        return json.loads(subprocess.run(["qemu-img", "info", "--output=json", "-f", kind, path],
                                         capture_output=True, text=True, check=True).stdout)

    def test_no_dirty_bitmap_comes_back_and_the_next_backup_is_full(self):
        def back_up():
            return self.back_up(method="overlay", incremental="yes")["kind"]
        self.assertEqual([back_up(), back_up()], ["full", "increment"])
        self.write()
        self.machine.stop()
        self.start()
        point = self.take()
        self.write()
        self.machine.stop()
        self.assertIn("bitmaps", self.info("sys")["format-specific"]["data"])
        saved = self.revert(point)
        self.assertNotIn("bitmaps", self.info("sys")["format-specific"]["data"])
        self.revert(saved)
        self.assertNotIn("bitmaps", self.info("sys")["format-specific"]["data"])
        self.start()
        self.check()
        self.assertEqual(back_up(), "full")


class Refused(SubvolumeCase):
    def test_images_elsewhere_and_ones_with_two_names(self):
        def doctor():
            done = self.run_host("doctor", VM, "--json")
            return {entry["id"]: entry for entry in json.loads(done.stdout)[0]["findings"]}
        found = doctor()["snapshot-method"]
        self.assertEqual((found["level"], found["text"]),
                         ("ok", "restore points can be kept of the subvolumes of all of them"))
        path = self.machine.images["sys"][0]
        os.link(path, path + ".too")
        line = self.failing(self.run_host("snapshot", "create", VM))
        self.assertIn("is the same file as another name", line)
        found = doctor()["snapshot-method"]
        self.assertEqual(found["level"], "warning")
        self.assertIn("is the same file as another name", found["text"])
        os.unlink(path + ".too")
        self.assertNotIn("repository-in-points", doctor())
        self.repository = os.path.join(self.machine.directory, "repository")
        os.mkdir(self.repository)
        self.assertEqual(doctor()["repository-in-points"]["level"], "warning")
        self.machine.stop()
        shutil.move(path, self.path("sys.qcow2"))
        self.machine.images["sys"] = (self.path("sys.qcow2"), "qcow2")
        self.machine.start()
        line = self.failing(self.run_host("snapshot", "create", VM))
        self.assertIn("is no file on btrfs", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.left_in_state(), [])

    def test_images_that_a_program_has_open_whatever_the_monitor_says(self):
        self.write()
        point = self.take()
        self.machine.stop()
        for disk in DISKS:
            path, kind = self.machine.images[disk]
            with self.subTest(disk=disk), subprocess.Popen(
                    ["qemu-io", "-f", kind, path], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE) as program:
                program.stdin.write(b"read 0 512\n")
                program.stdin.flush()
                program.stdout.readline()
                line = self.failing(self.run_host("snapshot", "revert", VM, point))
                self.assertRegex(line, rf"a program has '{path}' open")
                program.stdin.close()
        self.assertEqual(self.ids(), [point])
        self.check()

    def test_who_may_not_delete_snapshots_begins_nothing(self):
        self.write()
        point = self.take()
        def lacking(*words):
            return subprocess.run(
                ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--",
                 *self.command("snapshot", *words)],
                capture_output=True, text=True, timeout=60, check=False)
        for words in (("create", VM), ("delete", VM, point)):
            line = self.failing(lacking(*words))
            self.assertIn("the capability CAP_SYS_ADMIN is lacking", line)
        self.machine.stop()
        line = self.failing(lacking("revert", VM, point, "--discard"))
        self.assertIn("the capability CAP_SYS_ADMIN is lacking", line)
        self.check()

    def test_points_of_two_kinds_are_not_mixed(self):
        self.write()
        self.take()
        failed = self.run_host("snapshot", "create", VM, snapshot_method="overlay")
        self.assertIn("has restore points by the method 'btrfs'", self.failing(failed))
        self.check()


class InterruptedCreate(SubvolumeCase):
    def test_killed_at_any_step_it_is_taken_back_and_the_machine_goes_on(self):
        self.write()
        self.take()
        self.through_proxy()
        for number, (where, what, ends) in enumerate((
                ("before", "stop", False), ("after", "stop", True), ("btrfs", "before", False),
                ("btrfs", "after", False), ("btrfs", "after", True), ("before", "cont", False),
                ("after", "cont", True), ("thaw", None, False))):
            with self.subTest(step=(where, what), machine_ends=ends):
                self.write()
                killer = Killer()
                if where == "btrfs":
                    first = '"$real" "$@"; ' if what == "after" else ""
                    self.in_place_of(
                        "btrfs", f'[ "$2" = snapshot ] && {{ {first}kill -9 $PPID; exit 1; }}')
                elif where == "thaw":
                    def behave(agent, request, killer=killer):
                        killer()
                        return agent.respond(request)
                    self.agent.behaviours["guest-fsfreeze-thaw"] = behave
                else:
                    getattr(self.proxy, where)[what] = killer
                process = self.start_host("snapshot", "create", VM)
                killer.aim(process)
                self.assertEqual(process.wait(60), -signal.SIGKILL)
                self.proxy.before.clear()
                self.proxy.after.clear()
                until(lambda: self.status() == "running", "the machine goes on", 30)
                self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 30))
                self.agent.behaviours.clear()
                self.in_place_of("btrfs")
                if ends:
                    self.machine.stop()
                if number % 2:
                    self.recover()
                else:
                    self.next_command(ends)
                self.assertEqual(self.left_in_state(), [])
                if ends:
                    self.start()

    def next_command(self, off):
        if off:
            self.revert(sorted(self.kept)[0])
        else:
            self.write()
            self.take()
        self.check()


class InterruptedDelete(SubvolumeCase):
    def test_killed_at_any_step_it_is_finished(self):
        for step in ("before", "after"):
            with self.subTest(step=step):
                self.write()
                point = self.take()
                self.write()
                self.take()
                done = '"$real" "$@"; ' if step == "after" else ""
                self.killed_by("btrfs", f'[ "$2" = delete ] && {{ {done}true; }}',
                               ("delete", VM, point))
                self.assertEqual(len(self.ids_unfinished()), 1)
                del self.kept[point]
                self.recover()

    def ids_unfinished(self):
        listed = json.loads(self.run_host("snapshot", "list", VM, "--json").stdout)
        return [point["id"] for point in listed["points"] if point["state"] == "unfinished"]


class InterruptedRevert(SubvolumeCase):
    # What it renames, in this order: the store that says that it is begun, the one that says that
    # what was there is kept, each disk's clone, and the store that says that it is done.
    RENAMES = 5
    BEGUN = 3

    def test_killed_at_any_step_it_is_finished_or_was_never_begun(self):
        self.write()
        first = self.take()
        self.write()
        self.take()
        # Before the first one nothing has been begun.
        for number in range(2, self.RENAMES + 1):
            with self.subTest(rename=number):
                self.killed_at_rename(number, first)
                self.put_back(first, number >= self.BEGUN)
        for when in ('[ "$2" = snapshot ]', '[ "$2" = snapshot ] && { $real "$@"; true; }'):
            with self.subTest(when=when):
                self.write()
                self.machine.stop()
                self.killed_by("btrfs", when, ("revert", VM, first))
                self.put_back(first, False)
        # The second one's clone is there, and has not its name yet.
        self.write()
        self.machine.stop()
        script = self.qemu_img(("info", "kill -9 $PPID; exit 1"))
        process = self.start_host("snapshot", "revert", VM, first, qemu_img=script)
        self.assertEqual(process.wait(60), -signal.SIGKILL, process.stderr.read())
        self.put_back(first, True)

    def killed_at_rename(self, number, point):
        self.write()
        self.machine.stop()
        words = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=/^rename",
                 "-e", f"inject=/^rename:signal=KILL:when={number}", *self.command("snapshot", "revert", VM, point)]
        done = subprocess.run(words, capture_output=True, timeout=60, check=False,
                              env=testing.under_strace())
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)

    def put_back(self, point, begun):
        if begun:
            # What was there has been kept by then.
            listed = json.loads(self.run_host("snapshot", "list", VM, "--json").stdout)
            saved = [one["id"] for one in listed["points"] if one["id"] not in self.kept]
            self.kept[saved[0]] = self.present
            self.present = dict(self.kept[point])
        self.recover()
        self.assertEqual(self.left_in_state(), [])
        self.start()

    def test_one_that_fails_midway_puts_back_what_was_there(self):
        self.write()
        point = self.take()
        self.write()
        self.machine.stop()
        # At the second one's clone; when the first is put back again, its own is looked at too.
        once = self.path("once")
        script = self.qemu_img(("info", f'[ -e {once} ] || '
                                f'{{ touch {once}; echo "qemu-img: no" >&2; exit 1; }}'))
        line = self.failing(self.run_host("snapshot", "revert", VM, point, qemu_img=script))
        self.assertIn("the revert is not done, and the disks are as they were", line)
        self.check()


class InAnyOrder(SubvolumeCase):
    SEED = 20261122
    STEPS = 12

    def test_whatever_is_done_in_whatever_order_each_point_holds_what_it_held(self):
        chance = random.Random(self.SEED)
        self.write()
        self.take()
        for step in range(self.STEPS):
            running = self.machine.process is not None
            kinds = ["delete", "turn"] if self.kept else ["turn"]
            kinds += ["take"] * 3 if running else ["revert"] * 3 if self.kept else []
            kind = chance.choice(kinds)
            with self.subTest(step=step, kind=kind, running=running, points=len(self.kept)):
                if kind == "turn":
                    if running:
                        self.machine.stop()
                    else:
                        self.start()
                elif kind == "take":
                    self.write(chance.randrange(PLACES))
                    self.begin(chance.randrange(PLACES))
                    self.take()
                    self.begin(chance.randrange(PLACES))
                    self.machine.flush()
                elif kind == "delete":
                    self.delete(chance.choice(sorted(self.kept)))
                else:
                    self.revert(chance.choice(sorted(self.kept)),
                                *chance.choice([(), ("--discard",)]))
                self.check()
        self.delete(*sorted(self.kept))
        self.check()


class TwoSubvolumes(SubvolumeCase):
    """The second one within the first, which a snapshot leaves out; below its image a backing file
    in the first."""

    def make_machine(self):
        machine = super().make_machine()
        inner = os.path.join(machine.directory, "inner")
        subprocess.run(["btrfs", "-q", "subvolume", "create", inner], check=True)
        old, kind = machine.images["sys"]
        machine.images["sys"] = (os.path.join(inner, "sys.qcow2"), kind)
        subprocess.run(["mv", old, machine.images["sys"][0]], check=True)
        return machine

    def test_are_snapshotted_reverted_and_removed_both(self):
        self.write()
        first = self.take()
        self.write()
        self.check()
        path, _ = self.extracted(first, "out")["sys"]
        self.reads(path, self.kept[first], "extracted")
        self.machine.stop()
        saved = self.revert(first)
        self.check()
        self.delete(first)
        self.check()
        self.delete(saved)
        self.check()


if __name__ == "__main__":
    testing.main()
