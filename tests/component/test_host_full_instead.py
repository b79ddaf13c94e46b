# SPDX-License-Identifier: MIT
"""A full copy, with the reason, wherever the account of what has changed cannot be relied on."""

import json
import os
import subprocess

from host_case import KIB, MIB, VM, Killer
from lab import testing
from test_host_increment import IncrementCase

GONE_RAW = "its dirty bitmap is gone: QEMU was started anew, and only qcow2 images keep one"
GONE_QCOW2 = ("its dirty bitmap is gone: the image was replaced, or written to by a program that "
              "does not know of it")
INCONSISTENT = "its dirty bitmap is inconsistent: QEMU did not end as it should"


class FullInstead(IncrementCase):
    def setUp(self):
        super().setUp()
        self.machine.write("data", 1, 0, MIB)
        self.machine.write("sys", 2, 0, MIB)

    def test_when_it_is_asked_for(self):
        self.assertEqual(self.run_host("backup", VM).stderr, "")
        self.assertEqual(self.back_up(full_every="2")["kind"], "increment")
        done = self.run_host("backup", VM, full_every="2")
        self.assertEqual(done.stderr, f"holdfast: {VM}: a full backup: 'full-every' is 2\n")
        self.assertEqual(self.back_up(full_every="2")["kind"], "increment")
        done = self.run_host("backup", VM, "--full", "--json")
        full = json.loads(done.stdout)
        self.assertEqual(full["kind"], "full")
        self.assertEqual({disk["full_because"] for disk in full["disks"]},
                         {"'--full' asks for it"})
        after = self.back_up()
        self.assertEqual({disk["backing"]["id"] for disk in after["disks"]}, {full["id"]})
        self.assertEqual(self.back_up(incremental="no")["kind"], "full")
        self.assertEqual(self.machine.bitmaps(), [])
        self.back_up_saying({"data": GONE_RAW, "sys": GONE_QCOW2})

    def test_after_a_start_for_what_is_raw(self):
        self.back_up()
        self.reboot()
        self.machine.write("data", 3, 0, MIB)
        self.machine.write("sys", 4, 2 * MIB, MIB)
        self.back_up_saying({"data": GONE_RAW})
        self.back_up_saying({})

    def test_after_a_start_for_an_image_of_the_old_form(self):
        self.quit()
        subprocess.run(["qemu-img", "amend", "-f", "qcow2", "-o", "compat=0.10",
                        self.machine.images["sys"][0]], check=True)
        self.machine.start()
        self.back_up()
        self.machine.write("sys", 5, 0, MIB)
        self.back_up_saying({})
        self.reboot()
        self.back_up_saying({"data": GONE_RAW, "sys": GONE_QCOW2})

    def test_after_qemu_was_killed(self):
        self.back_up()
        self.machine.write("sys", 3, 2 * MIB, MIB)
        self.machine.stop()
        self.machine.start()
        self.back_up_saying({"data": GONE_RAW, "sys": INCONSISTENT})
        self.back_up_saying({})

    def test_and_not_after_qemu_was_killed_while_the_images_were_read_only(self):
        self.back_up()
        self.machine.write("sys", 3, 2 * MIB, MIB)
        killer = Killer()
        self.through_proxy().before["blockdev-backup"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        process.wait(60)
        self.proxy.before.clear()
        self.machine.stop()
        self.machine.start()
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        self.back_up_saying({"data": GONE_RAW})

    def test_and_not_after_overlays_were_committed_by_hand(self):
        self.back_up()
        self.machine.write("sys", 3, 2 * MIB, MIB)
        killer = Killer()
        self.through_proxy().before["block-commit"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        process.wait(60)
        self.proxy.before.clear()
        self.machine.write("sys", 4, 3 * MIB, 100 * KIB)
        self.machine.stop()
        # As the error of the next run says.
        directory = self.machine.directory
        for name in os.listdir(directory):
            if ".holdfast-" in name:
                subprocess.run(["qemu-img", "commit", "-q", "-f", "qcow2", "-d",
                                f"{directory}/{name}"], check=True)
                os.unlink(f"{directory}/{name}")
        os.unlink(f"{self.state}/{VM}.json")
        self.machine.start()
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        self.back_up_saying({"data": GONE_RAW})

    def test_where_the_image_was_written_to_or_replaced_while_qemu_was_off(self):
        self.back_up()
        self.quit()
        path = self.machine.images["sys"][0]
        # QEMU's own programs go on with the account.
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 7 {4 * MIB} {MIB}", path],
                       check=True)
        self.machine.start()
        self.back_up_saying({"data": GONE_RAW})
        self.quit()
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", path, path + ".new"],
                       check=True)
        os.replace(path + ".new", path)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 8 {5 * MIB} {MIB}", path],
                       check=True)
        self.machine.start()
        self.back_up_saying({"data": GONE_RAW, "sys": GONE_QCOW2})

    def test_where_the_bitmap_was_switched_off(self):
        self.back_up()
        name, = (name for name in self.machine.bitmaps() if name.endswith("-sys"))
        self.machine.monitor.execute("block-dirty-bitmap-disable", node="sysnode", name=name)
        self.machine.write("sys", 3, 2 * MIB, MIB)
        self.back_up_saying({"sys": "its dirty bitmap was switched off"})
        self.back_up_saying({})

    def test_where_the_size_has_changed(self):
        self.back_up()
        self.machine.monitor.execute("block_resize", device="data", size=96 * MIB)
        self.machine.write("data", 9, 80 * MIB, MIB)
        self.back_up_saying({"data": f"its size has changed from {64 * MIB} to {96 * MIB} bytes"})
        self.back_up_saying({})

    def test_where_an_image_below_is_missing_or_cut(self):
        first = self.back_up()
        second = self.back_up_saying({})
        os.truncate(self.image(first, "data")[0], 1000)
        os.unlink(self.image(second, "sys")[0])
        manifest = self.back_up()
        reasons = {disk["name"]: disk["full_because"] for disk in manifest["disks"]}
        self.assertIn("has 1000 bytes, the manifest says", reasons["data"])
        self.assertIn("No such file or directory", reasons["sys"])
        self.assert_equals_disks(manifest)

    def test_where_the_latest_backup_cannot_be_read(self):
        first = self.back_up()
        with open(f"{self.repository}/{VM}/{first['id']}/manifest.json", "w",
                  encoding="utf-8") as file:
            file.write("{}")
        done = self.run_host("backup", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{VM}: a full backup: the latest backup is of no use: ", done.stderr)

    def test_where_the_latest_backup_was_removed(self):
        self.back_up()
        second = self.back_up()
        subprocess.run(["rm", "-r", f"{self.repository}/{VM}/{second['id']}"], check=True)
        self.back_up_saying({"data": GONE_RAW, "sys": GONE_QCOW2})

    def test_where_images_have_changed_places(self):
        more = self.path("more.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", more, str(64 * MIB)],
                       check=True)
        self.quit()
        self.machine.extra = ["-drive", f"file={more},format=qcow2,if=none,id=more",
                              "-device", "virtio-blk-pci,drive=more,id=more0"]
        self.machine.images["more"] = (more, "qcow2")
        self.machine.start()
        self.back_up()
        self.quit()
        # Each has a bitmap of the latest backup, and the same size.
        one = self.machine.images["sys"][0]
        os.rename(one, one + ".away")
        os.rename(more, one)
        os.rename(one + ".away", more)
        self.machine.start()
        self.back_up_saying({"data": GONE_RAW, "sys": GONE_QCOW2, "more": GONE_QCOW2})

    def test_of_a_disk_that_is_new_and_none_of_one_that_is_gone(self):
        self.back_up()
        more = self.path("more.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", more, "8M"], check=True)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 3 0 1M", more], check=True)
        self.quit()
        self.machine.extra = ["-drive", f"file={more},format=qcow2,if=none,id=more",
                              "-device", "virtio-blk-pci,drive=more,id=more0"]
        self.machine.images["more"] = (more, "qcow2")
        self.machine.start()
        first = self.published()[-1]
        self.back_up_saying({"data": GONE_RAW, "more": f"the backup '{first}' has no such disk"})
        self.quit()
        del self.machine.images["more"]
        self.machine.extra = []
        self.machine.start()
        second = self.published()[-1]
        done = self.run_host("backup", VM)
        self.assertIn(f"{VM}: disk 'more' of backup '{second}' is not there any more\n",
                      done.stderr)
        manifest = json.loads(self.run_host("show", VM, "--json").stdout)
        self.assertEqual(manifest["gone"], ["more"])
        self.back_up_saying({})


if __name__ == "__main__":
    testing.main()
