# SPDX-License-Identifier: MIT
"""A wrapper around the hook, as qemu-ga runs it: says when the real hook begins and how it ends, and
waits for leave both times. So the test knows the true bounds of a window, and can stop at them.

A shim that is killed by a signal kills its wrapper in the same way.
"""

import contextlib
import os
import signal
import threading

_SCRIPT = """#!/bin/sh
leave() {{ mkfifo {home}/leave.$$; echo "$* $$" >{home}/hook.fifo; read word <{home}/leave.$$; rm {home}/leave.$$; }}
leave begin $1 0
{shim} --socket={socket} "$@" &
shim=$!
echo "runs $1 $shim $$" >{home}/hook.fifo
wait $shim
code=$?
leave end $1 $code
[ $code -le 128 ] || kill -9 $$
exit $code
"""


class HookGate:
    """`on(what, verb, value)` is called on the gate's thread: ("begin", verb, 0) before the real hook
    is run, ("runs", verb, its pid), ("end", verb, its status). Then it goes on, unless `hold` says so
    for ("begin", verb): then go() does that."""

    def __init__(self, home, shim, socket, on):
        self._home = home
        self._on = on
        self._held = None
        self.hold = None
        self.script = os.path.join(home, "hook")
        self._text = _SCRIPT.format(home=home, shim=shim, socket=socket)
        self.write_script()
        fifo = os.path.join(home, "hook.fifo")
        os.mkfifo(fifo)
        # Open for writing, too: else it would end with each wrapper.
        self._fifo = os.open(fifo, os.O_RDWR)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def write_script(self):
        with open(self.script, "w", encoding="utf-8") as file:
            file.write(self._text)
        os.chmod(self.script, 0o755)

    def _read(self):
        with os.fdopen(os.dup(self._fifo), "r", encoding="ascii") as lines:
            for line in lines:
                what, verb, value, wrapper = line.split()
                if what == "close":
                    return
                self._on(what, verb, int(value))
                if what == "runs":
                    continue
                if what == "begin" and self.hold == verb:
                    self._held = wrapper
                    continue
                self._give_leave(wrapper)

    def _give_leave(self, wrapper):
        """Nobody is there if the wrapper was killed meanwhile."""
        path = os.path.join(self._home, "leave." + wrapper)
        with contextlib.suppress(OSError):
            threading.Thread(target=self._write, args=(path,), daemon=True).start()

    @staticmethod
    def _write(path):
        with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as leave:
            leave.write("go\n")

    def go(self):
        self.hold = None
        wrapper, self._held = self._held, None
        if wrapper is not None:
            self._give_leave(wrapper)

    def close(self):
        os.write(self._fifo, b"close - 0 0\n")
        self._thread.join(10)
        os.close(self._fifo)


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
