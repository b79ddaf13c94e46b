# SPDX-License-Identifier: MIT
"""Repositories with chains of increments, made by qemu-img, qemu-io and hand-written manifests; and
the real program over them. No machine runs here."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from lab import testing

KIB = 1 << 10
MIB = 1 << 20
VM = "web1"
SIZE = 4 * MIB
PROGRAMS = ("qemu-img", "qemu-io")


def missing(*more):
    for program in (*PROGRAMS, *more):
        if shutil.which(program) is None:
            return f"'{program}' is not installed"
    return None


def backup_id(number, day=20):
    """Ids sort as their numbers."""
    return f"202611{day:02}T{number // 60:02}{number % 60:02}00Z-{number:08x}"


class Repository:
    """A repository as the driver would leave it."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path)
        with open(f"{path}/holdfast-repository", "w", encoding="utf-8") as mark:
            mark.write("This directory is a Holdfast repository.\ntag: 1f3a9c0b\n")

    def directory(self, backup):
        return f"{self.path}/{VM}/{backup}"

    def image(self, backup, disk="vda"):
        return f"{self.directory(backup)}/{disk}.qcow2"

    def add(self, backup, parent=None, disks=None, size=SIZE):
        """`disks`: name -> the writes [(offset, length, pattern)]; a name that starts with '+' is a
        disk that stands for itself although there is a parent."""
        os.makedirs(self.directory(backup))
        names = []
        for name, writes in (disks or {"vda": []}).items():
            below = None if name.startswith("+") else parent
            name = name.removeprefix("+")
            names.append((name, below))
            command = ["qemu-img", "create", "-q", "-f", "qcow2"]
            if below:
                # QEMU opens the backing file: the reference must lead there.
                command += ["-b", f"../{below}/{name}.qcow2", "-F", "qcow2"]
            command += [self.image(backup, name), str(size)]
            subprocess.run(command, check=True)
            for offset, length, pattern in writes:
                subprocess.run(["qemu-io", "-f", "qcow2", "-c",
                                f"write -P {pattern} {offset} {length}", self.image(backup, name)],
                               check=True, stdout=subprocess.DEVNULL)
        self.write_manifest(backup, [self.entry(backup, name, below) for name, below in names])
        return backup

    def entry(self, backup, name, below):
        path = self.image(backup, name)
        with open(path, "rb") as image:
            content = image.read()
        size = json.loads(subprocess.run(
            ["qemu-img", "info", "-f", "qcow2", "--output=json", path], check=True,
            capture_output=True, text=True).stdout)["virtual-size"]
        return {"name": name, "file": f"{name}.qcow2", "file_format": "qcow2",
                "virtual_size": size, "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "backing": {"id": below} if below else None}

    def write_manifest(self, backup, entries):
        with open(f"{self.directory(backup)}/manifest.json", "w", encoding="utf-8") as file:
            json.dump({"schema": 1, "id": backup, "vm": VM, "begin": "2026-11-20T18:21:14.000Z",
                       "level": "application", "kind": "full", "disks": entries}, file)

    def record_again(self, backup, name="vda", below=None):
        """The manifest as it would be if the image had always been what it is now."""
        self.write_manifest(backup, [self.entry(backup, name, below)])


class ChainCase(unittest.TestCase):
    NEEDS = ()

    def setUp(self):
        reason = missing(*self.NEEDS)
        if reason:
            self.skipTest(reason)
        self.program = testing.built("host-driver/holdfast")
        self.root = tempfile.mkdtemp(prefix="hf-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.repository = Repository(self.path("repository"))

    def path(self, name):
        return os.path.join(self.root, name)

    def command(self, verb, *arguments):
        return [self.program, verb, *arguments, f"--repository={self.repository.path}",
                f"--state-directory={self.path('state')}",
                f"--config-directory={self.path('etc')}"]

    def holdfast(self, verb, *arguments):
        return subprocess.run(self.command(verb, *arguments), capture_output=True, text=True,
                              timeout=120, check=False, stdin=subprocess.DEVNULL)

    def succeeding(self, verb, *arguments):
        done = self.holdfast(verb, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def failing(self, *words, status=1):
        """What one line of error says."""
        done = self.holdfast(*words)
        self.assertEqual(done.returncode, status, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("holdfast: "), lines[0])
        return lines[0].removeprefix("holdfast: ")
