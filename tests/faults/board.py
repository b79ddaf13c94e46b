# SPDX-License-Identifier: MIT
"""What has happened, for whoever waits for it: names, posted by any thread."""

import threading
import time

PATIENCE = 40


class Board:
    def __init__(self):
        self._changed = threading.Condition()
        self._posted = []

    def clear(self):
        with self._changed:
            self._posted.clear()

    def post(self, name):
        with self._changed:
            self._posted.append(name)
            self._changed.notify_all()

    def has(self, name):
        with self._changed:
            return name in self._posted

    def wait(self, *names, seconds=PATIENCE):
        """The first of these that has been posted since clear()."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for name in self._posted:
                    if name in names:
                        return name
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"none of {names} in {seconds} s, but {self._posted}")
                self._changed.wait(left)
