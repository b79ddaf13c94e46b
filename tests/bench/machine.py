# SPDX-License-Identifier: MIT
"""A real QEMU with as many disks as one likes and no guest, the driver that backs it up, and what a
guest would have written."""

import json
import os
import random
import shutil
import subprocess
import time

from lab import cache, testing
from support.fake_qga import FakeQga
from support.qemu_machine import MIB, PROGRAM, halting_bios, monitor_of, qemu_io

VM = "web1"
# What one command of qemu-io writes at most.
PIECE = 64 * MIB


class DiskMachine:
    """Disks d0, d1, ...: images in qcow2 at the paths given, which are there. The agent is a fake one
    in this process, and tells by this machine's monotonic clock when it froze and thawed."""

    def __init__(self, directory, images, caching=None):
        self.directory, self.images = directory, list(images)
        self._caching = {"cache": caching} if caching else {}
        self.qmp = os.path.join(directory, "qmp.sock")
        self.agent = self.monitor = self.process = None

    def __enter__(self):
        own, log = (os.path.join(self.directory, name) for name in ("own.sock", "qemu.log"))
        # It runs, if only to stand still: QEMU closes what it was lent when nobody else has it any more,
        # and not while the machine is paused.
        bios = halting_bios(os.path.join(self.directory, "bios"))
        argv = [PROGRAM, "-nodefaults", "-display", "none", "-bios", bios, "-machine",
                "pc,accel=tcg", "-m", "32", "-qmp", f"unix:{self.qmp},server=on,wait=off",
                "-qmp", f"unix:{own},server=on,wait=off"]
        for number, path in enumerate(self.images):
            argv += ["-blockdev", json.dumps(
                {"driver": "qcow2", "node-name": f"d{number}", "discard": "unmap",
                 **self._caching,
                 "file": {"driver": "file", "filename": path, **self._caching}}),
                     "-device", f"virtio-blk-pci,drive=d{number},id=d{number},share-rw=on"]
        with open(log, "wb") as output:
            # pylint: disable-next=consider-using-with
            # In a session of its own, as whatever starts machines has it; the driver has one, too.
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, cwd=self.directory,
                                            start_new_session=True)
        self.monitor = monitor_of(self.process, own)
        self.agent = FakeQga(os.path.join(self.directory, "qga.sock"))
        return self

    def __exit__(self, *_):
        if self.agent is not None:
            self.agent.stop()
        if self.monitor is not None:
            self.monitor.close()
        self.process.kill()
        self.process.wait(30)

    def bitmaps(self, disk):
        """The names of the dirty bitmaps of this disk."""
        return [bitmap["name"] for device in self.monitor.execute("query-block")
                if device["inserted"]["node-name"] == disk
                for bitmap in device["inserted"].get("dirty-bitmaps", [])]

    def qemu_io(self, disk, *commands):
        qemu_io(self.monitor, disk, *commands)


class Driver:
    """The program under test, with a repository of its own, on a DiskMachine."""

    def __init__(self, machine, directory, repository=None, **settings):
        self.machine, self.directory = machine, directory
        self.repository = repository or os.path.join(directory, "repository")
        self.settings = settings

    def command(self, verb, *words, **settings):
        values = {"qmp": self.machine.qmp, "agent": self.machine.agent.path,
                  "repository": self.repository, "overlay_reserve": "0",
                  "state_directory": os.path.join(self.directory, "state"),
                  "config_directory": os.path.join(self.directory, "etc"),
                  **self.settings, **settings}
        if verb != "backup":
            del values["overlay_reserve"]
        return [testing.built("host-driver/holdfast"), verb, VM, *words,
                *(f"--{name.replace('_', '-')}={value}" for name, value in values.items())]

    def backup(self, *words, **settings):
        """(its manifest, seconds that the command took)."""
        argv = self.command("backup", "--json", *words, **settings)
        begin = time.monotonic()
        # What is told on standard error is that there is no guest.
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=900, check=False, start_new_session=True)
        seconds = time.monotonic() - begin
        if done.returncode != 0:
            raise RuntimeError(f"holdfast backup: {done.stderr}")
        return json.loads(done.stdout), seconds

    def restore(self, backup, target):
        """Seconds."""
        return seconds_of(self.command("restore", backup, "--to", target))

    def verify(self, backup):
        """Seconds."""
        return seconds_of(self.command("verify", backup))

    def forget(self, backup):
        shutil.rmtree(os.path.join(self.repository, VM, backup))


def seconds_of(argv, flush=None, **options):
    """That the program takes, and until this file, or what is in this directory, is on its disk; what
    it says is in the error if it fails."""
    begin = time.monotonic()
    cache.run(argv, **options)
    if flush:
        flushed(flush)
    return time.monotonic() - begin


def flushed(path):
    """Waits until the file, or each in the directory, is on its disk."""
    paths = [path]
    if os.path.isdir(path):
        paths = [os.path.join(place, name) for place, _, names in os.walk(path) for name in names]
    for one in paths:
        with open(one, "rb") as file:
            os.fsync(file.fileno())


def mixture(path, size=PIECE, seed=1):
    """What disks are full of: runs of 64 KiB to 1 MiB, the half of them text that compresses to a
    third or so, a third bytes that do not compress, the rest zeroes; always the same ones."""
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randint(2, 9)).hex().encode() for _ in range(3000)]
    text = b" ".join(chance.choices(words, k=300_000))
    done = 0
    with open(path, "wb") as file:
        while done < size:
            length = min(size - done, chance.randint(1, 16) * (64 << 10))
            kind = chance.randint(1, 6)
            if kind <= 3:
                begin = chance.randrange(len(text) - length)
                file.write(text[begin:begin + length])
            elif kind <= 5:
                file.write(chance.randbytes(length))
            else:
                file.write(bytes(length))
            done += length
    return path


def full_disk(path, size, content, used=1.0):
    """An image in qcow2 of which this part is written with `content`, the rest is holes."""
    cache.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(size)])
    argv = ["qemu-io", "-f", "qcow2", "-t", "unsafe"]
    pieces = size // PIECE
    for number in range(pieces):
        if int((number + 1) * used) > int(number * used):
            argv += ["-c", f"write -q -s {content} {number * PIECE} {PIECE}"]
    cache.run([*argv, path])
    flushed(path)
    return path
