# SPDX-License-Identifier: MIT
"""Method `backup` on a real QEMU's disks: what stood there at the instant, whatever is written
while QEMU's jobs copy it, and nothing left when they do not come to their end."""

import glob
import os
import signal
import subprocess

from host_case import KIB, MIB, VM, Killer
from lab import testing
from support.qemu_machine import same_content
from test_host_increment import IncrementCase

LIMIT = 32 * MIB


class BackupCase(IncrementCase):
    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **{"method": "backup", **settings})

    def setUp(self):
        super().setUp()
        for disk in self.machine.images:
            self.machine.write(disk, 1, 0, 3 * MIB)
            self.machine.write(disk, 2, 60 * MIB, MIB)

    def jobs(self):
        """(id, speed) of those that run."""
        return [(job["device"], job["speed"])
                for job in self.machine.monitor.execute("query-block-jobs")]


class Instants(BackupCase):
    def overwriting(self, **settings):
        """A backup while the guest overwrites both disks from the instant on; it holds what stood
        there before. The manifest."""
        proxy = self.proxy or self.through_proxy()
        references = {}

        def before():
            for disk, (path, kind) in self.machine.images.items():
                references[disk] = self.path(f"{disk}.reference")
                subprocess.run(["qemu-img", "convert", "-U", "-f", kind, "-O", "raw", path,
                                references[disk]], check=True)

        def hurried():
            self.hurried = self.jobs()
            self.assertFalse(self.agent.frozen)

        def after():
            self.seen = self.jobs()
            self.assertEqual([name for name in os.listdir(self.machine.directory)
                              if ".holdfast-" in name], [])
            for disk in self.machine.images:
                self.machine.write(disk, 50, 60 * MIB + 5 * KIB, 200 * KIB)
                self.machine.write(disk, 51, 2 * MIB, MIB + 512)
                self.machine.command(disk, "write -z 100k 64k", "discard 1M 512k")
        proxy.before["transaction"] = before
        proxy.after["transaction"] = after
        proxy.after["block-job-set-speed"] = hurried
        manifest = self.back_up(rate_limit=f"{LIMIT // MIB}MiB", **settings)
        proxy.before.clear()
        proxy.after.clear()
        self.assertEqual(manifest["method"], "backup")
        for disk, reference in references.items():
            self.assertTrue(same_content(self.image(manifest, disk), (reference, "raw")), disk)
        self.assertEqual(self.machine.leftovers(), [])
        return manifest

    def test_a_full_backup_and_increments_by_either_method(self):
        full = self.overwriting()
        self.assertEqual(full["kind"], "full")
        # Nothing at leisure before the thaw.
        self.assertEqual([speed for _, speed in self.seen], [1] * 2)
        self.assertEqual([speed for _, speed in self.hurried], [LIMIT] * 2)
        self.assert_nothing_left()
        # What the guest wrote during the copies is in the next one.
        self.back_up_saying({})
        self.machine.write("data", 4, 10 * MIB - 512, 70 * KIB)
        self.assertEqual(self.overwriting()["kind"], "increment")
        self.back_up_saying({}, method="overlay")
        self.machine.write("sys", 5, 20 * MIB, 512)
        last = self.back_up_saying({})
        self.assertLessEqual(max(disk["bytes"] for disk in last["disks"]), 7 * 64 * KIB)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        out = self.path("out")
        self.assertEqual(self.run_host("restore", VM, last["id"], "--to", out).returncode, 0)
        for disk, image in self.machine.images.items():
            self.assertTrue(same_content((f"{out}/{disk}.qcow2", "qcow2"), image), disk)

    def test_without_increments_there_are_no_bitmaps(self):
        self.assertEqual(self.overwriting(incremental="no")["kind"], "full")
        self.assertEqual(self.machine.bitmaps(), [])

    def test_the_limit_holds_for_increments_by_overlay_too(self):
        self.back_up()
        self.machine.write("data", 3, 0, MIB)
        seen = []
        self.through_proxy().after["blockdev-backup"] = lambda: seen.extend(self.jobs())
        self.back_up(method="overlay", rate_limit="64KiB")
        self.assertIn(65536, [speed for _, speed in seen])


