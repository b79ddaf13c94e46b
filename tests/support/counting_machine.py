# SPDX-License-Identifier: MIT
"""A machine whose processor does something: it counts, in its memory and on a disk of its own.

What it runs needs no BIOS, no guest and no interrupt. For ever, and in this order:

    the first number goes up by one        in memory, at FIRST
    and is written into each page          of a part of the memory, one after the other
    and into the first sector but one      of the disk `count`, by programmed input and output
    the last number goes up by one         in memory, at LAST

So at one instant the last number is that of the disk or one less, that of the disk is the first or
one less, and so it is with the pages, those at the end of the part being behind.
"""

import os
import struct
import subprocess
import tempfile

from support.qemu_machine import MIB, Machine

FIRST, LAST = 0x7000, 0x7004
PAGES = range(0x10000, 0x90000, 0x1000)
# as --32, 16-bit code; the disk is that of the first IDE channel (ports 1f0 to 1f7).
CODE = bytes.fromhex(
    "fab030e643"        # cli; the timer is stopped
    "31c08ed8"          # ds = 0
    "baf603b002ee"      # no interrupts of the disk's
    "baf701"            # dx = 1f7
    "66ff060070"        # again: FIRST += 1
    "66a10070bb0010"    # eax = FIRST; bx = 1000
    "8ec32666a30000"    # pages: es = bx; es:0 = eax
    "81c3000181fb009075ef"    # bx += 100, up to 9000
    "eca88075fb"        # until the disk is not busy
    "baf601b0e0ee"      # the first drive, by linear addresses
    "baf201b001ee"      # one sector,
    "42eefec842ee42ee"  # number one
    "baf701b030ee"      # write sectors
    "eca80874fb"        # until it wants data
    "baf00166a10070b98000"    # eax = FIRST, 128 times
    "66efe2fc"
    "baf701eca88075fb"  # until the disk is not busy
    "66ff060470"        # LAST += 1
    "bb040031c9"        # a pause, so that jobs on the disk keep up with it
    "e2fe4b75fb"
    "eb98")             # again
JUMP = bytes.fromhex("ea000000f0")  # where the processor begins: to f000:0


def counting_bios(path):
    with open(path, "wb") as file:
        file.write(CODE.ljust((64 << 10) - 16, b"\0") + JUMP.ljust(16, b"\0"))
    return path


class CountingMachine(Machine):
    """With `count` as a third disk: a qcow2 image on IDE. Stands still until `run()`."""

    COUNT = "ide0-hd0"  # as QEMU calls it

    def __init__(self, directory, extra=()):
        super().__init__(directory)
        self.count = os.path.join(directory, "count.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.count, str(MIB)], check=True)
        self.more = list(extra)

    def start(self):
        self.extra = ["-bios", counting_bios(os.path.join(self.directory, "count.bios")),
                      "-drive", f"file={self.count},format=qcow2,if=ide", *self.more]
        return super().start()

    def status(self):
        return self.monitor.execute("query-status")["status"]

    def run(self):
        self.monitor.execute("cont")

    def numbers(self):
        """(the first, those of the pages, the last) in its memory, which stands still."""
        with tempfile.NamedTemporaryFile(dir=self.directory) as file:
            os.chmod(file.name, 0o666)
            size = PAGES.stop
            self.monitor.execute("pmemsave", val=0, size=size, filename=file.name)
            with open(file.name, "rb") as memory:
                content = memory.read()
        def at(place):
            return struct.unpack_from("<I", content, place)[0]
        return at(FIRST), [at(page) for page in PAGES], at(LAST)

    def first(self):
        """The first number, of a machine that runs."""
        answer = self.monitor.execute("human-monitor-command",
                                      **{"command-line": f"xp /1wx {FIRST:#x}"})
        return int(answer.split(":")[1], 16)


def number_on(image, kind="qcow2"):
    """Of the disk."""
    with tempfile.TemporaryDirectory() as directory:
        raw = os.path.join(directory, "raw")
        subprocess.run(["qemu-img", "convert", "-U", "-f", kind, "-O", "raw", image, raw],
                       check=True)
        with open(raw, "rb") as file:
            file.seek(512)
            return struct.unpack("<I", file.read(4))[0]


def problem_of(numbers, on_disk):
    """Why these are not of one instant; None if they are."""
    first, pages, last = numbers
    if not last <= on_disk <= first or first - last > 1:
        return f"first {first}, disk {on_disk}, last {last}"
    allowed = {first, first - 1}
    if sorted(pages, reverse=True) != pages or not set(pages) <= allowed:
        return f"first {first}, pages {pages}"
    return None
