# SPDX-License-Identifier: MIT
"""A restore verifies what it reads beside the writing of it: what is not sound leaves nothing behind,
however far the writing was, and nothing has its name before all is verified."""

import os
import pty
import signal
import subprocess

from chain_case import MIB, VM, ChainCase, backup_id
from lab import testing
from support.qemu_machine import pattern_at
from support.waiting import PATIENCE, Gate, ended, until

PARTIAL = ["vda.qcow2.partial", "vdb.qcow2.partial"]


class RestoreCase(ChainCase):
    """A full backup and an increment on it, of two disks: vda is verified and written first."""

    def setUp(self):
        super().setUp()
        self.full, self.increment = backup_id(1), backup_id(2)
        self.repository.add(self.full, disks={"vda": [(0, MIB, 1)], "vdb": [(0, MIB, 7)]})
        self.repository.add(self.increment, self.full,
                            {"vda": [(MIB, MIB, 3)], "vdb": [(MIB, MIB, 8)]})
        self.out = self.path("out")
        # The check of an image, an image that has just been written.
        self.checking, self.written = self.gate("checking"), self.gate("written")

    def gate(self, name):
        gate = Gate(self.path(name))
        self.addCleanup(gate.close)
        return gate

    def damage(self, backup, disk):
        """Twice, and it is what it was."""
        with open(self.repository.image(backup, disk), "r+b") as image:
            image.seek(-100, os.SEEK_END)
            byte = image.read(1)[0]
            image.seek(-100, os.SEEK_END)
            image.write(bytes([byte ^ 0x55]))

    def qemu_img(self, before=""):
        """One that stands still at the gates, and does something before it converts."""
        path = self.path("qemu-img")
        with open(path, "w", encoding="utf-8") as script:
            script.write(f"""#!/bin/sh
echo "$1 $$" >>{self.path("calls")}
case $1 in
  check) {self.checking.stop} ;;
  convert)
    {before or ":"}
    qemu-img "$@" || exit
    {self.written.stop}
    exit ;;
esac
exec qemu-img "$@"
""")
        os.chmod(path, 0o755)
        return f"--qemu-img={path}"

    def calls(self, verb):
        """The processes that did so, in their order."""
        if not os.path.exists(self.path("calls")):
            return []
        with open(self.path("calls"), encoding="utf-8") as calls:
            return [int(line.split()[1]) for line in calls if line.split()[0] == verb]

    def start(self, *words, under=(), **options):
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen([*under, *self.command("restore", VM, *words)],
                                   stdin=subprocess.DEVNULL,
                                   **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                      "text": True, **options})
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)

    def told(self, process, status=1):
        """At its end: its one line."""
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, errors.count("\n")), (status, 1), errors)
        return errors.strip().removeprefix("holdfast: ")

    def assert_restored(self, out):
        self.assertEqual(sorted(os.listdir(out)), ["vda.qcow2", "vdb.qcow2"])
        for disk, patterns in (("vda", (1, 3)), ("vdb", (7, 8))):
            for number, pattern in enumerate(patterns):
                self.assertTrue(pattern_at(f"{out}/{disk}.qcow2", "qcow2", number * MIB, MIB,
                                           pattern), disk)


class Damaged(RestoreCase):
    def wrong(self, backup, disk):
        where = "" if backup == self.increment else (
            f"in backup '{self.full}', on which it stands: ")
        return (f"{where}the checksum of '{self.repository.image(backup, disk)}' is not that of the "
                "manifest")

    def test_images_leave_nothing_though_all_was_written(self):
        for backup in (self.full, self.increment):
            with self.subTest(backup=backup):
                self.damage(backup, "vdb")
                self.checking, self.written = self.gate(f"1-{backup}"), self.gate(f"2-{backup}")
                self.written.open()
                restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img())
                self.written.reached(restoring, 2)
                self.checking.reached(restoring)
                self.assertEqual(sorted(os.listdir(self.out)), PARTIAL)
                self.checking.open()
                self.assertEqual(self.told(restoring), self.wrong(backup, "vdb"))
                self.assertFalse(os.path.exists(self.out))
                self.damage(backup, "vdb")

    def test_image_ends_the_writing(self):
        self.damage(self.full, "vda")
        restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img())
        self.written.reached(restoring)
        self.checking.open()
        self.assertEqual(self.told(restoring), self.wrong(self.full, "vda"))
        self.assertFalse(os.path.exists(self.out))
        self.assertEqual(len(self.calls("convert")), 1)
        ended(self.calls("convert"))

    def test_image_is_told_of_though_the_writing_fails_first(self):
        self.damage(self.full, "vda")
        self.written.open()
        restoring = self.start(self.increment, f"--to={self.out}",
                               self.qemu_img(f'{self.written.stop}; echo "no luck" >&2; exit 1'))
        self.written.reached(restoring)
        self.checking.reached(restoring)
        ended(self.calls("convert"))
        self.checking.open()
        self.assertEqual(self.told(restoring), self.wrong(self.full, "vda"))
        self.assertFalse(os.path.exists(self.out))

    def test_header_anywhere_in_a_chain_is_seen_before_anything_is_read_or_written(self):
        image = self.repository.image(self.full, "vdb")
        subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw",
                        image], check=True)
        entries = [self.repository.entry(self.full, name, None) for name in ("vda", "vdb")]
        self.repository.write_manifest(self.full, entries)
        said = self.failing("restore", VM, self.increment, f"--to={self.out}", self.qemu_img())
        self.assertEqual(said, f"in backup '{self.full}', on which it stands: unable to use "
                               f"'{image}': it refers to another file")
        self.assertFalse(os.path.exists(self.path("calls")))
        self.assertFalse(os.path.exists(self.out))


