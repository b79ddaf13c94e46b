# SPDX-License-Identifier: MIT
"""Increments in a repository: listed, shown, verified, restored; and refused when a chain is not
what the manifests say."""

import json
import os
import shutil
import subprocess

from chain_case import KIB, MIB, SIZE, VM, ChainCase, backup_id
from lab import testing
from support.qemu_machine import pattern_at, same_content


class Chains(ChainCase):
    def setUp(self):
        super().setUp()
        self.full, self.second, self.third = (backup_id(n) for n in (1, 2, 3))
        self.repository.add(self.full, disks={"vda": [(0, MIB, 1), (MIB, MIB, 2)],
                                              "vdb": [(0, MIB, 7)]})
        self.repository.add(self.second, self.full,
                            {"vda": [(MIB, MIB, 3)], "vdb": [(0, 64 * KIB, 8)]})
        # vdb could not be followed any more: it stands for itself again.
        self.repository.add(self.third, self.second,
                            {"vda": [(2 * MIB, MIB, 4)], "+vdb": [(MIB, MIB, 9)]}, size=2 * SIZE)

    def damage(self, backup, offset=-100, disk="vda"):
        with open(self.repository.image(backup, disk), "r+b") as image:
            image.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            image.write(b"\x55")

    def test_each_is_restored_as_it_stood(self):
        expected = {
            self.full: [(0, MIB, 1), (MIB, MIB, 2), (2 * MIB, 2 * MIB, 0)],
            self.second: [(0, MIB, 1), (MIB, MIB, 3), (2 * MIB, 2 * MIB, 0)],
            self.third: [(0, MIB, 1), (MIB, MIB, 3), (2 * MIB, MIB, 4), (3 * MIB, 5 * MIB, 0)],
        }
        for backup, ranges in expected.items():
            for form in ("qcow2", "raw"):
                with self.subTest(backup=backup, form=form):
                    out = self.path(f"{backup}.{form}")
                    self.succeeding("restore", VM, backup, "--to", out, "--format", form)
                    for offset, length, pattern in ranges:
                        self.assertTrue(pattern_at(f"{out}/vda.{form}", form, offset, length,
                                                   pattern), (offset, pattern))
        out = self.path(f"{self.third}.qcow2")
        self.assertTrue(pattern_at(f"{out}/vdb.qcow2", "qcow2", 0, MIB, 0))
        self.assertTrue(pattern_at(f"{out}/vdb.qcow2", "qcow2", MIB, MIB, 9))
        # One image that stands for itself, and no larger than what is in it.
        info = json.loads(subprocess.run(
            ["qemu-img", "info", "-f", "qcow2", "--output=json", f"{out}/vda.qcow2"],
            check=True, capture_output=True, text=True).stdout)
        self.assertNotIn("backing-filename", info)
        self.assertLess(info["actual-size"], 3 * MIB + 512 * KIB)

    def test_qemu_img_alone_restores_what_we_restore(self):
        out = self.path("out")
        self.succeeding("restore", VM, self.third, "--to", out)
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2",
                        self.repository.image(self.third), self.path("alone.qcow2")], check=True)
        self.assertTrue(same_content((f"{out}/vda.qcow2", "qcow2"),
                                     (self.path("alone.qcow2"), "qcow2")))

    def test_list_and_show_say_what_stands_on_what(self):
        listed = json.loads(self.succeeding("list", VM, "--json"))["backups"]
        self.assertEqual([(entry["kind"], entry["parent"], entry["chain"]) for entry in listed],
                         [("full", None, 1), ("increment", self.full, 2),
                          ("increment", self.second, 3)])
        lines = self.succeeding("list", VM).splitlines()
        self.assertEqual(lines[0].split(),
                         ["VM", "ID", "BEGIN", "LEVEL", "KIND", "CHAIN", "PROTECTED", "DISKS",
                          "SIZE"])
        self.assertEqual(lines[3].split()[4:8], ["increment", "3", "-", "2"])
        shown = json.loads(self.succeeding("show", VM, self.third, "--json"))
        self.assertEqual(shown["chain"], [self.third, self.second, self.full])
        text = self.succeeding("show", VM)
        self.assertIn(f"Parent     {self.second}\n", text)
        self.assertIn(f"Chain      3 backups, the first {self.full}\n", text)
        self.assertNotIn("Parent", self.succeeding("show", VM, self.full))

    def test_a_missing_parent_is_named_everywhere(self):
        shutil.rmtree(self.repository.directory(self.full))
        why = (f"unable to use backup '{self.full}', on which '{self.second}' stands: there is no "
               f"backup '{self.full}' of '{VM}' in '{self.repository.path}' (holdfast list {VM})")
        self.assertEqual(self.failing("verify", VM, self.third), f"{VM}/{self.third}: {why}")
        self.assertEqual(self.failing("restore", VM, self.third, "--to", self.path("out")), why)
        self.assertFalse(os.path.exists(self.path("out")))
        self.assertEqual(self.failing("show", VM, self.third), f"{VM}/{self.third}: {why}")
        done = self.holdfast("list", VM)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.splitlines(), [
            f"holdfast: {VM}/{backup}: its chain is broken (holdfast show {VM} {backup})"
            for backup in (self.second, self.third)])
        self.assertEqual([line.split()[5] for line in done.stdout.splitlines()[1:]],
                         ["broken", "broken"])
        # What does not stand on it is as good as ever.
        self.succeeding("restore", VM, self.third, "--disk", "vdb", "--to", self.path("vdb"))

    def test_the_checksum_of_every_level_counts_and_the_culprit_is_named(self):
        self.damage(self.full)
        image = self.repository.image(self.full)
        why = f"the checksum of '{image}' is not that of the manifest"
        for backup in (self.second, self.third):
            self.assertEqual(self.failing("verify", VM, backup),
                             f"{VM}/{backup}: in backup '{self.full}', on which it stands: {why}")
        self.assertIn(why, self.failing("restore", VM, self.third, "--to", self.path("out")))
        done = self.holdfast("verify", VM, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([entry["ok"] for entry in json.loads(done.stdout)], [False] * 3)
        self.assertEqual(done.stderr.splitlines()[0], f"holdfast: {VM}/{self.full}: {why}")

    def test_verify_reads_each_image_once(self):
        script = self.path("qemu-img")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\necho "$1" >>{self.path("calls")}\nexec qemu-img "$@"\n')
        os.chmod(script, 0o755)
        self.succeeding("verify", VM, "--qemu-img", script)
        with open(self.path("calls"), encoding="utf-8") as calls:
            self.assertEqual(calls.read(), "check\n" * 6)

    def test_a_backing_file_other_than_the_manifest_says_is_refused(self):
        image = self.repository.image(self.second)
        for reference, kind in ((f"../{self.full}/vdb.qcow2", "qcow2"), ("/etc/passwd", "raw"),
                                (f"../{self.full}/vda.qcow2", "raw")):
            with self.subTest(reference=reference, kind=kind):
                subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", reference, "-F",
                                kind, image], check=True)
                self.repository.record_again(self.second, below=self.full)
                self.assertEqual(
                    self.failing("verify", VM, self.second),
                    f"{VM}/{self.second}: unable to use '{image}': it has the backing file "
                    f"'{reference}' of format '{kind}', not the qcow2 image "
                    f"'../{self.full}/vda.qcow2'")
        subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", image], check=True)
        self.repository.record_again(self.second, below=self.full)
        self.assertIn("it has no backing file, not", self.failing("verify", VM, self.second))

    def test_an_increment_that_claims_to_stand_for_itself_is_refused(self):
        self.repository.record_again(self.second, below=None)
        self.assertIn("it refers to another file", self.failing("verify", VM, self.second))

    def test_a_parent_without_the_disk_is_named(self):
        self.repository.record_again(self.full, name="vdb")
        self.assertEqual(
            self.failing("verify", VM, self.second),
            f"{VM}/{self.second}: unable to use backup '{self.full}', on which '{self.second}' "
            "stands: it has no disk 'vda'")

    def test_a_corrupt_image_below_is_found_by_qemu_img_check(self):
        # The table of reference counts gone, and the manifest none the wiser.
        with open(self.repository.image(self.full), "r+b") as image:
            image.seek(2 * 64 * KIB)
            image.write(bytes(64 * KIB))
        with open(f"{self.repository.directory(self.full)}/manifest.json",
                  encoding="utf-8") as file:
            other = json.load(file)["disks"][1]
        self.repository.write_manifest(
            self.full, [self.repository.entry(self.full, "vda", None), other])
        self.assertIn(f"in backup '{self.full}', on which it stands: the image "
                      f"'{self.repository.image(self.full)}' is corrupt",
                      self.failing("verify", VM, self.second))


