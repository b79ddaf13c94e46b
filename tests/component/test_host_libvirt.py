# SPDX-License-Identifier: MIT
"""`holdfast` with a machine of a real libvirtd: agent, disks, definition, what is left behind."""

import json
import os
import shutil
import signal
import time
import xml.etree.ElementTree

from host_case import MIB, VM
from lab import testing
from libvirt_case import LibvirtCase
from support import qemu_machine
from support.qemu_machine import same_content


class Backup(LibvirtCase):
    def test_holds_what_the_disks_were_at_the_instant_and_restores_it(self):
        self.machine.write("vda", 0x11, 0, MIB)
        self.machine.write("vdb", 0x22, 5 * MIB, MIB)
        expected = {disk: self.frozen_copy(disk) for disk in ("vda", "vdb")}
        # What the guest writes after the instant, during the copy, is not in the backup.
        gate = self.gate("copying")
        run = self.start_host("backup", VM, "--json",
                              qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(run)
        self.assertTrue(self.machine.sources()["vda"].endswith(".qcow2"))
        self.assertTrue(self.machine.sources("--inactive")["vda"].endswith(".qcow2"))
        self.machine.write("vda", 0x33, 0, MIB)
        self.machine.write("vdb", 0x44, 20 * MIB, MIB)
        gate.open()
        out, err = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, err)
        manifest = json.loads(out)
        self.assertEqual(manifest["level"], "application")
        self.assertEqual(manifest["evidence"]["freeze_count"], 3)
        self.assertTrue(manifest["evidence"]["frozen_after_snapshot"])
        self.assertEqual(sorted(disk["name"] for disk in manifest["disks"]), ["vda", "vdb"])
        self.assert_nothing_left()
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        done = self.run_host("restore", VM, "latest", "--to", self.path("restored"))
        self.assertEqual(done.returncode, 0, done.stderr)
        for disk, image in expected.items():
            self.assertTrue(same_content((self.path(f"restored/{disk}.qcow2"), "qcow2"), image),
                            disk)
        # and what was written meanwhile is in the machine's own images again
        for disk, offset, pattern in (("vda", 0, 0x33), ("vdb", 20 * MIB, 0x44)):
            path, kind = self.machine.images[disk]
            self.assertTrue(qemu_machine.pattern_at(path, kind, offset, MIB, pattern), disk)

    def test_freezes_around_one_snapshot_and_thaws(self):
        self.back_up()
        names = [name for name in self.agent.names() if "fsfreeze" in name]
        self.assertEqual(names, ["guest-fsfreeze-status", "guest-fsfreeze-freeze",
                                 "guest-fsfreeze-status", "guest-fsfreeze-thaw"])

    def test_keeps_the_definition_without_which_disks_are_no_machine(self):
        manifest = self.back_up()
        about = manifest["definition"]
        self.assertEqual(about["channel"], "libvirt")
        self.assertEqual(about["uuid"], self.machine.daemon.virsh("domuuid", VM).stdout.strip())
        self.assertEqual([entry["file"] for entry in about["files"]],
                         ["domain.xml", "domain-running.xml"])
        for entry in about["files"]:
            path = os.path.join(manifest["directory"], entry["file"])
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(os.path.getsize(path), entry["bytes"])
            root = xml.etree.ElementTree.parse(path).getroot()
            self.assertEqual(root.find("name").text, VM)
            # the machine as it is without us: no overlay of the run in it
            self.assertEqual({disk.find("target").get("dev"): disk.find("source").get("file")
                              for disk in root.iter("disk")},
                             {name: path for name, (path, _) in self.machine.images.items()})

    def test_is_one_of_the_machine_with_another_name_there(self):
        uuid = self.daemon.virsh("domuuid", VM).stdout.strip()
        done = self.run_host("backup", "other", "--json", domain=uuid)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["definition"]["domain"], VM)
        self.assert_nothing_left()

    def test_says_why_it_is_no_increment_and_leaves_no_bitmap(self):
        self.back_up(incremental="yes")
        done = self.run_host("backup", VM, incremental="yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("disk 'vdb' is copied in full: through libvirt, increments are made with "
                      "method = backup alone", done.stderr)
        self.assert_nothing_left()

    def test_takes_its_settings_from_the_file_of_the_machine(self):
        os.makedirs(self.path("etc/vms.d"))
        with open(self.path("etc/vms.d/web1.conf"), "w", encoding="utf-8") as file:
            file.write(f"uri = {self.daemon.uri}\n")
        self.back_up(uri=None)


