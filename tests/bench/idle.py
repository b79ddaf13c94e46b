# SPDX-License-Identifier: MIT
"""What a process costs while nothing happens, by what the kernel counts of it."""

import collections
import os
import re
import time


def _field(path, name):
    with open(path, encoding="ascii") as file:
        return int(re.search(rf"^{name}:\s+(\d+)", file.read(), re.MULTILINE).group(1))


def is_asleep(pid):
    """Does it wait for something?"""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(") ")[2].startswith("S")


class Cost:
    """Of one process since it was looked at first."""

    def __init__(self, pid):
        self._pid = pid
        self._begin, self._switches, self._ran = time.monotonic(), self._count(), self._cpu()

    def _count(self):
        """How often its threads have been given a processor: each time they had something to do, and
        each time after they had been made to let go of it."""
        tasks = f"/proc/{self._pid}/task"
        return sum(_field(f"{tasks}/{task}/status", f"{kind}_ctxt_switches")
                   for task in os.listdir(tasks) for kind in ("voluntary", "nonvoluntary"))

    def _cpu(self):
        """Nanoseconds on a processor, of all its threads; proc(5) and sched-stats.rst."""
        tasks, total = f"/proc/{self._pid}/task", 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total

    def wakeups(self):
        return self._count() - self._switches

    def wakeups_per_second(self):
        return self.wakeups() / (time.monotonic() - self._begin)

    def cpu_per_mille(self):
        """Of one processor."""
        return (self._cpu() - self._ran) / 1e6 / (time.monotonic() - self._begin)


def are_at_rest(pids, seconds):
    """Does none of them do anything for so long?"""
    costs = [Cost(pid) for pid in pids]
    time.sleep(seconds)
    return not any(cost.wakeups() for cost in costs)


def memory_mib(pid):
    """{"resident": MiB, "private": MiB of it that nobody else has}"""
    rollup = f"/proc/{pid}/smaps_rollup"
    return {"resident": _field(rollup, "Rss") / 1024,
            "private": (_field(rollup, "Private_Clean") + _field(rollup, "Private_Dirty")) / 1024}


def mapped_mib(pid):
    """MiB resident by the file that they come from; "" is what comes from none."""
    found, name = collections.Counter(), ""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if not words[0].endswith(":"):
                name = words[5] if len(words) > 5 and words[5].startswith("/") else ""
            elif words[0] == "Rss:":
                found[os.path.basename(name)] += int(words[1]) / 1024
    return found


def explained(mapped):
    """Where the memory of a process is, in a sentence."""
    files = collections.Counter({name: mib for name, mib in mapped.items() if name})
    most = ", ".join(f"{name} {mib:.1f}" for name, mib in files.most_common(6))
    return (f"{sum(files.values()):.1f} MiB are pages of the program and of {len(files) - 1} libraries "
            f"({most}), which others that run them share; {mapped['']:.1f} MiB are data")
