# SPDX-License-Identifier: MIT
"""The guest's campaign: kinds of resources x layouts x steps of a window x faults."""

import collections
import itertools
import os
import shutil
import tempfile

from faults import campaign
from faults.guest import faults, kinds, steps
from faults.guest.case import Case
from faults.guest.rig import Rig
from lab import agent_rig, loopfs, redis_servers, servers

LAYOUTS = ("grouped", "flat")
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

    def ready(self, case):
        if self.rig is not None and self.rig.layout != case.layout:
            self._drop_rig()
        if self.rig is None:
            self.rig = Rig(self.kind, self.data, self.state, self.directory, case.layout)
            self.rig.start()
        self.rig.make_ready()
        return self.rig

    def log(self):
        return self.rig.log("holdfastd.log")[-4000:] if self.rig is not None else ""

    def _drop_rig(self):
        if self.rig is not None:
            for one in (self.data, self.state):
                one.thaw()
            self.rig.close()
            self.rig = None

    def close(self):
        self._drop_rig()
        self.kind.close()
        for one in (self.data, self.state):
            one.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class GuestCampaign(campaign.Campaign):
    name = "guest"
    parts = "KIND/STEP/FAULT/LAYOUT"

    def matrix(self):
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

    def product(self):
        return (f"{len(kinds.ALL)} kinds x {len(LAYOUTS)} layouts x {len(steps.ALL)} steps x "
                f"{len(faults.ALL)} faults")

    def missing(self):
        return (loopfs.missing() or agent_rig.missing() or servers.MariaDb.missing() or
                servers.PostgreSql.missing() or redis_servers.Redis.missing())

    def batches(self, cases):
        for _, group in itertools.groupby(sorted(cases, key=lambda case: (case.kind, case.layout)),
                                          key=lambda case: case.kind):
            group = list(group)
            for begin in range(0, len(group), BATCH):
                yield group[begin:begin + BATCH]

    def world(self, case):
        return World(case.kind)


GUEST = GuestCampaign()
