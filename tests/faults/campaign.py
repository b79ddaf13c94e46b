# SPDX-License-Identifier: MIT
"""What the campaigns have in common: which cases are run, and what is said about them.

A campaign is a matrix, of which what makes no sense is left out, with a reason that --list shows, so
that the sum can be checked. A bounded run takes its cases by the seed, and always every fault, every
step and every setting of the matrix at least once.
"""

import abc
import argparse
import random

from faults import runner
from lab import testing


class Campaign(abc.ABC):
    """guest/matrix.py and host/matrix.py are the two.

    A case has `str(case)`: its parts, parted by '/'; `marks`: the parts of which a bounded run has
    each at least once; `run(rig)`: a list of what was violated; and `got`, told beside it.
    """

    name = None   # of its directory
    parts = None  # "KIND/STEP/...", of a case's name

    @abc.abstractmethod
    def matrix(self):
        """(cases, {reason: how many were left out for it})"""

    @abc.abstractmethod
    def product(self):
        """"3 kinds x 4 steps": what the sum of both is."""

    @abc.abstractmethod
    def missing(self):
        """Why it cannot run here, or None."""

    @abc.abstractmethod
    def batches(self, cases):
        """Lists of cases that share a world, each as long as one worker should take at a time."""

    @abc.abstractmethod
    def world(self, case):
        """Where cases of a batch run: `ready(case)` gives their rig, `log()` what its programs said,
        `close()` ends it."""

    def enter(self):
        """What a worker does before its first world."""


def choose(cases, count, chance):
    """`count` of them, with all their marks among them."""
    cases = cases[:]
    chance.shuffle(cases)
    chosen, seen = [], set()
    for case in cases:
        if not set(case.marks) <= seen:
            seen |= set(case.marks)
            chosen.append(case)
    taken = set(map(id, chosen))
    rest = [case for case in cases if id(case) not in taken]
    return chosen + rest[:max(0, count - len(chosen))]


def only(cases, patterns):
    """Those that are meant by patterns of which an empty part stands for any."""
    wanted = [pattern.split("/") for pattern in patterns]
    return [case for case in cases if any(
        all(not part or part == mine for part, mine in zip(pattern, str(case).split("/")))
        for pattern in wanted)]


def say_matrix(campaign):
    cases, excluded = campaign.matrix()
    for case in cases:
        print(case)
    for reason, count in sorted(excluded.items()):
        print(f"excluded: {count:4} at {reason}")
    print(f"{len(cases)} cases and {sum(excluded.values())} excluded are {campaign.product()}")


def main(campaign, words):
    parser = argparse.ArgumentParser(prog=f"tests/faults/run {campaign.name}",
                                     description=f"Injects faults on the {campaign.name}'s side.")
    parser.add_argument("--seed", type=int, default=None, help="chooses the cases; default: anew")
    parser.add_argument("--cases", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--all", action="store_true", help="every case")
    parser.add_argument("--only", action="append", default=[],
                        help=f"{campaign.parts}; an empty part stands for any")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--verbose", action="store_true", help="a line for every case")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once (default: 1)")
    arguments = parser.parse_args(words)
    if arguments.list:
        say_matrix(campaign)
        return 0
    reason = campaign.missing()
    if reason:
        testing.skip_all(reason)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    cases, _ = campaign.matrix()
    if arguments.only:
        cases = only(cases, arguments.only)
    elif not arguments.all:
        cases = choose(cases, arguments.cases, random.Random(seed))
    print(f"seed {seed}: {len(cases)} cases", flush=True)
    return 1 if runner.run(campaign, cases, seed, arguments.verbose, arguments.jobs) else 0