class Ends(BackupCase):
    def slow(self, signal_number):
        """A run that is signalled in the middle of its copies, which would take minutes; what it
        wrote to stderr."""
        killer = Killer(signal_number)
        after = self.through_proxy().after
        after["transaction"] = lambda: after.update({"query-jobs": killer})
        process = self.start_host("backup", VM, rate_limit="256KiB")
        killer.aim(process)
        _, errors = process.communicate(timeout=60)
        self.assertTrue(killer.used)
        self.assertNotEqual(process.returncode, 0)
        self.proxy.stop()
        self.proxy = None
        return errors

    def test_of_a_killed_run_are_what_the_next_makes_of_it(self):
        self.back_up()
        self.machine.write("data", 5, 8 * MIB, 24 * MIB)
        self.machine.write("sys", 5, 8 * MIB, 24 * MIB)
        self.slow(signal.SIGKILL)
        jobs = [job for job, _ in self.jobs()]
        self.assertEqual(len(jobs), 2)
        self.machine.write("data", 6, 9 * MIB, MIB)
        done = self.run_host("recover", VM)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for job in jobs:
            self.assertIn(f"{VM}: ended the copy '{job}'\n", done.stdout)
        self.assertIn(f"{VM}: cleared up after the interrupted run '", done.stdout)
        self.assert_nothing_left()
        self.assertIn("nothing to recover", self.run_host("recover", VM).stdout)
        # Another run, and then one by the other method.
        self.slow(signal.SIGKILL)
        self.machine.write("sys", 7, 9 * MIB, MIB)
        manifest = self.back_up(method="overlay")
        self.assertEqual([disk["full_because"] for disk in manifest["disks"]], [None, None])
        self.assert_equals_disks(manifest)
        self.assert_nothing_left()

    def test_of_an_interrupted_run_are_its_own_doing(self):
        self.back_up()
        self.machine.write("data", 5, 8 * MIB, 24 * MIB)
        self.assertIn("cancelled", self.slow(signal.SIGTERM))
        self.assert_nothing_left()
        self.assertEqual(len(self.published()), 1)
        self.back_up_saying({})


class SmallRepository(BackupCase):
    def setUp(self):
        super().setUp()
        self.small_repository(56)
        self.machine.write("sys", 3, 8 * MIB, 16 * MIB)

    def fill(self):
        with open(f"{self.repository}/filler", "wb") as file:
            try:
                while True:
                    file.write(bytes(64 * KIB))
                    file.flush()
            except OSError:
                pass

    def test_that_is_filled_by_others_still_has_the_room_that_was_set_aside(self):
        self.through_proxy().before["transaction"] = self.fill
        # The manifest needs a little that nobody sets aside.
        self.proxy.after["job-dismiss"] = lambda: os.truncate(f"{self.repository}/filler", 0)
        self.assert_equals_disks(self.back_up())
        self.assert_nothing_left()

    def test_that_is_full_fails_the_run_and_not_the_guest(self):
        state = self.machine.monitor.execute("query-status")

        def fill():
            # Only this one loses what was set aside for it.
            target, = glob.glob(f"{self.repository}/{VM}/.*/sys.qcow2")
            os.truncate(target, os.stat(target).st_size)
            self.fill()
        self.through_proxy().before["transaction"] = fill
        self.assertEqual(
            self.failing(self.run_host("backup", VM)),
            "holdfast: unable to copy the disk 'data': the copy of disk 'sys' has failed: "
            "blockdev-backup: No space left on device")
        self.proxy.before.clear()
        os.unlink(f"{self.repository}/filler")
        self.assertEqual(self.published(), [])
        self.assertEqual(self.machine.leftovers(), [])
        self.assertEqual(self.machine.bitmaps(), [])
        self.assertEqual(self.machine.monitor.execute("query-status"), state)
        self.machine.write("sys", 4, 9 * MIB, MIB)
        self.assert_equals_disks(self.back_up())
        self.assert_nothing_left()

    def test_that_has_no_room_is_told_before_the_guest_is_touched(self):
        # One byte in each cluster: little in the image, much in the copy.
        with open(self.machine.images["data"][0], "r+b") as image:
            for place in range(0, 64 * MIB, 64 * KIB):
                image.seek(place)
                image.write(b"7")
        error = self.failing(self.run_host("backup", VM))
        self.assertIn("unable to make the copy of disk 'data' ready: unable to set aside 68", error)
        self.assertIn("No space left on device", error)
        self.assertNotIn("guest-fsfreeze-freeze", [name for _, name in self.agent.commands])
        self.assertEqual(self.machine.leftovers() + self.machine.bitmaps(), [])

    def test_that_loses_its_room_is_told_before_the_guest_is_touched(self):
        def fill():
            self.fill()
            path = f"{self.repository}/filler"
            os.truncate(path, os.stat(path).st_size - MIB)
        self.through_proxy().before["blockdev-add"] = fill
        error = self.failing(self.run_host("backup", VM))
        self.assertIn("unable to make the copy of disk 'sys' ready: unable to set aside ", error)
        self.assertIn("No space left on device", error)
        self.assertNotIn("guest-fsfreeze-freeze", [name for _, name in self.agent.commands])
        self.assertEqual(self.machine.leftovers() + self.machine.bitmaps(), [])


if __name__ == "__main__":
    testing.main()
