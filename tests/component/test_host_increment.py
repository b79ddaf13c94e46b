# SPDX-License-Identifier: MIT
"""Increments of a real QEMU's disks: equal to the disk at the instant, as cheap as what has changed."""

import json
import os
import signal
import subprocess

from host_case import KIB, MIB, VM, HostCase, Killer
from lab import testing
from support.qemu_machine import same_content


class IncrementCase(HostCase):
    def image(self, manifest, disk, repository=None):
        return f"{repository or self.repository}/{VM}/{manifest['id']}/{disk}.qcow2", "qcow2"

    def assert_equals_disks(self, manifest, disks=None):
        """The backup, read by qemu-img alone, is what the disks hold now."""
        for disk, image in (disks or self.machine.images).items():
            self.assertTrue(same_content(self.image(manifest, disk), image), disk)

    def back_up_saying(self, because, **settings):
        """A backup of which exactly these disks are full, for these reasons, which are also told."""
        before = self.published()
        done = self.run_host("backup", VM, **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        # Where the test stands between, no QEMU is seen behind the monitor.
        said = [line for line in done.stderr.splitlines() if not line.endswith("and no QEMU")]
        self.assertEqual(sorted(said), sorted(
            f"holdfast: {VM}: disk '{name}' is copied in full: {reason}"
            for name, reason in because.items()))
        directory, = set(self.published()) - set(before)
        with open(f"{self.repository}/{VM}/{directory}/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual({disk["name"]: disk["full_because"] for disk in manifest["disks"]
                          if disk["full_because"]}, because)
        for disk in manifest["disks"]:
            self.assertEqual(disk["backing"], None if disk["full_because"] else
                             {"id": before[-1]}, disk["name"])
        self.assert_equals_disks(manifest)
        return manifest

    def quit(self):
        """The machine ends as it should."""
        self.machine.monitor.execute("quit")
        self.machine.process.wait(30)
        self.machine.stop()

    def reboot(self):
        self.quit()
        self.machine.start()


