# SPDX-License-Identifier: MIT
"""Waiting, always with a limit.

What tells of its coming is awaited: an end by Popen.wait() or ended(), a shell script by a Gate, at
which it says that it is there, and stands still until it is let go. until() is for what nothing
tells of: a server that accepts, a program that another one has started, a state that has to be asked
for.
"""

import os
import select
import time

PATIENCE = 60
PAUSE = 0.02


def until(condition, what, seconds=PATIENCE, process=None):
    """Asks again and again until the answer is true, and returns it. Not beyond the end of
    `process`."""
    limit = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{what}: it ended with status {process.returncode} before")
        if time.monotonic() > limit:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(PAUSE)


def ended(pids, seconds=PATIENCE):
    """Waits for the end of processes, which need not be children."""
    limit = time.monotonic() + seconds
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not _ready([handle], limit):
                raise AssertionError(f"process {pid} did not end within {seconds} s")
        finally:
            os.close(handle)


def _ready(descriptors, limit):
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [found for found, _ in poll.poll(max(0, limit - time.monotonic()) * 1000)]


class Gate:
    """Where shell scripts stand still until they are let go: `stop` are their lines there. They go on
    when the gate is opened, or closed for good."""

    def __init__(self, path):
        said, go = path + ".said", path + ".go"
        os.mkfifo(said)
        os.mkfifo(go)
        # Both ends: nobody waits in open(2), and nobody is told of an end.
        self._said = os.open(said, os.O_RDWR)
        self._go = os.open(go, os.O_RDWR)
        self.stop = f"echo >{said}; read _ <{go}"

    def reached(self, process, times=1, seconds=PATIENCE):
        """Waits until that many have come there, on behalf of `process`, which must not end."""
        limit = time.monotonic() + seconds
        with open(os.pidfd_open(process.pid), "rb", buffering=0) as end:
            while times > 0:
                ready = _ready([self._said, end.fileno()], limit)
                if self._said in ready:
                    times -= len(os.read(self._said, times))
                elif ready:
                    said = process.stderr.read() if process.stderr else ""
                    raise AssertionError(f"ended before: {said}\n{process.args}")
                else:
                    raise AssertionError(f"nobody came there within {seconds} s")

    def open(self):
        """For who stands there, and for who comes later."""
        os.write(self._go, b"\n" * 100)

    def close(self):
        for descriptor in (self._said, self._go):
            os.close(descriptor)
