# SPDX-License-Identifier: MIT
"""Runs cases, several side by side: each worker is a process with a mount namespace, filesystems,
servers and a service of its own, and takes one batch after the other. A case mostly waits - for a
database, a time-out, a disk - so that more of them go at once than there are processors.

What bounds how many is the time of the cases themselves: their limits are real ones.
"""

import concurrent.futures
import itertools
import multiprocessing
import os
import shutil
import sys
import tempfile
import time

from faults import kinds
from faults.rig import Rig
from lab import agent_rig, loopfs, servers

# A batch has a server of its own, which takes as long to make as some cases.
BATCH = 30


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


def say(text):
    """In one piece, whoever else is writing."""
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), text.encode() + b"\n")


def batches(cases):
    """In which servers and rigs are made once each."""
    for _, group in itertools.groupby(sorted(cases, key=lambda case: (case.kind, case.layout)),
                                      key=lambda case: case.kind):
        group = list(group)
        for begin in range(0, len(group), BATCH):
            yield group[begin:begin + BATCH]


def run_batch(cases, seed, verbose):
    """The cases that were violated. All are of one kind."""
    violated, world = [], None
    for case in cases:
        begin = time.monotonic()
        try:
            world = world or World(case.kind)
            rig = world.rig_for(case.layout)
            rig.make_ready()
            begin = time.monotonic()
            problems = case.run(rig)
        except (TimeoutError, RuntimeError, OSError, servers.ServerError) as error:
            problems = [f"unable to begin: {type(error).__name__}: {error}"]
        took = time.monotonic() - begin
        lines = []
        if verbose or problems:
            lines.append(f"{'VIOLATED' if problems else 'ok':8} {case} {took:.1f} s {case.got}")
        if problems:
            violated.append(str(case))
            lines += [f"    {problem}" for problem in problems]
            lines.append(f"    repeat: tests/faults/run --seed {seed} --only {case}")
            if os.environ.get("HOLDFAST_KEEP_LOG") and world is not None and world.rig is not None:
                lines.append(world.rig.log("holdfastd.log")[-4000:])
            # The next one begins anew.
            if world is not None:
                world.close()
            world = None
        if lines:
            say("\n".join(lines))
    if world is not None:
        world.close()
    return violated


def _begin_worker():
    agent_rig.die_with_parent()
    loopfs.enter_namespace()


def run(cases, seed, verbose, jobs):
    """How many cases were violated."""
    started = time.monotonic()
    work = list(batches(cases))
    if jobs == 1:
        loopfs.enter_namespace()
        violated = [case for batch in work for case in run_batch(batch, seed, verbose)]
    else:
        violated = []
        with concurrent.futures.ProcessPoolExecutor(
                jobs, multiprocessing.get_context("fork"), _begin_worker) as pool:
            # A worker that dies ends all with BrokenProcessPool, so that no batch can be missed.
            for found in concurrent.futures.as_completed(
                    [pool.submit(run_batch, batch, seed, verbose) for batch in work]):
                violated += found.result()
    say(f"seed {seed}: {len(cases)} cases, {len(violated)} violations "
        f"({time.monotonic() - started:.0f} s, {jobs} at once)")
    return len(violated)
