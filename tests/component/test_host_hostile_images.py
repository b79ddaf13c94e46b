# SPDX-License-Identifier: MIT
"""Images are hostile, and so is a repository that others could write to: no format is probed, no
file is opened because an image or a manifest names it, no name leads out of the repository, and
what is wrong is told in one line."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import unittest

from chain_case import SIZE, VM, ChainCase, backup_id
from hostile_case import Harmless, harm_in, run_measured, tree
from host_case import MIB, HostCase
from lab import testing

FULL = backup_id(1)
INCREMENT = backup_id(2)
CANARY = b"nobody may read this" * 26


def qcow2(path, size, backing=None, data_file=None):
    """What a guest writes onto its raw disk: the beginning of an image that refers to a file."""
    command = ["qemu-img", "create", "-q", "-u", "-f", "qcow2"]
    if backing:
        command += ["-b", backing, "-F", "raw"]
    if data_file:
        command += ["-o", f"data_file={data_file},data_file_raw=on"]
    subprocess.run(command + [path, str(size)], check=True)
    with open(path, "rb") as image:
        return image.read()


class Traced:
    """Runs the program under strace; which files it and its children named."""

    def named_files(self, words, status=0):
        log = os.path.join(self.path("trace"))
        done = subprocess.run(["strace", "-f", "-qq", "-s", "4096", "-e", "trace=%file", "-o", log,
                               *words], capture_output=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL, env=testing.under_strace())
        self.assertEqual(done.returncode, status, done.stderr)
        with open(log, encoding="utf-8", errors="surrogateescape") as trace:
            return [call for call in trace if "execve(" not in call]


class HostileDisk(Traced, HostCase):
    """A guest makes of its raw disk what would be an image of another file, were it probed."""

    def check(self, **image):
        canary = self.path("canary")
        head = qcow2(self.path("head"), self.machine.size, **image)
        # qemu-img has made a data file of it.
        with open(canary, "wb") as file:
            file.write(CANARY.ljust(self.machine.size, b"\0"))
        data, kind = self.machine.images["data"]
        self.assertEqual(kind, "raw")
        with open(data, "r+b") as disk:
            disk.write(head)
        out = self.path("out")
        # What the trace would show of a program that believes the header.
        probing = self.named_files(["qemu-img", "map", self.path("head")])
        self.assertTrue([call for call in probing if canary in call])
        for words in (self.command("backup", VM), self.command("backup", VM),
                      self.command("verify", VM),
                      self.command("restore", VM, "latest", "--format=raw", to=out)):
            opened = [call for call in self.named_files(words) if canary in call]
            self.assertEqual(opened, [])
            self.machine.write("data", 7, 8 * MIB, MIB)
        self.assert_nothing_left()
        with open(data, "rb") as disk, open(f"{out}/data.raw", "rb") as restored:
            self.assertEqual(restored.read(len(head)), disk.read(len(head)))
            self.assertEqual(restored.seek(0, os.SEEK_END), self.machine.size)
        for directory, _, names in os.walk(self.repository):
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    self.assertNotIn(CANARY[:40], file.read())

    def test_that_names_a_backing_file(self):
        self.check(backing=self.path("canary"))

    def test_that_names_a_data_file(self):
        self.check(data_file=self.path("canary"))


class HostileRepository(Traced, Harmless, ChainCase):
    """A full backup and an increment on it, and somebody who may write into the repository."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("tmp"))
        self.secret = self.path("secret")
        with open(self.secret, "wb") as file:
            file.write(CANARY)
        self.pristine = self.path("pristine")
        self.repository.add(FULL, disks={"vda": [(0, 65536, 1)]})
        self.repository.add(INCREMENT, FULL, disks={"vda": [(65536, 65536, 2)]})
        shutil.copytree(self.repository.path, self.pristine, symlinks=True)

    def restart(self):
        shutil.rmtree(self.repository.path)
        shutil.copytree(self.pristine, self.repository.path, symlinks=True)

    def measured(self, *words):
        return run_measured(self.command(*words), dict(os.environ, TMPDIR=self.path("tmp")))

    def outside(self):
        return tree(self.root, without=(self.repository.path, self.path("state")))

    def check(self, backup, verbs=("list", "show", "verify", "restore", "prune")):
        """Every command that reads this backup fails with one line and touches nothing else."""
        words = {"list": ("list",), "show": ("show", VM, backup), "verify": ("verify", VM, backup),
                 "restore": ("restore", VM, backup, "--to", self.path("out")),
                 "prune": ("prune", VM, "--keep-last=1")}
        before = self.outside()
        backups = tree(self.repository.path)
        for verb in verbs:
            ended = self.measured(*words[verb])
            self.assert_harmless(ended)
            self.assertEqual(ended.returncode, 1, (verb, ended.errors))
            lines = ended.errors.decode().splitlines()
            # A listing has a line for each backup that is of no use.
            self.assertEqual(len(lines), 1 if verb in ("show", "verify", "restore")
                             else max(len(lines), 1), (verb, lines))
            for line in lines:
                self.assertTrue(line.startswith("holdfast: "), line)
        shutil.rmtree(self.path("out"), ignore_errors=True)
        self.assertEqual(self.outside(), before)
        left = tree(self.repository.path)
        left.pop(f"{VM}/.lock", None)
        backups.pop(f"{VM}/.lock", None)
        self.assertEqual(left, backups)
        self.restart()

    def manifest_path(self, backup):
        return f"{self.repository.directory(backup)}/manifest.json"

    def change(self, backup, **members):
        """The manifest with other members; those of its disk begin with `disk_`."""
        path = self.manifest_path(backup)
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        for name, value in members.items():
            if name.startswith("disk_"):
                manifest["disks"][0][name.removeprefix("disk_")] = value
            else:
                manifest[name] = value
        with open(path, "w", encoding="utf-8") as file:
            json.dump(manifest, file)

    def test_names_in_a_manifest_lead_nowhere(self):
        names = ("../../secret", self.secret, "..", "vda\0", "vda\n", "\x1b[2J", "a" * 5000, "",
                 "vda/", "vda/../vda", "é", {"a": 1}, None, 7)
        for name in names:
            for members in ({"disk_file": name}, {"disk_name": name},
                            {"disk_name": name, "disk_file": f"{name}.qcow2"},
                            {"disk_backing": {"id": name}}, {"id": name}, {"vm": name}):
                with self.subTest(**members):
                    self.change(INCREMENT, **members)
                    self.check(INCREMENT, ("show", "restore"))

    def test_a_manifest_that_is_none(self):
        contents = (b"", b"\0" * 100, b"[" * 100000, b"{}", b"\xff\xfe", b"x" * (5 << 20),
                    b'{"schema": 1, "disks": {' + b'"a":0,' * 100000 + b'"b":0}}', b"\x1b[2J\n\x9b")
        for content in contents:
            with self.subTest(content=content[:20]):
                with open(self.manifest_path(INCREMENT), "wb") as file:
                    file.write(content)
                self.check(INCREMENT)

    def put_instead(self, path):
        """One after the other, what is no regular file in its place; each as (name, how to)."""
        def listen():
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path)
        kept = path + ".kept"
        os.rename(path, kept)
        kinds = [("a link to a file elsewhere", lambda: os.symlink(self.secret, path)),
                 ("a link to what stood there", lambda: os.symlink(kept, path)),
                 ("a link to nothing", lambda: os.symlink("/nonexistent", path)),
                 ("a link to itself", lambda: os.symlink(path, path)),
                 ("a pipe", lambda: os.mkfifo(path)), ("a socket", listen),
                 ("a directory", lambda: os.mkdir(path)), ("nothing", lambda: None)]
        if os.geteuid() == 0:
            kinds.append(("a device", lambda: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))))
        for name, put in kinds:
            if os.path.lexists(path):  # check() has put it back
                os.rename(path, kept)
            yield name, put

    def test_what_is_no_regular_file_is_not_opened(self):
        for backup in (FULL, INCREMENT):
            for path in (self.repository.image(backup), self.manifest_path(backup)):
                for kind, put in self.put_instead(path):
                    with self.subTest(path=os.path.basename(path), kind=kind, backup=backup):
                        put()
                        verbs = ("verify", "restore") if path.endswith(".qcow2") else (
                            "list", "show", "verify", "restore", "prune")
                        self.check(backup, verbs)

    def test_directories_that_are_links_are_not_followed(self):
        elsewhere = self.path("elsewhere")
        for path in (self.repository.directory(INCREMENT), f"{self.repository.path}/{VM}"):
            with self.subTest(path=os.path.basename(path)):
                shutil.rmtree(elsewhere, ignore_errors=True)
                os.rename(path, elsewhere)
                os.symlink(elsewhere, path)
                self.check(INCREMENT, ("show", "verify", "restore", "prune"))

    def test_images_that_refer_to_files_elsewhere_are_not_opened(self):
        image = self.repository.image(FULL)
        for reference in ({"backing": self.secret}, {"data_file": self.secret},
                          {"backing": "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\","
                                      f"\"filename\":\"{self.secret}\"}}}}"},
                          {"backing": "../../secret"}, {"backing": "nbd://127.0.0.1:9/x"}):
            with self.subTest(**reference):
                qcow2(image, SIZE, **reference)
                with open(self.secret, "wb") as file:
                    file.write(CANARY)
                self.repository.record_again(FULL)
                for words in (("verify", VM, FULL),
                              ("restore", VM, FULL, "--to", self.path("out"))):
                    named = self.named_files(self.command(*words), 1)
                    self.assertEqual([call for call in named if "secret" in call], [])
                self.assertFalse(os.path.exists(self.path("out")))
                self.check(FULL, ("verify", "restore"))

    def test_what_qemu_img_says_of_an_image_is_shown_harmlessly(self):
        image = self.repository.image(FULL)
        with open(image, "r+b") as file:
            head = bytearray(file.read(65536))
            # A feature that no program knows, and the name for it: an escape sequence.
            at = head.index((0x6803f857).to_bytes(4, "big"))
            head[72] |= 0x80
            head[at + 8:at + 10] = bytes((0, 63))
            head[at + 10:at + 56] = b"\x1b[2J\x1b]0;owned\x07\x9b31m\r\n".ljust(46, b"\0")
            file.seek(0)
            file.write(head)
        self.write_record(FULL)
        said = self.measured("verify", VM, FULL).errors
        self.assertIn(b"qemu-img check", said)
        self.assertIn(b"\\x1b[2J", said)
        self.check(FULL, ("verify", "restore"))

    def write_record(self, backup):
        """The manifest's checksum of the image as it is now, at which qemu-img would not look."""
        with open(self.repository.image(backup), "rb") as image:
            content = image.read()
        self.change(backup, disk_bytes=len(content),
                    disk_sha256=hashlib.sha256(content).hexdigest())

    def test_what_prune_takes_away_is_no_link_s_target(self):
        outside = self.path("precious")
        os.mkdir(outside)
        with open(f"{outside}/thesis.txt", "w", encoding="utf-8"):
            pass
        machine = f"{self.repository.path}/{VM}"
        os.symlink(outside, f"{machine}/.incomplete-20261101T000000Z-00000000")
        os.symlink(outside, f"{machine}/.removing-x\x1b[2J")
        os.mkdir(f"{machine}/.incomplete-y")
        os.symlink(outside, f"{machine}/.incomplete-y/link")
        os.symlink(f"{outside}/thesis.txt", f"{self.repository.directory(FULL)}/link")
        ended = self.measured("prune", VM, "--keep-last=1")
        self.assert_ended(ended, (0,))
        self.assertEqual(os.listdir(outside), ["thesis.txt"])
        self.assertEqual([name for name in os.listdir(machine) if name.startswith(".")], [".lock"])

    def test_a_lock_that_is_a_link_or_a_pipe_is_refused(self):
        lock = f"{self.repository.path}/{VM}/.lock"
        for put in (lambda: os.symlink(self.secret, lock), lambda: os.mkfifo(lock),
                    lambda: os.mkdir(lock)):
            put()
            self.check(FULL, ("prune",))
        with open(self.secret, "rb") as file:
            self.assertEqual(file.read(), CANARY)

    def test_a_mark_that_is_no_file_makes_no_repository(self):
        mark = f"{self.repository.path}/holdfast-repository"
        for put in (lambda: os.symlink(self.secret, mark), lambda: os.mkfifo(mark),
                    lambda: os.mkdir(mark), lambda: None):
            os.unlink(mark)
            put()
            self.check(FULL, ("list", "show", "verify", "restore", "prune"))

    def test_strange_names_beside_the_backups_are_left_alone(self):
        machine = f"{self.repository.path}/{VM}"
        for name in ("\x1b[2J", "a\nb", "20261120T000100Z-00000001x", "x" * 255, "\udcff\udcfe",
                     "99999999T999999Z-ffffffff.failed", "$(reboot)", "-rf"):
            os.mkdir(f"{machine}/{name}")
            os.mkdir(f"{self.repository.path}/{name}")
        before = tree(self.repository.path)
        for words in (("list",), ("list", "--json"), ("show", VM), ("verify", VM),
                      ("prune", VM, "--keep-last=5")):
            ended = self.measured(*words)
            self.assert_ended(ended, (0,))
        left = tree(self.repository.path)
        left.pop(f"{VM}/.lock", None)
        self.assertEqual(left, before)

    def test_a_backup_of_a_day_that_does_not_exist_is_told_of(self):
        os.mkdir(f"{self.repository.path}/{VM}/99999999T999999Z-ffffffff")
        self.check("99999999T999999Z-ffffffff")

    def test_texts_of_a_manifest_reach_no_terminal_as_they_are(self):
        text = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\x7f\x85"
        self.change(FULL, begin=text, end=text, method=text, required=text,
                    qemu={"version": text}, window={"total_ms": text, text: text},
                    evidence={"reasons": [text], "notes": [text, {text: text}],
                              "freeze_count": text, "guest_record": {"resources": [
                                  {"name": text, "engine": text, "version": text,
                                   "verdict": {"code": text, "text": text},
                                   "position": {text: text}}]}})
        for words in (("list",), ("list", "--json"), ("show", VM, FULL),
                      ("show", VM, FULL, "--json"), ("verify", VM, FULL, "--json"),
                      ("prune", VM, "--keep-last=9", "--dry-run", "--json")):
            with self.subTest(words=words):
                ended = self.measured(*words)
                self.assert_ended(ended, (0,))
                self.assertIsNone(harm_in(ended.output))

    def test_sizes_in_a_manifest_are_not_believed(self):
        for members in ({"disk_virtual_size": 1 << 62}, {"disk_virtual_size": 0},
                        {"disk_virtual_size": -1}, {"disk_virtual_size": 1 << 64},
                        {"disk_bytes": 1 << 62}, {"disk_bytes": 0}, {"disk_bytes": 1e30}):
            with self.subTest(**members):
                self.change(FULL, **members)
                self.check(FULL, ("verify", "restore"))


if __name__ == "__main__":
    testing.main()
