# SPDX-License-Identifier: MIT
"""The driver's transaction with nothing around it: the floor of what it does within the window."""

import json
import os
import time

from lab import cache
from support.qemu_machine import MIB

SIZE = 64 * MIB
# What increments are made from is QEMU's dirty bitmaps, which the transaction has to store.
WAYS = {"overlay": ["--method=overlay"],
        "overlay, incremental = no": ["--method=overlay", "--incremental=no"],
        "backup": ["--method=backup"]}


class BareClient:
    """Commands as lines, answers as lines, and nothing between."""

    def __init__(self, monitor):
        self._socket, self._stream = monitor.socket, monitor.stream

    def timed(self, command, **arguments):
        """Milliseconds to the answer, which must be a good one."""
        line = (json.dumps({"execute": command, "arguments": arguments}) + "\n").encode()
        begin = time.monotonic()
        self._socket.sendall(line)
        while True:
            said = self._stream.readline()
            if not said.startswith('{"timestamp"'):
                break
        end = time.monotonic()
        if "return" not in json.loads(said):
            raise RuntimeError(f"{command}: {said}")
        return (end - begin) * 1000


class Floor:
    """The transaction alone; before it and after it is no part of the time."""

    def __init__(self, machine):
        self.machine, self.execute = machine, machine.monitor.execute
        self.disks = [f"d{number}" for number in range(len(machine.images))]
        self.client = BareClient(machine.monitor)

    def take(self, way):
        bitmaps = "--incremental=no" not in WAYS[way]
        backup = way == "backup"
        for disk in self.disks:
            self._prepare(disk, bitmaps, recording=backup)
        actions = [self._action(disk, backup) for disk in self.disks]
        if bitmaps and not backup:
            actions = [{"type": "block-dirty-bitmap-enable", "data": {"node": disk, "name": "floor"}}
                       for disk in self.disks] + actions
        grouped = {"properties": {"completion-mode": "grouped"}} if backup else {}
        took = self.client.timed("transaction", actions=actions, **grouped)
        for disk in self.disks:
            self._begin_end(disk, backup)
        for disk in self.disks:
            self._end(disk)
        for disk in self.disks:
            self._forget(disk, bitmaps)
        return took

    def _path(self, disk):
        return os.path.join(self.machine.directory, f"floor-{disk}.qcow2")

    def _prepare(self, disk, bitmap, recording):
        cache.run(["qemu-img", "create", "-q", "-f", "qcow2", self._path(disk), str(SIZE)])
        self.execute("blockdev-add", driver="qcow2", **{"node-name": "floor-" + disk}, backing=None,
                     file={"driver": "file", "filename": self._path(disk)})
        if bitmap:
            self.execute("block-dirty-bitmap-add", node=disk, name="floor", persistent=True,
                         disabled=not recording)
        self.machine.qemu_io(disk)  # flushes

    @staticmethod
    def _action(disk, backup):
        if not backup:
            return {"type": "blockdev-snapshot", "data": {"node": disk, "overlay": "floor-" + disk}}
        # As ours: what it has to copy waits until the guest is thawed.
        return {"type": "blockdev-backup",
                "data": {"job-id": disk, "device": disk, "target": "floor-" + disk, "sync": "full",
                         "auto-dismiss": False, "speed": 1}}

    def _begin_end(self, disk, backup):
        if backup:
            self.execute("block-job-set-speed", device=disk, speed=0)
        else:
            self.execute("block-commit", **{"job-id": disk, "device": "floor-" + disk,
                                            "base-node": disk, "auto-dismiss": False})

    def _end(self, disk):
        """Of its job."""
        asked = False
        while True:
            job, = (one for one in self.execute("query-jobs") if one["id"] == disk)
            if job["status"] == "ready" and not asked:
                self.execute("job-complete", id=disk)
                asked = True
            elif job["status"] == "concluded":
                self.execute("job-dismiss", id=disk)
                return
            time.sleep(0.005)

    def _forget(self, disk, bitmap):
        self.execute("blockdev-del", **{"node-name": "floor-" + disk})
        os.unlink(self._path(disk))
        if bitmap:
            self.execute("block-dirty-bitmap-remove", node=disk, name="floor")
