# SPDX-License-Identifier: MIT
"""What an administrator may get wrong on the command line and in the configuration of the host: one
line that says what, status 2, and nothing begun. A table; no machine runs here."""

import os
import shutil
import tempfile
import unittest

from hostile_case import Harmless, run_measured, tree
from lab import testing

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\x7f"
SHOWN = r"\x1b[2J\x1b]0;owned\x07\xc2\x9b31m\x0d\x0a\x7f"
USAGE = "(holdfast --help)"

# The words, and what the line has to say. {root} stands for a directory of the test's own.
COMMAND_LINES = (
    ((), "a command is missing"),
    (("bakcup", "web1"), "unknown command 'bakcup'"),
    ((ESCAPES,), f"unknown command '{SHOWN}'"),
    (("",), "unknown command ''"),
    (("x" * 10000,), "unknown command 'xxx"),
    (("backup",), "usage: holdfast backup VM... | --all"),
    (("backup", "--all", "web1"), "usage: holdfast backup VM... | --all"),
    (("backup", "../evil"), "'../evil' is not a name for a virtual machine"),
    (("backup", "/etc/passwd"), "'/etc/passwd' is not a name for a virtual machine"),
    (("backup", "."), "'.' is not a name for a virtual machine"),
    (("backup", ""), "usage: holdfast backup VM...|--all"),
    (("status", "web1", ""), "usage: holdfast status VM..."),
    (("backup", "", "--print-config"), "usage: holdfast backup VM...|--all"),
    (("backup", "a b"), "'a b' is not a name for a virtual machine"),
    (("backup", "x" * 65), "is not a name for a virtual machine"),
    (("backup", ESCAPES), f"'{SHOWN}' is not a name for a virtual machine"),
    (("backup", "é"), "'é' is not a name for a virtual machine"),
    (("backup", b"\xff\xfe"), r"'\xff\xfe' is not a name for a virtual machine"),
    (("status", "../evil"), "'../evil' is not a name"),
    (("recover", "..", "--qmp=/x"), "'..' is not a name"),
    (("freeze", "a/b", "--agent=/x"), "'a/b' is not a name"),
    (("thaw", "a/b", "--agent=/x"), "'a/b' is not a name"),
    (("freeze",), "usage: holdfast freeze VM"),
    (("thaw", "a", "b"), "usage: holdfast thaw VM"),
    (("show",), "usage: holdfast show VM [ID]"),
    (("show", "a", "b", "c"), "usage: holdfast show VM [ID]"),
    (("verify",), "usage: holdfast verify VM [ID...]"),
    (("verify", "--boot"), "usage: holdfast verify VM [ID...]|--boot VM [ID...]|--boot --schedule"),
    (("verify", "--boot", "--schedule", "web1"), "usage: holdfast verify VM [ID...]"),
    (("verify", "--schedule", "web1"), "--schedule is for 'verify --boot'"),
    (("verify", "--boot", "../evil"), "'../evil' is not a name for a virtual machine"),
    (("verify", "web1", "--boot", "--boot-memory=1"), "is not right for 'boot-memory'"),
    (("backup", "web1", "--boot"), "--boot and --schedule are for 'verify'"),
    (("restore", "web1"), "usage: holdfast restore VM ID --to DIR"),
    (("restore", "web1", "latest"), "restore needs --to DIR"),
    (("restore", "web1", "latest", "--to="), "--to"),
    (("restore", "web1", "latest", "--to=x", "--format=vmdk"), "--format is qcow2 or raw"),
    (("restore", "web1", "latest", "--to=x", f"--format={ESCAPES}"), "--format is qcow2 or raw"),
    (("restore", "../evil", "latest", "--to={root}/x"), "'../evil' is not a name"),
    (("prune",), "usage: holdfast prune VM..."),
    (("protect", "web1"), "usage: holdfast protect VM ID"),
    (("recover",), "usage: holdfast recover VM..."),
    (("snapshot",), "usage: holdfast snapshot ACTION VM [POINT]"),
    (("snapshot", "take", "web1"), "there is no 'snapshot take'"),
    (("snapshot", ESCAPES, "web1"), f"there is no 'snapshot {SHOWN}'"),
    (("snapshot", "create", "../evil"), "'../evil' is not a name"),
    (("snapshot", "create", "web1"), "'qmp' is not configured for 'web1'"),
    (("snapshot", "create", "web1", "--qmp=/x", f"--label={ESCAPES}"), "the label is not one line"),
    (("snapshot", "create", "web1", "--qmp=/x", "--discard"), "--discard is for 'snapshot revert'"),
    (("snapshot", "revert", "web1"), "usage: holdfast snapshot revert VM POINT"),
    (("snapshot", "revert", "web1", "latest", "--foreign"), "--foreign is for 'snapshot delete'"),
    (("snapshot", "delete", "web1"), "usage: holdfast snapshot delete VM POINT..."),
    (("snapshot", "extract", "web1", "latest"), "extract needs --to DIR"),
    (("snapshot", "list", "web1", "--with-memory"), "--with-memory is for 'snapshot create'"),
    (("snapshot", "delete", "web1", "x", "--resume"), "--resume is for 'snapshot revert'"),
    (("snapshot", "list", "web1", "--label=x"), "--label is for 'snapshot create'"),
    (("backup", "web1", "--label=x"), "--label, --with-memory, --discard and --foreign are for 'snapshot'"),
    (("list", "--all"), "are for 'backup'"),
    (("verify", "web1", "--full"), "are for 'backup'"),
    (("backup", "web1", "--report-fd=1"), "--report-fd takes a descriptor from 3 on"),
    (("backup", "web1", "--report-fd=-1"), "--report-fd"),
    (("backup", "web1", "--report-fd=99999999999999"), "--report-fd"),
    (("backup", "web1", "--report-fd=3x"), "--report-fd"),
    (("backup", "a", "b", "--qmp=/x"), "--qmp is for one machine"),
    (("backup", "a", "b", "--agent=/x"), "--agent is for one machine"),
    (("backup", "a", "b", "--container=lxc:x"), "--container is for one machine"),
    (("backup", "a", "--container=lxc"), "'lxc' is no container"),
    (("backup", "a", "--container=lxc:x", "--agent=/x"), "so is what only a machine has"),
    (("restore", "web1", "latest", "--path=/x", "--to=x"), "--path goes with --into-running"),
    (("backup", "web1", "--into-running"), "--into-running is for 'restore'"),
    (("backup", "web1", "--evil"), "--evil"),
    (("backup", "web1", f"--{ESCAPES}"), SHOWN[:10]),
    (("backup", "web1", "-z"), "-z"),
    (("backup", "web1", "--repo=/x"), "--repo"),
    (("backup", "web1", "--json=yes"), "--json"),
    (("backup", "web1", "--repository"), "--repository"),
    (("backup", "web1", "--repository="), "--repository"),
    (("backup", "web1", "--repository=/a", "--repository=/b"), "--repository"),
    (("backup", "web1", "--qmp=/x"), "'repository' is not configured for 'web1'"),
    (("backup", "web1", "--repository=/x"), "'qmp' is not configured for 'web1'"),
    (("list",), "'repository' is not configured"),
    (("freeze", "web1"), "'agent' is not configured for 'web1'"),
    (("recover", "web1"), "'qmp' is not configured for 'web1'"),
    (("backup", "web1", "--require=perhaps"),
     "'perhaps' is not right for 'require': one of crash, filesystem, application"),
    (("backup", "web1", f"--prefer={ESCAPES}"), f"'{SHOWN}' is not right for 'prefer'"),
    (("backup", "web1", "--method=magic"), "'magic' is not right for 'method'"),
    (("backup", "web1", "--freeze-timeout=0s"), "is not right for 'freeze-timeout'"),
    (("backup", "web1", "--freeze-timeout=-5s"), "is not right for 'freeze-timeout'"),
    (("backup", "web1", "--freeze-timeout=5"), "is not right for 'freeze-timeout'"),
    (("backup", "web1", "--freeze-timeout=9999999999999999999h"), "is not right for"),
    (("backup", "web1", "--freeze-timeout=" + "9" * 100000 + "s"), "is not right for"),
    (("backup", "web1", "--rate-limit=50"), "a size such as 64KiB, 50MiB or 1GiB, 64KiB to 1TiB"),
    (("backup", "web1", "--rate-limit=63KiB"), "is not right for 'rate-limit'"),
    (("backup", "web1", "--rate-limit=9999999999TiB"), "is not right for 'rate-limit'"),
    (("backup", "web1", "--overlay-reserve=101"), "a whole number from 0 to 100"),
    (("backup", "web1", "--overlay-reserve=0x10"), "a whole number from 0 to 100"),
    (("backup", "web1", "--keep-last=1e9"), "is not right for 'keep-last'"),
    (("backup", "web1", "--keep-last=99999999999999999999"), "is not right for 'keep-last'"),
    (("backup", "--all", "-j", "0"), "is not right for 'parallel'"),
    (("backup", "--all", "-j", "many"), "is not right for 'parallel'"),
    (("prune", "web1", "--repository={root}/empty"), "keep-"),
)

