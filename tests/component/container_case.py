# SPDX-License-Identifier: MIT
"""What the tests of containers share: a root on a btrfs of the test's own, processes in a control
group of version 2 that is frozen for real, and the programs of systemd as far as they are needed."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import unittest

from host_case import VM, HostCase
from lab import loopfs, testing
from support.waiting import until

CGROUPS = next((path for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
                if os.path.exists(f"{path}/cgroup.procs")), None)
NAME = "web"
USUAL_PATH = os.environ["PATH"]

# What systemd-run(1) does with a container, as far as it matters here: like there, whatever is to be
# run in one that is frozen waits for ever.
SYSTEMD_RUN = """\
    import json, os, sys
    words = sys.argv[1:]
    name = next(w for w in words if w.startswith("--machine=")).split("=", 1)[1]
    known = json.load(open(f"{FAKES}/{name}.json"))
    words = words[words.index("--") + 1:]
    if open(known["cgroup"] + "/cgroup.freeze").read().strip() == "1":
        os.execvp("sleep", ["sleep", "1000"])
    inside = known["inside"]
    if words[0] == "/bin/sh":
        path = inside + words[4]
        if not os.path.exists(path):
            sys.exit(44)
        if "cat" in words[2]:
            os.execvp("cat", ["cat", path])
        sys.exit(0)
    try:
        os.execv(inside + words[0], words)
    except OSError:
        sys.exit(203)
"""

MACHINECTL = """\
    import json, os, sys
    if sys.argv[1] != "show" or not os.path.exists(f"{FAKES}/{sys.argv[2]}.json"):
        sys.exit(f"Could not get path to machine: No machine '{sys.argv[2]}' known")
    known = json.load(open(f"{FAKES}/{sys.argv[2]}.json"))
    print(f"Leader={known['leader']}\\nRootDirectory={known['root']}\\nUnit={known['unit']}")
"""

# holdfastctl(8) with memory: "held" is there while it holds; "say" replaces an answer.
HOLDFASTCTL = """\
    import json, os, sys
    verb = sys.argv[1]
    here = os.path.dirname(os.path.abspath(sys.argv[0]))
    inside = here[:-len("/usr/sbin")]
    open(inside + "/calls", "a").write(verb + "\\n")
    record = inside + "/run/holdfast/last.json"
    def write(state, number):
        text = json.dumps({"schema": 1, "kind": "freeze", "boot": "b", "sequence": number,
                           "state": state, "verdict": {"code": "ok", "status": 0, "text": ""},
                           "resources": [{"name": "mysql:main", "required": True,
                                          "verdict": {"code": "ok", "text": ""}}]})
        open(record + ".new", "w").write(text)
        os.rename(record + ".new", record)
    number = json.load(open(record))["sequence"] if os.path.exists(record) else 0
    if os.path.exists(inside + "/say." + verb):
        exec(open(inside + "/say." + verb).read())
    if verb == "freeze":
        write("open", number + 1)
        open(inside + "/held", "w").close()
    elif verb == "thaw" and os.path.exists(inside + "/held"):
        os.unlink(inside + "/held")
        write("done", number)
"""

# Writes a number to one file and then to the other, as fast as it can.
WRITER = """\
    import os, sys
    one, other = (os.open(f"{sys.argv[1]}/{name}", os.O_CREAT | os.O_WRONLY) for name in "ab")
    number = 0
    while True:
        number += 1
        os.pwrite(one, b"%012d" % number, 0)
        os.pwrite(other, b"%012d" % number, 0)
