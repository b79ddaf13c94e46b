# SPDX-License-Identifier: MIT
"""Disks that come, go and grow between two backups, while a machine of a real libvirtd runs."""

import itertools
import json
import os
import subprocess
from xml.sax.saxutils import quoteattr

from host_case import MIB, VM
from lab import testing
from support.qemu_machine import same_content
from test_host_libvirt_backup import BackupCase


NUMBERS = itertools.count()


class Disks(BackupCase):
    # With it the guest's kernel lets go of a disk.
    FEATURES = "<acpi/>"

    def tearDown(self):
        if self.reason:
            return
        for disk in sorted(set(self.machine.sources()) - {"vda", "vdb"}):
            self.detach(disk)

    def attach(self, disk, size=16 * MIB):
        # A name of its own each time: a file that is gone may leave its inode to the next.
        path = os.path.join(self.machine.directory, f"{disk}-{next(NUMBERS)}.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(size)], check=True)
        self.daemon.virsh("attach-disk", VM, path, disk, "--targetbus", "virtio", "--driver",
                          "qemu", "--subdriver", "qcow2", "--persistent")
        self.machine.images[disk] = (path, "qcow2")

    def detach(self, disk):
        self.daemon.virsh("detach-disk", VM, disk, "--persistent")
        self.daemon.wait_for(lambda: disk not in self.machine.sources())
        os.unlink(self.machine.images.pop(disk)[0])

    def recorded(self):
        return [disk for disk, (_, kind) in self.machine.images.items() if kind == "qcow2"]

    def contents(self):
        return {disk: self.frozen_copy(disk) for disk in self.machine.images}

    def back_up_telling(self, **settings):
        """The manifest, and what was said."""
        expected = self.contents()
        done = self.run_host("backup", VM, "--json", **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        manifest = json.loads(done.stdout)
        self.assert_nothing_left()
        self.assert_holds(manifest, expected)
        return manifest, done.stderr

    def assert_restores(self):
        expected = self.contents()
        target = self.path("restored-" + self.published()[-1])
        done = self.run_host("restore", VM, "latest", "--to", target)
        self.assertEqual(done.returncode, 0, done.stderr)
        for disk, image in expected.items():
            self.assertTrue(same_content((f"{target}/{disk}.qcow2", "qcow2"), image), disk)

    def test_a_new_one_is_copied_in_full_and_then_in_increments(self):
        first = self.back_up_and_compare()
        self.attach("vdc")
        self.machine.write("vdc", 0x21, MIB, 2 * MIB)
        self.machine.write("vdb", 0x22, MIB, MIB)
        manifest, said = self.back_up_telling()
        why = self.kinds(manifest)
        self.assertIsNone(why["vdb"])
        self.assertIn(f"disk 'vdc' is copied in full: {why['vdc']}", said)
        self.assertIn(first["id"], why["vdc"])
        self.machine.write("vdc", 0x23, 4 * MIB, MIB)
        manifest, said = self.back_up_telling()
        self.assertIsNone(self.kinds(manifest)["vdc"])
        self.assertEqual(manifest["disks"][2]["backing"], {"id": self.published()[-2]})
        self.assert_restores()
        # and away again: the others go on, the checkpoint that had it goes
        self.detach("vdc")
        self.machine.write("vdb", 0x24, 5 * MIB, MIB)
        before = self.published()[-1]
        manifest, said = self.back_up_telling()
        self.assertIn(f"disk 'vdc' of backup '{before}' is not there any more", said)
        self.assertEqual([disk["name"] for disk in manifest["disks"]], ["vda", "vdb"])
        self.assertEqual(manifest["disks"][1]["backing"], {"id": before})
        self.assertEqual(manifest["gone"], ["vdc"])
        self.assert_restores()
        self.assertEqual(self.run_host("verify", VM).returncode, 0)

    def test_one_that_is_replaced_is_copied_in_full(self):
        self.attach("vdc")
        self.back_up_and_compare()
        self.detach("vdc")
        self.attach("vdc")
        self.machine.write("vdc", 0x31, 0, MIB)
        manifest, said = self.back_up_telling()
        self.assertIn("its image is another file", self.kinds(manifest)["vdc"])
        self.assertIn("disk 'vdc' is copied in full: its image is another file", said)
        self.assertIsNone(self.kinds(manifest)["vdb"])

    def test_an_overlay_may_not_be_put_where_its_commit_may_kill_the_machine(self):
        """As without libvirt, see test_host_commit_end.py."""
        path = os.path.join(self.machine.directory, "vdc.raw")
        definition = os.path.join(self.machine.directory, "vdc.xml")
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", path, str(16 * MIB)], check=True)
        with open(definition, "w", encoding="utf-8") as file:
            file.write(f"<disk type='file' device='disk'><source file={quoteattr(path)}/>"
                       "<driver name='qemu' type='raw' ioeventfd='off'/>"
                       "<target dev='vdc' bus='virtio'/></disk>")
        self.daemon.virsh("attach-device", VM, definition, "--persistent")
        self.machine.images["vdc"] = (path, "raw")
        version = self.machine.monitor.execute("query-version")["qemu"]
        if (version["major"], version["minor"]) < (8, 2):
            frozen = self.agent.count("guest-fsfreeze-freeze")
            line = self.failing(self.run_host("backup", VM, method="overlay"))
            self.assertRegex(line, "unable to put an overlay on disk 'vdc': QEMU [0-9.]+ may die .*"
                             "writes through 'virtio'.*'method = backup'")
            self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), frozen)
            self.assertIn("unable to put an overlay on disk 'vdc'",
                          self.run_host("doctor", VM, method="overlay").stdout)
            self.assert_nothing_left()
        self.back_up_telling()

    def test_one_that_grows_is_copied_in_full_once(self):
        self.attach("vdc")
        self.back_up_and_compare()
        self.daemon.virsh("blockresize", VM, "vdc", "24M")
        self.machine.write("vdc", 0x41, 20 * MIB, MIB)
        manifest, said = self.back_up_telling()
        self.assertIn(f"its size has changed from {16 * MIB}", self.kinds(manifest)["vdc"])
        self.assertIn("disk 'vdc' is copied in full: its size has changed", said)
        self.assertIsNone(self.kinds(manifest)["vdb"])
        self.machine.write("vdc", 0x42, 21 * MIB, MIB)
        manifest, said = self.back_up_telling()
        self.assertIsNone(self.kinds(manifest)["vdc"])
        self.assert_restores()


if __name__ == "__main__":
    testing.main()
