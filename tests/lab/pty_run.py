# SPDX-License-Identifier: MIT
"""Runs a program on a terminal of its own and keeps what it showed: how progress is seen at all."""

import errno
import os
import pty
import select
import subprocess
import sys
import time


class Shown:
    """How the program ended, all that it wrote to its terminal, and how long it took."""

    def __init__(self, status, text, seconds):
        self.status, self.text, self.seconds = status, text, seconds

    def redraws(self):
        """How often a line was drawn again over itself: a bar that moves."""
        return self.text.count("\r") - self.text.count("\r\n")


def run(argv, timeout, environment=None, echo=sys.stdout):
    """Output goes to `echo` as it comes, if that is not None. Bounded: killed at the time-out."""
    begin = time.monotonic()
    controller, terminal = pty.openpty()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
                               env={**os.environ, "TERM": "xterm", **(environment or {})})
    os.close(terminal)
    shown = b""
    try:
        while True:
            left = timeout - (time.monotonic() - begin)
            if left <= 0:
                raise TimeoutError(f"'{' '.join(argv[:3])}' runs longer than {timeout} s")
            if not select.select([controller], [], [], left)[0]:
                continue
            try:
                data = os.read(controller, 1 << 16)
            except OSError as error:
                if error.errno != errno.EIO:  # the last descriptor of the terminal is closed
                    raise
                break
            if not data:
                break
            shown += data
            if echo is not None:
                echo.write(data.decode(errors="replace"))
                echo.flush()
        status = process.wait(max(1.0, timeout - (time.monotonic() - begin)))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(controller)
    return Shown(status, shown.decode(errors="replace"), time.monotonic() - begin)
