# SPDX-License-Identifier: MIT
"""Containers on a logical volume: what is done with LVM's programs, and that nothing of a run stays
behind. The programs are stand-ins, since this kernel may lack the device mapper: a snapshot is a copy of
the filesystem's image, made while that is frozen, as the device mapper does it. With real volumes it is
tests/vm/test_host_container_guest.py that shows it."""

import json
import os
import shutil
import signal
import subprocess
import unittest

from container_case import ContainerCase
from host_case import VM
from lab import loopfs, testing
from support.waiting import until

# The group's directory of devices: one of /dev that may be written to.
GROUP = "shm"
LVM = """\
import fcntl, glob, json, os, subprocess, sys
def snapshots():
    return [path for path in glob.glob(f"/dev/{GROUP}/{PREFIX}*")]
def volume(name, **more):
    return {"vg_name": GROUP, "lv_name": name, "lv_attr": "owi-aos---", "origin": "", "pool_lv": "",
            "lv_kernel_major": "-1", "lv_kernel_minor": "-1", "lv_size": str(64 << 20),
            "vg_free": open(STATE + "/free").read(), "data_percent": "", "metadata_percent": "",
            "lv_snapshot_invalid": "0", "lv_health_status": "", **more}
def lvs():
    device = os.stat(MOUNT).st_dev
    volumes = [volume("root", lv_kernel_major=str(os.major(device)),
                      lv_kernel_minor=str(os.minor(device)))]
    for path in snapshots():
        full = os.path.exists(STATE + "/full")
        volumes.append(volume(os.path.basename(path), lv_attr="sri-a-s---",
                              origin=open(STATE + "/origin").read(),
                              data_percent="100.00" if full else "1.00",
                              lv_snapshot_invalid="1" if full else "0"))
    print(json.dumps({"report": [{"lv": volumes}]}))
def lvcreate():
    name = sys.argv[sys.argv.index("--name") + 1]
    assert sys.argv[-1] == GROUP + "/root" and "r" in sys.argv, sys.argv
    top = os.open(MOUNT, os.O_RDONLY)
    fcntl.ioctl(top, 0xC0045877, 0)
    try:
        subprocess.run(["cp", "--sparse=always", IMAGE, f"{STATE}/{name}"], check=True)
    finally:
        fcntl.ioctl(top, 0xC0045878, 0)
    loop = subprocess.run(["losetup", "--read-only", "--show", "--find", f"{STATE}/{name}"],
                          check=True, capture_output=True, text=True).stdout.strip()
    os.symlink(loop, f"/dev/{GROUP}/{name}")
def lvremove():
    path = f"/dev/{sys.argv[-1]}"
    subprocess.run(["losetup", "--detach", os.readlink(path)], check=True)
    os.unlink(path)
    os.unlink(f"{STATE}/{os.path.basename(path)}")
globals()[os.path.basename(sys.argv[0])]()
"""


def setUpModule():
    if loopfs.missing("ext4") is None:
        loopfs.enter_namespace()


