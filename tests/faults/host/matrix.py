# SPDX-License-Identifier: MIT
"""The host's campaign: ways of a run x its steps x faults."""

import collections
import itertools

from faults import campaign
from faults.host import faults, modes, steps
from faults.host.case import Case
from faults.host.rig import Rig
from lab import loopfs
from support import qemu_machine

# A batch has a machine and a repository of its own.
BATCH = 40


class World:
    """One rig, as long as its cases leave it as it was."""

    def __init__(self, mode):
        self.rig = Rig(mode)

    def ready(self, case):
        self.rig.make_ready()
        return self.rig

    def log(self):
        return self.rig.log()

    def close(self):
        self.rig.close()


class HostCampaign(campaign.Campaign):
    name = "host"
    parts = "MODE/STEP/FAULT"

    def matrix(self):
        cases, excluded = [], collections.Counter()
        for mode in modes.ALL.values():
            for step in steps.ALL.values():
                for fault in faults.ALL.values():
                    if step.event is not None and step.count(mode) is None:
                        reason = "this way of a run has no such step"
                    else:
                        reason = fault.excluded(mode, step)
                    if reason is None:
                        cases.append(Case(mode, step, fault))
                    else:
                        excluded[f"{step}: {reason}"] += 1
        return cases, excluded

    def product(self):
        return f"{len(modes.ALL)} modes x {len(steps.ALL)} steps x {len(faults.ALL)} faults"

    def missing(self):
        return loopfs.missing() or qemu_machine.missing()

    def batches(self, cases):
        for _, group in itertools.groupby(sorted(cases, key=lambda case: case.mode.name),
                                          key=lambda case: case.mode.name):
            group = list(group)
            for begin in range(0, len(group), BATCH):
                yield group[begin:begin + BATCH]

    def world(self, case):
        return World(case.mode)


HOST = HostCampaign()
