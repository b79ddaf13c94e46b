# SPDX-License-Identifier: MIT
"""What a guest's reads and writes take while its disk is copied.

    python3 -m bench.guest_io DIRECTORY ROUNDS

The load (bench.load) goes on for all of a full backup, and pauses where a frozen guest does. The floor
is the same load just before, with no backup. The disk's image is on XFS in a file of ours, the
repository in memory: storage of its own, and quick. A bare `blockdev-backup` of the same disk is the
peer; virtnbdbackup needs the NBD server of QEMU, which has one, for itself.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from lab import cache, loopfs
from lab import claims as claims_module
from support.waiting import until

from . import figures, part
from .load import Load
from .machine import DiskMachine, Driver, full_disk, mixture

GIB = 1 << 30
FLOOR_S = 2.0
SLOWER = 1.1
WAYS = {"overlay (the default)": ["--method=overlay"],
        "overlay, uncompressed": ["--method=overlay", "--compress=none"],
        "backup": ["--method=backup"],
        "backup, uncompressed": ["--method=backup", "--compress=none"],
        "reflink": ["--method=reflink"]}
BARE = "blockdev-backup alone"
UNMEASURED = "virtnbdbackup is not compared: it needs QEMU's one NBD server, as the load does"


class Rig:
    """A machine whose images are on `place`, under a load that pauses when it is frozen."""

    def __init__(self, work, place, size):
        mixed = mixture(os.path.join(work, "content"))
        image = full_disk(os.path.join(place, "disk.qcow2"), size, mixed)
        self.machine = DiskMachine(work, [image], {"direct": True})
        self.work, self.size = work, size
        self.driver = self.load = None
        self.spans = []

    def __enter__(self):
        self.machine.__enter__()
        self.driver = Driver(self.machine, self.work, os.path.join(self.work, "elsewhere", "r"))
        self.load = Load(self.machine.monitor, "d0", self.size, self.work)
        self.machine.agent.on_freeze = lambda: self.load.tell("pause")
        self.machine.agent.behaviours["guest-fsfreeze-thaw"] = self._thaw
        self.load.__enter__()
        return self

    def _thaw(self, agent, request):
        answer = agent.respond(request)
        self.load.tell("go")
        return answer

    def __exit__(self, *reason):
        self.load.__exit__(*reason)
        self.machine.__exit__(*reason)

    def watched(self, what, work):
        begin = time.monotonic()
        work()
        self.spans.append((what, begin, time.monotonic()))

    def back_up(self, options):
        manifest, _ = self.driver.backup("--full", *options)
        self.driver.forget(manifest["id"])

    def copy_bare(self):
        """QEMU's job with nothing around it."""
        execute, path = self.machine.monitor.execute, os.path.join(self.work, "elsewhere", "bare")
        cache.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(self.size)])
        execute("blockdev-add", driver="qcow2", **{"node-name": "bare"},
                file={"driver": "file", "filename": path})
        execute("blockdev-backup", device="d0", target="bare", sync="full",
                **{"job-id": "bare", "auto-dismiss": False})
        until(lambda: execute("query-jobs")[0]["status"] == "concluded", "it is copied", 600)
        execute("job-dismiss", id="bare")
        execute("blockdev-del", **{"node-name": "bare"})
        os.unlink(path)


def measure(rig, rounds, claims):
    for number in range(rounds):
        for what in (*WAYS, BARE):
            rig.watched(("floor", what), lambda: time.sleep(FLOOR_S))
            work = rig.copy_bare if what == BARE else lambda: rig.back_up(WAYS[what])
            rig.watched(("copying", what), work)
            claims.say(f"{number + 1}/{rounds}  {what}: "
                       f"{rig.spans[-1][2] - rig.spans[-1][1]:.1f} s")
    rig.load.end()
    found = {}
    for (kind, what), begin, end in rig.spans:
        took = rig.load.between(begin, end)
        one = found.setdefault(what, {})
        for name, value in (("mean", statistics.fmean(took)), ("p99", took[len(took) * 99 // 100]),
                            ("s", end - begin)):
            one.setdefault((kind, name), []).append(value)
    return {what: {name: figures.Series(values) for name, values in one.items()}
            for what, one in found.items()}


def figures_of(found, size):
    made = []
    for what in WAYS:
        one, bare = found[what], found[BARE] if what.startswith("backup") else {}
        for kind, most in (("mean", SLOWER), ("p99", None)):
            made.append(figures.Figure(
                f"guest's 4 KiB while copying {size // GIB} GiB, {kind}, {what}", "us",
                one["copying", kind], floor=("no backup", one["floor", kind]),
                peers={BARE: bare["copying", kind]} if bare else {},
                aim="within 10 % with the default method" if most and "default" in what else
                "within 10 %" if most else "", most=most,
                reason=f"the run takes {one['copying', 's'].shown(1)} s"))
    made[0].reason += "; " + UNMEASURED
    return made


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    size = (1 if part.is_short(rounds) else 4) * GIB
    loopfs.enter_namespace()
    with tempfile.TemporaryDirectory(prefix="hf-") as work, \
            loopfs.LoopFilesystem(4 * size >> 20, "xfs") as filesystem:
        elsewhere = os.path.join(work, "elsewhere")
        os.mkdir(elsewhere)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * size}", "none", elsewhere],
                       check=True)
        try:
            with Rig(work, filesystem.mount_point, size) as rig:
                found = measure(rig, part.of_the_long(rounds), claims)
        finally:
            subprocess.run(["umount", "-l", elsewhere], check=True)
    part.finish(directory, "guest_io", figures_of(found, size))


if __name__ == "__main__":
    main()
