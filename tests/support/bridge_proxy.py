#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""In the place of holdfast-libvirt: passes everything on, and kills the driver at one command, or
stops libvirtd.

Told by a JSON file beside it, its own name with ".json": `bridge`, the real program; `command`; `when`:
"before" it is passed on, "during" it, or "after" its answer has come; `driver`, a named pipe that the
test writes the pid to; `signal`, if it is not to be killed: then everything is passed on all the
same; `tests`, where the helpers are. It does so once, as long as the file `driver` with ".wanted" is
there, which it removes. A file with ".agents" gets a line whenever somebody starts it for the guest
agent.
"""

import json
import os
import signal
import subprocess
import sys
import threading

with open(__file__ + ".json", encoding="utf-8") as told_file:
    TOLD = json.load(told_file)
sys.path.insert(0, TOLD["tests"])

from support.waiting import until


def is_stopped(pid):
    """All of its threads: a signal takes its time to reach each."""
    states = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
            states.append(file.read().rpartition(")")[2].split()[0])
    return set(states) == {"T"}


class Proxy:
    def __init__(self):
        self.told = TOLD
        self.real = subprocess.Popen([self.told["bridge"], *sys.argv[1:]], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        self.signal = self.told.get("signal", signal.SIGKILL)
        self.awaited = threading.Event()
        if sys.argv[1] == "agent":
            with open(self.told["driver"] + ".agents", "a", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")

    def kill(self):
        with open(self.told["driver"], "rb", buffering=0) as told:
            pid = told.readline()
        if not pid:  # the test has gone
            return
        # before the guardian's own program comes along
        os.unlink(self.told["driver"] + ".wanted")
        os.kill(int(pid), self.signal)
        if self.signal == signal.SIGSTOP:
            until(lambda: is_stopped(int(pid)), "it is stopped")

    def answers(self):
        for line in self.real.stdout:
            if self.awaited.is_set() and b'"event"' not in line:
                self.awaited.clear()
                self.kill()
            try:
                os.write(1, line)
            except OSError:
                return

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self.answers, daemon=True).start()
        for line in sys.stdin.buffer:
            meant = b'"' + self.told["command"].encode() + b'"' in line
            meant = meant and os.path.exists(self.told["driver"] + ".wanted")
            if meant and self.told["when"] == "before":
                self.kill()
                if self.signal == signal.SIGKILL:
                    break
            if meant and self.told["when"] == "after":
                self.awaited.set()
            self.real.stdin.write(line)
            self.real.stdin.flush()
            if meant and self.told["when"] == "during":
                self.kill()
        self.real.stdin.close()
        self.real.wait()


Proxy().run()
