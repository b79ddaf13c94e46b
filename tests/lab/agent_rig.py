# SPDX-License-Identifier: MIT
"""A whole guest side without a guest: real holdfastd, holdfast-fsd, holdfast-execd, plugins and
shim from the build tree, a real qemu-ga, and a loop filesystem for what may be frozen.

    loopfs.enter_namespace()
    with loopfs.LoopFilesystem() as fs, agent_rig.Rig(fs, max_hold="20s") as rig:
        rig.resource("main", "plugin = mysql\\nsocket = ...\\n")
        rig.start()
        count = rig.freeze()
        rig.thaw()

Only the loop filesystem's own mount point is ever frozen (guest-fsfreeze-freeze-list), and every
freeze has a lease with loopfs's watchdog. Processes die with the test (PR_SET_PDEATHSIG). Every
wait is bounded.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

from lab import qga, testing

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
LEASE = 60


def missing():
    """Why this can't run here, or None."""
    if shutil.which("qemu-ga", path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
        return "'qemu-ga' is not installed (apt-get install qemu-guest-agent)"
    return None


def die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def await_true(condition, what, seconds=20):
    """For what gives no event: files that appear, processes that end."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Rig:
    def __init__(self, filesystem, **settings):
        """`settings` are keys of agent.conf, with '_' for '-'."""
        self.filesystem = filesystem
        self.home = tempfile.mkdtemp(prefix="hf-rig-")
        os.chmod(self.home, 0o755)
        self._lease = None
        self._processes = []
        self.daemon = self.fsd = self.agent_process = None
        self.agent = None
        # What a test may have otherwise before start_daemon().
        self.daemon_program = testing.built("agent/daemon/holdfastd")
        self.daemon_environment = {}
        # Inside what is frozen, so that the record becomes part of a copy of it.
        self.state_directory = os.path.join(filesystem.mount_point, "holdfast")
        os.makedirs(self.state_directory, exist_ok=True)
        for name in ("resources.d", "plugins", "run", "qga", "hooks.d"):
            os.mkdir(self.path(name))
        for name in ("exec", "mysql", "postgresql", "redis"):
            module = testing.built(f"plugins/{name}/holdfast-{name}.so")
            os.symlink(module, self.path(f"plugins/holdfast-{name}.so"))
        values = {
            "plugin-directory": self.path("plugins"),
            "resource-directory": self.path("resources.d"),
            "run-directory": self.path("run"),
            "state-directory": self.state_directory,
            "fs-socket": self.path("fs.sock"),
            "guest-agent-state": self.path("qga"),
            "filesystems": filesystem.mount_point,
        }
        values.update({key.replace("_", "-"): value for key, value in settings.items()})
        self._write("agent.conf", "".join(f"{key} = {value}\n" for key, value in values.items()))
        shim = testing.built("hooks/fsfreeze-hook")
        self._write("hook",
                    f"#!/bin/sh\nexec {shim} --socket={self.path('run/control.sock')} \"$@\"\n",
                    0o755)

    def path(self, name):
        return os.path.join(self.home, name)

    def _write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def resource(self, name, text):
        self._write(f"resources.d/{name}.conf", text)

    def hook_script(self, name, body):
        """A program of exec resource `hooks`, which notes its verb in the file `hooks.log`."""
        self._write(f"hooks.d/{name}",
                    f"#!/bin/sh\necho {name} $1 >>{self.path('hooks.log')}\n{body}\n", 0o755)

    def hooks_log(self):
        try:
            with open(self.path("hooks.log"), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def _spawn(self, argv, log, environment=None):
        with open(self.path(log), "ab") as output:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, cwd="/", env=environment,
                                       preexec_fn=die_with_parent)
        self._processes.append(process)
        return process

    def _await_socket(self, path, process, log):
        def there():
            if process.poll() is not None:
                raise RuntimeError(f"ended with {process.returncode}:\n{self.log(log)}")
            try:
                return stat.S_ISSOCK(os.stat(path).st_mode)
            except FileNotFoundError:
                return False
        await_true(there, path)

    def log(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def start(self):
        """Everything, each part when the one before it answers."""
        self.start_helpers()
        self.start_daemon()
        self.start_agent()
        return self

    def start_helpers(self):
        self.fsd = self._spawn([testing.built("agent/fs/holdfast-fsd"),
                                "--socket=" + self.path("fs.sock")], "fsd.log")
        self._await_socket(self.path("fs.sock"), self.fsd, "fsd.log")
        self.execd = self._spawn([testing.built("plugins/exec/holdfast-execd"),
                                  "--socket=" + self.path("exec.sock"),
                                  "--resource-directory=" + self.path("resources.d")], "execd.log")
        self._await_socket(self.path("exec.sock"), self.execd, "execd.log")

    def start_daemon(self):
        """Until READY=1, as systemd would wait for it."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        address = self.path("notify.sock")
        if os.path.exists(address):
            os.unlink(address)
        with notify:
            notify.bind(address)
            notify.settimeout(20)
            environment = dict(os.environ, NOTIFY_SOCKET=address, **self.daemon_environment)
            self.daemon = self._spawn([self.daemon_program, "--config=" + self.path("agent.conf")],
                                      "holdfastd.log", environment)
            while b"READY=1" not in notify.recv(4096).split(b"\n"):
                pass

    def start_agent(self):
        environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin")
        self.agent_process = self._spawn(
            ["qemu-ga", "-m", "unix-listen", "-p", self.path("qga.sock"), "-F" + self.path("hook"),
             "-t", self.path("qga"), "-f", self.path("qga/pid")], "qga.log", environment)
        self._await_socket(self.path("qga.sock"), self.agent_process, "qga.log")
        # The file is there before anybody listens.
        self.agent = qga.wait_for_agent(self.path("qga.sock"), 20,
                                        lambda: self.agent_process.poll() is None)

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait(10)

    def ctl(self, *arguments, check=True):
        """holdfastctl's JSON answer."""
        done = subprocess.run([testing.built("agent/ctl/holdfastctl"),
                               "--socket=" + self.path("run/control.sock"), *arguments, "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30,
                              check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"holdfastctl {arguments}: {done.returncode}: "
                               f"{done.stderr.decode()}")
        return json.loads(done.stdout)

    def await_ready(self):
        """Until every resource is connected."""
        def ready():
            resources.clear()
            resources.extend(self.ctl("status")["resources"])
            return all(resource["state"] == "ready" for resource in resources)
        resources = []
        try:
            await_true(ready, "all resources ready")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {resources}") from None

    def freeze(self, timeout=40):
        """How many filesystems qemu-ga froze; qga.AgentError with its words otherwise."""
        self._lease = self.filesystem.lease(LEASE)
        self._lease.__enter__()
        try:
            count = self.agent.call("guest-fsfreeze-freeze-list",
                                    {"mountpoints": [self.filesystem.mount_point]}, timeout)
        except BaseException:
            self.end_lease()
            raise
        return count

    def thaw(self, timeout=40):
        try:
            return self.agent.call("guest-fsfreeze-thaw", timeout=timeout)
        finally:
            self.end_lease()

    def end_lease(self):
        """Thaws by hand whatever is still frozen."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            lease.__exit__(None, None, None)

    def frozen_status(self):
        return self.agent.call("guest-fsfreeze-status")

    def record(self, name="last.json"):
        """A freeze record: last.json and window.json are in the run directory."""
        with open(self.path("run/" + name), encoding="utf-8") as file:
            return json.load(file)

    def record_inside(self):
        """The record within the filesystem that is frozen. Reading works there."""
        with open(os.path.join(self.state_directory, "freeze.json"), encoding="utf-8") as file:
            return json.load(file)

    def close(self):
        self.end_lease()
        if self.agent is not None:
            self.agent.close()
        # qemu-ga and the daemon may be in the middle of something; all is thawed by now.
        for process in reversed(self._processes):
            if process.poll() is None:
                process.kill()
            process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
