# SPDX-License-Identifier: MIT
"""The method lvm, with real volumes, in a guest whose kernel has them: what is tested there is
lvm_inside.py."""

import os
import shutil
import subprocess
import sys
import unittest

from lab import small_guest, testing

WORK = os.path.join(testing.BUILD, "vm-lvm")
PACKAGES = ["lvm2", "thin-provisioning-tools", "qemu-system-x86", "qemu-utils", "python3",
            "e2fsprogs", "xfsprogs", "mount", "util-linux", "libboost-program-options1.74.0",
            "libssl3", "libstdc++6"]
MODULES = ["libcrc32c", "xfs", "dm-mod", "dm-bufio", "dm-snapshot", "dm-bio-prison",
           "dm-persistent-data", "dm-thin-pool"]
DISK_MIB = 640


def setUpModule():
    missing = small_guest.missing_tools()
    if missing:
        raise unittest.SkipTest(f"'{', '.join(missing)}' missing")
    if os.geteuid() != 0:
        raise unittest.SkipTest("making the guest's image needs root")


class Lvm(unittest.TestCase):
    def test_in_a_guest_that_has_it(self):
        shutil.rmtree(WORK, ignore_errors=True)
        files = os.path.join(WORK, "files")
        os.makedirs(os.path.join(files, "build", "host-driver"))
        # Without what is only for debuggers: the guest reads it from a disk.
        subprocess.run(["strip", "-o", os.path.join(files, "build", "host-driver", "holdfast"),
                        testing.built("host-driver/holdfast")], check=True)
        for name in ("component", "lab", "support", "vm"):
            shutil.copytree(os.path.join(testing.SOURCE, "tests", name), f"{files}/tests/{name}",
                            ignore=shutil.ignore_patterns("__pycache__", "*.cpp", "*.h"))
        said, status = small_guest.run(
            WORK, PACKAGES, MODULES, files, ["python3", "-B", "/mnt/tests/vm/lvm_inside.py"],
            {"PYTHONPATH": "/mnt/tests:/mnt/tests/component", "HOLDFAST_BUILD": "/mnt/build",
             "PYTHONUNBUFFERED": "1"}, disks=[DISK_MIB])
        print(said, file=sys.stderr)
        self.assertEqual(status, 0, said)
        self.assertNotIn("skipped", said)


if __name__ == "__main__":
    testing.main()
