# SPDX-License-Identifier: MIT
"""What a backup's window costs those who write to the databases, and how long it is.

    python3 -m bench.stall DIRECTORY ROUNDS [SECTION...]

In one guest, in turn: our hook, one that exits 0, and the hooks that others use under the guest agent's
stock dispatcher. The backup is the same for all of them. One client commits single rows to each database
as fast as it can; a pause is the time between two of its commits, by the guest's own clock.

    pauses       the longest over the window, the p99.9 over a whole full backup with its copy, and the
                 window itself: the call of the freeze to the answer of the thaw, by the host's clock
    statements   the longest while a long statement runs that the backup began behind (statements.py)
    dirty        the longest over the window, with much that is written and not on the disk yet (dirty.py)
    instances    the same with more servers in the guest, held all or one of each (instances.py)

    libvirt      pauses once more, in a machine of libvirt's, beside the peers that need one
                 (libvirt_rig.py)

The first window after the guest's start is not among the figures: what takes part in it is read from the
disk then. The peers and all but the pauses are measured in fewer rounds (part.of_peers). If it is to be
short, then of the statements the ALTER alone, and that is shorter, and less is dirty: the figures say
how much.
"""

import os
import shutil
import sys
import time

from lab import claims as claims_module

from . import (contenders, dirty, figures, instances, libvirt_rig, lock, part, stall_figures,
               statements)
from .contenders import CHECKPOINT, FLOOR, HOLDFAST, SAMPLE
from .stall_figures import AUTO, CLEAN, LIBVIRT, MORE, ONE, VIRTNBDBACKUP
from .stall_rig import StallRig

STATEMENT_S = (8, 20)
DIRTY_MIB = (256, 1024)
SECTIONS = ("pauses", "statements", "dirty", "instances")  # in the one guest
LIBVIRTS = "libvirt"


class Stall:
    def __init__(self, rig, rounds):
        self._rig, self._rounds = rig, rounds
        self._fewer = part.of_peers(rounds)
        self._size = 0 if part.is_short(rounds) else 1
        with rig.guest.agent() as agent:
            self._found, reasons = contenders.prepare(agent)
        for name, reason in reasons.items():
            rig.claims.say(f"not measured: {name}: {reason}")
        self._absent = stall_figures.Absent(reasons)

    def _those(self, *names):
        return {name: self._found[name] for name in names if name in self._found}

    def _in_turn(self, ways, rounds, most=None):
        """{name: [Window, a round each]}; `ways` are {name: call}. No more of one than its number
        in `most`."""
        windows, most = {name: [] for name in ways}, most or {}
        for number in range(rounds):
            for name, way in ways.items():
                if number >= most.get(name, rounds):
                    continue
                windows[name].append(way())
                self._rig.claims.say(f"{number + 1}/{rounds}  {name:22} {windows[name][-1]}")
        return windows

    def _window(self, name, *options, before=lambda: None):
        def way():
            before()
            return self._rig.window(self._found[name], *options)
        return way

    def pauses(self):
        self._warm_up()
        ways = {name: self._window(name, "--full") for name in self._found}
        ways[AUTO] = lambda: self._with_auto(self._window(HOLDFAST, "--full"))
        windows = self._in_turn(ways, self._rounds, {
            CHECKPOINT: self._fewer, SAMPLE: self._fewer, AUTO: part.of_the_long(self._rounds)})
        return stall_figures.pauses(windows, self._absent)

    def _warm_up(self):
        for name in (HOLDFAST, FLOOR):
            self._rig.claims.say(f"not counted: {name:22} {self._window(name)()}")

    def _with_auto(self, way):
        """What `way` answers, MariaDB being held as the service finds best: by its backup stages."""
        with lock.other(self._rig, "auto"):
            self._window(HOLDFAST)()  # not measured: the service is new
            found = way()
        self._window(HOLDFAST)()  # so that the next one is not the first either
        return found

    def statements(self):
        seconds = STATEMENT_S[self._size]
        found, normal = statements.measure(
            self._rig, self._found[HOLDFAST], self._those(HOLDFAST, SAMPLE).values(),
            statements.ALL if self._size else (statements.ALTER,), self._fewer, seconds)
        return stall_figures.behind(found, normal, seconds, self._absent)

    def dirty(self):
        mebibytes = DIRTY_MIB[self._size]
        with self._rig.guest.agent() as agent:
            pages = dirty.Dirty(agent, mebibytes)

        def soil():
            with self._rig.guest.agent() as agent:
                self._rig.claims.say(f"{pages.write(agent):.0f} MiB dirty")

        windows = self._in_turn({
            CLEAN: self._window(HOLDFAST),
            **{name: self._window(name, before=soil)
               for name in self._those(HOLDFAST, FLOOR, CHECKPOINT, SAMPLE)}}, self._fewer)
        with self._rig.guest.agent() as agent:
            pages.forget(agent)
        return stall_figures.dirty(windows, mebibytes, self._absent)

    def instances(self):
        with self._rig.guest.agent() as agent:
            instances.start(agent)
        instances.hold(self._rig, True)
        self._rig.window(self._found[HOLDFAST])  # not measured: they are all new
        windows = self._in_turn({
            name: self._window(HOLDFAST, before=lambda more=more: instances.hold(self._rig, more))
            for name, more in ((ONE, False), (MORE, True))}, self._fewer)
        return stall_figures.instances(windows, instances.COUNT, self._absent)

    def libvirt(self):
        rig, sample = self._rig, self._found.get(SAMPLE)
        ways = {name: self._window(name, "--full") for name in (HOLDFAST, FLOOR)}
        if sample is None:
            reasons = dict.fromkeys((LIBVIRT, VIRTNBDBACKUP), self._absent.reasons[SAMPLE])
        else:
            reasons = {}
            ways[LIBVIRT] = lambda: rig.watched(sample, rig.quiesced_snapshot)
            if shutil.which("virtnbdbackup"):
                ways[VIRTNBDBACKUP] = lambda: rig.watched(sample, rig.virtnbdbackup)
            else:
                reasons[VIRTNBDBACKUP] = "it is not installed"
        self._warm_up()
        windows = self._in_turn(ways, self._fewer)
        return stall_figures.libvirt(windows, stall_figures.Absent(reasons))