class Problems(LibvirtCase):
    def test_a_refused_freeze_publishes_nothing(self):
        self.agent.behaviours["guest-fsfreeze-freeze"] = lambda agent, _: agent.error(
            "fsfreeze hook has failed with status 21")
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("fsfreeze hook has failed with status 21", line)
        self.assert_nothing_left()
        self.assertEqual(self.published(), [])

    def test_a_complaint_at_the_thaw_is_in_the_level(self):
        self.agent.hook_status = 30
        self.addCleanup(setattr, self.agent, "hook_status", None)
        line = self.failing(self.run_host("backup", VM, require="application"))
        self.assertIn("a hold was lost during the window", line)
        self.assert_nothing_left()

    def test_a_domain_that_is_not_there_is_one_line(self):
        line = self.failing(self.run_host("backup", VM, domain="nobody"))
        self.assertIn("unable to reach 'nobody' of libvirt", line)
        self.assertIn("Domain not found", line)

    def test_a_libvirt_that_is_not_there_is_one_line(self):
        line = self.failing(self.run_host(
            "backup", VM, uri=f"qemu+unix:///system?socket={self.path('none')}"))
        self.assertIn("No such file or directory", line)

    def test_a_program_that_is_not_there_is_one_line(self):
        line = self.failing(self.run_host("backup", VM, libvirt_program=self.path("none")))
        self.assertIn(f"unable to run '{self.path('none')}': No such file or directory", line)

    def test_sockets_and_libvirt_together_are_refused(self):
        line = self.failing(self.run_host("backup", VM, qmp="/run/q"), status=2)
        self.assertIn("'uri' and 'qmp' or 'agent' are set for 'web1'", line)

    def test_a_disk_that_cannot_be_read_from_outside_is_named(self):
        text = self.daemon.virsh("dumpxml", "--inactive", VM).stdout
        root = xml.etree.ElementTree.fromstring(text)
        root.find("name").text = "odd"
        root.remove(root.find("uuid"))
        disk = root.findall(".//disk")[1]
        disk.set("type", "network")
        disk.find("source").attrib.clear()
        disk.find("source").attrib.update(protocol="nbd", name="x")
        host = xml.etree.ElementTree.SubElement(disk.find("source"), "host")
        host.attrib.update(name="127.0.0.1", port="1")
        path = self.path("odd.xml")
        xml.etree.ElementTree.ElementTree(root).write(path)
        self.daemon.virsh("define", path)
        self.addCleanup(self.daemon.virsh, "undefine", "odd")
        line = self.failing(self.run_host("backup", "odd"))
        self.assertIn("the machine does not run: it is shut off", line)
        done = self.run_host("status", "odd")
        self.assertIn("unable to back up the disk 'vdb': its source is of type 'network', and only "
                      "files can be backed up", done.stdout)

    def test_status_says_what_is_there(self):
        done = self.run_host("status", VM, "--json")
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        status = json.loads(done.stdout)[0]
        self.assertEqual(status["qemu"]["state"], "running")
        self.assertEqual([disk["name"] for disk in status["qemu"]["disks"]], ["vda", "vdb"])
        self.assertEqual(status["agent"]["state"], "thawed")

    def test_freezes_and_thaws_by_hand(self):
        done = self.run_host("freeze", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.agent.frozen)
        self.failing(self.run_host("freeze", VM))
        done = self.run_host("thaw", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(self.agent.frozen)

    def test_a_hanging_libvirtd_hangs_nobody(self):
        self.daemon.signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.signal, signal.SIGCONT)
        begin = time.monotonic()
        self.failing(self.run_host("backup", VM, qmp_timeout="2s"))
        self.assertLess(time.monotonic() - begin, 60)


