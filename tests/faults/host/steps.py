# SPDX-License-Identifier: MIT
"""The steps of a run, each an event of its stage (stage.py) at which the run is stopped.

    phase     what the run is at                                       what there is of it
    prepare   locks, agent, disks, journal, overlays or targets        files, nodes, bitmaps
    window    freeze, transaction, status, thaw                        a frozen guest
    copy      record, copies, checks                                   jobs, overlays that grow
    settle    commits, and everything that was attached goes           jobs
    publish   manifest, rename                                         a draft
    after     bitmaps, retention                                       the backup

A step that a mode of run has not is left out: an increment has no convert, method `backup` has no
overlay to commit.
"""


class Step:
    def __init__(self, name, phase, event, count=1, modes="*"):
        self.name, self.phase, self.event = name, phase, event
        self._count, self._modes = count, modes

    def __str__(self):
        return self.name

    def count(self, mode):
        """At which of these events; None: this mode has none."""
        wanted = self._modes.removeprefix("not ")
        is_one = wanted in ("*", mode.method, mode.kind, mode.name)
        if is_one == self._modes.startswith("not "):
            return None
        return self._count.get(mode.name) if isinstance(self._count, dict) else self._count

    @property
    def side(self):
        """Who is waited for: `qmp`, `qga`, or neither."""
        return self.event.split()[0] if self.event else None


SETTLE_DEL = {"overlay-full": 1, "overlay-increment": 3}
RANDOM = tuple(f"random-{number}" for number in range(1, 9))

ALL = {step.name: step for step in (
    Step("begin", "prepare", "run --version"),
    Step("monitor", "prepare", "qmp qmp_capabilities"),
    Step("agent", "prepare", "qga guest-sync-delimited"),
    Step("agent-state", "prepare", "qga guest-fsfreeze-status"),
    Step("disks", "prepare", "qmp query-block"),
    Step("draft", "prepare", "mkdir draft"),
    Step("journal", "prepare", "rename journal"),
    Step("create", "prepare", "run create", 2),
    Step("add-fd", "prepare", "qmp add-fd", modes="not overlay-full"),
    Step("added-fd", "prepare", "qmp add-fd done", modes="not overlay-full"),
    Step("attach", "prepare", "qmp blockdev-add"),
    Step("attached", "prepare", "qmp blockdev-add done", 2),
    Step("bitmap", "prepare", "qmp block-dirty-bitmap-add"),
    Step("bitmap-added", "prepare", "qmp block-dirty-bitmap-add done", 2),
    Step("bitmap-enabled", "prepare", "qmp block-dirty-bitmap-enable done", modes="backup"),
    Step("armed", "prepare", "rename journal", 2, modes="overlay"),

    Step("freeze", "window", "qga guest-fsfreeze-freeze"),
    Step("frozen", "window", "qga guest-fsfreeze-freeze done"),
    Step("snapshot", "window", "qmp transaction"),
    Step("taken", "window", "qmp transaction done"),
    Step("status", "window", "qga guest-fsfreeze-status", 2),
    Step("thaw", "window", "qga guest-fsfreeze-thaw"),
    Step("thawed", "window", "qga guest-fsfreeze-thaw done"),

    Step("record", "copy", "qga guest-file-open", 2),
    Step("convert", "copy", "run convert", modes="overlay-full"),
    Step("copy", "copy", "qmp blockdev-backup", modes="overlay-increment"),
    Step("copying", "copy", "qmp query-jobs", 3, modes="not overlay-full"),
    Step("copied", "copy", "qmp job-dismiss", modes="not overlay-full"),
    Step("dismissed", "copy", "qmp job-dismiss done", modes="not overlay-full"),
    Step("close", "copy", "qmp blockdev-del", modes="not overlay-full"),
    Step("closed", "copy", "qmp blockdev-del done", modes="not overlay-full"),
    Step("remove-fd", "copy", "qmp remove-fd", modes="not overlay-full"),
    Step("removed-fd", "copy", "qmp remove-fd done", modes="not overlay-full"),
    Step("check", "copy", "run check"),
    Step("check-last", "copy", "run check", 2),

    Step("commit", "settle", "qmp block-commit", modes="overlay"),
    Step("committing", "settle", "qmp block-commit done", 2, modes="overlay"),
    Step("complete", "settle", "qmp job-complete", modes="overlay"),
    Step("completed", "settle", "qmp job-complete done", modes="overlay"),
    Step("committed", "settle", "rename journal", 3, modes="overlay"),
    Step("dismiss-commit", "settle", "qmp job-dismiss", SETTLE_DEL, modes="overlay"),
    Step("detach", "settle", "qmp blockdev-del", SETTLE_DEL, modes="overlay"),
    Step("detached", "settle", "qmp blockdev-del done", SETTLE_DEL, modes="overlay"),
    Step("remove-overlay", "settle", "unlink overlay", 2, modes="overlay"),
    Step("forget", "settle", "unlink journal"),

    Step("manifest", "publish", "rename manifest"),
    Step("publish", "publish", "rename draft"),

    Step("old-bitmap", "after", "qmp block-dirty-bitmap-remove"),
    Step("old-bitmap-gone", "after", "qmp block-dirty-bitmap-remove done"),
    Step("retention", "after", "rename backup", modes="full"),
    Step("removing", "after", "unlink file", 2, modes="full"),

    *(Step(name, "random", None) for name in RANDOM),
)}

# In a window the guardian has the thaw duty.
GUARDED = ("freeze", "frozen", "snapshot", "taken", "status", "thaw", "thawed")
