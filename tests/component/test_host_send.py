# SPDX-License-Identifier: MIT
"""Method btrfs with btrfs-send: what is received, shared, kept, and taken away again."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

from host_case import MIB, VM
from lab import loopfs, testing
from storage_case import StorageCase
from support.qemu_machine import Machine, halting_bios

TOP = 256  # the number of a subvolume's top directory


def setUpModule():
    if loopfs.missing() is None:
        loopfs.enter_namespace()


class Whole(Machine):
    """Both of its disks are qcow2 images that rest on no other."""

    DATA = "qcow2"

    def __init__(self, directory, **more):
        super().__init__(directory, **more)
        subprocess.run(["qemu-img", "rebase", "-q", "-b", "", self.images["sys"][0]], check=True)


class SendCase(StorageCase):
    def setUp(self):
        super().setUp()
        self.repository = tempfile.mkdtemp(prefix="repository-", dir=self.filesystem.mount_point)
        self.addCleanup(self.delete_all, self.repository)
        self.run_machine()

    def make_machine(self):
        directory = tempfile.mktemp(prefix="vm-", dir=self.filesystem.mount_point)
        subprocess.run(["btrfs", "-q", "subvolume", "create", directory], check=True)
        self.addCleanup(self.delete_all, directory)
        return Whole(directory, extra=("-bios", halting_bios(self.path("bios"))))

    def delete_all(self, top):
        """With the subvolumes in it, none of which has another in it but the machine's own."""
        for path in (*self.subvolumes(top), top):
            if os.stat(path).st_ino == TOP:
                subprocess.run(["btrfs", "-q", "subvolume", "delete", path], check=True)
        shutil.rmtree(top, ignore_errors=True)

    def subvolumes(self, top):
        # A snapshot has an empty directory where its source had another one.
        found = (os.path.join(directory, name) for directory, names, _ in os.walk(top)
                 for name in names if name.startswith(".holdfast-"))
        return sorted(path for path in found if os.stat(path).st_ino == TOP)

    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **{"btrfs_send": "yes", **settings})

    def in_state(self):
        return [name for name in self.left_in_state() if name != VM + ".sent"]

    def sent_with(self):
        """What `btrfs send` was told by one run, and the size of each stream."""
        said = self.path("said")
        self.in_place_of("btrfs", f'if [ "$1" = send ]; then echo "$@" >>{said}; '
                         f'$real "$@" | tee {said}.stream; wc -c <{said}.stream >>{said}; exit; fi')
        manifest = self.back_up()
        self.in_place_of("btrfs")
        with open(said, encoding="utf-8") as file:
            words = file.read().split()
        os.unlink(said)
        return manifest, "-p" in words, int(words[-1])

    def assert_one_kept(self):
        """On each side, and the same."""
        here = self.subvolumes(self.machine.directory)
        there = self.subvolumes(self.repository)
        self.assertEqual((len(here), [os.path.basename(path) for path in here]),
                         (1, [os.path.basename(path) for path in there]))
        self.assertEqual(self.in_state(), [])


