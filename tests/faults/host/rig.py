# SPDX-License-Identifier: MIT
"""A whole host: a real QEMU with two disks (raw and qcow2) and no guest, an agent of ours that plays
the guest, a small filesystem for the repository and another one for overlays, and the real driver,
stopped at the step that is asked for.

Everything is below one temporary directory, and mounted in the worker's own mount namespace.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

from faults.host.guest import Guest
from faults.host.stage import Gate, Hooks, Stage
from faults.host.writer import Writer
from lab import testing
from support.qemu_machine import Machine, halting_bios
from support.qmp_proxy import QmpProxy

VM = "web1"
MIB = 1 << 20
REPOSITORY_SIZE = 160
OVERLAYS_SIZE = 24
# A chain as long as this is ended by a full backup between two cases.
LONGEST_CHAIN = 12
TIMES = {"agent_timeout": "2s", "qmp_timeout": "4s", "freeze_timeout": "3s", "thaw_timeout": "3s",
         "snapshot_timeout": "3s"}
# What every process of a case has in its environment.
MARK = "HOLDFAST_FAULTS_CASE"
PATIENCE = 90


class Driver:
    """One run of holdfast. Standard error goes to a file: a guardian that outlives the run may have
    something to say, too."""

    def __init__(self, rig, words, staged):
        self.log = rig.path(f"driver-{rig.count()}.log")
        environment = {**os.environ, MARK: rig.mark}
        if staged:
            environment |= {"LD_PRELOAD": testing.built("tests/faults/host/libstep_gate.so"),
                            "HOLDFAST_STEP_GATE": rig.gate.path}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, text=True, env=environment,
                                            start_new_session=True)
        self.output = ""
        self.killed_at = None

    def wait(self, seconds=PATIENCE):
        """The exit status; of a signal its number, negative."""
        try:
            self.output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise TimeoutError(f"the run did not end within {seconds} s: {self.errors()}") from None
        return self.process.returncode

    def kill(self, number=signal.SIGKILL):
        """Gone when it returns, if the signal is one that kills."""
        process = os.pidfd_open(self.process.pid)
        try:
            self.killed_at = time.monotonic()
            signal.pidfd_send_signal(process, number)
            if number == signal.SIGKILL:
                select.select([process], [], [], PATIENCE)
        finally:
            os.close(process)

    def errors(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().strip()


class Rig:
    def __init__(self, mode):
        self.mode = mode
        self.home = tempfile.mkdtemp(prefix="hf-host-")
        self.mark = str(uuid.uuid4())
        self._count = 0
        self._mounts = []
        self.seed = 0
        self.machine = self.guest = self.proxy = self.gate = None
        self.stage = Stage()
        self.writer = Writer(self._write)
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        for name in ("keep", "repository", "overlays", "vm", "out"):
            os.mkdir(self.path(name))
        self.mount("-t", "tmpfs", "-o", f"size={REPOSITORY_SIZE}m", "none", self.path("keep"))
        self.mount("-t", "tmpfs", "-o", f"size={OVERLAYS_SIZE}m", "none", self.path("overlays"))
        os.mkdir(self.path("keep/repository"))
        self.mount("--bind", self.path("keep/repository"), self.repository)
        self.machine = Machine(self.path("vm"),
                               extra=["-bios", halting_bios(self.path("bios"))])
        # It ends with its worker.
        self.machine.wrapper = ("setpriv", "--pdeathsig", "KILL")
        self.start_machine()
        self.guest = Guest(self.path("qga.sock"), self.stage, self.writer)
        self.proxy = QmpProxy(self.path("proxy.sock"), self.machine.qmp)
        self.proxy.before = Hooks(self.stage)
        self.proxy.after = Hooks(self.stage, " done")
        self.gate = Gate(self.path("gate.sock"), self.stage, self._event_of)
        self.writer.start()

    def path(self, name):
        return os.path.join(self.home, name)

    def count(self):
        self._count += 1
        return self._count

    @property
    def repository(self):
        return self.path("repository")

    @property
    def state(self):
        return self.path("state")

    def _event_of(self, words):
        """What the stage calls a line of step_gate.cpp."""
        what, paths = words[0], words[1:]
        if what == "run":
            return f"run {paths[1] if len(paths) > 1 else paths[0]}"
        last = paths[-1]
        if what == "mkdir":
            return "mkdir draft" if "/.incomplete-" in last else None
        if last.startswith(self.state + "/" + VM + ".json"):
            return f"{what} journal"
        if what == "unlink":
            return "unlink overlay" if ".holdfast-" in last else "unlink file"
        if last.endswith("/manifest.json"):
            return "rename manifest"
        # The draft itself, not a file in it.
        return ("rename draft" if os.path.basename(paths[0]).startswith(".incomplete-") else
                "rename backup" if "/.removing-" in last else None)

    # -- mounts

    def mount(self, *words):
        subprocess.run(["mount", *words], check=True, timeout=30, stderr=subprocess.DEVNULL)
        self._mounts.append(words[-1])

    def umount(self, path):
        subprocess.run(["umount", "-l", path], check=True, timeout=30)
        self._mounts.remove(path)

    # -- the machine

    def start_machine(self):
        self.machine.start()
        self.machine.monitor.execute("cont")

    def end_machine(self, by):
        """`by` ends QEMU; the agent's end of the channel goes with it."""
        by()
        self.machine.process.wait(30)
        self.guest.power_off()

    def restart_machine(self):
        """As an administrator would, after it has ended."""
        self.stop_machine()
        self.start_machine()
        self.guest.power_on()

    def stop_machine(self):
        # What its monitor had not taken any more is of no interest.
        if self.machine.monitor is not None:
            with contextlib.suppress(OSError, ValueError):
                self.machine.monitor.close()
        self.machine.monitor = None
        self.machine.stop()

    def commit_by_hand(self):
        """What the error of the next run asks for: the machine off, each overlay committed and
        removed, and the journal too."""
        self.end_machine(self.machine.process.kill)
        for name in os.listdir(self.path("overlays")):
            overlay = self.path(f"overlays/{name}")
            subprocess.run(["qemu-img", "commit", "-q", "-f", "qcow2", "-d", overlay], check=True,
                           timeout=60)
            os.unlink(overlay)
        os.unlink(f"{self.state}/{VM}.json")
        self.restart_machine()

    def machine_runs(self):
        return (self.machine.process.poll() is None and
                self.machine.monitor.execute("query-status")["status"] == "running")

    def _write(self, disk, pattern, offset, length):
        self.machine.write(disk, pattern, offset, length)

    # -- the driver

    def command(self, verb, *arguments, **settings):
        values = {"qmp": self.proxy.path, "agent": self.guest.path, "repository": self.repository,
                  "state_directory": self.state, "config_directory": self.path("etc"),
                  "overlay_directory": self.path("overlays"), "overlay_reserve": "0",
                  "full_every": "100", "keep_last": "1", "method": self.mode.method, **TIMES}
        values.update(settings)
        words = [testing.built("host-driver/holdfast"), verb, *arguments]
        return words + [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]

    def driver(self, verb, *arguments, staged=False, **settings):
        return Driver(self, self.command(verb, VM, *arguments, **settings), staged)

    def run(self, verb, *arguments, **settings):
        """To its end: (status, standard output, standard error)."""
        driver = self.driver(verb, *arguments, **settings)
        status = driver.wait()
        return status, driver.output, driver.errors()

    def back_up(self, *arguments):
        """A backup that must work; its manifest."""
        status, output, errors = self.run("backup", "--json", *arguments)
        if status != 0:
            raise RuntimeError(f"backup: status {status}: {errors}")
        return json.loads(output)

    # -- what is there

    def published(self):
        """The ids of the backups, oldest first."""
        directory = os.path.join(self.path("keep/repository"), VM)
        with contextlib.suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(directory) if not name.startswith("."))
        return []

    def manifest(self, backup):
        with open(f"{self.path('keep/repository')}/{VM}/{backup}/manifest.json",
                  encoding="utf-8") as file:
            return json.load(file)

    def processes(self):
        """{process: name} of whatever this rig's drivers have left."""
        found = {}
        mark = f"{MARK}={self.mark}".encode()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{name}/comm", encoding="utf-8") as file:
                    found[int(name)] = file.read().strip()
        return found

    def guardians(self):
        return [process for process, name in self.processes().items() if name == "holdfast-guard"]

    # -- before and after a case

    def make_ready(self):
        self.mark = str(uuid.uuid4())
        self.stage.clear()
        self.guest.begin_case()
        for name in os.listdir(self.home):
            if name.startswith("driver-"):
                os.unlink(self.path(name))
        backups = self.published()
        if not backups:
            self.back_up()
        elif len(backups) > LONGEST_CHAIN:
            self.back_up("--full")
        self.stage.clear()
        self.guest.begin_case()

    def log(self):
        texts = []
        for number in range(self._count + 1):
            with contextlib.suppress(OSError), open(self.path(f"driver-{number}.log"),
                                                    encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        with contextlib.suppress(OSError), open(self.path("vm/qemu.log"), encoding="utf-8",
                                                errors="replace") as file:
            texts += [line for line in file.read().splitlines() if "qemu-system" in line]
        return "\n".join([*texts, f"steps: {self.stage.trace}"])

    def close(self):
        for process in self.processes():
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        self.writer.stop()
        for one in (self.gate, self.proxy, self.guest):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.stop()
        if self.machine is not None:
            self.stop_machine()
        for path in reversed(self._mounts):
            subprocess.run(["umount", "-l", path], check=False, timeout=30,
                           stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)
