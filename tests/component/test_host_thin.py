# SPDX-License-Identifier: MIT
"""What is stored is compressed, and no disk is stored or restored larger than it is: a real QEMU's
disks with holes, zeroed and discarded areas, by both methods, in full and in chains."""

import json
import os
import signal
import subprocess
import tempfile

from host_case import KIB, MIB, VM
from lab import testing
from support.qemu_machine import same_content
from test_host_increment import IncrementCase

NO_ZSTD = ("create", 'case "$*" in *zstd*) echo "Invalid parameter" >&2; exit 1;; esac')


def allocated(*paths):
    """What these files take on their filesystem."""
    return sum(os.stat(path).st_blocks * 512 for path in paths)


def stored(manifest):
    """Bytes of each disk's file."""
    return {disk["name"]: disk["bytes"] for disk in manifest["disks"]}


class Compressed(IncrementCase):
    def kind_of(self, manifest, disk):
        info = json.loads(subprocess.run(
            ["qemu-img", "info", "--output=json", "-f", "qcow2", self.image(manifest, disk)[0]],
            check=True, capture_output=True, text=True).stdout)
        return info["format-specific"]["data"]["compression-type"]

    def compressed_clusters(self, manifest, disk):
        # The image alone, whatever is below it.
        source = "json:" + json.dumps({"driver": "qcow2", "backing": None, "file": {
            "driver": "file", "filename": self.image(manifest, disk)[0]}})
        return json.loads(subprocess.run(["qemu-img", "check", "--output=json", source], check=True,
                                         capture_output=True, text=True).stdout).get(
                                             "compressed-clusters", 0)

    def overwrite(self, pattern, length=4 * MIB):
        for disk in self.machine.images:
            self.machine.write(disk, pattern, pattern * MIB + 512, length)

    def checked(self, manifest, kind, compress):
        self.assertEqual(manifest["kind"], kind)
        self.assertEqual([disk["compression"] for disk in manifest["disks"]], [compress] * 2)
        for disk in self.machine.images:
            self.assertEqual(self.kind_of(manifest, disk), "zstd" if compress == "zstd" else "zlib")
            clusters = self.compressed_clusters(manifest, disk)
            # Some hold zeroes, or other things beside.
            self.assertEqual(clusters > 3 * MIB // (64 * KIB), compress == "zstd", clusters)
            self.assertEqual(stored(manifest)[disk] < MIB, compress == "zstd", stored(manifest))
        self.assert_equals_disks(manifest)
        self.assert_nothing_left()
        return manifest

    def test_chains_of_both_methods_and_of_images_compressed_or_not(self):
        chain = []
        for number, (method, compress) in enumerate((
                ("overlay", None), ("overlay", None), ("backup", "zstd"), ("backup", "none"),
                ("overlay", "none"), ("backup", "zstd"))):
            self.overwrite(number + 1)
            # Zeroes over what is below, compressed or not.
            for disk in self.machine.images:
                self.machine.command(disk, "write -z 2M 192k")
            chain.append(self.checked(self.back_up(method=method, compress=compress),
                                      "increment" if chain else "full", compress or "zstd"))
        self.assertRegex(self.run_host("show", VM).stdout, r"data\.qcow2 +64 MiB +\S+ \S+ +zstd ")
        verified = self.run_host("verify", VM)
        self.assertEqual((verified.returncode, verified.stderr), (0, ""))
        for form in ("qcow2", "raw"):
            out = self.path(form)
            restored = self.run_host("restore", VM, "latest", "--to", out, "--format", form)
            self.assertEqual(restored.returncode, 0, restored.stderr)
            for disk, image in self.machine.images.items():
                self.assertTrue(same_content((f"{out}/{disk}.{form}", form), image), disk)
        self.exported()

    def exported(self):
        """An export of the latest backup reads as the disks do."""
        process = self.start_host("export", VM, "latest", "--json")
        text = ""
        while not text.endswith("}\n") or text.count("{") != text.count("}"):
            line = process.stdout.readline()
            self.assertTrue(line, "it ended")
            text += line
        for entry in json.loads(text)["exports"]:
            self.assertTrue(same_content((entry["uri"], "raw"),
                                         self.machine.images[entry["disk"]]), entry)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)

    def test_full_copies_of_the_method_backup_and_what_cannot_be_compressed(self):
        self.machine.write("sys", 1, 0, 8 * MIB)
        # Behind QEMU's back, which is as good for a full copy.
        with open(self.machine.images["data"][0], "r+b") as image:
            image.seek(8 * MIB)
            image.write(os.urandom(4 * MIB))
        manifest = self.back_up(method="backup")
        self.assertGreater(stored(manifest)["data"], 4 * MIB)
        self.assertLess(stored(manifest)["data"], 4 * MIB + 512 * KIB)
        self.assertLess(stored(manifest)["sys"], 512 * KIB)
        self.assert_equals_disks(manifest)

    def test_a_qemu_or_qemu_img_that_cannot_is_told_before_anything_is_done(self):
        script = self.qemu_img(NO_ZSTD)

        def refused(why, **settings):
            line = self.failing(self.run_host("backup", VM, **settings))
            self.assertRegex(line, why)
            self.assertTrue(line.endswith(" ('compress = none' does without)"), line)
        refused("this qemu-img is unable to compress with zstd: .*: Invalid parameter",
                qemu_img=script)
        self.assertEqual(self.back_up(qemu_img=script, compress="none")["kind"], "full")
        self.through_proxy().rewrite["query-qmp-schema"] = (
            lambda answer: answer.replace(b'"zstd"', b'"zst"'))
        refused(r"QEMU \S+ of this machine is unable to compress with zstd")
        self.assertEqual(self.back_up(compress="none")["kind"], "increment")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 2)
        self.assert_nothing_left()


