# SPDX-License-Identifier: MIT
"""What the guest's service costs while nothing happens, and what the start of its hook costs.

    python3 -m bench.agent DIRECTORY ROUNDS

The real service with its helpers, connected to a real MariaDB and a real PostgreSQL, as its unit runs it
(with systemd's watchdog): once right after its start, and once after a freeze and a thaw, which touch
what the rest of its life needs.

    resident memory   VmRSS; that which is its own alone stands beside it
    wake-ups          context switches of all of its threads, per second
    CPU               time on a processor, in thousandths of one
    shim              exec to the request having been received, and to its end with an answer that
                      comes at once; beside an empty program that is linked in the same way, in turn

Beside the resident memory stands that of a program that does nothing but load the same client libraries,
with all symbols bound as the service has them, and of one that has a session of each open as well: what
no service could do without.
"""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from lab import agent_rig, loopfs, servers, testing
from lab import claims as claims_module

from . import figures, part
from .idle import Cost, are_at_rest, explained, is_asleep, mapped_mib, memory_mib

IDLE_S, REST_S = 30, 3
STARTS = 200
MOST_MIB, MOST_WAKEUPS, MOST_RATIO = 12, 0.2, 1.5
FLOOR = "an empty program that loads the same client libraries"
# Of each figure: title, unit, digits; the service's aim, in words and as a number.
TITLES = {"resident": ("resident memory", "MiB", 1, f"at most {MOST_MIB} MiB", MOST_MIB),
          "private": ("memory that nobody shares", "MiB", 1, "", None),
          "wakeups": ("wake-ups when idle", "per second", 2, f"below {MOST_WAKEUPS}", MOST_WAKEUPS),
          "cpu": ("CPU when idle", "‰ of a processor", 3, "", None)}


def watchdog_s():
    """Of the unit that is installed."""
    path = os.path.join(testing.SOURCE, "deb", "units", "agent", "holdfastd.service")
    with open(path, encoding="utf-8") as unit:
        return int(re.search(r"^WatchdogSec=(\d+)s$", unit.read(), re.MULTILINE).group(1))


class Service:
    """The agent with both databases."""

    def __enter__(self):
        self.filesystem = loopfs.LoopFilesystem(768)
        place = self.filesystem.mount_point
        self.databases = [servers.MariaDb(parent=place), servers.PostgreSql(parent=place)]
        for database in self.databases:
            database.start()
        self.databases[1].run("CREATE ROLE root SUPERUSER LOGIN")
        self.rig = agent_rig.Rig(self.filesystem)
        self.rig.daemon_environment = {"WATCHDOG_USEC": str(watchdog_s() * 1_000_000)}
        self.rig.resource("main", f"plugin = mysql\nsocket = {self.databases[0].socket}\n"
                                  "user = root\n")
        self.rig.resource("cluster", "plugin = postgresql\nuser = root\n"
                                     f"socket = {self.databases[1].socket_directory}\n")
        self.rig.start()
        self.rig.await_ready()
        return self

    def __exit__(self, *_):
        self.rig.close()
        self.filesystem.thaw()
        for database in self.databases:
            database.close()
        self.filesystem.close()

    def floors(self):
        """{what a process has in it: MiB resident}, of processes that only wait."""
        sockets = [self.databases[0].socket, self.databases[1].socket_directory]
        sessions = testing.built("tests/tools/sessions")
        return {"nothing": resident_mib([testing.built("tests/tools/empty"), "wait"], await_line=False),
                "libraries": resident_mib([sessions]), "sessions": resident_mib([sessions, *sockets])}

    def processes(self):
        return {"holdfastd": self.rig.daemon.pid, "holdfast-fsd": self.rig.fsd.pid,
                "holdfast-execd": self.rig.execd.pid}