class Sections:
    """What was measured so far: it is written at once, and stands whatever comes after it."""

    def __init__(self, directory, claims):
        self.figures, self.failed = [], []
        self._directory, self._claims = directory, claims

    def take(self, name, section):
        begin = time.monotonic()
        try:
            self.figures += section()
        except Exception as error:  # pylint: disable=broad-exception-caught
            # no reason to go without the others
            self.failed.append(name)
            return self.lack(name, str(error))
        self._write()
        return self._claims.say(f"{name}: {time.monotonic() - begin:.0f} s")

    def lack(self, name, reason):
        """That section could not be measured; the peers that only it has are named elsewhere."""
        self._claims.say(f"not measured: {name}: {reason}")
        if name == LIBVIRTS and self.figures:
            self.figures[0].absent |= dict.fromkeys((LIBVIRT, VIRTNBDBACKUP), reason[:200])
            self._write()

    def _write(self):
        figures.write_part(self._directory, "stall", self.figures)


def measure(directory, rounds, wanted, claims):
    done, lab = Sections(directory, claims), os.path.join(directory, "lab")
    sections = [section for section in SECTIONS if section in wanted]
    if sections:
        with StallRig(lab, claims) as rig:
            rig.start(more="instances" in sections)
            stall = Stall(rig, rounds)
            for section in sections:
                done.take(section, getattr(stall, section))

    def libvirt():
        with libvirt_rig.LibvirtRig(lab, claims) as rig:
            rig.start(more=False)
            return Stall(rig, rounds).libvirt()

    if LIBVIRTS in wanted:
        reason = libvirt_rig.missing()
        if reason:
            done.lack(LIBVIRTS, reason)
        else:
            done.take(LIBVIRTS, libvirt)
    return done


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    wanted = sys.argv[3:] or [*SECTIONS, LIBVIRTS]
    done = measure(directory, rounds, wanted, claims_module.Claims())
    part.show(done.figures)
    if done.failed:
        sys.exit(f"not measured: {', '.join(done.failed)}")


if __name__ == "__main__":
    main()
