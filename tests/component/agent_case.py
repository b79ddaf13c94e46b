# SPDX-License-Identifier: MIT
"""The guest's programs as processes: holdfastd, the hook, holdfastctl, holdfast-fsd, and a server of
the test's own that stands in for the databases (tests/lab/fake_database.py)."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from lab import testing
from lab.fake_database import PATIENCE, Database
from support.waiting import until

HOLDFASTD = testing.built("agent/daemon/holdfastd")
HOLDFASTCTL = testing.built("agent/ctl/holdfastctl")
FSD = testing.built("agent/fs/holdfast-fsd")
HOOK = testing.built("hooks/fsfreeze-hook")
PLUGINS = os.path.dirname(testing.built("tests/plugins/holdfast-fake.so"))


class AgentCase(unittest.TestCase):
    maxDiff = None
    settings = "freeze-timeout = 3s\nthaw-timeout = 3s\nmax-hold = 60s\nfilesystems = none\n"

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="holdfast-agent-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        os.mkdir(self.path("resources.d"))
        os.mkdir(self.path("run"))
        self.database = Database(self.path("database.sock"))
        self.addCleanup(self.database.close)
        self.daemon = None
        self.fsd = None
        self.addCleanup(self._stop_all)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(self.path("notify.sock"))
        self._notify.settimeout(PATIENCE)
        self.addCleanup(self._notify.close)
        self.configure()

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, settings=None, more=""):
        self.write("agent.conf",
                   f"resource-directory = {self.path('resources.d')}\n"
                   f"plugin-directory = {PLUGINS}\n"
                   f"run-directory = {self.path('run')}\n"
                   f"state-directory = {self.path('state')}\n"
                   f"fs-socket = {self.path('fs.sock')}\n"
                   f"{self.settings if settings is None else settings}{more}")

    def resource(self, name, more=""):
        self.write(f"resources.d/{name}.conf",
                   f"plugin = fake\nsocket = {self.database.path}\n{more}")

    # -- processes

    def start(self, ready=("fake:a",), environment=None):
        """holdfastd, until it says READY=1 and the named resources have been probed."""
        log = open(self.path("daemon.log"), "a", encoding="utf-8")
        self.addCleanup(log.close)
        self.daemon = subprocess.Popen(
            [HOLDFASTD, "--config", self.path("agent.conf")], stderr=log, stdin=subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": self.path("notify.sock"), **(environment or {})})
        self.wait_notification("READY=1")
        for resource in ready:
            try:
                self.database.wait_session(resource)
            except TimeoutError as problem:
                self.fail(f"'{resource}' was not probed: {problem}; {self.ctl('status')}; {self.log()}")

    def wait_notification(self, wanted):
        while True:
            message = self._notify.recv(4096).decode()
            if wanted in message.split("\n"):
                return

    def start_fsd(self):
        self.fsd = subprocess.Popen([FSD, f"--socket={self.path('fs.sock')}"],
                                    stdin=subprocess.DEVNULL)
        self.wait_for(self._fsd_listens)

    def _fsd_listens(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            return client.connect_ex(self.path("fs.sock")) == 0

    def wait_for(self, condition):
        until(condition, "what the test waits for", PATIENCE)

    def kill(self):
        self.daemon.kill()
        self.daemon.wait(PATIENCE)

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(PATIENCE)

    def _stop_all(self):
        for process in (self.daemon, self.fsd):
            if process and process.poll() is None:
                process.kill()
                process.wait(PATIENCE)

    def hook(self, *arguments):
        """(status, standard error) of the hook."""
        done = subprocess.run([HOOK, f"--socket={self.path('run/control.sock')}", *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE, check=False, text=True)
        self.assertEqual(done.stdout, "")
        self.assertLessEqual(done.stderr.count("\n"), 1)
        return done.returncode, done.stderr

    def ctl(self, *arguments):
        """(status, standard output, standard error) of holdfastctl."""
        done = subprocess.run([HOLDFASTCTL, f"--socket={self.path('run/control.sock')}", *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE, check=False, text=True)
        return done.returncode, done.stdout, done.stderr

    def status(self):
        return json.loads(self.ctl("status", "--json")[1])

    def record(self, name="run/last.json"):
        with open(self.path(name), encoding="utf-8") as file:
            return json.load(file)

    def log(self):
        with open(self.path("daemon.log"), encoding="utf-8") as file:
            return file.read()
