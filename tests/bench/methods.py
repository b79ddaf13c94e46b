# SPDX-License-Identifier: MIT
"""What each method costs, in the same guest, in turn.

    python3 -m bench.methods DIRECTORY ROUNDS

Each is one full backup, or one restore point, under the load of both databases.

    window      the call of the freeze to the answer of the thaw
    pause       the longest that the MySQL client saw in the whole run, copy and settling with it, by the
                guest's clock, which stands still while the machine does
    run         all of the command; beside it qemu-img's time for copying the same images just before
    space       what stood beside the images at most
    stored      in the repository
"""

import os
import shutil
import sys

from lab import claims as claims_module
from lab import scenario

from . import figures
from .rig import Rig

MIB = 1 << 20


class Backup:
    """A full backup by one of the methods."""

    def __init__(self, method, *options):
        self.name = " ".join([method, *options])
        self._options = [f"--method={method}", *options]

    def take(self, rig):
        return rig.host_json("backup", scenario.VM, "--full", *self._options,
                             f"--overlay-directory={rig.place}", "--require=application")

    def window(self, taken):
        return taken["window"]["total_ms"]

    def forget(self, rig, taken):
        shutil.rmtree(rig.path("repository", scenario.VM, taken["id"]))

    def stored(self, taken):
        directory = taken["directory"]
        return sum(os.stat(os.path.join(directory, name)).st_size
                   for name in os.listdir(directory)) / MIB


class Point:
    """A restore point, which copies nothing."""

    def __init__(self, method, *options):
        self.name = " ".join(["snapshot create", method, *options])
        self._options = [f"--snapshot-method={method}", *options]

    def take(self, rig):
        return rig.host_json("snapshot", "create", scenario.VM, *self._options,
                             "--require=application")

    def window(self, taken):
        return taken["evidence"]["window"]["total_ms"]

    def forget(self, rig, taken):
        rig.host_json("snapshot", "delete", scenario.VM, taken["id"])

    def stored(self, _taken):
        return None


WAYS = [Backup("overlay"), Backup("backup"), Backup("btrfs"), Backup("reflink"),
        Backup("checkpoint", "--memory=live"), Backup("checkpoint", "--memory=stopped"),
        Point("internal"), Point("internal", "--with-memory"), Point("btrfs")]
# After all others: until the machine is started anew, its images keep a second name then, which the
# method btrfs refuses.
LAST = [Point("overlay")]


def measure(rig, rounds):
    """{way: [(what it answered, what was seen, the floor of its copy in seconds, MiB stored), a
    round each]}."""
    found = {way.name: [] for way in WAYS + LAST}
    for number, ways in [(number, ways) for ways in (WAYS, LAST) for number in range(rounds)]:
        for way in ways:
            floor = rig.convert()
            taken, seen = rig.watched(lambda: way.take(rig))  # pylint: disable=cell-var-from-loop
            stored = way.stored(taken)
            way.forget(rig, taken)
            found[way.name].append((taken, seen, floor, stored))
            rig.claims.say(f"{number + 1}/{rounds}  {way.name:16} "
                           f"window {way.window(taken):.0f} ms, "
                           f"pause {seen.pause_ms['mysql']:.0f} ms, {seen.seconds:.1f} s, "
                           f"qemu-img {floor:.1f} s")
    return found


def series(way, rounds):
    """What is said of one way: {figure: Series}. A point copies nothing, and stores nothing elsewhere."""
    figure_of = {
        "window_ms": lambda taken, *_: way.window(taken),
        "pause_mysql_ms": lambda _, seen, *__: seen.pause_ms["mysql"],
        "pause_postgresql_ms": lambda _, seen, *__: seen.pause_ms["postgresql"],
        "run_s": lambda _, seen, *__: seen.seconds,
        "space_mib": lambda _, seen, *__: seen.extra_bytes / MIB,
    }
    if rounds[0][3] is not None:
        figure_of["times_qemu_img"] = lambda _, seen, floor, __: seen.seconds / floor
        figure_of["stored_mib"] = lambda *one: one[3]
    return {name: figures.Series(figure(*one) for one in rounds)
            for name, figure in figure_of.items()}


COLUMNS = [("window_ms", "window, ms", 0), ("pause_mysql_ms", "longest pause, ms", 0),
           ("run_s", "run, s", 1), ("times_qemu_img", "x qemu-img", 2),
           ("space_mib", "space beside, MiB", 0),
           ("stored_mib", "stored, MiB", 0)]


def table(by_name):
    return figures.markdown(
        ["method", *(title for _, title, _ in COLUMNS)],
        [[f"`{name}`", *(one[figure].shown(digits) if figure in one else "-"
                         for figure, _, digits in COLUMNS)] for name, one in by_name.items()])


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    with Rig(os.path.join(directory, "lab"), claims) as rig:
        rig.start()
        found = measure(rig, rounds)
    by_name = {way.name: series(way, found[way.name]) for way in WAYS + LAST}
    figures.write(os.path.join(directory, "methods.json"),
                  {name: {figure: one.as_json() for figure, one in of.items()}
                   for name, of in by_name.items()})
    print("\n" + table(by_name), flush=True)


if __name__ == "__main__":
    main()