class Increments(IncrementCase):
    def test_each_holds_what_stood_there_at_its_instant(self):
        self.machine.write("data", 1, 0, 3 * MIB)
        self.machine.write("sys", 2, 0, 3 * MIB)
        self.assertEqual(self.back_up()["kind"], "full")
        proxy = self.through_proxy()
        references = {}

        def at_the_copy():
            # What is below the overlays by now is the instant. The guest writes on: none of it may
            # be in this increment, and all of it in the next.
            proxy.before.clear()
            for disk, (path, kind) in self.machine.images.items():
                references[disk] = self.path(f"{disk}.{number}")
                subprocess.run(["qemu-img", "convert", "-U", "-f", kind, "-O", "raw", path,
                                references[disk]], check=True)
                self.machine.write(disk, 50 + number, (8 + number) * MIB, 200 * KIB)
                self.machine.write(disk, 60 + number, 30 * KIB, 512)
        for number in range(3):
            for disk in self.machine.images:
                self.machine.write(disk, 10 + number, 512 * (number + 1), 512)
                self.machine.write(disk, 20 + number, (20 + number) * MIB - 70 * KIB, 140 * KIB)
                self.machine.command(disk, f"write -z {1024 + 64 * number}k 64k")
            # What was below the backing file comes and goes, too.
            self.machine.command("sys", f"discard {32 + number}M 512k")
            proxy.before["blockdev-backup"] = at_the_copy
            manifest = self.back_up()
            self.assertEqual([disk["full_because"] for disk in manifest["disks"]], [None, None])
            for disk, reference in references.items():
                self.assertTrue(same_content(self.image(manifest, disk), (reference, "raw")), disk)
                os.unlink(reference)
            references.clear()
        last = self.back_up()
        self.assert_equals_disks(last)
        self.assert_nothing_left()
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        out = self.path("out")
        self.assertEqual(self.run_host("restore", VM, last["id"], "--to", out).returncode, 0)
        for disk, image in self.machine.images.items():
            self.assertTrue(same_content((f"{out}/{disk}.qcow2", "qcow2"), image), disk)

    def test_one_costs_what_has_changed(self):
        for disk in self.machine.images:
            self.machine.write(disk, 1, 0, 24 * MIB)
        full = self.back_up(compress="none")
        self.assertGreater(full["copy"]["bytes"], 48 * MIB)
        self.machine.write("data", 2, 5 * MIB, 64 * KIB)
        # Zeroes are not stored, though the guest wrote them.
        self.machine.write("data", 0, 6 * MIB, 4 * MIB)
        small = self.back_up()
        sizes = {disk["name"]: disk["bytes"] for disk in small["disks"]}
        # Four tables of 64 KiB, and the one cluster.
        self.assertLessEqual(sizes["data"], 6 * 64 * KIB)
        self.assertLessEqual(sizes["sys"], 5 * 64 * KIB)
        self.assert_equals_disks(small)

    def test_the_room_that_is_asked_for_is_that_of_the_increment(self):
        self.small_repository(64)
        self.machine.write("data", 1, 0, 36 * MIB)
        self.back_up(compress="none")
        self.machine.write("data", 2, 0, MIB)
        self.assertEqual(self.back_up()["kind"], "increment")
        self.assertIn("may be needed", self.failing(self.run_host("backup", VM, "--full")))

    def test_each_repository_has_increments_of_its_own(self):
        own, other = self.path("repository"), self.path("other")
        self.back_up()
        self.machine.write("data", 1, 0, MIB)
        self.assertEqual(self.back_up(repository=other)["kind"], "full")
        self.machine.write("data", 2, 2 * MIB, MIB)
        for repository in (own, other):
            manifest = self.back_up(repository=repository)
            self.assertEqual(manifest["kind"], "increment")
            for disk, image in self.machine.images.items():
                self.assertTrue(same_content(self.image(manifest, disk, repository), image), disk)

    def test_a_run_that_fails_leaves_the_account_as_it_was(self):
        self.back_up()
        self.machine.write("data", 3, 0, MIB)
        self.agent.holdfast = False
        self.failing(self.run_host("backup", VM, require="application"))
        self.assert_nothing_left()
        self.agent.holdfast = True
        self.machine.write("data", 4, 2 * MIB, MIB)
        self.back_up_saying({})

    def copy_for_hours(self, signal_number):
        """A run whose copy is slow, signalled in the middle of it; what it wrote to stderr."""
        self.machine.write("data", 5, 0, 32 * MIB)
        proxy = self.through_proxy()
        killer = Killer(signal_number)
        proxy.extra["blockdev-backup"] = {"speed": 65536}
        proxy.after["blockdev-backup"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        _, errors = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        proxy.extra.clear()
        proxy.after.clear()
        self.assertTrue(killer.used)
        return errors

    def test_one_that_is_interrupted_ends_cleanly(self):
        self.back_up()
        self.copy_for_hours(signal.SIGTERM)
        self.assertEqual(len(self.published()), 1)
        self.assert_nothing_left()
        self.back_up_saying({})

    def test_a_copy_that_outlives_its_run_is_ended_by_the_next(self):
        self.back_up()
        self.copy_for_hours(signal.SIGKILL)
        job, = self.machine.monitor.execute("query-jobs")
        self.assertEqual((job["type"], job["status"]), ("backup", "running"))
        self.machine.write("data", 6, 8 * MIB, 8 * MIB)
        done = self.run_host("backup", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"holdfast: {VM}: ended the copy '{job['id']}'\n", done.stderr)
        self.assertRegex(done.stdout, rf"^{VM}: \S+: application, increment, window ")
        self.assert_nothing_left()
        self.back_up_saying({})

    def test_a_job_that_fails_leaves_nothing(self):
        self.back_up()
        self.machine.write("data", 6, 0, MIB)
        # Its target is no image any more by the time that QEMU opens it.
        script = self.qemu_img(("create", 'case "$*" in *../*) qemu-img "$@"; eval t=\\${$(($#-1))}; '
                                          ': >"$t"; exit 0;; esac'))
        line = self.failing(self.run_host("backup", VM, qemu_img=script))
        self.assertIn("unable to attach the copy of disk 'data' to QEMU", line)
        self.assertIn("incremental = no", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)
        self.assert_nothing_left()
        self.back_up_saying({})

    def test_no_descriptor_stays_with_qemu(self):
        # QEMU closes them once the machine runs, if it does not yet.
        self.machine.monitor.execute("cont")
        self.back_up()
        self.back_up()
        self.assertEqual(self.machine.monitor.execute("query-fdsets"), [])
        killer = Killer()
        self.through_proxy().before["transaction"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        process.wait(60)
        self.proxy.before.clear()
        self.assertEqual(len(self.machine.monitor.execute("query-fdsets")), 2)
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        self.assertEqual(self.machine.monitor.execute("query-fdsets"), [])
        self.assert_nothing_left()


if __name__ == "__main__":
    testing.main()