class Thin(IncrementCase):
    def setUp(self):
        super().setUp()
        for disk in self.machine.images:
            self.machine.write(disk, 1, 0, 16 * MIB)
            # Zeroes that were written, zeroes that were asked for, and what was given back.
            self.machine.write(disk, 0, MIB, 3 * MIB)
            self.machine.command(disk, "write -z 5M 2M", "discard 8M 4M", "write -P 2 13M 4k")

    def source(self, disk):
        """The files that hold the disk."""
        path, _ = self.machine.images[disk]
        return (path,) if disk == "data" else (path, self.machine.golden)

    def assert_thin(self, backup):
        for form in ("raw", "qcow2"):
            out = tempfile.mkdtemp(dir=self.directory)
            done = self.run_host("restore", VM, backup, "--to", out, "--format", form)
            self.assertEqual(done.returncode, 0, done.stderr)
            for disk, image in self.machine.images.items():
                restored = f"{out}/{disk}.{form}"
                self.assertTrue(same_content((restored, form), image), (disk, form))
                # A raw disk as qcow2 has tables.
                more = 512 * KIB if (disk, form) == ("data", "qcow2") else 0
                self.assertLessEqual(allocated(restored), allocated(*self.source(disk)) + more,
                                     (disk, form))
                # And it holds none of the zeroes: 16 MiB less nine, and a MiB of the backing file.
                self.assertLess(allocated(restored), 9 * MIB, (disk, form))
                os.unlink(restored)

    def test_is_what_is_restored_of_a_full_backup(self):
        for method in ("overlay", "backup"):
            with self.subTest(method=method):
                manifest = self.back_up(method=method, compress="none", incremental="no")
                for disk, size in stored(manifest).items():
                    self.assertLess(size, 9 * MIB, disk)
                    self.assertLess(allocated(self.image(manifest, disk)[0]), 9 * MIB, disk)
                self.assert_equals_disks(manifest)
                self.assert_thin(manifest["id"])

    def test_is_what_is_restored_of_a_chain(self):
        self.back_up()
        for method, compress in (("overlay", "none"), ("backup", "none"), ("overlay", "zstd")):
            with self.subTest(method=method, compress=compress):
                for disk in self.machine.images:
                    # What was data becomes none, and a little of it something else.
                    self.machine.command(disk, "discard 12M 3M", "write -z 4M 64k",
                                         "write -P 0 7M 64k")
                    self.machine.write(disk, 4, 14 * MIB, 64 * KIB)
                manifest = self.back_up(method=method, compress=compress)
                self.assertEqual(manifest["kind"], "increment")
                for disk, size in stored(manifest).items():
                    # Tables, and the one cluster.
                    self.assertLessEqual(size, 8 * 64 * KIB, disk)
                self.assert_equals_disks(manifest)
                self.assert_thin(manifest["id"])

    def test_stays_a_disk_that_discards_while_it_is_copied(self):
        before = {disk: allocated(*self.source(disk)) for disk in self.machine.images}
        proxy = self.through_proxy()

        def discard():
            for disk in self.machine.images:
                self.machine.command(disk, "discard 0 1M", "discard 15M 1M")
        proxy.after["transaction"] = discard
        self.back_up()
        for disk in self.machine.images:
            self.assertLessEqual(allocated(*self.source(disk)), before[disk], disk)


if __name__ == "__main__":
    testing.main()