class LvmCase(ContainerCase):
    KIND, MEBIBYTES = "ext4", 64

    @staticmethod
    def make_root(path):
        os.mkdir(path)

    @staticmethod
    def remove_tree(path):
        shutil.rmtree(path)

    def setUp(self):
        super().setUp()
        self.volumes = self.path("volumes")
        os.mkdir(self.volumes)
        self.write("free", str(1 << 30))
        self.write("origin", "root")
        # Of this test alone, among whatever others have there.
        self.prefix = f"holdfast-{VM}-"
        head = "".join(f"{name} = {value!r}\n" for name, value in (
            ("GROUP", GROUP), ("PREFIX", self.prefix), ("STATE", self.volumes),
            ("MOUNT", self.filesystem.mount_point), ("IMAGE", self.filesystem.image)))
        for name in ("lvs", "lvcreate", "lvremove"):
            self.script(f"{self.fakes}/{name}", head + LVM)
        self.addCleanup(self.detach)
        self.enterContext(self.filesystem.lease(300))

    def write(self, name, text):
        with open(f"{self.volumes}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def snapshots(self):
        return [name for name in os.listdir(f"/dev/{GROUP}") if name.startswith(self.prefix)]

    def detach(self):
        for name in self.snapshots():
            subprocess.run(["losetup", "--detach", os.readlink(f"/dev/{GROUP}/{name}")], check=False)
            os.unlink(f"/dev/{GROUP}/{name}")

    def numbers(self, root):
        found = []
        for name in "ab":
            with open(f"{root}/{name}", encoding="ascii") as file:
                found.append(int(file.read()))
        return found

    def wrapped(self, program, *lines):
        """A script in place of one of the stand-ins, which goes on to that one; without lines, that
        one again."""
        path, aside = f"{self.fakes}/{program}", f"{self.fakes}/real/{program}"
        if not lines:
            os.rename(aside, path)
            return
        os.makedirs(os.path.dirname(aside), exist_ok=True)
        os.rename(path, aside)
        with open(path, "w", encoding="utf-8") as script:
            script.write("\n".join(("#!/bin/sh", f"real={aside}", *lines, 'exec $real "$@"\n')))
        os.chmod(path, 0o755)


class OnAVolume(LvmCase):
    def test_a_restored_one_holds_what_the_volume_held_at_the_instant(self):
        # Reads what it was then, and not what it is now.
        self.in_place_of("tar", f'case "$*" in *--create*) echo later >{self.container.root}/later;; esac')
        done = self.run_host("backup", VM, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        manifest = json.loads(done.stdout)
        self.assertEqual((manifest["method"], manifest["level"]), ("lvm", "filesystem"))
        self.assert_nothing_left()
        self.assertTrue(os.path.exists(f"{self.container.root}/later"))
        restored = self.restore()
        self.assertFalse(os.path.exists(f"{restored}/later"))
        one, other = self.numbers(restored)
        self.assertIn(one - other, (0, 1))
        shutil.rmtree(restored)

    def test_files_go_back_into_the_running_one(self):
        with open(f"{self.container.root}/config", "w", encoding="ascii") as file:
            file.write("of then")
        self.assertEqual(self.run_host("backup", VM).returncode, 0)
        with open(f"{self.container.root}/config", "w", encoding="ascii") as file:
            file.write("of now")
        self.in_place_of("cp", "kill -9 $PPID; exit 1")
        process = self.start_host("restore", VM, "latest", "--into-running", "--path=/config")
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        until(lambda: not self.container.frozen(), "it goes on", 30)
        self.in_place_of("cp")
        self.assertTrue([name for name in os.listdir(self.machines) if name.startswith(".holdfast-")])
        done = self.run_host("restore", VM, "latest", "--into-running", "--path=/config")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(f"{self.container.root}/config", encoding="ascii") as file:
            self.assertEqual(file.read(), "of then")
        self.assert_nothing_left()
        for place in (self.machines, self.container.root):
            self.assertEqual([name for name in os.listdir(place) if name.startswith(".holdfast")], [])

    def test_what_cannot_be_rested_on_is_refused(self):
        self.write("free", str(1 << 20))
        line = self.failing(self.run_host("backup", VM, overlay_reserve="100"))
        self.assertIn("unable to snapshot volumes of 'shm'", line)
        self.write("free", str(1 << 30))
        # It fills up while it is read.
        self.in_place_of("tar", f'case "$*" in *--create*) : >{self.volumes}/full;; esac')
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"the snapshot 'shm/holdfast-web1-\w+-0' of 'shm/root' has filled up")
        self.in_place_of("tar")
        os.unlink(f"{self.volumes}/full")
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()

    def test_one_that_is_all_of_a_volume_is_backed_up_and_not_restored_into(self):
        self.container.announce(root=self.filesystem.mount_point)
        done = self.run_host("doctor", VM)
        self.assertIn(f"'{self.filesystem.mount_point}' is in the logical volume 'shm/root'", done.stdout)
        self.assertEqual(self.run_host("backup", VM).returncode, 0)
        where = os.path.basename(self.machines)
        out = self.path("elsewhere")
        self.assertEqual(self.run_host("restore", VM, "latest", "--to", out).returncode, 0)
        self.assertEqual(sorted(os.listdir(f"{out}/{where}/{self.container.name}")), ["a", "b"])
        line = self.failing(self.run_host("restore", VM, "latest", "--into-running", "--path=/x"))
        self.assertIn("unable to restore into the container: the directory above it is on another "
                      "filesystem", line)
        self.assert_nothing_left()

    def test_killed_at_each_step_the_next_run_clears_up(self):
        kill = "kill -9 $driver; exit 1"
        # LVM's programs run in a session of their own, below setsid(1).
        find = 'driver=$(cut -d " " -f 4 /proc/$PPID/stat)'
        for number, (program, *lines) in enumerate((
                ("lvcreate", find, kill), ("lvcreate", find, '$real "$@"', kill),
                ("tar", f'case "$*" in *--create*) driver=$PPID; {kill};; esac'),
                ("lvremove", find, kill), ("lvremove", find, '$real "$@"', kill))):
            with self.subTest(program=program, lines=lines):
                wrap = self.in_place_of if program == "tar" else self.wrapped
                wrap(program, *lines)
                process = self.start_host("backup", VM)
                self.assertEqual(process.wait(60), -signal.SIGKILL)
                until(lambda: not self.container.frozen(), "it goes on", 30)
                wrap(program)
                if number % 2:
                    self.assertEqual(self.run_host("backup", VM).returncode, 0)
                else:
                    done = self.run_host("recover", VM)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_nothing_left()

    def test_somebody_elses_snapshot_of_that_name_stays(self):
        self.in_place_of("tar", 'case "$*" in *--create*) kill -9 $PPID; exit 1;; esac')
        self.assertEqual(self.start_host("backup", VM).wait(60), -signal.SIGKILL)
        self.in_place_of("tar")
        self.write("origin", "other")
        line = self.failing(self.run_host("recover", VM))
        self.assertIn("it is no snapshot of 'shm/root', and so not ours", line)
        self.assertEqual(len(self.snapshots()), 1)
        self.write("origin", "root")
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        self.assert_nothing_left()


if __name__ == "__main__":
    testing.main()
