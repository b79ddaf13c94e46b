# SPDX-License-Identifier: MIT
"""The tests' own driver of virtio-blk: what it says is written is on the disks, and what is not, it
says too."""

import os
import shutil
import tempfile
import unittest

from lab import testing
from support.qemu_machine import MIB, Machine, halting_bios, missing, pattern_at

KIB = 1 << 10


class GuestWrites(unittest.TestCase):
    def setUp(self):
        reason = missing()
        if reason:
            self.skipTest(reason)
        self.directory = tempfile.mkdtemp(prefix="hf-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.machine = Machine(self.directory)
        self.addCleanup(self.machine.stop)
        self.machine.start()

    def assert_holds(self, disk, pattern, offset, length):
        self.assertTrue(pattern_at(*self.machine.images[disk], offset, length, pattern),
                        (disk, pattern, offset))

    def test_are_on_the_disk_and_nowhere_else(self):
        for disk in self.machine.images:
            # More than the machine's memory.
            self.machine.write(disk, 0x11, MIB, 40 * MIB)
            self.machine.write(disk, 0x22, 2 * MIB - 512, 1024)
            self.machine.write(disk, 0x33, 63 * MIB, MIB)
            for pattern, offset, end in ((0, 0, MIB), (0x11, MIB, 2 * MIB - 512),
                                         (0x22, 2 * MIB - 512, 2 * MIB + 512),
                                         (0x11, 2 * MIB + 512, 41 * MIB), (0, 41 * MIB, 63 * MIB),
                                         (0x33, 63 * MIB, 64 * MIB)):
                self.assert_holds(disk, pattern, offset, end - offset)

    def test_many_are_under_way_at_once_and_more_than_the_queue_counts(self):
        for number in range(400):
            for disk in self.machine.images:
                self.machine.begin_write(disk, 1 + number % 255, number * 4 * KIB, 4 * KIB)
        self.machine.flush()
        for number in range(0, 400, 57):
            for disk in self.machine.images:
                self.assert_holds(disk, 1 + number % 255, number * 4 * KIB, 4 * KIB)

    def test_beyond_the_end_fail_and_the_next_ones_work(self):
        with self.assertRaisesRegex(RuntimeError, f"write of 512 at {64 * MIB}: status 1"):
            self.machine.write("data", 1, 64 * MIB, 512)
        self.machine.write("data", 1, 64 * MIB - 512, 512)

    def test_go_on_after_a_reset_and_a_new_start(self):
        self.machine.write("sys", 1, 0, 64 * KIB)
        self.machine.monitor.execute("system_reset")
        self.machine.write("sys", 2, 4 * KIB, 4 * KIB)
        self.machine.stop()
        self.machine.start()
        self.machine.write("sys", 3, 8 * KIB, 4 * KIB)
        for number in range(3):
            self.assert_holds("sys", 1 + number, number * 4 * KIB, 4 * KIB)

    def test_of_a_running_machine_are_no_others(self):
        self.machine.stop()
        self.machine.extra = ["-bios", halting_bios(os.path.join(self.directory, "bios"))]
        self.machine.start()
        self.machine.monitor.execute("cont")
        self.machine.write("data", 1, 0, 64 * KIB)
        self.machine.monitor.execute("system_reset")
        self.machine.write("data", 2, 64 * KIB, 64 * KIB)
        self.assertEqual(self.machine.monitor.execute("query-status")["status"], "running")
        self.assert_holds("data", 1, 0, 64 * KIB)
        self.assert_holds("data", 2, 64 * KIB, 64 * KIB)

    def test_of_a_qemu_that_has_ended_fail(self):
        self.machine.write("data", 1, 0, 512)
        self.machine.process.kill()
        self.machine.process.wait(30)
        with self.assertRaises(OSError):
            self.machine.write("data", 1, 0, 512)


if __name__ == "__main__":
    testing.main()
