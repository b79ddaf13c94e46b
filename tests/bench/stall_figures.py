# SPDX-License-Identifier: MIT
"""What bench/stall.py measured, as lines of the benchmark, with their aims."""

from .contenders import CHECKPOINT, FLOOR, HOLDFAST, SAMPLE
from .figures import Figure, Series
from .stall_rig import FLUSHING

DATABASES = {"mysql": "MySQL", "postgresql": "PostgreSQL"}
AUTO = "holdfast, lock = auto"
PEERS = {"mysql": (SAMPLE,), "postgresql": (CHECKPOINT,)}
PAUSE_AIM = {"mysql": 1.25, "postgresql": 1.1}
SAMPLE_AIM = 10
WINDOW_AIM = 1.3
DIRTY_AIM = 2
INSTANCES_AIM = 1.5
BEHIND_AIM = 1.25  # two windows of the same kind differ by as much

LIBVIRT = "libvirt --quiesce, QEMU's sample"
VIRTNBDBACKUP = "virtnbdbackup, QEMU's sample"
CLEAN = "holdfast, clean cache"
ONE = "holdfast, one of each"
MORE = "holdfast, more of each"
NORMAL = "holdfast, no long statement"


class Absent:
    """{peer: reason} of those that could not be run, and what is said of the figures that lack them."""

    def __init__(self, reasons):
        self.reasons = dict(reasons)

    def of(self, names):
        return {name: self.reasons[name] for name in names if name in self.reasons}


def series(windows, figure):
    """{contender's name: Series} of {contender's name: [Window, a round each]}."""
    return {name: Series(figure(one) for one in of) for name, of in windows.items()}


def _longest(windows, mode):
    return series(windows, lambda one: one.longest_ms[mode])


def _p999(windows, mode):
    return series(windows, lambda one: one.p999_ms[mode])


def _figure(name, values, ours, floor, peers, absent, reason="", **more):
    """`reason` is said if the aim is missed."""
    found = Figure(name, "ms", values[ours], (floor, values[floor]),
                   {peer: values[peer] for peer in peers if peer in values},
                   absent=absent.of(peers), **more)
    if not found.reached():
        found.reason = reason
    return found


def _where(windows, mode="mysql"):
    """Where the time goes in windows of ours: medians, from the guest's records. PostgreSQL's client is
    not held by a lock, but its disk is busy."""
    names = windows[0].phases if mode == "mysql" else [FLUSHING]
    usual = Series(one.usual_ms[mode] for one in windows).shown()
    return ("measured in the guest: " + ", ".join(
        f"{Series(one.phases[name] for one in windows).shown()} ms {name}" for name in names) +
            f"; {usual} ms an ordinary commit, which begins when the lock has gone" * (mode == "mysql"))


# Whose pauses, and by which of our ways to hold it.
WAYS = (("mysql", "MySQL client", HOLDFAST), ("mysql", "MySQL client (lock = auto)", AUTO),
        ("postgresql", "PostgreSQL client", HOLDFAST))


def pauses(windows, absent):
    """Rows of each database's client, and of the window."""
    found = []
    for mode, client, ours in WAYS:
        at_most, peers = f"at most {PAUSE_AIM[mode]} x floor", PEERS[mode]
        shorter = f"; at least {SAMPLE_AIM} x shorter than the sample" if mode == "mysql" else ""
        found += [
            _figure(f"longest pause of a {client} over a backup's window",
                    _longest(windows, mode), ours, FLOOR, peers, absent, aim=at_most + shorter,
                    most=PAUSE_AIM[mode], reason=_where(windows[ours], mode)),
            _figure(f"p99.9 of a {client}'s pauses over a full backup",
                    _p999(windows, mode), ours, FLOOR, peers, absent, aim=at_most,
                    most=PAUSE_AIM[mode], reason=_where(windows[ours], mode))]
    found.append(_figure("freeze call to thaw return, from the host",
                         series(windows, lambda one: one.total_ms), HOLDFAST, FLOOR,
                         (SAMPLE, CHECKPOINT), absent, aim=f"at most {WINDOW_AIM} x floor",
                         most=WINDOW_AIM, reason=_where(windows[HOLDFAST])))
    return found


def libvirt(windows, absent):
    peers, longest = (LIBVIRT, VIRTNBDBACKUP), _longest(windows, "mysql")
    untold = Absent(absent.reasons | {VIRTNBDBACKUP: "it does not tell its window"})
    total = series(windows, lambda one: one.total_ms)
    total.pop(VIRTNBDBACKUP, None)
    where = "in a machine of libvirt's"
    return [
        _figure(f"longest pause of a MySQL client over a backup's window, {where}", longest,
                HOLDFAST, FLOOR, peers, absent, aim=f"at most {PAUSE_AIM['mysql']} x floor",
                most=PAUSE_AIM["mysql"], reason=_where(windows[HOLDFAST])),
        _figure(f"p99.9 of a MySQL client's pauses over a full backup, {where}",
                _p999(windows, "mysql"), HOLDFAST, FLOOR, peers, absent,
                aim=f"at most {PAUSE_AIM['mysql']} x floor", most=PAUSE_AIM["mysql"],
                reason=_where(windows[HOLDFAST])),
        _figure(f"freeze call to thaw return, from the host, {where}", total, HOLDFAST, FLOOR, peers,
                untold, aim=f"at most {WINDOW_AIM} x floor", most=WINDOW_AIM,
                reason=_where(windows[HOLDFAST]))]


def dirty(windows, mebibytes, absent):
    return [_figure(f"longest pause of a {database} client, {mebibytes} MiB of dirty page cache",
                    _longest(windows, mode), HOLDFAST, CLEAN, (FLOOR, *PEERS[mode]), absent,
                    aim=f"at most {DIRTY_AIM} x clean", most=DIRTY_AIM,
                    reason=_where(windows[HOLDFAST], mode))
            for mode, database in DATABASES.items()]


def instances(windows, count, absent):
    return [_figure(f"longest pause of a {database} client, {count} held",
                    _longest(windows, mode), MORE, ONE, (), absent,
                    aim=f"at most {INSTANCES_AIM} x one of each", most=INSTANCES_AIM,
                    reason=_where(windows[MORE], mode))
            for mode, database in DATABASES.items()]


def behind(pauses_ms, normal_ms, seconds, absent):
    """`pauses_ms`: {statement: {contender: [ms]}}; `normal_ms` those of windows without one."""
    return [_figure("longest pause of a MySQL client while a statement runs that the backup began behind "
                    f"({name}, {seconds} s)",
                    {NORMAL: Series(normal_ms),
                     **{who: Series(values) for who, values in by_name.items()}},
                    HOLDFAST, NORMAL, (SAMPLE,), absent,
                    aim="no pause above the normal one before the lock is free to take "
                    f"(at most {BEHIND_AIM} x: what windows differ by)", most=BEHIND_AIM)
            for name, by_name in pauses_ms.items()]
