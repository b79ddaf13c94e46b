# SPDX-License-Identifier: MIT
"""The write load in a guest, and the judgement of a copy by what the load remembers.

tests/tools/commit_writer.cpp says what a log is and why it decides. Times are nanoseconds of the
guest's monotonic clock.
"""

import json
import math
import struct

from . import qga

TOOLS = "/opt/holdfast-lab"
_RECORD = struct.Struct("=QQQ")
SETTLED = 50  # commits after which a writer counts as running

# Unit: how it is started in the guest, as whom, and which table it fills.
_WRITERS = {"mysql": [], "postgresql": ["--uid=postgres"]}


class Log:
    """Every commit of one writer in this run: (number, begin, acknowledged or 0)."""

    def __init__(self, data):
        whole = len(data) // _RECORD.size * _RECORD.size
        self.records = list(_RECORD.iter_unpack(data[:whole]))

    def last_acknowledged(self, before):
        """The highest number acknowledged before that time; 0 if there is none."""
        return max((number for number, _, acked in self.records if 0 < acked < before), default=0)

    def last_begun(self, before):
        return max((number for number, begin, _ in self.records if begin < before), default=0)

    def pauses(self, since=0, until=1 << 63):
        """(begin, end) between each two acknowledgements, of those that touch the span."""
        acked = [end for _, _, end in self.records if end != 0]
        return [(begin, end) for begin, end in zip(acked, acked[1:])
                if end >= since and begin <= until]

    def longest_pause_ms(self, since=0, until=1 << 63):
        """The longest time between two acknowledgements, of those that touch the span."""
        return max((end - begin for begin, end in self.pauses(since, until)), default=0) / 1e6

    def quantile_ms(self, fraction, since=0, until=1 << 63):
        """So much of those times is not longer (nearest rank)."""
        spans = sorted(end - begin for begin, end in self.pauses(since, until))
        return spans[max(math.ceil(fraction * len(spans)), 1) - 1] / 1e6


def take_tools(agent):
    """Copies what is on the disk of packages and programs to TOOLS.

    The disk does not stay mounted: it would be one more filesystem to freeze.
    """
    agent.shell(f"mkdir -p {TOOLS} && mount -o ro LABEL=holdfast-tools /mnt && "
                f"cp -r /mnt/* {TOOLS} && umount /mnt")


def wait_for_databases(agent, timeout=120.0):
    # `is-active` after `start`: systemd says when a unit is up, we need not ask again and again
    agent.run(["/bin/systemctl", "start", "mariadb.service", "postgresql@15-main.service"], timeout)


def start(agent):
    """Starts both writers, and returns when both are at work."""
    for mode, options in _WRITERS.items():
        agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", f"--unit=writer-{mode}",
                   *options, f"--property=StandardOutput=file:/dev/shm/{mode}.summary",
                   f"--property=StandardError=file:/dev/shm/{mode}.error",
                   "--property=TimeoutStopSec=120", f"{TOOLS}/commit_writer", mode,
                   f"/dev/shm/{mode}.log"])
    # The size of the log is the number of commits; tail returns as soon as enough has come.
    for mode in _WRITERS:
        try:
            agent.shell(f"tail -F -c +1 /dev/shm/{mode}.log 2>/dev/null | "
                        f"head -c {_RECORD.size * SETTLED} >/dev/null", 60)
        except qga.AgentTimeout:
            raise RuntimeError(f"the {mode} writer does not write: {errors(agent)}") from None


def errors(agent):
    return agent.shell("cat /dev/shm/*.error", check=False).out.strip()


def running(agent):
    """Are both writers still at work, without an error?"""
    units = [f"writer-{mode}.service" for mode in _WRITERS]
    return agent.run(["/bin/systemctl", "is-active", *units], check=False).status == 0


def positions(agent):
    """Where the logs end by now, by mode: what logs() may begin with later on."""
    sizes = agent.run(["/usr/bin/stat", "-c", "%s", *[f"/dev/shm/{mode}.log" for mode in _WRITERS]])
    return {mode: int(size) // _RECORD.size * _RECORD.size
            for mode, size in zip(_WRITERS, sizes.out.split())}


def logs(agent, since=None):
    """What the writers remember so far, by mode; all of it, or since those positions()."""
    since = since or {}
    return {mode: Log(agent.read_file(f"/dev/shm/{mode}.log", offset=since.get(mode, 0)))
            for mode in _WRITERS}


def stop(agent):
    """Ends both writers. Their logs and their own summaries, by mode."""
    agent.run(["/bin/systemctl", "stop", *[f"writer-{mode}.service" for mode in _WRITERS]], 150)
    failures = errors(agent)
    if failures:
        raise RuntimeError(f"a writer failed: {failures}")
    summaries = {mode: json.loads(agent.read_file(f"/dev/shm/{mode}.summary"))
                 for mode in _WRITERS}
    return logs(agent), summaries


def now_ns(agent):
    """The guest's monotonic clock, to the hundredth of a second that /proc/uptime shows."""
    return int(float(agent.read_file("/proc/uptime").split()[0]) * 1e9)
