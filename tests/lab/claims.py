# SPDX-License-Identifier: MIT
"""Numbered claims, each shown with OK or FAIL and the figures it rests on.

The demonstration prints them and ends non-zero if one failed; a test asserts on them.
"""

import sys
import time


class Claims:
    def __init__(self, out=sys.stdout):
        self._out = out
        self._begin = time.monotonic()
        self.failed = []
        self.made = 0

    def say(self, text):
        """A line between claims, with the time since the beginning."""
        print(f"[{time.monotonic() - self._begin:6.1f}] {text}", file=self._out, flush=True)

    def claim(self, number, text, holds, figures=""):
        """States a claim; answers whether it holds, and remembers those that don't."""
        self.made += 1
        shown = f"{number}  {'OK  ' if holds else 'FAIL'}  {text}"
        if figures != "":
            shown += f"  [{figures}]"
        print(shown, file=self._out, flush=True)
        if not holds:
            self.failed.append(shown)
        return bool(holds)