# What host.conf says, what vms.d/web1.conf says, which of the two is to blame and where, and why.
CONFIGURATIONS = (
    ("frezee-timeout = 3s\n", "", "host.conf:1: ", "unknown key 'frezee-timeout'"),
    ("", "\n# x\nqpm = /x\n", "vms.d/web1.conf:3: ", "unknown key 'qpm' (did you mean 'qmp'?)"),
    ("qmp = /x\n", "", "host.conf:1: ", "unknown key 'qmp'"),
    ("", "parallel = 2\n", "vms.d/web1.conf:1: ", "unknown key 'parallel'"),
    ("keep-last = 1\nkeep-last = 2\n", "", "host.conf:2: ", "'keep-last' is given again"),
    ("[web1]\n", "", "host.conf:1: ", "there are no sections"),
    ("repository\n", "", "host.conf:1: ", "'repository' is not 'key = value'"),
    ("repository = backup\n", "", "host.conf:1: ", "an absolute path is needed"),
    ("repository =\n", "", "host.conf:1: ", "an absolute path is needed"),
    ("repository = ~/x\n", "", "host.conf:1: ", "an absolute path is needed"),
    ("", "enabled = perhaps\n", "vms.d/web1.conf:1: ", "yes or no"),
    ("", "freeze-timeout = 2h\n", "vms.d/web1.conf:1: ", "is not right for 'freeze-timeout'"),
    ("overlay-reserve = -1\n", "", "host.conf:1: ", "a whole number from 0 to 100"),
    ("require = \x1b[2J\x9b\r\n", "", "host.conf:1: ", r"\x1b[2J"),
    ("\x1b[2J\x9b = 1\n", "", "host.conf:1: ", r"\x1b[2J"),
    (b"\xff\xfe\n", "", "host.conf:1: ", r"\xff\xfe"),
    (b"\0\0\0\0\n", "", "host.conf:1: ", r"\x00"),
    (b"\xef\xbb\xbfrequire = crash\n", "", "host.conf:1: ", r"unknown key"),
    ("x" * 100000 + "\n", "", "host.conf:1: ", "is not 'key = value'"),
)


