# SPDX-License-Identifier: MIT
"""deb/tests, which distributions run on installed packages (autopkgtest), each in a clean root: the
packages and what the test names, nothing else.

HOLDFAST_RELEASE chooses the Debian release, this machine's by default. For another one the packages
are built there first, by its compiler, and looked at by its lintian.
"""

import os
import re
import shutil
import subprocess
import unittest

from lab import archive, chroot, loopfs, packages, testing

RELEASE = os.environ.get("HOLDFAST_RELEASE", archive.SUITE)
TESTS = os.path.join(testing.SOURCE, "deb", "tests")

# What proves each server to be the release's own.
SERVERS = {
    "bookworm": {"mariadbd --version": "Ver 10.11.", "ls /usr/lib/postgresql": "15",
                 "redis-server --version": "v=7.0."},
    "trixie": {"mariadbd --version": "Ver 11.8.", "ls /usr/lib/postgresql": "17",
               "redis-server --version": "v=8.0.", "valkey-server --version": "v=8.1."},
}
# Tests that say themselves that a release without these may skip them.
NOT_IN = {"bookworm": {"valkey-server"}, "trixie": set()}


def stanzas(path):
    """The fields of each stanza of a control file."""
    with open(path, encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("#"))
    for stanza in text.strip().split("\n\n"):
        joined = re.sub(r"\n[ \t]+", " ", stanza.strip())
        yield dict(re.split(r":\s*", line, maxsplit=1) for line in joined.splitlines())


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.debs = packages.ours() if RELEASE == archive.SUITE else packages.built_in(RELEASE)
        needed = packages.dependencies_of(cls.debs.values())
        cls.tests = {}
        cls.skipped = set()
        for stanza in stanzas(os.path.join(TESTS, "control")):
            names = [name.strip() for name in stanza["Depends"].split(",")]
            if ("skip-not-installable" in stanza.get("Restrictions", "")
                    and NOT_IN[RELEASE] & set(names)):
                cls.skipped |= set(stanza["Tests"].split())
                continue
            needed |= {name for name in names if name not in cls.debs}
            for test in stanza["Tests"].split():
                cls.tests[test] = [name for name in names if name in cls.debs]
        cls.base = chroot.Base(chroot.base_tar(needed, suite=RELEASE))
        cls.addClassCleanup(cls.base.close)

    def test_every_script_is_one_that_control_names(self):
        scripts = {name for name in os.listdir(TESTS) if os.access(os.path.join(TESTS, name),
                                                                   os.X_OK)}
        self.assertEqual(scripts, set(self.tests) | self.skipped)

    def test_each_passes_in_a_clean_root(self):
        for test, names in self.tests.items():
            with self.subTest(test), chroot.Chroot(self.base) as root:
                root.mount_kernel()
                # What the plugins depend on besides.
                if any(name.startswith("holdfast-plugin-") for name in names):
                    names = sorted({"holdfast-agent", *names})
                root.run(["dpkg", "--install", *[root.add_package(self.debs[name])
                                                 for name in names]])
                shutil.copytree(TESTS, root.path("/tmp/tests"))
                done = subprocess.run(["chroot", root.root, f"/tmp/tests/{test}"],
                                      env={**chroot.ENVIRONMENT, "AUTOPKGTEST_TMP": "/tmp"},
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, timeout=300, check=False)
                output = done.stdout.decode("utf-8", "replace")
                self.assertEqual(done.returncode, 0, output)
                left = [name for name in os.listdir(root.path("/tmp")) if name != "tests"]
                self.assertEqual(left, [])

    def test_the_servers_are_those_of_the_release(self):
        with chroot.Chroot(self.base) as root:
            for command, expected in SERVERS[RELEASE].items():
                self.assertIn(expected, root.run(["sh", "-c", command]), command)


if __name__ == "__main__":
    for module in (loopfs, chroot):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
