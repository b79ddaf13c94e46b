# SPDX-License-Identifier: MIT
"""The method lvm on a machine with nothing but /dev/vdc: run by test_host_lvm.py, nowhere else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from host_case import MIB, VM
from storage_case import StorageCase
from support.qemu_machine import Machine, halting_bios
from support.waiting import until

DISK = "/dev/vdc"
GROUP = "vg0"
# Nobody else makes nodes and links in /dev here, and no change has to be told to anybody.
SETTINGS = """\
devices { scan = ["/dev"] }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
"""
COLUMNS = "lv_name,origin"


def run(*argv, check=True):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def setUpModule():
    with open("/etc/lvm/lvm.conf", "w", encoding="ascii") as file:
        file.write(SETTINGS)
    os.environ["LVM_SUPPRESS_FD_WARNINGS"] = "1"
    run("vgcreate", GROUP, DISK)


class OnVolumes(StorageCase):
    """The image of 'sys' is on the filesystem of one volume; 'data' is another volume."""

    METHOD = "lvm"
    # Of a machine without a processor of its own: none of these times is what is tested here.
    PATIENCE = {"agent_timeout": "30s", "qmp_timeout": "30s", "freeze_timeout": "30s",
                "thaw_timeout": "30s", "snapshot_timeout": "60s"}

    @classmethod
    def setUpClass(cls):
        cls.make_volumes()
        cls.mount_point = f"/run/{cls.__name__}"
        os.mkdir(cls.mount_point)
        run(f"mkfs.{cls.KIND}", "-q", f"/dev/{GROUP}/images")
        run("mount", f"/dev/{GROUP}/images", cls.mount_point)

    @classmethod
    def tearDownClass(cls):
        run("umount", cls.mount_point)
        run("vgremove", "--force", "--force", "--yes", GROUP)
        run("vgcreate", GROUP, DISK)

    def finished(self, process):
        """The manifest of a run that must work; says what it cost, since there is no other place here
        where that can be measured."""
        output, errors = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 0, errors)
        manifest = json.loads(output)
        window = manifest["window"]
        print(f"{type(self).__name__}: window {window['total_ms']:.0f} ms, the instant in it "
              f"{window['transaction_ms']:.0f} ms", flush=True)
        return manifest

    def make_machine(self):
        directory = os.path.join(self.mount_point, self._testMethodName)
        os.mkdir(directory)
        self.addCleanup(shutil.rmtree, directory)
        machine = Machine(directory, extra=("-bios", halting_bios(self.path("bios"))))
        volume = f"/dev/{GROUP}/data"
        run("dd", "if=/dev/zero", f"of={volume}", "bs=1M", "count=64", "oflag=direct")
        os.unlink(machine.images["data"][0])
        os.symlink(volume, machine.images["data"][0])
        return machine

    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **{**self.PATIENCE, **settings})

    def left_on_filesystem(self):
        return [name for name in self.volumes() if name.startswith("holdfast-")]

    @staticmethod
    def volumes():
        """{name: origin}"""
        report = run("lvs", "--reportformat", "json", "-o", COLUMNS, GROUP)
        return {entry["lv_name"]: entry["origin"]
                for entry in json.loads(report)["report"][0]["lv"]}

    def copying(self, **settings):
        """A run that stands where it would copy the first disk, and its gate."""
        gate = self.gate(f"copying-{time.monotonic_ns()}")
        process = self.start_host("backup", VM, "--json", **settings, qemu_img=self.qemu_img(
            ("convert", f"ionice -p $$ >>{self.path('priority')}; {gate.stop}")))
        gate.reached(process)
        return gate, process

    def fill(self, path, mebibytes, check=True):
        run("dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={mebibytes}", "oflag=direct",
            check=check)

    def assert_refused(self, process, reason):
        before = self.published()
        output, errors = process.communicate(timeout=90)
        self.assertEqual((process.returncode, output), (1, ""), errors)
        self.assertRegex(errors, reason)
        # Its directory had a name of its own until then.
        self.assertEqual(self.published(), [name for name in before if not name.startswith(".")])
        self.assert_nothing_left()


class Thick(OnVolumes):
    KIND = "ext4"

    @classmethod
    def make_volumes(cls):
        run("lvcreate", "--yes", "--name", "images", "--size", "256m", GROUP)
        run("lvcreate", "--yes", "--name", "data", "--size", "64m", GROUP)

    def test_a_restored_backup_holds_what_the_disks_held_at_the_freeze(self):
        line = self.failing(self.run_host("backup", VM, overlay_reserve="100"))
        self.assertRegex(line, r"unable to snapshot volumes of 'vg0': \S+ MiB free, 320\S* MiB wanted")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.write_all(1)
        self.write_all(2, 40 * MIB, 2 * MIB)
        self.run_machine()
        gate, process = self.copying()
        expected = {disk: bytearray(content) for disk, content in self.expected.items()}
        self.assertEqual(sorted(self.volumes().values()), ["", "", "data", "images"])
        self.assertEqual(self.status(), "running")
        self.write_all(3)
        gate.open()
        manifest = self.finished(process)
        self.assertEqual((manifest["method"], manifest["level"]), ("lvm", "application"))
        with open(self.path("priority"), encoding="ascii") as file:
            self.assertEqual(set(file), {"best-effort: prio 7\n"})
        self.expected = expected
        self.assert_holds_expected(manifest["id"])
        self.assert_nothing_left()

    def test_a_run_that_fails_or_is_killed_leaves_no_snapshot_and_takes_no_other(self):
        self.run_machine()
        # It fills up.
        gate, process = self.copying(overlay_reserve="0")
        self.fill(os.path.join(self.machine.directory, "filler"), 40)
        gate.open()
        self.assert_refused(process, r"the snapshot 'vg0/holdfast-web1-\w+-1' of 'vg0/images' has filled "
                                     r"up, and is worth nothing")
        # Somebody else's, that is only called so.
        run("lvcreate", "--snapshot", "--size", "8m", "--name", "holdfast-web1-theirs-0",
            f"{GROUP}/images")
        self.addCleanup(run, "lvremove", "--yes", f"{GROUP}/holdfast-web1-theirs-0", check=False)
        # While the first snapshot is made, with the machine stopped; and while it copies. What is at
        # work on a volume must not die with the driver, or the volume would stay suspended.
        self.in_place_of("lvcreate", "kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat)")
        process = self.start_host("backup", VM)
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.in_place_of("lvcreate")
        self.await_running(10)
        self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 10))
        until(lambda: len(self.left_on_filesystem()) == 2, "the snapshot is there", 30)
        done = self.run_host("recover", VM)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("removed the snapshots of the interrupted run", done.stdout)
        self.assertEqual(self.left_on_filesystem(), ["holdfast-web1-theirs-0"])
        _, process = self.copying()
        process.kill()
        process.wait(60)
        self.assertEqual(len(self.left_on_filesystem()), 3)
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        self.assertEqual(self.left_on_filesystem(), ["holdfast-web1-theirs-0"])
        run("lvremove", "--yes", f"{GROUP}/holdfast-web1-theirs-0")
        self.assert_nothing_left()


class Thin(OnVolumes):
    KIND = "xfs"

    @classmethod
    def make_volumes(cls):
        run("lvcreate", "--yes", "--type", "thin-pool", "--name", "pool", "--size", "300m", GROUP)
        run("lvchange", "--errorwhenfull", "y", f"{GROUP}/pool")
        for name, size in (("images", "320m"), ("data", "64m"), ("other", "300m")):
            run("lvcreate", "--yes", "--thin", "--name", name, "--virtualsize", size,
                f"{GROUP}/pool")

    def test_a_backup_is_right_or_refused_when_the_pool_fills_up(self):
        self.write_all(1)
        self.run_machine()
        gate, process = self.copying(overlay_reserve="0")
        expected = {disk: bytearray(content) for disk, content in self.expected.items()}
        self.write_all(3)
        gate.open()
        manifest = self.finished(process)
        self.expected = expected
        self.assert_holds_expected(manifest["id"])
        self.assert_nothing_left()
        # No room is left while it copies.
        gate, process = self.copying(overlay_reserve="0")
        self.fill(f"/dev/{GROUP}/other", 300, check=False)
        gate.open()
        self.assert_refused(process, r"the thin pool 'vg0/pool' is full")
        frozen = self.agent.count("guest-fsfreeze-freeze")
        self.assertIn("the thin pool 'vg0/pool' is full", self.failing(self.run_host("backup", VM)))
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), frozen)


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"  ({time.monotonic() - self.began:.1f} s)")


if __name__ == "__main__":
    unittest.main(testRunner=unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=Result))
