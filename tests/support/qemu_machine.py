# SPDX-License-Identifier: MIT
"""A real QEMU without a guest: its block layer is what the host driver works on.

Nothing boots (-S); what a guest would write is written through its devices by a driver of the
tests' own. QEMU serves one client per monitor, so the machine has two: `qmp` for the program under
test and a private one for the test.
"""

import json
import os
import shutil
import socket
import subprocess
import threading

from support import virtio_blk
from support.qtest import Qtest
from support.waiting import until

PROGRAM = "qemu-system-x86_64"
MIB = 1 << 20
# Of the machine's memory, for each disk.
MEMORY = 8 * MIB
# Where the processor begins, in the last 16 bytes of a BIOS: it stops the timer (whose ticks QEMU
# would tell over the qtest socket, and wait until they are read), then cli; hlt; and again.
HALT = bytes.fromhex("b030e643faf4ebfd")


def missing():
    """Why such a machine cannot be had here; None if it can."""
    for program in (PROGRAM, "qemu-img", "qemu-io"):
        if shutil.which(program) is None:
            return f"'{program}' is not installed"
    return None


def halting_bios(path):
    """For -bios: a machine that runs, and of which no processor ever does anything."""
    with open(path, "wb") as file:
        file.write(bytes((64 << 10) - 16) + HALT.ljust(16, b"\0"))
    return path


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.stream = self.socket.makefile("rw", encoding="utf-8")
        json.loads(self.stream.readline())
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline())
            if "event" in answer:
                continue
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            return answer["return"]

    def close(self):
        self.stream.close()
        self.socket.close()


def monitor_of(process, path):
    """The monitor that a QEMU which was just started is going to listen at."""
    def connected():
        try:
            return Monitor(path)
        except OSError:
            return None
    return until(connected, "QEMU listens", process=process)


def qemu_io(monitor, device, *commands):
    """Commands of qemu-io on a device's disk, flushed at the end."""
    for command in (*commands, "flush"):
        said = monitor.execute("human-monitor-command", **{
            "command-line": f'qemu-io -d /machine/peripheral/{device}/virtio-backend "{command}"'})
        if said:
            raise RuntimeError(f"{command} to '{device}': {said}")


