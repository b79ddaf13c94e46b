# SPDX-License-Identifier: MIT
"""What the tests with a real libvirtd share: the daemon, a machine of its, and the real program."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

from host_case import MIB, VM, HostCase
from lab import kernel, testing
from support import libvirt_daemon, qemu_machine
from support.fake_qga import FakeQga
from support.libvirt_daemon import LibvirtDaemon
from support.libvirt_machine import LibvirtMachine


def missing():
    """Why nothing of this can run here; None if it can."""
    tools = kernel.missing_tools()
    return (libvirt_daemon.missing() or qemu_machine.missing() or
            (f"'{tools[0]}' is not installed" if tools else None))


CONNECT = """
import os, select, socket
there = socket.socket(socket.AF_UNIX)
there.connect(SOCKET)
while True:
    ready, _, _ = select.select([0, there], [], [])
    for end in ready:
        piece = os.read(end if end == 0 else there.fileno(), 65536)
        if not piece:
            raise SystemExit
        if end == 0:
            there.sendall(piece)
        else:
            os.write(1, piece)
"""


def far_uri(case, target):
    """A URI whose command leads to libvirtd's socket, as ssh would from another host."""
    command = case.path("connect")
    with open(command, "w", encoding="ascii") as file:
        file.write(f"#!/usr/bin/python3\nSOCKET = {target!r}\n{CONNECT}")
    os.chmod(command, 0o755)
    return f"qemu+ext:///system?command={command}"


class LibvirtCase(HostCase):
    """One libvirtd and one machine for all tests of a class: a test leaves it as it found it."""

    INCREMENTAL = "no"
    SIZE = 64 * MIB
    OWN_USER = False
    # What a machine of this kind needs beside all others.
    PROGRAMS = ()
    # More of the machine's definition, of its devices and of its <os>; '@' is its directory.
    MORE = ""
    FIRMWARE = ""
    FEATURES = ""

    @classmethod
    def setUpClass(cls):
        cls.reason = missing() or next((f"'{program}' is not installed" for program in cls.PROGRAMS
                                        if shutil.which(program) is None), None)
        if cls.reason:
            return
        cls.lab = tempfile.mkdtemp(prefix="hfv-")
        cls.addClassCleanup(shutil.rmtree, cls.lab, ignore_errors=True)
        cls.agent = FakeQga(os.path.join(cls.lab, "qga.sock"))
        cls.addClassCleanup(cls.agent.stop)
        cls.daemon = LibvirtDaemon(os.path.join(cls.lab, "libvirt"), cls.OWN_USER)
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.wait()
        os.mkdir(os.path.join(cls.lab, "vm"))
        if cls.OWN_USER:
            for name, mode in ((".", 0o711), ("libvirt", 0o711), ("vm", 0o777), ("qga.sock", 0o777)):
                os.chmod(os.path.join(cls.lab, name), mode)
        vm = os.path.join(cls.lab, "vm")
        cls.machine = LibvirtMachine(vm, cls.daemon, cls.agent.path, size=cls.SIZE,
                                     more=cls.MORE.replace("@", vm),
                                     firmware=cls.FIRMWARE.replace("@", vm),
                                     features=cls.FEATURES)
        cls.prepare()
        cls.addClassCleanup(cls.machine.stop)
        cls.machine.start()
        cls.machine.wait_for_agent()

    @classmethod
    def prepare(cls):
        """What must be there before the machine starts."""

    def setUp(self):
        if self.reason:
            self.skipTest(self.reason)
        self.program = testing.built("host-driver/holdfast")
        self.bridge = testing.built("host-driver/libvirt/holdfast-libvirt")
        self.directory = tempfile.mkdtemp(prefix="hfv-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.repository = self.path("repository")
        self.state = self.path("state")
        self.proxy = None
        self.agent.behaviours.clear()
        self.agent.on_freeze = None
        self.agent.hook_status = None
        self.agent.commands.clear()

    def command(self, verb, *arguments, **settings):
        values = {"uri": self.daemon.uri, "libvirt_program": self.bridge,
                  "qmp": None, "agent": None, "qmp_timeout": "20s", "agent_timeout": "10s",
                  "freeze_timeout": "20s", "thaw_timeout": "20s", "snapshot_timeout": "20s"}
        return super().command(verb, *arguments, **(values | settings))

    def image_in_backup(self, manifest, disk):
        return (os.path.join(manifest["directory"], f"{disk}.qcow2"), "qcow2")

    def frozen_copy(self, disk):
        """What the disk is now, all images of its chain together."""
        path, kind = self.machine.images[disk]
        target = self.path(f"expected-{disk}.qcow2")
        subprocess.run(["qemu-img", "convert", "-U", "-f", kind, "-O", "qcow2", path, target],
                       check=True)
        return (target, "qcow2")

    def proxy_at(self, command, when, number=signal.SIGKILL):
        """The program in the bridge's place, and the pipe that it reads the driver's pid from."""
        program, driver = self.path("bridge"), self.path("driver")
        shutil.copy(os.path.join(testing.SOURCE, "tests/support/bridge_proxy.py"), program)
        with open(program + ".json", "w", encoding="utf-8") as file:
            json.dump({"bridge": self.bridge, "command": command, "when": when,
                       "driver": driver, "signal": number,
                       "tests": os.path.join(testing.SOURCE, "tests")}, file)
        if not os.path.exists(driver):
            os.mkfifo(driver)
            # Both ends: it waits for what is told, and nobody for its other end.
            self.told = os.open(driver, os.O_RDWR)
            self.addCleanup(os.close, self.told)
        return program, driver

    def tell(self, pid):
        """The program in the bridge's place learns whom to send its signal."""
        os.write(self.told, f"{pid}\n".encode())

    def killed_at(self, command, when):
        program, driver = self.proxy_at(command, when)
        with open(driver + ".wanted", "w", encoding="ascii"):
            pass
        run = self.start_host("backup", VM, libvirt_program=program)
        self.tell(run.pid)
        self.assertEqual(run.wait(90), -signal.SIGKILL)
        self.assertFalse(os.path.exists(driver + ".wanted"))
        return run
