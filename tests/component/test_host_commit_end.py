# SPDX-License-Identifier: MIT
"""QEMU before 8.2 may die when an overlay is committed into a raw image while some devices write:
their disks get no overlay, and are told from those that may."""

import subprocess

from host_case import MIB, VM, HostCase
from lab import testing

SCSI = ["-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-hd,drive=data,bus=scsi0.0,id=d0"]


class CommitEnd(HostCase):
    def restart(self, *device):
        self.machine.stop()
        self.machine.data_device = list(device)
        self.machine.start()

    def is_old(self):
        version = self.machine.monitor.execute("query-version")["qemu"]
        return (version["major"], version["minor"]) < (8, 2)

    def test_a_raw_disk_of_a_device_that_may_write_then_gets_no_overlay(self):
        for words, name in ((["ide-hd,bus=ide.0,drive=data,id=d0"], "ide-hd"),
                            (["ahci,id=ahci", "ide-hd,bus=ahci.0,drive=data"], "ide-hd"),
                            (["lsi53c895a,id=lsi", "scsi-hd,bus=lsi.0,drive=data"], "scsi-hd"),
                            (["nvme,drive=data,serial=1"], "nvme"),
                            (["virtio-blk-pci,drive=data,ioeventfd=off"], "virtio-blk-device"),
                            (["virtio-scsi-pci,id=s,ioeventfd=off", "scsi-hd,bus=s.0,drive=data"],
                             "scsi-hd")):
            with self.subTest(words=words):
                self.restart(*[word for device in words for word in ("-device", device)])
                done = self.run_host("backup", VM)
                if not self.is_old():
                    self.assertEqual(done.returncode, 0, done.stderr)
                    continue
                line = self.failing(done)
                self.assertRegex(line, "unable to put an overlay on disk 'data': QEMU [0-9.]+ may "
                                 "die when an overlay is committed into a raw image while the "
                                 f"guest writes through '{name}'.*'method = backup'")
                self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
                self.assertIn(line.split(": QEMU")[0].removeprefix("holdfast: "),
                              self.run_host("doctor", VM).stdout)
                self.assert_nothing_left()
        self.back_up(method="backup")

    def test_virtio_has_an_ioeventfd(self):
        for words in (SCSI, ["-device", "virtio-blk-pci,drive=data"],
                      ["-device", "virtio-blk-pci,drive=data,ioeventfd=on,id=d0"]):
            with self.subTest(words=words):
                self.restart(*words)
                self.back_up()

    def test_a_qcow2_image_may_have_any_device(self):
        path = self.path("vm/data.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(64 * MIB)], check=True)
        self.restart("-drive", f"file={path},format=qcow2,if=ide,id=other")
        # What was the raw disk has no device.
        self.back_up()


if __name__ == "__main__":
    testing.main()