"""


def missing(kind):
    reason = loopfs.missing(kind)
    if reason is None and (CGROUPS is None or not os.access(CGROUPS, os.W_OK)):
        reason = "there are no control groups of version 2"
    for program in ("btrfs", "tar", "zstd"):
        if reason is None and shutil.which(program, path=USUAL_PATH + ":/usr/sbin:/sbin") is None:
            reason = f"'{program}' is not installed"
    return reason


class Container:
    """One that runs: its root is a subvolume, its only process the writer."""

    def __init__(self, case, name=NAME):
        self.name = name
        self.case = case
        self.root = os.path.join(case.machines, name)
        case.make_root(self.root)
        self.unit = f"machine-{name}.scope"
        self.cgroup = os.path.join(case.cgroups, self.unit, "payload")
        os.makedirs(self.cgroup)
        self.inside = case.path(f"inside-{name}")
        os.makedirs(f"{self.inside}/run/holdfast")
        os.makedirs(f"{self.inside}/usr/sbin")
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'echo $$ >{self.cgroup}/cgroup.procs; exec "$@"', "sh",
             sys.executable, "-S", "-c", textwrap.dedent(WRITER), self.root])
        case.addCleanup(self.stop)
        until(lambda: os.path.exists(f"{self.root}/b"), "the container writes", 10)
        self.announce()

    def announce(self, **other):
        known = {"leader": self.process.pid, "root": self.root, "unit": self.unit,
                 "cgroup": self.cgroup, "inside": self.inside, **other}
        with open(f"{self.case.fakes}/{self.name}.json", "w", encoding="utf-8") as file:
            json.dump(known, file)

    def add_agent(self):
        self.case.script(f"{self.inside}/usr/sbin/holdfastctl", HOLDFASTCTL)

    def say(self, verb, line):
        with open(f"{self.inside}/say.{verb}", "w", encoding="utf-8") as file:
            file.write(line)

    def calls(self):
        try:
            with open(f"{self.inside}/calls", encoding="ascii") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def held(self):
        return os.path.exists(f"{self.inside}/held")

    def events(self):
        with open(f"{self.cgroup}/cgroup.events", encoding="ascii") as file:
            return dict(line.split() for line in file)

    def frozen(self):
        return self.events()["frozen"] == "1"

    def ask_to_freeze(self, wanted):
        with open(f"{self.cgroup}/cgroup.freeze", "w", encoding="ascii") as file:
            file.write("1" if wanted else "0")
        until(lambda: self.frozen() == wanted, "the control group follows", 10)

    def stop(self):
        self.ask_to_freeze(False)
        self.process.kill()
        self.process.wait(10)
        until(lambda: self.events()["populated"] == "0", "its control group is empty", 10)
        os.rmdir(self.cgroup)
        os.rmdir(os.path.dirname(self.cgroup))


class ContainerCase(HostCase):
    KIND, MEBIBYTES = "btrfs", 512

    @classmethod
    def setUpClass(cls):
        reason = missing(cls.KIND)
        if reason:
            raise unittest.SkipTest(reason)
        cls.filesystem = loopfs.LoopFilesystem(cls.MEBIBYTES, cls.KIND)
        cls.addClassCleanup(cls.filesystem.close)

    @staticmethod
    def make_root(path):
        subprocess.run(["btrfs", "-q", "subvolume", "create", path], check=True)

    def setUp(self):
        self.program = testing.built("host-driver/holdfast")
        self.directory = tempfile.mkdtemp(prefix="hf-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.repository = self.path("repository")
        self.state = self.path("state")
        self.fakes = self.path("fakes")
        os.mkdir(self.fakes)
        for name, text in (("systemd-run", SYSTEMD_RUN), ("machinectl", MACHINECTL)):
            self.script(f"{self.fakes}/{name}", f'FAKES = "{self.fakes}"\n' + textwrap.dedent(text))
        self.addCleanup(os.environ.update, {"PATH": USUAL_PATH})
        os.environ["PATH"] = f"{self.fakes}:{USUAL_PATH}:/usr/sbin:/sbin"
        self.machines = tempfile.mkdtemp(prefix="machines-", dir=self.filesystem.mount_point)
        self.addCleanup(self.remove_tree, self.machines)
        self.cgroups = tempfile.mkdtemp(prefix="hf-test-", dir=CGROUPS)
        self.addCleanup(os.rmdir, self.cgroups)
        self.container = Container(self)

    @staticmethod
    def script(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable} -S\n" + textwrap.dedent(text))
        os.chmod(path, 0o755)

    @staticmethod
    def remove_tree(path):
        for name in os.listdir(path):
            inner = os.path.join(path, name)
            if stat.S_ISDIR(os.lstat(inner).st_mode) and os.lstat(inner).st_ino == 256:
                subprocess.run(["btrfs", "-q", "subvolume", "delete", inner], check=True)
        shutil.rmtree(path)

    def command(self, verb, *arguments, **settings):
        values = {"container": f"nspawn:{NAME}", "repository": self.repository,
                  "state_directory": self.state, "config_directory": self.path("etc"),
                  "agent_timeout": "5s", "freeze_timeout": "5s", "thaw_timeout": "5s",
                  "snapshot_timeout": "10s", "prefer": "filesystem"}
        values.update(settings)
        words = [self.program, verb, *arguments]
        words += [f"--{name.replace('_', '-')}={value}" for name, value in values.items()
                  if value is not None]
        return words

    def in_place_of(self, program, *lines):
        """A script in place of a program of the host's, which goes on to that one; without lines, that
        one again."""
        path = os.path.join(self.fakes, program)
        if not lines:
            os.unlink(path)
            return
        real = shutil.which(program, path=USUAL_PATH + ":/usr/sbin:/sbin")
        with open(path, "w", encoding="utf-8") as script:
            script.write("\n".join(("#!/bin/sh", f"real={real}", *lines, 'exec $real "$@"\n')))
        os.chmod(path, 0o755)

    def snapshots(self):
        return [name for name in os.listdir(self.machines) if name.startswith(".holdfast-")]

    def assert_nothing_left(self):
        self.assertFalse(self.container.frozen())
        self.assertFalse(self.container.held())
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.left_in_state(), [])
        self.assertEqual([name for name in self.published() if name.startswith(".")], [])

    def restore(self, backup="latest", where="restored"):
        out = os.path.join(self.machines, where)
        done = self.run_host("restore", VM, backup, "--to", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return out
