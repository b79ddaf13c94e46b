# SPDX-License-Identifier: MIT
"""What an increment costs, in time and in bytes, against what has changed.

    python3 -m bench.increments DIRECTORY ROUNDS

A disk that is full, of 10 GiB (or, if it is to be short, of 2 GiB), of which a part is written anew, in
pieces of 1 MiB at places that chance chose and that are always the same. The floor is qemu-img
converting as many bytes of the same disk with the driver's options, until they are flushed; the peer
is virtnbdbackup, compressing with lz4, on the same disk and the same changes. Each round begins with a
full backup.
"""

import os
import random
import shutil
import sys
import tempfile

from lab import claims as claims_module
from support.qemu_machine import MIB

from . import figures, part, peers
from .copies import COMPRESSED
from .machine import DiskMachine, Driver, full_disk, mixture, seconds_of

GIB = 1 << 30
SHARES = (0.001, 0.01, 0.1, 0.5)
SHARE_OF_FULL = 0.05  # of the time, that an increment may take
AT = 0.01             # where this much has changed


def contents(directory):
    """Pieces of what disks are full of."""
    with open(mixture(os.path.join(directory, "changes"), seed=2), "rb") as file:
        for number in range(32):
            path = os.path.join(directory, f"changes{number}")
            with open(path, "wb") as piece:
                piece.write(file.read(MIB))
            yield path


def changes(size, share, pieces):
    """Commands that write this share of the disk anew."""
    chance = random.Random(share)
    places = chance.sample(range(size // MIB), max(1, round(size * share / MIB)))
    return [f"write -q -s {chance.choice(pieces)} {place}M 1M" for place in sorted(places)]


class Found:
    """{what: {share, None for the full one: [a value each round]}}"""

    def __init__(self, claims):
        self.claims, self._values = claims, {}

    def note(self, what, share, value):
        self._values.setdefault(what, {}).setdefault(share, []).append(value)
        self.claims.say(f"{what}, {'full' if share is None else f'{share:.1%}'}: {value:.2f}")

    def series(self, what, share):
        values = self._values.get(what, {}).get(share)
        return figures.Series(values) if values else None


def copied(image, size, target):
    """The floor: seconds for as many bytes from the disk's beginning."""
    source = ('json:{"driver":"raw","offset":0,"size":%d,"file":{"driver":"qcow2",'
              '"file":{"driver":"file","filename":"%s"}}}' % (size, image))
    seconds = seconds_of(["qemu-img", "convert", "-U", "-O", "qcow2", *COMPRESSED, source, target],
                         flush=target)
    os.unlink(target)
    return seconds


def ours(work, image, size, found, pieces):
    """One round: a full backup, then an increment for each share."""
    with DiskMachine(work, [image]) as machine:
        driver = Driver(machine, work)
        manifest, seconds = driver.backup("--full")
        found.note("ours, s", None, seconds)
        found.note("ours, MiB", None, manifest["copy"]["bytes"] / MIB)
        for share in SHARES:
            machine.qemu_io("d0", *changes(size, share, pieces))
            bytes_changed = round(size * share / MIB) * MIB
            found.note("floor, s", share, copied(image, bytes_changed, os.path.join(work, "floor")))
            manifest, seconds = driver.backup()
            if manifest["kind"] != "increment":
                raise RuntimeError(f"a full backup instead of an increment: {manifest['disks']}")
            found.note("ours, s", share, seconds)
            found.note("ours, MiB", share, manifest["copy"]["bytes"] / MIB)
        shutil.rmtree(driver.repository)
        shutil.rmtree(os.path.join(work, "state"))
        for bitmap in machine.bitmaps("d0"):
            machine.monitor.execute("block-dirty-bitmap-remove", node="d0", name=bitmap)


def size_of(directory):
    return sum(os.stat(os.path.join(place, name)).st_size
               for place, _, names in os.walk(directory) for name in names)


def theirs(host, place, image, size, found, pieces):
    """The same by virtnbdbackup."""
    target = os.path.join(place, "nbd")
    with host.domain("changing", place, [image]) as domain:
        found.note("virtnbdbackup, s", None, domain.timed_nbdbackup("full", target, "-z"))
        stored = size_of(target)
        found.note("virtnbdbackup, MiB", None, stored / MIB)
        for share in SHARES:
            domain.qemu_io("vda", *changes(size, share, pieces))
            found.note("virtnbdbackup, s", share, domain.timed_nbdbackup("inc", target, "-z"))
            found.note("virtnbdbackup, MiB", share, (size_of(target) - stored) / MIB)
            stored = size_of(target)
        domain.forget_checkpoints()
    shutil.rmtree(target)


def figures_of(found, size, absent):
    shown = f"of {size // GIB} GiB"
    made = []
    for share in SHARES:
        peer = found.series("virtnbdbackup, s", share)
        made.append(figures.Figure(
            f"increment, {share:.1%} {shown} changed", "s", found.series("ours, s", share),
            floor=("copying as many bytes", found.series("floor, s", share)),
            peers={"virtnbdbackup": peer} if peer else {}, aim="proportional", digits=2,
            reason=absent))
    full = found.series("ours, s", None)
    peer = found.series("virtnbdbackup, s", None)
    made.append(figures.Figure(
        f"increment, {AT:.0%} {shown} changed, beside a full backup", "s",
        found.series("ours, s", AT), floor=("ours, full", full),
        peers={"virtnbdbackup, full": peer} if peer else {},
        aim=f"at most {SHARE_OF_FULL:.0%} of the full's time", most=SHARE_OF_FULL, digits=2))
    for share in SHARES:
        peer = found.series("virtnbdbackup, MiB", share)
        changed = figures.Series([round(size * share / MIB)])
        made.append(figures.Figure(
            f"increment, {share:.1%} {shown} changed, stored", "MiB",
            found.series("ours, MiB", share), floor=("bytes changed", changed),
            peers={"virtnbdbackup": peer} if peer else {}, aim="proportional", digits=1))
    return made


def measure(work, rounds, size, claims):
    found = Found(claims)
    absent = peers.missing() or ""
    if absent:
        absent = f"the peer could not be had: {absent}"
        claims.say(absent)
    pieces = list(contents(work))
    image = full_disk(os.path.join(work, "disk.qcow2"), size,
                      mixture(os.path.join(work, "content")))
    place = os.path.join(work, "domain")
    os.mkdir(place)
    if absent:
        for _ in range(rounds):
            ours(work, image, size, found, pieces)
        return found, absent
    with peers.Host(os.path.join(work, "libvirt")) as host:
        for number in range(rounds):
            ours(work, image, size, found, pieces)
            if number < part.of_peers(rounds):
                theirs(host, place, image, size, found, pieces)
    return found, absent


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    size = (2 if part.is_short(rounds) else 10) * GIB
    with tempfile.TemporaryDirectory(prefix="hf-") as work:
        found, absent = measure(work, part.of_the_long(rounds), size, claims)
    part.finish(directory, "increments", figures_of(found, size, absent))


if __name__ == "__main__":
    main()
