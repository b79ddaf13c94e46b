# SPDX-License-Identifier: MIT
"""Which cases there are, which of them are run, and what is said about them.

The matrix is kinds x layouts x steps x faults. What makes no sense is left out, with a reason that
--list shows, so that the sum can be checked. A bounded run takes its cases by the seed, and always
every fault, every step and every kind at least once.
"""

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time

from faults import faults, kinds, steps
from faults.case import Case
from faults.rig import Rig
from lab import agent_rig, loopfs, redis_servers, servers, testing

LAYOUTS = ("grouped", "flat")


def matrix():
    """(cases, {reason: how many were left out for it})"""
    cases, excluded = [], collections.Counter()
    for kind in kinds.ALL.values():
        for layout in LAYOUTS:
            for step in steps.ALL:
                for fault in faults.ALL.values():
                    reason = fault.excluded(kind, step)
                    if layout == "flat" and step in steps.GROUPED_ONLY:
                        reason = "only order groups can be stopped between two resources"
                    if reason is None:
                        cases.append(Case(kind.name, step, fault, layout))
                    else:
                        excluded[f"{step}: {reason}"] += 1
    return cases, excluded


def choose(cases, count, chance):
    """`count` of them, with every fault, step and kind among them."""
    cases = cases[:]
    chance.shuffle(cases)
    chosen, seen = [], set()
    for case in cases:
        marks = {case.fault.name, case.step, case.kind}
        if not marks <= seen:
            seen |= marks
            chosen.append(case)
    rest = [case for case in cases if case not in chosen]
    chosen += rest[:max(0, count - len(chosen))]
    return chosen


class World:
    """What the cases of one kind share: filesystems, the server, and a rig per layout."""

    def __init__(self, kind):
        self.directory = tempfile.mkdtemp(prefix="hf-kind-")
        os.chmod(self.directory, 0o755)
        self.data = loopfs.LoopFilesystem(768)
        self.state = loopfs.LoopFilesystem(16)
        maker = kinds.ALL[kind]
        self.kind = (maker(self.directory, self.data) if maker.on_disk else maker(self.directory))
        self.rig = None

    def rig_for(self, layout):
        if self.rig is not None and self.rig.layout != layout:
            self.drop_rig()
        if self.rig is None:
            self.rig = Rig(self.kind, self.data, self.state, self.directory, layout)
            self.rig.start()
        return self.rig

    def drop_rig(self):
        if self.rig is not None:
            for one in (self.data, self.state):
                one.thaw()
            self.rig.close()
            self.rig = None

    def close(self):
        self.drop_rig()
        self.kind.close()
        for one in (self.data, self.state):
            one.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def run(cases, seed, verbose, limit=None):
    """How many cases were violated."""
    violated, ran, world, started = [], 0, None, time.monotonic()
    # Servers and rigs are made once each.
    cases = sorted(cases, key=lambda case: (case.kind, case.layout))
    for case in cases:
        if limit is not None and time.monotonic() - started > limit:
            print(f"stopped after {limit} s", flush=True)
            break
        if world is not None and world.kind.name != case.kind:
            world.close()
            world = None
        begin = time.monotonic()
        try:
            world = world or World(case.kind)
            rig = world.rig_for(case.layout)
            rig.make_ready()
            begin = time.monotonic()
            problems = case.run(rig)
        except (TimeoutError, RuntimeError, OSError, servers.ServerError) as error:
            problems = [f"unable to begin: {type(error).__name__}: {error}"]
        ran += 1
        took = time.monotonic() - begin
        if verbose or problems:
            print(f"{'VIOLATED' if problems else 'ok':8} {case} {took:.1f} s "
                  f"{case.got}", flush=True)
        if problems:
            violated.append(case)
            for problem in problems:
                print(f"    {problem}", flush=True)
            print(f"    repeat: tests/faults/run --seed {seed} --only {case}", flush=True)
            # The next one begins anew.
            if os.environ.get("HOLDFAST_KEEP_LOG") and world is not None and world.rig is not None:
                print(world.rig.log("holdfastd.log")[-4000:])
            if world is not None:
                world.close()
            world = None
    if world is not None:
        world.close()
    print(f"seed {seed}: {ran} cases, {len(violated)} violations "
          f"({time.monotonic() - started:.0f} s)", flush=True)
    return len(violated)


def missing():
    return (loopfs.missing() or agent_rig.missing() or servers.MariaDb.missing() or
            servers.PostgreSql.missing() or redis_servers.Redis.missing())


def main():
    parser = argparse.ArgumentParser(description="Injects faults into windows.")
    parser.add_argument("--seed", type=int, default=None, help="chooses the cases; default: anew")
    parser.add_argument("--cases", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--all", action="store_true", help="every case")
    parser.add_argument("--only", action="append", default=[],
                        help="KIND/STEP/FAULT/LAYOUT; an empty part stands for any")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--verbose", action="store_true", help="a line for every case")
    arguments = parser.parse_args()
    cases, excluded = matrix()
    if arguments.list:
        for case in cases:
            print(case)
        for reason, count in sorted(excluded.items()):
            print(f"excluded: {count:4} at {reason}")
        print(f"{len(cases)} cases and {sum(excluded.values())} excluded are "
              f"{len(kinds.ALL)} kinds x {len(LAYOUTS)} layouts x {len(steps.ALL)} steps x "
              f"{len(faults.ALL)} faults")
        return 0
    reason = missing()
    if reason:
        testing.skip_all(reason)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    if arguments.only:
        wanted = [pattern.split("/") for pattern in arguments.only]
        cases = [case for case in cases if any(
            all(not part or part == mine for part, mine in zip(pattern, str(case).split("/")))
            for pattern in wanted)]
    elif not arguments.all:
        cases = choose(cases, arguments.cases, random.Random(seed))
    print(f"seed {seed}: {len(cases)} cases", flush=True)
    loopfs.enter_namespace()
    return 1 if run(cases, seed, arguments.verbose) else 0