class Interrupted(RestoreCase):
    def assert_another_works(self):
        other = self.path("other")
        self.succeeding("restore", VM, self.increment, f"--to={other}")
        self.assert_restored(other)

    def kill(self, process):
        process.kill()
        process.wait(PATIENCE)
        ended(self.calls("convert") + self.calls("check"))
        self.assertEqual(sorted(os.listdir(self.out)), PARTIAL)

    def test_killed_when_all_is_written_it_has_named_nothing(self):
        self.written.open()
        restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img())
        self.written.reached(restoring, 2)
        self.checking.reached(restoring)
        self.kill(restoring)
        self.assert_another_works()
        # There they are in the way, which is said.
        self.assertIn("or was killed: then remove it",
                      self.failing("restore", VM, self.increment, f"--to={self.out}"))
        for name in PARTIAL:
            os.unlink(f"{self.out}/{name}")
        self.succeeding("restore", VM, self.increment, f"--to={self.out}")
        self.assert_restored(self.out)

    def test_killed_when_all_is_verified_it_has_named_nothing(self):
        self.checking.open()
        restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img(
            f'case "$*" in *vda.qcow2.partial) exec qemu-img "$@" ;; esac'))
        self.checking.reached(restoring, 4)
        self.written.reached(restoring)
        self.kill(restoring)
        self.assert_another_works()

    def test_stopped_by_a_signal_it_leaves_nothing(self):
        restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img())
        self.written.reached(restoring)
        self.checking.reached(restoring)
        restoring.send_signal(signal.SIGTERM)
        self.assertIn("cancelled", self.told(restoring))
        self.assertFalse(os.path.exists(self.out))
        ended(self.calls("convert") + self.calls("check"))
        self.assert_another_works()


class Named(RestoreCase):
    def test_nothing_is_if_somebody_else_has_one_of_the_names_by_then(self):
        self.checking.open()
        restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img())
        self.written.reached(restoring)
        with open(f"{self.out}/vdb.qcow2", "w", encoding="utf-8") as file:
            file.write("theirs")
        self.written.open()
        self.assertEqual(self.told(restoring),
                         f"unable to name '{self.out}/vdb.qcow2': File exists")
        self.assertEqual(os.listdir(self.out), ["vdb.qcow2"])
        with open(f"{self.out}/vdb.qcow2", encoding="utf-8") as file:
            self.assertEqual(file.read(), "theirs")


class WrittenOut(RestoreCase):
    def test_what_is_being_written_is_on_its_way_to_the_disk_meanwhile(self):
        self.checking.open()
        log = self.path("trace")
        restoring = self.start(
            self.increment, f"--to={self.out}", self.qemu_img(), env=testing.under_strace(),
            under=["strace", "-f", "-qq", "-y", "-e", "trace=sync_file_range", "-o", log])
        self.written.reached(restoring)

        def begun():
            with open(log, encoding="utf-8") as trace:
                return f"{PARTIAL[0]}>, 0, 0, SYNC_FILE_RANGE_WRITE) = 0" in trace.read()
        until(begun, "it is being written to the disk")
        self.written.open()
        self.assertEqual(restoring.wait(PATIENCE), 0)
        self.assert_restored(self.out)


class Shown(RestoreCase):
    def test_what_is_still_to_be_verified_is_shown_when_all_is_written(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.written.open()
        restoring = self.start(self.increment, f"--to={self.out}", self.qemu_img(), stderr=theirs)
        os.close(theirs)
        shown = b""
        while b"verifying vda" not in shown:
            shown += os.read(ours, 4096)
        self.assertIn(b"writing vdb", shown)
        self.checking.open()
        self.assertEqual(restoring.wait(PATIENCE), 0)
        self.assert_restored(self.out)


if __name__ == "__main__":
    testing.main()
