# SPDX-License-Identifier: MIT
"""How long the driver itself keeps a guest frozen: from the agent's 'frozen' to the thaw.

    python3 -m bench.window DIRECTORY ROUNDS

Ours is what the agent sees, by its own clock: from just before it answers the freeze until it has the
thaw. The floor is the same transaction, sent to the same QEMU by a client that does nothing else: its
call to its answer. A guest that freezes flushes its disks, which is done in its place before either.
Libvirt's is the call of its API for an external snapshot of all disks, without a freeze, on a domain
with the same disks: it makes the overlays within that call.
"""

import os
import sys
import tempfile
import time

from lab import cache
from lab import claims as claims_module

from . import figures, part, peers
from .bare import SIZE, WAYS, Floor
from .machine import DiskMachine, Driver

COUNTS = (1, 16)
OVERHEAD_MS = 2.0
MORE_DISKS_MS = 10.0


def empty_disks(directory, count):
    paths = [os.path.join(directory, f"disk{number}.qcow2") for number in range(count)]
    for path in paths:
        cache.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(SIZE)])
    return paths


def ours(driver, way):
    """Milliseconds from 'frozen' to the thaw, and those of the transaction in it."""
    machine, frozen = driver.machine, []

    def freeze():
        for number in range(len(machine.images)):
            machine.qemu_io(f"d{number}")  # flushes
        frozen.append(time.monotonic())
    machine.agent.on_freeze = freeze
    manifest, _ = driver.backup("--full", *WAYS[way])
    thaw, = (when for when, name in machine.agent.commands if name == "guest-fsfreeze-thaw" and
             when >= frozen[0])
    return (thaw - frozen[0]) * 1000, manifest["window"]["transaction_ms"]


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
                    whole, transaction = ours(driver, way)
                    one.append(whole)
                    rest.append(whole - transaction)
                    # After it: with the bitmaps that are there then, as they were for ours.
                    bare.append(floor.take(way))
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