class Machine:
    """Two disks: 'data' raw (or DATA), given with -drive; 'sys' qcow2 on a backing file, with -blockdev.

    A write that the host refuses fails (werror): a full disk does not stop the machine."""

    DISKS = {"data": "d0", "sys": "sys"}  # their devices
    DATA = "raw"

    def __init__(self, directory, size=64 * MIB, extra=()):
        self.directory = directory
        self.size = size
        self.extra = list(extra)
        self.data_device = ["-device", "virtio-blk-pci,drive=data,id=d0,werror=report"]
        self.wrapper = ()  # words before QEMU's own: programs that exec it
        self.images = {"data": (os.path.join(directory, "data." + self.DATA), self.DATA),
                       "sys": (os.path.join(directory, "sys.qcow2"), "qcow2")}
        self.qmp = os.path.join(directory, "qmp.sock")
        self.process = None
        self.user = None  # who QEMU runs as; as this process by default
        self.monitor = None
        self._qtest = None
        self._disks = {}
        self._writing = threading.Lock()
        self.golden = os.path.join(directory, "golden.qcow2")
        for path, kind, below in ((*self.images["data"], ()),
                                  (self.golden, "qcow2", ()),
                                  (self.images["sys"][0], "qcow2",
                                   ("-b", self.golden, "-F", "qcow2"))):
            subprocess.run(["qemu-img", "create", "-q", "-f", kind, *below, path, str(size)],
                           check=True)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 9 {32 * MIB} {MIB}",
                        self.golden], check=True)

    def start(self):
        own, qtest = (os.path.join(self.directory, name) for name in ("own.sock", "qtest.sock"))
        (data, kind), qcow2 = self.images["data"], self.images["sys"][0]
        self.log = open(os.path.join(self.directory, "qemu.log"), "ab")
        self.process = subprocess.Popen(
            [*self.wrapper, PROGRAM, "-nodefaults", "-display", "none", "-S",
             "-machine", "pc,accel=tcg", "-m", "32",
             "-drive", f"file={data},format={kind},if=none,id=data,discard=unmap",
             *self.data_device,
             "-blockdev", json.dumps({"driver": "qcow2", "node-name": "sysnode", "discard": "unmap",
                                      "file": {"driver": "file", "filename": qcow2}}),
             "-device", "virtio-blk-pci,drive=sysnode,id=sys,werror=report",
             "-qtest", f"unix:{qtest},server=on,wait=off", "-qtest-log", "none",
             "-qmp", f"unix:{self.qmp},server=on,wait=off",
             "-qmp", f"unix:{own},server=on,wait=off"] + self.extra,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.directory,
            user=self.user, group=self.user, extra_groups=None if self.user is None else [])
        self.monitor = monitor_of(self.process, own)
        self._qtest = Qtest(qtest)
        self._disks = {}
        for device in self.monitor.execute("query-pci")[0]["devices"]:
            for disk, name in self.DISKS.items():
                if device["qdev_id"] == name:
                    self._disks[disk] = virtio_blk.VirtioBlk(
                        self._qtest, device["slot"] << 3 | device["function"],
                        MIB + MEMORY * len(self._disks))
        return self

    def stop(self):
        if self.monitor is not None:
            self.monitor.close()
            self.monitor = None
        if self._qtest is not None:
            self._qtest.close()
            self._qtest = None
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None
            self.log.close()

    def write(self, disk, pattern, offset, length):
        """As a guest does: onto whatever is on top now; and flushed, since QEMU keeps a qcow2
        image's tables in memory until then."""
        with self._writing:
            self._disks[disk].begin(pattern, offset, length)
            self._disks[disk].flush()

    def begin_write(self, disk, pattern, offset, length):
        """The same without waiting for its end."""
        with self._writing:
            self._disks[disk].begin(pattern, offset, length)

    def flush(self):
        """What has been begun is on the disks."""
        with self._writing:
            for disk in self._disks.values():
                disk.flush()

    def command(self, disk, *commands):
        """Any commands of qemu-io, flushed. They run QEMU's event loop within the monitor's
        command, as no guest does: never while a commit ends."""
        device = {"data": "data", "sys": "/machine/peripheral/sys/virtio-backend"}[disk]
        flag = "" if disk == "data" else "-d "
        for command in (*commands, "flush"):
            said = self.monitor.execute(
                "human-monitor-command",
                **{"command-line": f'qemu-io {flag}{device} "{command}"'})
            # What qemu-io prints goes to QEMU's standard output; the monitor shows what QEMU refuses.
            if said:
                raise RuntimeError(f"{command} to '{disk}': {said}")

    def block_nodes(self):
        return [node["node-name"] for node in
                self.monitor.execute("query-named-block-nodes", flat=True)]

    def bitmaps(self):
        """The names of the dirty bitmaps on the disks."""
        return [bitmap["name"] for device in self.monitor.execute("query-block")
                for bitmap in device.get("inserted", {}).get("dirty-bitmaps", [])]

    def leftovers(self):
        """What a run should not have left behind."""
        found = [name for name in self.block_nodes() if name.startswith("holdfast")]
        found += [job["id"] for job in self.monitor.execute("query-jobs")]
        found += [name for name in os.listdir(self.directory) if ".holdfast-" in name]
        return found


def pattern_at(path, kind, offset, length, pattern):
    """Does this range of the image hold the pattern throughout?"""
    done = subprocess.run(
        ["qemu-io", "-r", "-U", "-f", kind, "-c", f"read -P {pattern} {offset} {length}", path],
        capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Pattern verification failed" not in done.stdout


def same_content(first, second):
    """Do two (path, format) images read the same?"""
    return subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", first[1], "-F", second[1],
                           first[0], second[0]], check=False).returncode == 0
