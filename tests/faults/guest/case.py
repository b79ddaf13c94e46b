# SPDX-License-Identifier: MIT
"""One case: a window with one fault at one step, and the judgement of it.

What is demanded of every case, whatever the fault:

  - a thaw that answered 0 after a freeze that answered 0 means that it was held in between: the
    oracle (kinds.py) saw nothing get through
  - afterwards no lock is left, and no filesystem is frozen
  - the hook's exit statuses are those that design 3.3 has for that
  - the calls end within their bounds
  - the service, started again if it ended, takes the next window through as if nothing had been
"""

import os
import subprocess
import time

from faults.guest import faults, steps
from faults.guest.rig import FREEZE_TIMEOUT, MAX_HOLD, THAW_TIMEOUT
from lab import qga

# For a busy machine; what is late by more is late.
SLACK = 6


class Violation(Exception):
    pass


class Case:
    def __init__(self, kind, step, fault, layout):
        self.kind, self.step, self.fault, self.layout = kind, step, fault, layout
        self.got = None

    @property
    def marks(self):
        return self.kind, self.step, self.fault.name

    def __str__(self):
        return f"{self.kind}/{self.step}/{self.fault.name}/{self.layout}"

    def run(self, rig):
        """A list of what was violated, empty if nothing was."""
        self.problems = []
        self.got = None
        rig.fillers, rig.direct, rig.threads = [], [], []
        rig.reset_case()
        try:
            self._sequence(rig)
            self._judge_statuses(rig)
            self._judge_traces(rig)
            self._judge_usable(rig)
        except (Violation, TimeoutError, RuntimeError, OSError, subprocess.SubprocessError,
                qga.AgentError, qga.AgentTimeout) as error:
            self._violated(f"{type(error).__name__}: {error}")
        return self.problems

    def _violated(self, text):
        self.problems.append(" ".join(str(text).split()))

    # -- the sequence

    def _sequence(self, rig):
        step = self.step
        if step in steps.FREEZE:
            self._with_fault(rig, "freeze", rig.begin_freeze)
        else:
            rig.begin_freeze()
            self._await(rig, "freeze", FREEZE_TIMEOUT)
            if rig.status.get("freeze") != 0:
                raise Violation(f"the freeze failed before the fault: {rig.outcome.get('freeze')}")
        if step == "frozen":
            self.fault.inject(rig, step)
        if step in steps.THAW:
            self._with_fault(rig, "thaw", rig.begin_thaw)
        else:
            rig.begin_thaw()
            self._await(rig, "thaw", THAW_TIMEOUT)
            if step == "frozen":
                self.fault.after_call(rig)
        if self.fault.name == "shim-killed" and step in faults.AFTER:
            # The host heard an error, and tries again.
            rig.direct.append(("thaw", rig.call_hook("thaw")))
        for thread in rig.threads:
            thread.join(20)

    def _with_fault(self, rig, verb, begin):
        step, fault = self.step, self.fault
        if step == "idle":
            fault.inject(rig, step)
            begin()
        else:
            steps.prepare_gate(rig, step)
            begin()
            if not steps.arrive(rig, step):
                raise Violation(f"the {verb} ended before the fault: {rig.outcome.get(verb)}")
            fault.inject(rig, step)
            steps.leave(rig, step)
        self._await(rig, verb, FREEZE_TIMEOUT if verb == "freeze" else THAW_TIMEOUT)
        fault.after_call(rig)

    def _await(self, rig, verb, bound):
        extra = MAX_HOLD + 2 if self.fault.stops_the_service else 0
        rig.board.wait(f"{verb} done", seconds=bound + SLACK + extra)
        if self.fault.name == "agent-restarted" and verb not in rig.status:
            # Nobody waits for this hook any more but us.
            if rig.board.has(f"hook begin {verb}"):
                rig.board.wait(f"hook end {verb}", seconds=bound + SLACK)

    # -- the judgement

    def _judge_statuses(self, rig):
        freeze, thaw = self.fault.expected(rig.kind, self.step)
        if rig.outlasted_max_hold():
            thaw = thaw | {31}
        got = self.got = rig.status.get("freeze"), rig.status.get("thaw")
        if got[0] not in freeze:
            self._violated(f"freeze: status {got[0]}, not one of {freeze}: {rig.outcome.get('freeze')}")
        if got[1] not in thaw:
            self._violated(f"thaw: status {got[1]}, not one of {thaw}: {rig.outcome.get('thaw')}")
        if hasattr(self.fault, "expected_direct"):
            for verb, status in rig.direct:
                expected = self.fault.expected_direct(rig.kind, self.step)
                if status not in expected:
                    self._violated(f"the direct {verb}: status {status}, not one of {expected}")
        if got == (0, 0) and rig.intrusion is not None:
            self._violated(f"verdict 0 for a window that was not held: {rig.intrusion}")

    def _judge_traces(self, rig):
        for filesystem in (rig.filesystem, rig.state):
            if filesystem.thaw():
                self._violated(f"'{filesystem.mount_point}' was still frozen")
        rig.end_lease()
        if rig.window_open:
            rig.window_open = False
            rig.kind.window_over()
        begin = time.monotonic()
        if not rig.kind.bounds_itself:
            rig.target_proxy.heal()
        try:
            if self.fault.name in ("server-killed", "server-stopped"):
                rig.kind.cont()
                rig.kind.ensure_running()
            rig.kind.prove_unlocked(self._lock_bound(rig))
            rig.neighbours.wait_unlocked(5)
        except Exception as error:  # whatever a client of whatever engine has to say
            self._violated(f"a lock was left after {time.monotonic() - begin:.1f} s: {error}; "
                           f"{rig.target_view()}")

    def _lock_bound(self, rig):
        bound = self.fault.lock_bound
        if self._owes_dead_man(rig):
            bound += MAX_HOLD
        if self.fault.leaves_no_service:
            bound = max(bound, rig.kind.outlives_service + SLACK)
        return bound

    def _owes_dead_man(self, rig):
        """Nobody told the service that the window is over."""
        return rig.status.get("thaw") == faults.KILLED

    def _judge_usable(self, rig):
        rig.target_proxy.heal()
        rig.jump_clock(0)
        for path in rig.fillers:
            os.unlink(path)
        rig.neighbours.script.clear()
        rig.kind.ensure_running()
        rig.ensure_daemon()
        rig.call_hook("thaw")
        rig.make_ready()
        rig.reset_case()
        rig.begin_freeze()
        rig.board.wait("freeze done", seconds=FREEZE_TIMEOUT + SLACK)
        rig.begin_thaw()
        rig.board.wait("thaw done", seconds=THAW_TIMEOUT + SLACK)
        rig.end_lease()
        got = rig.outcome.get("freeze"), rig.outcome.get("thaw")
        if got != (2, 2):
            self._violated(f"the next window: freeze {got[0]}, thaw {got[1]}")
        elif rig.intrusion:
            self._violated(f"the next window was not held: {rig.intrusion}")
