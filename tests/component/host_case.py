# SPDX-License-Identifier: MIT
"""What the host driver's tests share: a directory, a real QEMU, a fake agent, the real program."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

from lab import testing
from support.fake_qga import FakeQga
from support.qemu_machine import Machine, missing
from support.qmp_proxy import QmpProxy
from support.waiting import Gate

KIB = 1 << 10
MIB = 1 << 20
VM = "web1"


class HostCase(unittest.TestCase):
    """`self.machine` runs, `self.agent` answers; `self.run_host(...)` is the program."""

    INCREMENTAL = "yes"

    def setUp(self):
        reason = missing()
        if reason:
            self.skipTest(reason)
        self.program = testing.built("host-driver/holdfast")
        self.directory = tempfile.mkdtemp(prefix="hf-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.repository = self.path("repository")
        self.state = self.path("state")
        os.mkdir(self.path("vm"))
        self.machine = self.make_machine()
        self.addCleanup(self.machine.stop)
        self.machine.start()
        self.agent = FakeQga(self.path("qga.sock"))
        self.addCleanup(lambda: self.agent.stop())
        self.proxy = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def make_machine(self):
        return Machine(self.path("vm"))

    def through_proxy(self):
        self.proxy = QmpProxy(self.path("proxy.sock"), self.machine.qmp)
        self.addCleanup(self.proxy.stop)
        return self.proxy

    def command(self, verb, *arguments, **settings):
        """The command line; settings replace the usual ones, None leaves one out."""
        values = {"qmp": self.proxy.path if self.proxy else self.machine.qmp,
                  "agent": self.agent.path, "repository": self.repository,
                  "state_directory": self.state, "config_directory": self.path("etc"),
                  "incremental": self.INCREMENTAL, "overlay_reserve": "0",
                  "agent_timeout": "10s", "qmp_timeout": "15s", "freeze_timeout": "15s",
                  "thaw_timeout": "10s", "snapshot_timeout": "15s"}
        values.update(settings)
        words = [self.program, verb, *arguments]
        for name, value in values.items():
            if value is not None:
                words.append(f"--{name.replace('_', '-')}={value}")
        return words

    def run_host(self, verb, *arguments, timeout=90, **settings):
        return subprocess.run(self.command(verb, *arguments, **settings), capture_output=True,
                              text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)

    def start_host(self, verb, *arguments, **settings):
        """In the background; killed at the end of the test if it still runs."""
        process = subprocess.Popen(self.command(verb, *arguments, **settings),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)

    def back_up(self, **settings):
        """A backup that must work; its manifest."""
        done = self.run_host("backup", VM, "--json", **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def failing(self, done, status=1):
        """One clear line, the status; the line."""
        self.assertEqual(done.returncode, status, done.stderr)
        lines = done.stderr.splitlines()
        errors = [line for line in lines if line.startswith("holdfast: ")]
        self.assertEqual(lines, errors)
        self.assertTrue(errors)
        return errors[-1]

    def published(self):
        directory = os.path.join(self.repository, VM)
        if not os.path.isdir(directory):
            return []
        return sorted(name for name in os.listdir(directory) if name not in (".lock", ".index"))

    def left_in_state(self):
        """Of runs; what stays is the lock's file, where backups have been published, and what was
        told of them."""
        return [name for name in os.listdir(self.state)
                if name not in (VM + ".lock", "repositories", "outcomes", "points", "archives")]

    def assert_nothing_left(self):
        """Nothing frozen, attached, running, or half published."""
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.machine.leftovers(), [])
        for note in (VM + ".json", VM + ".memory"):
            self.assertFalse(os.path.exists(os.path.join(self.state, note)))
        self.assertEqual([name for name in self.published() if name.startswith(".")], [])
        # Of dirty bitmaps, those of the latest backup: "holdfast-TAG-BACKUP-DISK".
        latest = [name for name in self.published() if not name.endswith(".failed")][-1:]
        self.assertEqual([name.split("-", 2)[2].rsplit("-", 1)[0] for name in
                          self.machine.bitmaps()], latest * 2 if self.INCREMENTAL == "yes" else [])

    def gate(self, name):
        """Where a script of the test's can be made to stand still."""
        gate = Gate(self.path(name))
        self.addCleanup(gate.close)
        return gate

    def small_repository(self, mebibytes):
        """The repository is a filesystem of its own, no larger than this."""
        if os.geteuid() != 0:
            self.skipTest("mounting a small filesystem needs root")
        os.mkdir(self.repository)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none",
                        self.repository], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.repository], check=False)

    def qemu_img(self, *cases):
        """A qemu-img that does something else for one subcommand: (name, shell lines)."""
        path = self.path("qemu-img")
        with open(path, "w", encoding="utf-8") as script:
            script.write("#!/bin/sh\ncase $1 in\n")
            for name, lines in cases:
                script.write(f"{name}) {lines} ;;\n")
            script.write("esac\nexec qemu-img \"$@\"\n")
        os.chmod(path, 0o755)
        return path


class Killer:
    """Kills a process once, from a hook that may run before the process is known; `skip` calls of
    the hook are let pass before."""

    def __init__(self, signal_number=signal.SIGKILL, skip=0):
        self.signal = signal_number
        self.skip = skip
        self.process = None
        self.known = threading.Event()
        self.used = False

    def aim(self, process):
        self.process = process
        self.known.set()

    def __call__(self, *_):
        if self.used:
            return
        if self.skip > 0:
            self.skip -= 1
            return
        self.used = True
        self.known.wait(10)
        os.kill(self.process.pid, self.signal)
        if self.signal == signal.SIGKILL:
            self.process.wait(10)