def resident_mib(command, await_line=True):
    """Of a program once it has said that it waits."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=agent_rig.die_with_parent,
                          env=dict(os.environ, LD_BIND_NOW="1")) as process:
        try:
            if await_line and process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{command}: ended with {process.wait(10)}")
            agent_rig.await_true(lambda: is_asleep(process.pid), f"{command} waits")
            return memory_mib(process.pid)["resident"]
        finally:
            process.send_signal(signal.SIGKILL)


def measure_idle(rounds, claims):
    """{(process, figure): [a value each round]}, {floor: [likewise]}, and where the service's memory is."""
    found, floors, where = {}, {}, ""
    for number in range(rounds):
        with Service() as service:
            processes = service.processes()
            service.rig.freeze()
            service.rig.thaw()
            # What the thaw's answer has left to do, the record on disk among it, is no idleness. Some
            # of it comes a second later.
            agent_rig.await_true(lambda pids=processes.values(): are_at_rest(pids, REST_S),
                                 "the service is at rest")
            costs = {name: Cost(pid) for name, pid in processes.items()}
            time.sleep(IDLE_S)
            for name, value in service.floors().items():
                floors.setdefault(name, []).append(value)
            where = explained(mapped_mib(processes["holdfastd"]))
            for name, pid in processes.items():
                values = {**memory_mib(pid), "wakeups": costs[name].wakeups_per_second(),
                          "cpu": costs[name].cpu_per_mille()}
                for figure, value in values.items():
                    found.setdefault((name, figure), []).append(value)
                claims.say(f"{number + 1}/{rounds}  {name:14} " + ", ".join(
                    f"{figure} {value:.2f}" for figure, value in values.items()))
    return found, {name: figures.Series(values) for name, values in floors.items()}, where


def measure_starts(rounds):
    """(to the request, to the end, the empty program's), each the median of a round, in ms."""
    found = []
    with tempfile.TemporaryDirectory(prefix="hf-") as directory:
        for _ in range(rounds):
            done = subprocess.run(
                [testing.built("tests/tools/start_time"), os.path.join(directory, "control.sock"),
                 str(STARTS), testing.built("hooks/fsfreeze-hook"),
                 testing.built("tests/tools/empty")],
                check=True, stdout=subprocess.PIPE, text=True)
            lines = [[int(word) / 1e6 for word in line.split()]
                     for line in done.stdout.splitlines()]
            found.append([statistics.median(column) for column in zip(*lines)])
    return [figures.Series(column) for column in zip(*found)]


def idle_figures(idle, floors, where):
    found = [figures.Figure(f"{name}, resident memory", "MiB", floors[kind], digits=1)
             for kind, name in (("nothing", "an empty process"),
                                ("sessions", "an empty program with one session of each library"))]
    for (name, figure), values in idle.items():
        ours = figures.Series(values)
        if name != "holdfastd":
            found.append(figures.Figure(f"{name}, {TITLES[figure][0]}", TITLES[figure][1], ours,
                                        digits=TITLES[figure][2]))
            continue
        title, unit, digits, aim, most = TITLES[figure]
        if figure == "resident":
            missed = ours.median() > most
            found.append(figures.Figure(
                f"{name} with both plugins, {title}", unit, ours, (FLOOR, floors["libraries"]), aim=aim,
                limit=most, digits=digits, reason=rest(ours, floors, where) if missed else ""))
            continue
        found.append(figures.Figure(f"{name} with both plugins, {title}", unit, ours, aim=aim, most=most,
                                    digits=digits))
    return found


def rest(ours, floors, where):
    """Of what the memory is, in words."""
    sessions = floors["sessions"].median()
    return (f"a program that does nothing but hold a session of each library has {sessions:.1f} MiB, "
            f"which leaves {ours.median() - sessions:.1f} MiB; {where}")


def start_figures(asked, ended, empty):
    floor = ("an empty program, exec to its end", empty)
    aim = f"at most {MOST_RATIO} x an empty program"
    return [figures.Figure(f"shim, exec to {what}", "ms", ours, floor, aim=aim, most=MOST_RATIO,
                           digits=3)
            for what, ours in (("the request received", asked), ("its end, answered at once", ended))]


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    loopfs.enter_namespace()
    starts = measure_starts(2 * rounds)
    found = idle_figures(*measure_idle(part.of_the_long(rounds), claims)) + start_figures(*starts)
    part.finish(directory, "agent", found)


if __name__ == "__main__":
    main()
