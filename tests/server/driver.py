# SPDX-License-Identifier: MIT
"""One plugin in a process of its own, driven by tests: see plugin_driver.cpp."""

import json
import os
import select
import shutil
import subprocess
import tempfile
import types

from lab import testing
from lab.installation import Installation

MODULES = {"mysql": "plugins/mysql/holdfast-mysql.so",
           "postgresql": "plugins/postgresql/holdfast-postgresql.so",
           "redis": "plugins/redis/holdfast-redis.so"}


class Refused(Exception):
    """The plugin's answer was an error; its code and its line."""

    def __init__(self, answer):
        super().__init__(answer.get("line", "no hold"))
        self.code = answer.get("code")
        self.ms = answer.get("ms")


class Driver:
    """`with Driver("mysql", socket=…) as plugin: plugin.probe(); plugin.hold()`

    Underscores in names of settings stand for dashes. Each call takes its deadline in milliseconds
    and returns the answer's members, with `ms`; errors raise Refused. With `run_as` the process
    runs as that user of the system; with HOLDFAST_TEST_DRIVER_ROOT in that root."""

    def __init__(self, plugin, run_as=None, resource=None, run_file=None, **settings):
        self.directory = tempfile.mkdtemp(prefix="hf-driver-")
        installation = Installation(os.environ.get("HOLDFAST_TEST_DRIVER_ROOT"))
        user = None
        program, module = testing.built("tests/server/plugin_driver"), testing.built(MODULES[plugin])
        if run_as is not None:
            user = installation.user(run_as)
            # The build tree may be closed to that user.
            os.chmod(self.directory, 0o755)
            program = shutil.copy(program, self.directory)
            module = shutil.copy(module, self.directory)
        self.state = os.path.join(self.directory, "state")
        self.run_file = run_file or os.path.join(self.directory, "run")
        self._process = subprocess.Popen(
            [program, module, resource or f"{plugin}:test", self.state, self.run_file],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            **installation.spawn(user))
        self.kib_at_start = self._answer(10).kib
        self._settings = settings

    def __enter__(self):
        try:
            self.configure()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc):
        self.close()

    def configure(self):
        for key, value in self._settings.items():
            self.tell(f"set {key.replace('_', '-')} {value}")
        self.tell("finish test.conf")

    def close(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        """What becomes of the server's locks when the daemon dies."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._process.stdin.close()
        self._process.stdout.close()

    def send(self, line):
        self._process.stdin.write(line + "\n")

    def _answer(self, seconds):
        readable, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            raise AssertionError("the driver has ended" if readable else "the driver does not answer")
        answer = json.loads(line)
        if not answer["ok"]:
            raise Refused(answer)
        return types.SimpleNamespace(**answer)

    def receive(self, seconds=30):
        """The answer to what was sent."""
        return self._answer(seconds)

    def tell(self, line, seconds=30):
        self.send(line)
        return self.receive(seconds)

    def probe(self, ms=10000):
        return self.tell(f"probe {ms}")

    def prepare(self, ms=15000):
        return self.tell(f"prepare {ms}")

    def hold(self, ms=15000):
        return self.tell(f"hold {ms}")

    def freeze(self, ms=15000):
        """prepare() and hold()."""
        self.prepare(ms)
        return self.hold(ms)

    def check(self, ms=5000):
        return self.tell(f"check {ms}")

    def extend(self, ms=5000):
        return self.tell(f"extend {ms}")

    def max_hold(self, ms):
        """For the windows that follow; 60 s otherwise."""
        self.tell(f"max-hold {ms}")

    def release(self, ms=5000):
        return self.tell(f"release {ms}")

    def abandon(self, ms=5000):
        return self.tell(f"abandon {ms}")

    def rollback(self, ms=5000):
        return self.tell(f"rollback {ms}")

    def watch(self, ms):
        """Does the watched descriptor show something within this time?"""
        return self.tell(f"watch {ms}").shown

    def memory(self):
        """Resident memory in KiB."""
        return self.tell("memory").kib
