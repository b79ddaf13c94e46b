# SPDX-License-Identifier: MIT
"""Which cases there are, which of them are run, and what is said about them.

The matrix is kinds x layouts x steps x faults. What makes no sense is left out, with a reason that
--list shows, so that the sum can be checked. A bounded run takes its cases by the seed, and always
every fault, every step and every kind at least once.
"""

import argparse
import collections
import random

from faults import faults, kinds, runner, steps
from faults.case import Case
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
    parser.add_argument("--jobs", type=int, default=1, help="how many at once (default: 1)")
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
    return 1 if runner.run(cases, seed, arguments.verbose, arguments.jobs) else 0
