# SPDX-License-Identifier: MIT
"""The guest's side for one kind of resource, with a gate at every joint (see steps.py): between
holdfastd and holdfast-fsd, between the plugin and its server, around the hook; and resources of the
fake plugin, beside the real one, that stop the sequence in the middle of a call.

Layouts: `grouped` has one such neighbour in an order group before the real resource and one after it,
so that the sequence can be stopped with the real one prepared, held, verified or released; `flat` has
one in the same group, as resources usually stand.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import threading
import time

from faults.guest import fs_gate, hook_gate
from faults.board import Board
from lab.proxy import Proxy
from lab import agent_rig, qga, testing
from lab.fake_database import Database

FREEZE_TIMEOUT, THAW_TIMEOUT, MAX_HOLD = 3, 3, 6
SLACK = 3
_FIFREEZE = 0xC0045877  # _IOWR('X', 119, int), linux/fs.h
NEIGHBOURS = {"grouped": ("first", "last"), "flat": ("beside",)}
_ORDERS = {"first": -10, "last": 10, "beside": 0}


class Rig(agent_rig.Rig):
    def __init__(self, kind, data, state, directory, layout):
        """`data` and `state` are loop filesystems; `directory` is where the kind has its sockets."""
        super().__init__(data)
        self.kind, self.state, self.layout = kind, state, layout
        self.board = Board()
        self.shim = {}
        self.begun = {}
        self.status = {}
        self._freeze_thread = self._thaw_thread = None
        self.outcome = {}
        self.told_to_end = False
        shutil.rmtree(self.state_directory)
        self.state_directory = os.path.join(state.mount_point, "holdfast")
        # A small one, which can be filled.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", self.path("run")],
                       check=True)
        self._write("offset", "\0" * 8)
        os.symlink(testing.built("tests/plugins/holdfast-fake.so"),
                   self.path("plugins/holdfast-fake.so"))
        self._write("agent.conf", "".join(f"{key} = {value}\n" for key, value in (
            ("plugin-directory", self.path("plugins")),
            ("resource-directory", self.path("resources.d")),
            ("run-directory", self.path("run")),
            ("state-directory", self.state_directory),
            ("fs-socket", self.path("fs-gate.sock")),
            ("filesystems", data.mount_point),
            ("filesystems", state.mount_point),
            ("freeze-timeout", f"{FREEZE_TIMEOUT}s"),
            ("thaw-timeout", f"{THAW_TIMEOUT}s"),
            ("max-hold", f"{MAX_HOLD}s"),
            ("log-level", "debug"))))
        self.neighbours = Database(self.path("neighbours.sock"))
        self.neighbours.observer = self.board.post
        for name in NEIGHBOURS[layout]:
            self.resource(name, f"plugin = fake\nsocket = {self.neighbours.path}\n"
                                f"order = {_ORDERS[name]}\n")
        self.resource("target", kind.configuration())
        self.target = kind.plugin + ":target"
        self.target_proxy = Proxy(kind.proxy_path, kind.target or self.path("exec.sock"))
        self.hook = hook_gate.HookGate(self.home, testing.built("hooks/fsfreeze-hook"),
                                       self.path("run/control.sock"), self._on_hook)
        self.fs_gate = None
        kind.rig = self

    # -- processes

    def start(self):
        self.start_helpers()
        self.start_gate()
        self.start_daemon()
        self.start_agent()
        return self

    def start_gate(self):
        if self.fs_gate is not None:
            self.fs_gate.close()
        self.fs_gate = fs_gate.FsGate(self.path("fs-gate.sock"), self.path("fs.sock"),
                                      lambda op: self.board.post(f"fs {op}"))

    def _spawn(self, argv, log, environment=None):
        if argv[0].endswith(("holdfastd", "holdfast-fsd")):
            environment = dict(environment or os.environ,
                               LD_PRELOAD=testing.built("tests/faults/guest/libclock_jump.so"),
                               HOLDFAST_CLOCK_OFFSET=self.path("offset"))
        return super()._spawn(argv, log, environment)

    def start_fsd(self):
        self.fsd = self._spawn([testing.built("agent/fs/holdfast-fsd"),
                                "--socket=" + self.path("fs.sock")], "fsd.log")
        self._await_socket(self.path("fs.sock"), self.fsd, "fsd.log")

    def restart_execd(self):
        self.execd.wait(10)
        if os.path.exists(self.path("exec.sock")):
            os.unlink(self.path("exec.sock"))
        self.execd = self._spawn([testing.built("plugins/exec/holdfast-execd"),
                                  "--socket=" + self.path("exec.sock"),
                                  "--resource-directory=" + self.path("resources.d")], "execd.log")
        self._await_socket(self.path("exec.sock"), self.execd, "execd.log")

    def restart_agent(self):
        """As systemd does when it has crashed; it finds in its state file whether it was frozen."""
        self.agent_process.kill()
        self.agent_process.wait(10)
        self.agent.close()
        os.unlink(self.path("qga.sock"))
        self.start_agent()

    def jump_clock(self, seconds):
        with open(self.path("offset"), "r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    # -- what happens, as the gates see it

    def _on_hook(self, what, verb, value):
        if what == "runs":
            self.shim[verb] = value
            self.begun[verb] = time.monotonic()
        elif what == "end":
            self.status[verb] = value
            if verb == "freeze" and value == 0 and not self.window_over_by_order:
                self.begin_window()
        elif what == "begin" and verb == "thaw":
            self.end_window()
        self.board.post(f"hook {what} {verb}")

    def begin_window(self):
        """The freeze has answered 0."""
        self.intrusion = None
        self.window_open = True
        if hasattr(self.kind, "note_session"):
            self.kind.note_session(int(self.session_of(self.record())))
        self.kind.window_begins()
        self._neighbours_seen = len(self.neighbours.history)

    def end_window(self):
        """Somebody is about to thaw; what got through until now is known to us alone."""
        if not self.window_open:
            return
        self.window_open = False
        self.intrusion = self.kind.window_ends()
        self.kind.window_over()
        names = {f"fake:{name}" for name in NEIGHBOURS[self.layout]}
        if not names <= set(self.neighbours.locked()):
            self.intrusion = self.intrusion or "a neighbour has no lock"
        if any(what == "unlock" for _, what, _ in self.neighbours.history[self._neighbours_seen:]):
            self.intrusion = self.intrusion or "a neighbour's lock went"

    def session_of(self, record):
        return next(resource["session_id"] for resource in record["resources"]
                    if resource["name"] == self.target)

    def state_of(self, status, name):
        return next(resource for resource in status["resources"] if resource["name"] == name)

    def reset_case(self):
        # A call whose agent was killed ends a moment later than everything else.
        for thread in (self._freeze_thread, self._thaw_thread):
            if thread is not None:
                thread.join(20)
        self.board.clear()
        self.neighbours.calls.clear()
        self.shim.clear()
        self.begun.clear()
        self.status.clear()
        self.outcome.clear()
        self.intrusion = None
        self.window_open = self.window_over_by_order = False

    def outlasted_max_hold(self):
        """Was the thaw only asked for when the window had expired? A fault may take its time."""
        return ("freeze" in self.begun and "thaw" in self.begun and
                self.begun["thaw"] - self.begun["freeze"] >= MAX_HOLD)

    # -- the host's calls, each on a thread of its own

    def begin_freeze(self):
        self._freeze_thread = self._begin("freeze", self._freeze_both)

    def begin_thaw(self):
        self._thaw_thread = self._begin("thaw", self.thaw)

    def _begin(self, verb, call):
        def run():
            try:
                self.outcome[verb] = call()
            except (qga.AgentError, qga.AgentTimeout, OSError) as error:
                self.outcome[verb] = error
            self.board.post(f"{verb} done")
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _freeze_both(self):
        self._lease = self.filesystem.lease(agent_rig.LEASE)
        self._lease.__enter__()
        return self.agent.call("guest-fsfreeze-freeze-list", {
            "mountpoints": [self.filesystem.mount_point, self.state.mount_point]}, 60)

    def thaw(self, timeout=60):
        return self.agent.call("guest-fsfreeze-thaw", timeout=timeout)

    def call_hook(self, verb, seconds=60):
        """The real hook, run by somebody else than qemu-ga."""
        done = subprocess.run([testing.built("hooks/fsfreeze-hook"),
                               "--socket=" + self.path("run/control.sock"), verb],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=seconds, check=False)
        return done.returncode

    def ensure_daemon(self, may_end=0):
        """Started again if it has ended, or was told to: what systemd does."""
        if may_end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.wait(may_end)
        if self.told_to_end:
            self.daemon.wait(20)
            self.told_to_end = False
        if self.daemon.poll() is not None:
            self.start_daemon()

    def end_daemon(self, number):
        self.told_to_end = True
        self.daemon.send_signal(number)

    def make_ready(self, seconds=20):
        """Every resource connected; a check asks those at once that wait for their next attempt."""
        def ready():
            return all(one["state"] == "ready" for one in self.ctl("status")["resources"])
        if not ready():
            self.ctl("check", check=False)
        agent_rig.await_true(ready, "every resource is ready", seconds)

    def await_thawed_by_dead_man(self):
        """Until somebody who may only write to the frozen filesystems has done so."""
        bound = MAX_HOLD + 2
        done = [subprocess.Popen(["dd", "if=/dev/zero", "bs=512", "count=1", "conv=fsync",
                                  f"of={one.mount_point}/dead-man"], stderr=subprocess.DEVNULL)
                for one in (self.filesystem, self.state)]
        begin = time.monotonic()
        try:
            for process in done:
                process.wait(bound + SLACK)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"a filesystem was frozen for more than {bound} s") from None
        finally:
            self.frozen_for = time.monotonic() - begin
            for one in (self.filesystem, self.state):
                one.thaw()

    def freeze_state(self):
        fd = os.open(self.state.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _FIFREEZE, 0)
        finally:
            os.close(fd)

    def writes_to_frozen_disk(self):
        """Does a thread of the service wait for a disk?"""
        tasks = f"/proc/{self.daemon.pid}/task"
        try:
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/stat", encoding="ascii", errors="replace") as stat:
                    if stat.read().rsplit(")", 1)[1].split()[0] == "D":
                        return True
        except OSError:
            pass
        return False

    def daemon_state(self):
        """The state of the service's machine, None if it does not answer."""
        try:
            return self.ctl("status")
        except (RuntimeError, subprocess.TimeoutExpired, json.JSONDecodeError):
            return None

    def target_view(self):
        """What the service says about the target, for a message."""
        status = self.daemon_state()
        if status is None:
            return "the service does not answer"
        target = self.state_of(status, self.target)
        return f"'{self.target}' is {target['state']}: {target['text']}"

    def close(self):
        if self.fs_gate is not None:
            self.fs_gate.close()
        self.hook.close()
        self.target_proxy.close()
        self.neighbours.close()
        super_close = super().close
        subprocess.run(["umount", "-l", self.path("run")], check=False)
        super_close()