class Send(SendCase):
    def test_what_changed_is_carried_and_every_image_is_whole(self):
        self.write_all(1, 0, 8 * MIB)
        first, on_parent, in_full = self.sent_with()
        self.assertFalse(on_parent)
        self.assertGreater(in_full, 16 * MIB)
        self.assert_one_kept()
        former = {disk: bytearray(content) for disk, content in self.expected.items()}
        self.write_all(2, 3 * MIB)
        second, on_parent, changed = self.sent_with()
        self.assertTrue(on_parent)
        self.assertLess(changed, 4 * MIB)
        self.assert_one_kept()
        self.assertEqual((second["level"], second["method"]), ("application", "btrfs"))
        self.assert_holds_expected(second["id"])
        done = self.run_host("prune", VM, keep_last="1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.published(), [second["id"]])
        done = self.run_host("verify", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(former, self.expected)

    def test_the_backup_before_keeps_what_it_held(self):
        self.write_all(1, 0, 4 * MIB)
        first = self.back_up()["id"]
        former = {disk: bytearray(content) for disk, content in self.expected.items()}
        self.write_all(2, 2 * MIB, 4 * MIB)
        second = self.back_up()["id"]
        self.assert_holds_expected(second)
        self.expected = former
        self.assert_holds_expected(first)

    def test_what_either_side_has_lost_is_sent_in_full(self):
        self.write_all(1)
        self.back_up()
        for side in (self.repository, self.machine.directory):
            with self.subTest(side=os.path.basename(side)[:4]):
                subprocess.run(["btrfs", "-q", "subvolume", "delete", *self.subvolumes(side)],
                               check=True)
                manifest, on_parent, _ = self.sent_with()
                self.assertFalse(on_parent)
                self.assert_holds_expected(manifest["id"])
                self.assert_one_kept()

    def test_killed_while_it_sends_and_receives(self):
        self.write_all(1)
        self.back_up()
        # After the receiver has ended, it is recorded, and then what was before is deleted.
        for number, (where, condition) in enumerate((
                ("send", '[ "$1" = send ]'), ("receive", '[ "$1" = receive ]'),
                ("delete", '[ "$2" = delete ]'))):
            for after in ("", '$real "$@"; '):
                with self.subTest(where=where, after=bool(after)):
                    self.write_all(2 + number, 5 * MIB)
                    self.in_place_of("btrfs", f"if {condition}; then {after}kill -9 $PPID; exit 1; fi")
                    process = self.start_host("backup", VM)
                    self.assertEqual(process.wait(60), -signal.SIGKILL)
                    self.in_place_of("btrfs")
                    done = self.run_host("recover", VM)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertFalse(self.agent.frozen)
                    self.assertEqual(len(self.subvolumes(self.machine.directory)), 1)
                    self.assert_holds_expected(self.back_up()["id"])
                    self.assert_one_kept()

    def test_whoever_clears_up_leaves_what_the_next_one_is_sent_on(self):
        for clear_up in (("recover", VM), ("snapshot", "create", VM)):
            with self.subTest(by=clear_up[0]):
                self.write_all(1)
                self.back_up()
                self.write_all(2)
                self.in_place_of("btrfs", 'if [ "$2" = delete ]; then kill -9 $PPID; exit 1; fi')
                process = self.start_host("backup", VM)
                self.assertEqual(process.wait(60), -signal.SIGKILL)
                self.in_place_of("btrfs")
                done = self.run_host(*clear_up)
                self.assertEqual(done.returncode, 0, done.stderr)
                _, on_parent, _ = self.sent_with()
                self.assertTrue(on_parent)
                self.assert_one_kept()

    def test_switched_off_nothing_is_kept(self):
        for settings in ({"btrfs_send": "no"}, {"method": "overlay"}):
            with self.subTest(**settings):
                self.back_up()
                self.assert_one_kept()
                self.back_up(**settings)
                self.assertEqual((self.subvolumes(self.machine.directory),
                                  self.subvolumes(self.repository), self.left_in_state()),
                                 ([], [], []))

    def test_a_receiver_that_fails_is_told_and_the_next_run_works(self):
        self.in_place_of("btrfs", '[ "$1" = receive ] && { echo "ERROR: no space left" >&2; exit 1; }')
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, "unable to send '.*': unable to run 'btrfs receive': exited with "
                               "status 1: ERROR: no space left")
        self.in_place_of("btrfs")
        self.assertEqual(self.published(), [])
        self.back_up()
        self.assert_one_kept()

    def test_what_it_is_not_for_is_refused_before_the_freeze(self):
        def refused(**settings):
            line = self.failing(self.run_host("backup", VM, **settings))
            self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
            return line
        self.assertRegex(refused(repository=self.path("elsewhere")),
                         "unable to send snapshots: '.*' is not on btrfs")
        inside = os.path.join(self.machine.directory, "repository")
        self.assertRegex(refused(repository=inside),
                         "'.*' and the repository are in the same subvolume")
        done = self.run_host("doctor", VM, "--json", repository=inside)
        found = {entry["id"]: entry for entry in json.loads(done.stdout)[0]["findings"]}
        self.assertEqual(found["method"]["level"], "problem")
        self.machine.stop()
        path = self.machine.images["data"][0]
        subprocess.run(["qemu-img", "convert", "-O", "raw", path, path + ".raw"], check=True)
        self.machine.images["data"] = (path + ".raw", "raw")
        self.machine.start()
        self.assertRegex(refused(), "'.*' is no qcow2 image that rests on no other")


if __name__ == "__main__":
    testing.main()
