# SPDX-License-Identifier: MIT
"""The guest whose clients are watched while one hook or another holds it, and what they saw.

All times are those of the guest's monotonic clock, which the host knows to some 15 ms: a span of the
host's is taken CLOCK_ERROR_NS longer at either end. A pause is the time between two acknowledged commits
of one client, which commits single rows as fast as it can.
"""

import json
import os
import time

from lab import cache, scenario, vm, workload

from . import instances

MEMORY_MIB = 3072
# What the disks grow to: dirty pages and more servers want a place.
DISKS = {"root": "8G", "mysql": "4G"}
READY_S = 120


class Window:
    """What one backup cost: `total_ms` from the call of the freeze to the answer of the thaw, for each
    mode the longest pause over that window, and p99.9 and median of all pauses of the run."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, total_ms, longest_ms, p999_ms, usual_ms, seconds):
        self.total_ms, self.longest_ms, self.p999_ms = total_ms, longest_ms, p999_ms
        self.usual_ms, self.seconds = usual_ms, seconds
        self.phases = None  # of a window of ours

    def __str__(self):
        return (f"window {self.total_ms:.0f} ms, pause " +
                ", ".join(f"{mode} {ms:.0f} ms" for mode, ms in self.longest_ms.items()) +
                f", run {self.seconds:.1f} s")


FLUSHING = "flushing the filesystems before any lock"


def phases(record):
    """{where the time of a window, and MariaDB's stall, goes: ms}, from the guest's record of it."""
    at = {one["name"]: one for one in record["phases"]}
    recorded = at["record"]["begin_ns"] + at["record"]["duration_ms"] * 1e6
    released = max(one["released_at_ns"] for one in record["resources"]
                   if one["plugin"] == "mysql")
    return {"preparing": (at["sync"]["begin_ns"] - record["begin"]["monotonic_ns"]) / 1e6,
            FLUSHING: at["sync"]["duration_ms"],
            "taking the locks": at["hold"]["duration_ms"],
            "writing the record": at["record"]["duration_ms"],
            "from there to the thaw hook's call": (at["verify"]["begin_ns"] - recorded) / 1e6,
            "its verdict, until MariaDB's lock is released":
                (released - at["verify"]["begin_ns"]) / 1e6}


class StallRig(scenario.Lab):
    def make_disk(self, name, base):
        path = vm.overlay(base, self.path(f"{name}.qcow2"))
        cache.run(["qemu-img", "resize", "-q", "-f", "qcow2", path, DISKS[name]])
        return path

    def start(self, more=True):
        """Both databases ready and under load; with `more`, the data of instances.py is there too."""
        self.boot(memory=MEMORY_MIB)
        with self.guest.agent() as agent:
            # A kernel that finishes this in its own time would write while we measure.
            agent.shell("resize2fs /dev/vda && resize2fs /dev/vdb && sync", 120)
        self.install()
        self.make_accounts()
        self.claims.say("installed")
        if more:
            with self.guest.agent() as agent:
                instances.make(agent)
        self.await_databases(len(scenario.PLUGINS))
        with self.guest.agent() as agent:
            workload.start(agent)
        self.claims.say("both databases are under load")

    def await_databases(self, wanted):
        """Until so many of them are ready to be held."""
        deadline = time.monotonic() + READY_S
        with self.guest.agent() as agent:
            while True:
                status = self.guest_status(agent)
                ready = sum(one.get("state") == "ready" and one.get("plugin") in scenario.PLUGINS
                            for one in status.get("resources", []))
                if ready == wanted:
                    return
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{ready} of {wanted} databases are ready: {status}")
                # holdfastctl has no call that waits for readiness
                time.sleep(0.2)

    def window(self, contender, *options):
        """One backup with that contender's hook. Its backup is kept: increments rest on it."""
        seen = self.watched(contender, lambda: self._back_up(*contender.options, *options))
        if contender.ours:
            seen.phases = phases(self.record())
        return seen

    def watched(self, contender, work):
        """What the clients saw of `work`, which answers its window's begin and end, in nanoseconds of this
        machine's wall clock."""
        with self.guest.agent() as agent:
            contender.put(agent)
            since = workload.positions(agent)
            offset = self.clock_offset_ns(agent)
        begin = time.time_ns()
        held, freed = work()
        end = time.time_ns()
        with self.guest.agent() as agent:
            logs = workload.logs(agent, since)
        span = (held + offset - scenario.CLOCK_ERROR_NS, freed + offset + scenario.CLOCK_ERROR_NS)
        return Window(
            (freed - held) / 1e6,
            {mode: log.longest_pause_ms(*span) for mode, log in logs.items()},
            *({mode: log.quantile_ms(fraction, begin + offset, end + offset)
               for mode, log in logs.items()} for fraction in (0.999, 0.5)), (end - begin) / 1e9)

    def _back_up(self, *options):
        answer = self.host_json("backup", scenario.VM, *options)
        with open(os.path.join(answer["directory"], "manifest.json"), encoding="utf-8") as file:
            window = json.load(file)["window"]
        held = scenario.wall_ns(window["begin"])
        return held, held + int(window["total_ms"] * 1e6)
