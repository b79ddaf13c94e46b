# SPDX-License-Identifier: MIT
"""Runs cases, several side by side: each worker is a process with a mount namespace, and worlds -
filesystems, servers, machines - of its own, and takes one batch after the other. A case mostly
waits - for a database, a time-out, a disk - so that more of them go at once than there are
processors.

What bounds how many is the time of the cases themselves: their limits are real ones.
"""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import time

from lab import agent_rig, loopfs, servers

UNABLE = (TimeoutError, RuntimeError, OSError, servers.ServerError, subprocess.SubprocessError)


def say(text):
    """In one piece, whoever else is writing."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), text.encode() + b"\n")


class Found:
    """What a batch came to."""

    def __init__(self):
        self.violated = []
        self.longest = {}  # what was measured: (seconds, case)

    def measure(self, what, seconds, case):
        self.longest[what] = max(self.longest.get(what, (0, "")), (seconds, case))

    def add(self, other):
        self.violated += other.violated
        for what, (seconds, case) in other.longest.items():
            self.measure(what, seconds, case)


def run_batch(campaign, cases, seed, verbose):
    """They share a world, until one of them is violated: the next one begins anew."""
    found, world = Found(), None
    for case in cases:
        begin = time.monotonic()
        try:
            world = world or campaign.world(case)
            rig = world.ready(case)
            rig.seed = seed
            begin = time.monotonic()
            problems = case.run(rig)
        except UNABLE as error:
            problems = [f"unable to begin: {type(error).__name__}: {error}"]
        took = time.monotonic() - begin
        for what, seconds in getattr(case, "measured", {}).items():
            found.measure(what, seconds, str(case))
        lines = []
        if verbose or problems:
            lines.append(f"{'VIOLATED' if problems else 'ok':8} {case} {took:.1f} s {case.got}")
        if problems:
            found.violated.append(str(case))
            lines += [f"    {problem}" for problem in problems]
            lines.append(f"    repeat: tests/faults/run {campaign.name} --seed {seed} --only {case}")
            if world is not None:
                if os.environ.get("HOLDFAST_KEEP_LOG"):
                    lines.append(world.log())
                world.close()
            world = None
        if lines:
            say("\n".join(lines))
    if world is not None:
        world.close()
    return found


def _begin_worker(campaign):
    agent_rig.die_with_parent()
    loopfs.enter_namespace()
    campaign.enter()


def run(campaign, cases, seed, verbose, jobs):
    """How many cases were violated."""
    started = time.monotonic()
    work = list(campaign.batches(cases))
    found = Found()
    if jobs == 1:
        loopfs.enter_namespace()
        campaign.enter()
        for batch in work:
            found.add(run_batch(campaign, batch, seed, verbose))
    else:
        with concurrent.futures.ProcessPoolExecutor(
                jobs, multiprocessing.get_context("fork"), _begin_worker, (campaign,)) as pool:
            # A worker that dies ends all with BrokenProcessPool, so that no batch can be missed.
            for done in concurrent.futures.as_completed(
                    [pool.submit(run_batch, campaign, batch, seed, verbose) for batch in work]):
                found.add(done.result())
    for what, (seconds, case) in sorted(found.longest.items()):
        say(f"longest from {what}: {seconds:.2f} s ({case})")
    say(f"seed {seed}: {len(cases)} cases, {len(found.violated)} violations "
        f"({time.monotonic() - started:.0f} s, {jobs} at once)")
    return len(found.violated)
