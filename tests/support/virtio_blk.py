# SPDX-License-Identifier: MIT
"""What a guest's driver of virtio-blk does, without a guest: requests are put into a queue in the
machine's memory, many at a time, and QEMU serves them when it comes to it, while jobs begin and
end.

The device is the legacy one, at a port (Virtual I/O Device 1.0, "Legacy Interface"). One thread at
a time.
"""

import struct
import time

from support.qtest import PATIENCE

SECTOR = 512
PAGE = 4096
# Where what stands in the device's piece of the machine's memory.
QUEUE, HEADERS, DATA = 0, 0x8000, 0x10000
PIECE = 256 << 10  # the most that one request writes
SLOTS = 24         # requests under way
SIZE = DATA + SLOTS * PIECE
# PCI's configuration
COMMAND, BASE = 0x04, 0x10
IO_AND_MASTER = 0x5
# The device's ports
FEATURES, OUR_FEATURES, ADDRESS, COUNT, SELECT, NOTIFY, STATUS, INTERRUPT = (
    0x00, 0x04, 0x08, 0x0c, 0x0e, 0x10, 0x12, 0x13)
ACKNOWLEDGE, DRIVER, DRIVER_OK = 1, 2, 4
WITH_FLUSH = 1 << 9
NEXT, FOR_DEVICE = 1, 2
# Requests
WRITE, FLUSH = 1, 4
NO_ANSWER = 0xff


def words(data):
    return f"{len(data):#x} 0x{data.hex()}"


class VirtioBlk:
    """`device` is its number on the PCI bus, `memory` the address of SIZE bytes of its own."""

    def __init__(self, qtest, device, memory):
        self._qtest, self._device, self._memory = qtest, device, memory
        self._port = 0xc000 + (device >> 3) * 0x100
        self._line = None
        self._under_way = {}  # slot -> what it is
        self._failed = []

    # -- what a guest does

    def begin(self, pattern, offset, length):
        """Writes bytes of this value; whether it worked, settle() says."""
        self._ready()
        while length > 0:
            piece = min(length, PIECE)
            self._await(lambda: len(self._under_way) < SLOTS)
            self._submit(WRITE, f"write of {piece} at {offset}", offset // SECTOR, pattern, piece)
            offset += piece
            length -= piece

    def settle(self):
        """All that has been begun has been done, if not on the disk; RuntimeError if it failed."""
        self._await(lambda: not self._under_way)
        failed, self._failed = self._failed, []
        if failed:
            raise RuntimeError(", ".join(failed))

    def flush(self):
        """All that has been begun is on the disk."""
        self.settle()
        self._ready()
        self._submit(FLUSH, "flush")
        self.settle()

    # -- the device

    def _out(self, size, register, value):
        return f"out{size} {self._port + register:#x} {value:#x}"

    def _in(self, size, register):
        return f"in{size} {self._port + register:#x}"

    def _is_ours(self):
        """Not since the machine has been reset."""
        return self._qtest.configuration(self._device, COMMAND) & IO_AND_MASTER == IO_AND_MASTER

    def _ready(self):
        if self._line is not None and self._is_ours():
            return
        self._under_way.clear()
        self._line = self._qtest.route(self._device)
        self._qtest.configure(self._device, BASE, self._port, 4)
        self._qtest.configure(self._device, COMMAND, IO_AND_MASTER, 2)
        self._qtest.ask(self._out("b", STATUS, 0), self._out("b", STATUS, ACKNOWLEDGE),
                        self._out("b", STATUS, ACKNOWLEDGE | DRIVER))
        if not self._qtest.number(self._in("l", FEATURES)) & WITH_FLUSH:
            raise RuntimeError("the disk has no flush")
        self._qtest.ask(self._out("l", OUR_FEATURES, WITH_FLUSH), self._out("w", SELECT, 0))
        self._count = self._qtest.number(self._in("w", COUNT))
        self._available = self._memory + QUEUE + 16 * self._count
        # 4 bytes, one of 2 for each request, and one more; then the next page.
        self._used = -(-(self._available + 6 + 2 * self._count) // PAGE) * PAGE
        self._added = self._seen = 0
        self._qtest.ask(f"memset {self._memory:#x} {HEADERS:#x} 0",
                        self._out("l", ADDRESS, self._memory // PAGE),
                        self._out("b", STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK))

    def _submit(self, kind, what, sector=0, pattern=0, length=0):
        slot = next(number for number in range(SLOTS) if number not in self._under_way)
        header = self._memory + HEADERS + 32 * slot
        data = self._memory + DATA + PIECE * slot
        first = 3 * slot
        chain = [(header, 16, NEXT, first + 1)]
        if length > 0:
            chain.append((data, length, NEXT, first + 2))
        chain.append((header + 16, 1, FOR_DEVICE, 0))
        commands = [f"memset {data:#x} {length:#x} {pattern:#x}"] if length > 0 else []
        commands += [
            f"write {header:#x} {words(struct.pack('<IIQB', kind, 0, sector, NO_ANSWER))}",
            f"write {self._memory + QUEUE + 16 * first:#x} "
            f"{words(b''.join(struct.pack('<QIHH', *one) for one in chain))}",
            f"writew {self._available + 4 + 2 * (self._added % self._count):#x} {first:#x}"]
        self._added = (self._added + 1) % (1 << 16)
        commands += [f"writew {self._available + 2:#x} {self._added:#x}", self._out("w", NOTIFY, 0)]
        self._under_way[slot] = what
        self._qtest.ask(*commands)

    def _collect(self):
        """Takes what is done. What is done after this has been asked for raises the interrupt."""
        self._qtest.forget(self._line)
        used = self._qtest.number_after(self._in("b", INTERRUPT), f"readw {self._used + 2:#x}")
        while self._seen != used:
            slot = self._qtest.number(
                f"readl {self._used + 4 + 8 * (self._seen % self._count):#x}") // 3
            self._seen = (self._seen + 1) % (1 << 16)
            status = self._qtest.number(f"readb {self._memory + HEADERS + 32 * slot + 16:#x}")
            what = self._under_way.pop(slot)
            if status != 0:
                self._failed.append(f"{what}: status {status}")

    def _await(self, condition):
        limit = time.monotonic() + PATIENCE
        while not condition():
            self._collect()
            if condition() or self._qtest.wait_for(self._line, 1):
                continue
            if not self._is_ours():
                self._failed += [f"{what}: lost in a reset" for what in self._under_way.values()]
                self._under_way.clear()
            elif time.monotonic() > limit:
                raise TimeoutError(", ".join(self._under_way.values()))