class Killed(LibvirtCase):
    """The driver is killed at one step, while the guest writes; the next command makes it good."""

    STEPS = [("guest-fsfreeze-freeze", "before"), ("guest-fsfreeze-freeze", "during"),
             ("guest-fsfreeze-freeze", "after"), ("snapshot-disks", "before"),
             ("snapshot-disks", "during"), ("snapshot-disks", "after"),
             ("guest-fsfreeze-thaw", "before"), ("guest-fsfreeze-thaw", "during"),
             ("guest-fsfreeze-thaw", "after"), ("commit-disk", "before"),
             ("commit-disk", "during"), ("commit-disk", "after"), ("pivot-disk", "before"),
             ("pivot-disk", "during"), ("pivot-disk", "after")]

    def written_everywhere(self, pattern):
        for disk in ("vda", "vdb"):
            self.machine.write(disk, pattern, 7 * MIB, MIB)

    def assert_written(self, pattern):
        for disk in ("vda", "vdb"):
            path, kind = self.machine.images[disk]
            self.assertTrue(qemu_machine.pattern_at(path, kind, 7 * MIB, MIB, pattern), disk)

    def test_at_any_step_is_made_good_by_recover(self):
        for number, (command, when) in enumerate(self.STEPS, start=1):
            with self.subTest(command=command, when=when):
                self.killed_at(command, when)
                self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 20))
                self.written_everywhere(number)
                done = self.run_host("recover", VM)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_nothing_left()
                self.assert_written(number)
                self.assertEqual(self.published(), [])

    def test_in_the_copy_is_made_good_by_the_next_backup(self):
        # It goes on for longer than the driver, as one that the disk keeps waiting.
        tool = self.qemu_img(("convert", "kill -9 $PPID; sleep 60"))
        run = self.start_host("backup", VM, qemu_img=tool)
        self.assertEqual(run.wait(90), -signal.SIGKILL)
        self.assertFalse(self.agent.frozen)
        self.written_everywhere(0x51)
        manifest = self.back_up()
        self.assert_nothing_left()
        self.assert_written(0x51)
        for disk in ("vda", "vdb"):
            self.assertTrue(same_content(self.image_in_backup(manifest, disk),
                                         self.frozen_copy(disk)), disk)

    def test_between_making_overlays_leaves_no_file(self):
        # The first one that it makes beside a disk.
        # It goes on for longer than the driver, as one that the disk keeps waiting.
        tool = self.qemu_img(("create", 'case "$*" in *.holdfast-*) kill -9 $PPID; sleep 60;; esac'))
        run = self.start_host("backup", VM, qemu_img=tool)
        self.assertEqual(run.wait(90), -signal.SIGKILL)
        self.assertTrue(self.machine.leftovers())
        done = self.run_host("recover", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_nothing_left()

    def test_with_its_journal_lost_is_made_good_by_what_libvirt_says(self):
        self.killed_at("commit-disk", "before")
        shutil.rmtree(self.state)
        self.written_everywhere(0x52)
        done = self.run_host("recover", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("took away the overlay of disk 'vda'", done.stdout)
        self.assert_nothing_left()
        self.assert_written(0x52)


class PowerCut(LibvirtCase):
    """The machine goes while overlays are on top: it comes back with them, and nothing is lost."""

    def test_and_started_again_is_made_good_by_recover(self):
        # It goes on for longer than the driver, as one that the disk keeps waiting.
        tool = self.qemu_img(("convert", "kill -9 $PPID; sleep 60"))
        run = self.start_host("backup", VM, qemu_img=tool)
        self.assertEqual(run.wait(90), -signal.SIGKILL)
        self.machine.write("vda", 0x61, 9 * MIB, MIB)
        self.machine.destroy()
        line = self.failing(self.run_host("recover", VM))
        self.assertIn("the machine is shut off, and its disk 'vda' is on the overlay", line)
        self.failing(self.run_host("backup", VM))
        self.machine.boot()
        self.machine.wait_for_agent()
        self.machine.write("vdb", 0x62, 9 * MIB, MIB)
        done = self.run_host("recover", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_nothing_left()
        for disk, pattern in (("vda", 0x61), ("vdb", 0x62)):
            path, kind = self.machine.images[disk]
            self.assertTrue(qemu_machine.pattern_at(path, kind, 9 * MIB, MIB, pattern), disk)

    def test_of_libvirtd_alone_in_the_copy_is_survived(self):
        gate = self.gate("copying")
        run = self.start_host("backup", VM, "--json",
                              qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(run)
        self.daemon.restart()
        gate.open()
        _, err = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, err)
        self.machine.wait_for_agent()
        self.assert_nothing_left()


if __name__ == "__main__":
    testing.main()
