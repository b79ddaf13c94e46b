# SPDX-License-Identifier: MIT
"""What the guest does meanwhile: one small write after the other, to either disk in turn, each to a
place of its own. Write n + 1 begins when write n is on the disk.

So a copy of both disks at one instant holds the first so many of them and none of the others, and
which ones those are says when the instant was: that is what published backups are judged by.
"""

import threading

DISKS = ("data", "sys")
FIRST = 8 << 20
LENGTH = 4096
STRIDE = 8192
SLOTS = 2048
# After each write: enough to have some in every step, and little load.
PAUSE = 0.02
PAUSE_AFTER_ERROR = 0.1


def place(number):
    """(disk, offset) of a write."""
    return DISKS[number % 2], FIRST + number // 2 % SLOTS * STRIDE


def pattern(number):
    """Not that of the write that was at this place before."""
    return 1 + number // 2 // SLOTS * 37 % 97 + number % 151


class Writer:
    """`write(disk, pattern, offset, length)` raises OSError or RuntimeError if the disk refuses; the
    guest tries again then, as one does whose disk is full for a while."""

    def __init__(self, write):
        self._write = write
        self._changed = threading.Condition()
        self._held = set()
        self._ending = False
        self._writing = False
        self.begun = 0
        self.done = 0
        self._thread = None

    def start(self):
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(60)
            self._thread = None

    def hold(self, why):
        """When it returns, no write is under way and none begins before go(why)."""
        with self._changed:
            self._held.add(why)
            while self._writing:
                self._changed.wait(10)

    def go(self, why):
        with self._changed:
            self._held.discard(why)
            self._changed.notify_all()

    def _run(self):
        while True:
            with self._changed:
                while self._held and not self._ending:
                    self._changed.wait()
                if self._ending:
                    return
                number = self.done + 1
                self.begun = number
                self._writing = True
            pause = PAUSE
            try:
                disk, offset = place(number)
                self._write(disk, pattern(number), offset, LENGTH)
                done = True
            except (OSError, RuntimeError, ValueError):
                done, pause = False, PAUSE_AFTER_ERROR
            with self._changed:
                self._writing = False
                if done:
                    self.done = number
                self._changed.notify_all()
                if not self._ending:
                    self._changed.wait_for(lambda: self._ending, pause)


def prefix(images, begun):
    """Which writes these images hold: `images` are functions disk -> bytes at (offset, length).
    (the last that is there, None), or (None, what is wrong)."""
    last = 0
    oldest = max(1, begun - 2 * SLOTS + 2)
    for number in range(oldest, begun + 1):
        disk, offset = place(number)
        found = images[disk](offset, LENGTH)
        if found == bytes([pattern(number)]) * LENGTH:
            if last and number != last + 1:
                return None, f"write {number} is there, write {last + 1} is not"
            if not last and number != oldest:
                return None, f"write {number} is there, write {number - 1} is not"
            last = number
        elif found[:1] == bytes([pattern(number)]) or found[-1:] == bytes([pattern(number)]):
            return None, f"write {number} is torn"
    return last, None
