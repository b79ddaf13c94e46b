# SPDX-License-Identifier: MIT
"""A copy is looked at, flushed and added up while the next disk is copied."""

import os

from host_case import MIB, VM, HostCase
from lab import testing


class HostSealing(HostCase):
    def setUp(self):
        super().setUp()
        self.machine.write("data", 1, 0, MIB)
        self.machine.write("sys", 2, 0, MIB)
        # Who comes to one end of it stands still until somebody comes to the other.
        self.meeting = self.path("meeting")
        os.mkfifo(self.meeting)

    def tools(self, check, convert):
        """A qemu-img whose check of the first copy, and whose copying of the second disk, wait for
        each other, and then do this."""
        return self.qemu_img(
            ("check", f'case "$*" in *data.qcow2*) read _ <{self.meeting}; {check};; esac'),
            ("convert", f'case "$*" in *sys.qcow2*) echo >{self.meeting}; {convert};; esac'))

    def failing_backup(self, **settings):
        said = self.failing(self.run_host("backup", VM, **settings))
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        return said

    def test_it_goes_on_beside_the_next_copy(self):
        manifest = self.back_up(qemu_img=self.tools(":", ":"))
        self.assertEqual(len({disk["sha256"] for disk in manifest["disks"]}), 2)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        self.assert_nothing_left()

    def test_a_copy_that_is_corrupt_ends_the_next_one(self):
        never = self.gate("never")
        said = self.failing_backup(
            qemu_img=self.tools("echo no luck >&2; exit 2", never.stop))
        self.assertIn("unable to copy the disk 'data'", said)
        self.assertIn("is corrupt", said)

    def test_a_copy_that_fails_ends_the_look_at_the_one_before(self):
        never = self.gate("never")
        said = self.failing_backup(
            qemu_img=self.tools(never.stop, "echo no luck >&2; exit 1"))
        self.assertIn("unable to copy the disk 'sys'", said)
        self.assertIn("no luck", said)


if __name__ == "__main__":
    testing.main()
