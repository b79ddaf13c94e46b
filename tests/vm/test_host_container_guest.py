# SPDX-License-Identifier: MIT
"""Real containers of systemd-nspawn and LXC with a real MariaDB, in a guest that can run them: what is
tested there is container_inside.py."""

import os
import shutil
import subprocess
import sys
import unittest

from lab import container_guest, testing

WORK = os.path.join(testing.BUILD, "vm-containers")
# Of the packages holdfast-agent and holdfast-plugin-mysql: where a file goes, and what it is.
BUILT = {"usr/sbin/holdfastd": "agent/daemon/holdfastd",
         "usr/sbin/holdfastctl": "agent/ctl/holdfastctl",
         "usr/lib/holdfast/holdfast-fsd": "agent/fs/holdfast-fsd",
         "usr/lib/holdfast/holdfast-execd": "plugins/exec/holdfast-execd",
         "usr/lib/holdfast/plugins/holdfast-mysql.so": "plugins/mysql/holdfast-mysql.so"}
FILES = {"usr/lib/holdfast/setup-lib.sh": "agent/setup/setup-lib.sh",
         "usr/lib/holdfast/prove-lib.sh": "agent/setup/prove-lib.sh",
         "usr/lib/holdfast/holdfast-mysql-setup": "plugins/mysql/holdfast-mysql-setup",
         "usr/lib/holdfast/holdfast-mysql-prove": "plugins/mysql/holdfast-mysql-prove",
         "usr/lib/sysusers.d/holdfast-agent.conf": "deb/holdfast-agent.sysusers",
         "etc/holdfast/agent.conf": "deb/agent.conf"}


def setUpModule():
    missing = container_guest.missing_tools()
    if missing:
        raise unittest.SkipTest(f"'{', '.join(missing)}' missing")
    if os.geteuid() != 0:
        raise unittest.SkipTest("making the guest's image needs root")


def take(target, source, strip):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if strip:
        # Without what is only for debuggers: the guest reads it from a disk.
        subprocess.run(["strip", "--strip-debug", "-o", target, testing.built(source)], check=True)
    else:
        shutil.copy(os.path.join(testing.SOURCE, source), target)


class Containers(unittest.TestCase):
    def test_in_a_guest_that_has_them(self):
        shutil.rmtree(WORK, ignore_errors=True)
        files = os.path.join(WORK, "files")
        take(f"{files}/build/holdfast", "host-driver/holdfast", True)
        for target, source in BUILT.items():
            take(f"{files}/agent/{target}", source, True)
        for target, source in FILES.items():
            take(f"{files}/agent/{target}", source, False)
        units = os.path.join(testing.SOURCE, "deb/units/agent")
        for name in os.listdir(units):
            if os.path.isfile(os.path.join(units, name)):
                take(f"{files}/agent/usr/lib/systemd/system/{name}", f"deb/units/agent/{name}",
                     False)
        take(f"{files}/units/holdfast-backup@.service",
             "deb/units/host/holdfast-backup@.service", False)
        take(f"{files}/tests/container_inside.py", "tests/vm/container_inside.py", False)
        said, status = container_guest.run(WORK, files,
                                           ["python3", "-B", "/mnt/tests/container_inside.py"],
                                           {"PYTHONUNBUFFERED": "1"}, empty=1024, timeout=1400)
        print(said, file=sys.stderr)
        self.assertEqual(status, 0, said)
        self.assertNotIn("skipped", said)


if __name__ == "__main__":
    testing.main()
