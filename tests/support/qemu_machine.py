# SPDX-License-Identifier: MIT
"""A real QEMU without a guest: its block layer is what the host driver works on.

Nothing boots (-S); what a guest would write is written through the devices with the monitor's
qemu-io. QEMU serves one client per monitor, so the machine has two: `qmp` for the program under test
and a private one for the test.
"""

import json
import os
import shutil
import socket
import subprocess

from support.waiting import until

PROGRAM = "qemu-system-x86_64"
MIB = 1 << 20


def missing():
    """Why such a machine cannot be had here; None if it can."""
    for program in (PROGRAM, "qemu-img", "qemu-io"):
        if shutil.which(program) is None:
            return f"'{program}' is not installed"
    return None


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


class Machine:
    """Two disks: 'data' raw, given with -drive; 'sys' qcow2 on a backing file, with -blockdev."""

    def __init__(self, directory, size=64 * MIB, extra=()):
        self.directory = directory
        self.size = size
        self.extra = list(extra)
        self.wrapper = ()  # words before QEMU's own: programs that exec it
        self.images = {"data": (os.path.join(directory, "data.raw"), "raw"),
                       "sys": (os.path.join(directory, "sys.qcow2"), "qcow2")}
        self.qmp = os.path.join(directory, "qmp.sock")
        self.process = None
        self.user = None  # who QEMU runs as; as this process by default
        self.monitor = None
        self.golden = os.path.join(directory, "golden.qcow2")
        for path, kind, below in ((self.images["data"][0], "raw", ()),
                                  (self.golden, "qcow2", ()),
                                  (self.images["sys"][0], "qcow2",
                                   ("-b", self.golden, "-F", "qcow2"))):
            subprocess.run(["qemu-img", "create", "-q", "-f", kind, *below, path, str(size)],
                           check=True)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 9 {32 * MIB} {MIB}",
                        self.golden], check=True)

    def start(self):
        own = os.path.join(self.directory, "own.sock")
        raw, qcow2 = self.images["data"][0], self.images["sys"][0]
        self.log = open(os.path.join(self.directory, "qemu.log"), "ab")
        self.process = subprocess.Popen(
            [*self.wrapper, PROGRAM, "-nodefaults", "-display", "none", "-S",
             "-machine", "pc,accel=tcg", "-m", "32",
             "-drive", f"file={raw},format=raw,if=none,id=data,discard=unmap",
             "-device", "virtio-blk-pci,drive=data,id=d0",
             "-blockdev", json.dumps({"driver": "qcow2", "node-name": "sysnode", "discard": "unmap",
                                      "file": {"driver": "file", "filename": qcow2}}),
             "-device", "virtio-blk-pci,drive=sysnode,id=sys",
             "-qmp", f"unix:{self.qmp},server=on,wait=off",
             "-qmp", f"unix:{own},server=on,wait=off"] + self.extra,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.directory,
            user=self.user, group=self.user, extra_groups=None if self.user is None else [])
        self.monitor = until(lambda: self._monitor_at(own), "QEMU listens", process=self.process)
        return self

    @staticmethod
    def _monitor_at(path):
        try:
            return Monitor(path)
        except OSError:
            return None

    def stop(self):
        if self.monitor is not None:
            self.monitor.close()
            self.monitor = None
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None
            self.log.close()

    def write(self, disk, pattern, offset, length):
        """As the guest would: through the device, onto whatever is on top now; and flushed, since
        QEMU keeps a qcow2 image's tables in memory until then."""
        self.command(disk, f"write -P {pattern} {offset} {length}")

    def command(self, disk, *commands):
        """The same with any commands of qemu-io."""
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