class Usage(Harmless, unittest.TestCase):
    def setUp(self):
        self.program = testing.built("host-driver/holdfast")
        self.root = tempfile.mkdtemp(prefix="hf-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        os.makedirs(f"{self.root}/etc/vms.d")
        os.mkdir(f"{self.root}/empty")
        self.configure("vms.d/web1.conf", "")

    def line(self, *words):
        """The one line of a run that ends with status 2 and has begun nothing."""
        before = tree(self.root)
        words = [word.replace("{root}", self.root) if isinstance(word, str) else word
                 for word in words]
        ended = run_measured([self.program, f"--state-directory={self.root}/state",
                              f"--config-directory={self.root}/etc", *words])
        said = self.assert_ended(ended, (2,))
        self.assertEqual(ended.output, b"")
        self.assertLess(ended.memory, 64 << 20)
        self.assertEqual(tree(self.root), before)
        return said

    def configure(self, name, content):
        with open(f"{self.root}/etc/{name}", "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def test_command_lines(self):
        for words, wanted in COMMAND_LINES:
            with self.subTest(words=[str(word)[:40] for word in words]):
                self.assertIn(wanted, self.line(*words))

    def test_configurations(self):
        for shared, own, place, wanted in CONFIGURATIONS:
            with self.subTest(shared=shared[:40], own=own[:40]):
                self.configure("host.conf", shared)
                self.configure("vms.d/web1.conf", own)
                said = self.line("backup", "web1", "--qmp=/x", "--repository=/x")
                self.assertIn(f"{self.root}/etc/{place}", said)
                self.assertIn(wanted, said)

    def test_a_configuration_that_cannot_be_read(self):
        path = f"{self.root}/etc/host.conf"

        def failing(status):
            ended = run_measured([self.program, "list", f"--config-directory={self.root}/etc"])
            return self.assert_ended(ended, (status,))
        # What is too large is wrong, and not merely out of reach.
        self.configure("host.conf", "# x\n" * 500000)
        self.assertIn(f"'{path}': larger than 1 MiB", failing(2))
        os.unlink(path)
        os.mkdir(path)
        self.assertIn(f"'{path}': Is a directory", failing(1))


if __name__ == "__main__":
    testing.main()