class LongChains(ChainCase):
    def build(self, count):
        parent = self.repository.add(backup_id(0), disks={"vda": [(0, 64 * KIB, 5)]})
        for number in range(1, count):
            parent = self.repository.add(backup_id(number), parent)
        return parent

    def test_the_longest_chain_is_restored_and_a_longer_one_refused(self):
        last = self.build(101)
        longest = backup_id(99)
        out = self.path("out")
        self.succeeding("restore", VM, longest, "--to", out)
        self.assertTrue(pattern_at(f"{out}/vda.qcow2", "qcow2", 0, 64 * KIB, 5))
        # And by qemu-img alone, wherever the repository stands.
        deep = self.path("/".join(["deep" * 50] * 5))
        os.makedirs(deep)
        os.rename(self.repository.path, f"{deep}/repository")
        self.repository.path = f"{deep}/repository"
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2",
                        self.repository.image(longest), self.path("alone.qcow2")], check=True)
        self.assertTrue(same_content((f"{out}/vda.qcow2", "qcow2"),
                                     (self.path("alone.qcow2"), "qcow2")))
        self.assertEqual(self.failing("verify", VM, last),
                         f"{VM}/{last}: unable to use backup '{last}': it stands on more than 99 "
                         "others")


if __name__ == "__main__":
    testing.main()
