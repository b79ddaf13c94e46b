# SPDX-License-Identifier: MIT
"""What the tests of the methods below QEMU share: images on a filesystem of the test's own."""

import os
import shutil
import tempfile
import unittest

from host_case import MIB, HostCase
from lab import loopfs
from support.qemu_machine import Machine, halting_bios, same_content
from support.waiting import until

USUAL_PATH = os.environ["PATH"]


class StorageCase(HostCase):
    """The machine's directory is on a filesystem of this kind, one for all tests of the class;
    `self.expected` says what its disks are to hold."""

    KIND = "btrfs"
    METHOD = "btrfs"
    MEBIBYTES = 512
    INCREMENTAL = "no"

    @classmethod
    def setUpClass(cls):
        reason = loopfs.missing(cls.KIND)
        if reason:
            raise unittest.SkipTest(reason)
        cls.filesystem = loopfs.LoopFilesystem(cls.MEBIBYTES, cls.KIND)
        cls.addClassCleanup(cls.filesystem.close)

    def setUp(self):
        super().setUp()
        self.expected = {disk: bytearray(self.machine.size) for disk in self.machine.images}
        self.expected["sys"][32 * MIB:33 * MIB] = b"\x09" * MIB

    def make_machine(self):
        directory = tempfile.mkdtemp(prefix="vm-", dir=self.filesystem.mount_point)
        self.addCleanup(shutil.rmtree, directory)
        return Machine(directory, extra=("-bios", halting_bios(self.path("bios"))))

    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **{"method": self.METHOD, **settings})

    def write_unflushed(self, disk, pattern, offset, length):
        """Under way when this returns, and not flushed: of a qcow2 image, what says where the data is
        stays in QEMU's memory."""
        self.machine.begin_write(disk, pattern, offset, length)
        self.expected[disk][offset:offset + length] = bytes([pattern]) * length

    def write_all(self, pattern, offset=0, length=MIB):
        for disk in self.machine.images:
            self.write_unflushed(disk, pattern, offset, length)

    def assert_holds_expected(self, backup):
        """All of each disk, restored."""
        out = self.path(f"out-{backup}")
        done = self.run_host("restore", "web1", backup, "--to", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        for disk, content in self.expected.items():
            model = self.path(f"{disk}.model")
            with open(model, "wb") as file:
                file.write(content)
            self.assertTrue(same_content((f"{out}/{disk}.qcow2", "qcow2"), (model, "raw")), disk)

    def status(self):
        return self.machine.monitor.execute("query-status")["status"]

    def run_machine(self):
        self.machine.monitor.execute("cont")
        self.assertEqual(self.status(), "running")

    def await_running(self, seconds):
        until(lambda: self.status() == "running", "the machine goes on", seconds)

    def left_on_filesystem(self):
        found = []
        for directory, names, files in os.walk(self.filesystem.mount_point):
            found += [os.path.join(directory, name) for name in (*names, *files)
                      if ".holdfast-" in name]
        return found

    def assert_nothing_left(self):
        super().assert_nothing_left()
        self.assertEqual(self.left_on_filesystem(), [])

    def in_place_of(self, program, *lines):
        """A script in place of a program of the host's, which goes on to that one."""
        directory = self.path("bin")
        os.makedirs(directory, exist_ok=True)
        real = shutil.which(program, path=USUAL_PATH + ":/usr/sbin:/sbin")
        path = os.path.join(directory, program)
        with open(path, "w", encoding="utf-8") as script:
            script.write("\n".join(("#!/bin/sh", f"real={real}", *lines, 'exec $real "$@"\n')))
        os.chmod(path, 0o755)
        self.addCleanup(os.environ.update, {"PATH": USUAL_PATH})
        os.environ["PATH"] = f"{directory}:{USUAL_PATH}"
