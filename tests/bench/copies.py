# SPDX-License-Identifier: MIT
"""How long a full backup takes, and its restore.

    python3 -m bench.copies DIRECTORY ROUNDS

One disk that is full in three quarters with text, bytes that do not compress, and zeroes, and never
changes; nobody writes to it. The floor is qemu-img converting the same image by itself, with the
driver's own options, until the copy is flushed: before ours in every other round and after it in the
others, since storage may be slower for what is written second. Ours is all of the command: preparation,
freeze, thaw, copy, flush, the check of the copy and its checksum, settling and publishing; and of a
restore the verification of what is restored. The peers write formats of their own: virtnbdbackup's
compression is lz4, libvirt itself has none.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time

from lab import cache
from lab import claims as claims_module

from . import figures, part, peers
from .machine import VM, DiskMachine, Driver, full_disk, mixture, seconds_of

GIB = 1 << 30
USED = 0.75
AT_LEAST = 0.95  # of qemu-img's throughput
# qemu-img's words for what the driver stores.
COMPRESSED = ["-c", "-W", "-o", "compression_type=zstd"]
FULL_WAYS = {"zstd": (["--method=overlay"], COMPRESSED),
             "zstd, method backup": (["--method=backup"], COMPRESSED),
             "uncompressed": (["--method=overlay", "--compress=none"], []),
             "uncompressed, method backup": (["--method=backup", "--compress=none"], [])}


def convert(source, target, *words):
    return seconds_of(["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "qcow2", *words, source,
                       target], flush=target)


class Peers:
    """What the others take for the same; {what: {peer: [seconds]}}."""

    def __init__(self, directory, claims):
        self.directory, self.claims, self.found = directory, claims, {}

    def note(self, what, peer, seconds):
        self.found.setdefault(what, {}).setdefault(peer, []).append(seconds)
        self.claims.say(f"{what}: {peer} {seconds:.2f} s")

    def path(self, name):
        return os.path.join(self.directory, name)

    def measure(self, domain):
        for words, what in ((["-z"], "zstd"), ([], "uncompressed")):
            os.sync()
            self.note(what, "virtnbdbackup",
                      domain.timed_nbdbackup("copy", self.path("nbd"), *words))
            if words:
                os.sync()
                self.note("restore", "virtnbdbackup",
                          domain.timed_nbdrestore(self.path("nbd"), self.path("restored")))
                shutil.rmtree(self.path("restored"))
            shutil.rmtree(self.path("nbd"))
        os.sync()
        self.note("uncompressed, method backup", "libvirt backup-begin",
                  domain.timed_push(self.path("push.qcow2")))
        os.unlink(self.path("push.qcow2"))


def summed(path):
    """Seconds that its SHA-256 takes."""
    begin = time.monotonic()
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.monotonic() - begin


class Copies:
    """What ours take, and their floors: {what: {figure: [a round's]}}."""

    def __init__(self, driver, image, claims):
        self.driver, self.image, self.claims, self.found = driver, image, claims, {}

    def measure(self, floor_first):
        """One of each."""
        for what, (options, words) in FULL_WAYS.items():
            floor, (manifest, seconds) = in_turn(
                lambda: self._convert(self.image, words),
                lambda: self.driver.backup("--full", *options), floor_first)
            stored = os.path.join(self.driver.repository, VM, manifest["id"], "d0.qcow2")
            self._note(what, floor=floor, ours=seconds, sum=summed(stored),
                       copy=manifest["copy"]["duration_ms"] / 1000)
            if what == "zstd":
                floor, seconds = in_turn(lambda: self._convert(stored),
                                         lambda: self._restore(manifest["id"]), floor_first)
                self._note("restore", floor=floor, ours=seconds,
                           verify=self.driver.verify(manifest["id"]))
            self.driver.forget(manifest["id"])

    def _convert(self, source, words=()):
        target = os.path.join(self.driver.directory, "floor.qcow2")
        seconds = convert(source, target, *words)
        os.unlink(target)
        return seconds

    def _restore(self, name):
        target = os.path.join(self.driver.directory, "restored")
        seconds = self.driver.restore(name, target)
        shutil.rmtree(target)
        return seconds

    def _note(self, what, **values):
        for name, value in values.items():
            self.found.setdefault(what, {}).setdefault(name, []).append(value)
        self.claims.say(f"{what}: {values['ours']:.2f} s, qemu-img {values['floor']:.2f} s")


def in_turn(floor, ours, floor_first):
    """What both answer, the floor's first."""
    answers = {}
    for work in (floor, ours) if floor_first else (ours, floor):
        # What is still to be written of one is not to be paid by the next.
        os.sync()
        answers[work] = work()
    return answers[floor], answers[ours]


def figures_of(found, others, absent, shown):
    made = []
    for what, one in found.items():
        series = {name: figures.Series(values) for name, values in one.items()}
        reasons = [absent]
        if "copy" in series:
            reasons.insert(0, f"the copy takes {series['copy'].shown(2)} s, of which the checksum, at "
                              f"full speed, {series['sum'].shown(2)} s")
        if "verify" in series:
            reasons.insert(0, "the verification beside it, by itself, takes "
                              f"{series['verify'].shown(2)} s")
        name = "restore of it (zstd)" if what == "restore" else f"full backup, {what}"
        made.append(figures.Figure(
            f"{name}, {shown}", "s", series["ours"], floor=("qemu-img convert", series["floor"]),
            peers={peer: figures.Series(values) for peer, values in others.get(what, {}).items()},
            aim=f"at least {AT_LEAST} of qemu-img's throughput", most=1 / AT_LEAST, digits=2,
            reason="; ".join(filter(None, reasons))))
    return made


def measure(work, rounds, size, claims):
    absent = peers.missing() or ""
    if absent:
        absent = f"the peers could not be had: {absent}"
        claims.say(absent)
    content = mixture(os.path.join(work, "content"))
    image = full_disk(os.path.join(work, "disk.qcow2"), size, content, USED)
    others = Peers(work, claims)
    with DiskMachine(work, [image]) as machine:
        ours = Copies(Driver(machine, work), image, claims)
        if absent:
            for number in range(rounds):
                ours.measure(floor_first=number % 2 == 0)
            return ours.found, {}, absent
        place = os.path.join(work, "domain")
        os.mkdir(place)
        copy = os.path.join(place, "disk.qcow2")
        cache.run(["cp", "--reflink=auto", image, copy])
        with peers.Host(os.path.join(work, "libvirt")) as host, \
                host.domain("full", place, [copy]) as domain:
            for number in range(rounds):
                ours.measure(floor_first=number % 2 == 0)
                if number < part.of_peers(rounds):
                    others.measure(domain)
    return ours.found, others.found, absent


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    size = (1 if part.is_short(rounds) else 8) * GIB
    with tempfile.TemporaryDirectory(prefix="hf-") as work:
        found, others, absent = measure(work, rounds, size, claims)
    shown = f"a disk of {size // GIB} GiB with {size * USED / GIB:.2g} in use"
    part.finish(directory, "copies", figures_of(found, others, absent, shown))


if __name__ == "__main__":
    main()
