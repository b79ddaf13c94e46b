# SPDX-License-Identifier: MIT
"""A guest for a throwaway machine: QEMU is real and opens the disks, and what answers on its agent's
channel is a fake in the test's process."""

import base64
import json
import os
import re
import sys

from support.fake_qga import FakeQga
from support.qemu_machine import PROGRAM
from support.waiting import until

# In QEMU's place: puts the fake where holdfast looks for the agent, notes what QEMU was told, and
# becomes QEMU, with the process id that holdfast knows.
QEMU = """\
#!{python}
import json, os, shutil, sys
words = sys.argv[1:]
if words[0] != "--version" and words[-1] != "help":
    for number, word in enumerate(words):
        if word.startswith("socket,id=agent,path="):
            path = word.split("path=")[1].split(",server")[0]
            words[number] = word.replace(path, path + ".qemu")
            os.symlink({guest!r}, path)
    with open({note!r} + ".new", "w") as file:
        json.dump({{"pid": os.getpid(), "words": words}}, file)
    os.rename({note!r} + ".new", {note!r})
os.execv(shutil.which({program!r}), [{program!r}] + words)
"""


class FakeGuest(FakeQga):
    """`proof` is what its holdfastctl answers, as an object or as bytes; None: it has none.
    `running` programs never end."""

    def __init__(self, directory):
        super().__init__(os.path.join(directory, "guest.sock"))
        self.proof = None
        self.running = False
        self.asked = []               # the words of each program
        self.on_exec = None           # called when one is started
        self._note_path = os.path.join(directory, "qemu.json")
        self.qemu = os.path.join(directory, "qemu")
        with open(self.qemu, "w", encoding="utf-8") as script:
            script.write(QEMU.format(python=sys.executable, guest=self.path, note=self._note_path,
                                     program=PROGRAM))
        os.chmod(self.qemu, 0o755)

    def machine(self):
        """Of the last machine that was started: its "pid" and "words"."""
        with open(self._note_path, encoding="utf-8") as file:
            return json.load(file)

    def opened(self, directory):
        """The files below this directory that the machine has open: those that it reads alone, and
        those that it may write to."""
        pid, reading, writing = self.machine()["pid"], set(), set()
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                path = os.readlink(f"/proc/{pid}/fd/{number}")
                with open(f"/proc/{pid}/fdinfo/{number}", encoding="utf-8") as file:
                    flags = int(re.search(r"flags:\s*(\d+)", file.read()).group(1), 8)
            except FileNotFoundError:
                continue  # closed by now
            if path.startswith(directory):
                (reading if flags & os.O_ACCMODE == os.O_RDONLY else writing).add(path)
        return reading, writing

    def await_images(self, directory, count):
        """The fake answers at once, QEMU opens its images at leisure."""
        until(lambda: len(self.opened(directory)[0]) == count, "QEMU has all images open", 30)

    def _guest_exec(self, arguments):
        self.asked.append([arguments["path"], *arguments["arg"]])
        if self.on_exec:
            self.on_exec()
        if self.proof is None:
            return self.error("Guest agent command failed, error was \u201cFailed to execute child "
                              f"process \u201c{arguments['path']}\u201d (No such file or directory)"
                              "\u201d")
        return {"return": {"pid": 4711}}

    def _guest_exec_status(self, _):
        if self.running:
            return {"return": {"exited": False}}
        output = self.proof
        if not isinstance(output, bytes):
            output = json.dumps(output).encode()
        status = self.proof.get("status", 0) if isinstance(self.proof, dict) else 0
        return {"return": {"exited": True, "exitcode": status,
                           "out-data": base64.b64encode(output).decode()}}


def answer(record, **changes):
    """What holdfastctl prove says of a guest that stands where this freeze record says."""
    resources = [{"name": resource["name"], "plugin": resource["plugin"],
                  "engine": resource["engine"], "version": resource["version"], "required": True,
                  "recorded": resource["position"],
                  "up": {"verdict": "ok", "text": "it answers"},
                  "sound": {"verdict": "ok", "text": "3 tables"},
                  "position": {"verdict": "ok", "text": "where it was"}, "problem": ""}
                 for resource in record["resources"]]
    return {"schema": 1, "holdfast": "0.1.0",
            "record": {"window": record["window"], "sequence": 1, "boot": record["boot"]},
            "resources": resources, "problem": "", "status": 0, **changes}
