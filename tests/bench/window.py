# SPDX-License-Identifier: MIT
"""How long the driver itself keeps a guest frozen: from the agent's 'frozen' to the thaw.

    python3 -m bench.window DIRECTORY ROUNDS

Ours is what the agent sees, by its own clock: from just before it answers the freeze until it has the
thaw. The floor is the same transaction, sent to the same QEMU by a client that does nothing else: its
call to its answer. Before it the images are flushed, as the driver does. Libvirt's is the call of its API for an external snapshot of all disks, without a
freeze, on a domain with the same disks: it makes the overlays within that call.
"""

import json
import os
import socket
import sys
import tempfile
import time

from lab import cache
from lab import claims as claims_module
from support.qemu_machine import MIB

from . import figures, part, peers
from .machine import DiskMachine, Driver, flushed

SIZE = 64 * MIB
COUNTS = (1, 16)
# What increments are made from is QEMU's dirty bitmaps, which the transaction has to store.
WAYS = {"overlay": ["--method=overlay"],
        "overlay, incremental = no": ["--method=overlay", "--incremental=no"],
        "backup": ["--method=backup"]}
OVERHEAD_MS = 2.0
MORE_DISKS_MS = 10.0


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
        flushed(self.machine.images[self.disks.index(disk)])

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


def empty_disks(directory, count):
    paths = [os.path.join(directory, f"disk{number}.qcow2") for number in range(count)]
    for path in paths:
        cache.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(SIZE)])
    return paths


def ours(driver, way):
    """Milliseconds from 'frozen' to the thaw, and those of the transaction in it."""
    agent = driver.machine.agent
    manifest, _ = driver.backup("--full", *WAYS[way])
    thaw, = (when for when, name in agent.commands if name == "guest-fsfreeze-thaw" and
             when >= agent.froze_at)
    return (thaw - agent.froze_at) * 1000, manifest["window"]["transaction_ms"]


def measure_ours(directory, rounds, claims):
    """{(way, disks): ([ours], [floor], [ours without the transaction])}."""
    found = {(way, count): ([], [], []) for way in WAYS for count in COUNTS}
    for count in COUNTS:
        place = os.path.join(directory, str(count))
        os.mkdir(place)
        with DiskMachine(place, empty_disks(place, count)) as machine:
            driver, floor = Driver(machine, place), Floor(machine)
            for number in range(rounds):
                for way in WAYS:
                    one, bare, rest = found[way, count]
                    bare.append(floor.take(way))
                    whole, transaction = ours(driver, way)
                    one.append(whole)
                    rest.append(whole - transaction)
                    claims.say(f"{number + 1}/{rounds}  {count:2} disks, {way}: "
                               f"{one[-1]:.2f} ms, {rest[-1]:.2f} ms without the "
                               f"transaction; a bare one {bare[-1]:.2f} ms")
    return found


def measure_libvirt(directory, rounds, claims):
    """{disks: [ms]}."""
    found = {count: [] for count in COUNTS}
    with peers.Host(os.path.join(directory, "libvirt")) as host:
        for count in COUNTS:
            place = os.path.join(directory, f"domain{count}")
            os.mkdir(place)
            with host.domain(f"disks{count}", place, empty_disks(place, count)) as domain:
                for number in range(rounds):
                    found[count].append(domain.timed_snapshot() * 1000)
                    claims.say(f"{number + 1}/{rounds}  libvirt  {count:2} disks  "
                               f"{found[count][-1]:.1f} ms")
    return found


def figures_of(found, libvirt, absent):
    made = []
    for way, count in found:
        one, bare, rest = (figures.Series(values) for values in found[way, count])
        own = f"without its transaction {rest.shown(2)} ms"
        # It makes no checkpoint there, and so has no bitmaps.
        others = {"libvirt, external snapshot": figures.Series(libvirt[count])} \
            if libvirt and way.startswith("overlay") else {}
        made.append(figures.Figure(
            f"frozen to thaw sent, {count} disk{'s' if count > 1 else ''}, {way}", "ms", one,
            floor=("the bare transaction", bare), peers=others,
            aim=f"transaction + {OVERHEAD_MS:.0f} ms",
            most=(bare.median() + OVERHEAD_MS) / bare.median(), digits=2,
            reason="; ".join(filter(None, (own, absent)))))
    for way in WAYS:
        few, many = (found[way, count] for count in COUNTS)
        more, floor = (figures.Series(b - a for a, b in zip(few[which], many[which]))
                       for which in (0, 1))
        made.append(figures.Figure(
            f"frozen to thaw sent, 16 disks beyond 1 disk, {way}", "ms", more,
            aim=f"at most {MORE_DISKS_MS:.0f} ms", most=MORE_DISKS_MS, digits=2,
            reason=f"of this the bare transaction: {floor.shown(2)} ms"))
    return made


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    # The driver's part is short, and what disturbs it comes and goes: more rounds than others have.
    rounds = 2 * rounds + 1
    with tempfile.TemporaryDirectory(prefix="hf-") as work:
        found = measure_ours(work, rounds, claims)
        absent, libvirt = peers.missing() or "", None
        if absent:
            absent = f"libvirt could not be compared: {absent}"
            claims.say(absent)
        else:
            libvirt = measure_libvirt(work, rounds, claims)
    made = figures_of(found, libvirt, absent)
    part.finish(directory, "window", made)


if __name__ == "__main__":
    main()
