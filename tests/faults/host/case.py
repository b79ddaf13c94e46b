# SPDX-License-Identifier: MIT
"""One case: a run with one fault at one step, while the guest writes, and the judgement of it.

What is demanded of every case, whatever the fault:

  - the guest is thawed within two seconds of the driver's death, and the machine runs
  - the exit status is one of the fault's, says the truth about what is published, and comes with a
    clear line if it is not 0
  - what is published verifies, is one instant, and that of its level
  - the next run, or `holdfast recover`, leaves nothing of it: no overlay, job, node, bitmap,
    descriptor set, file or process; and a run that ends by itself leaves nothing in the first place
  - the guest has lost no write, and the next increment, restored, equals the disks
"""

import random
import subprocess
import threading
import time

from faults.host import judge, steps
from faults.host.rig import PATIENCE, TIMES
from lab.agent_rig import await_true

# What is promised; and what a process of ours may be kept waiting on a machine with more to do than
# processors: the span is measured by a thread of the campaign's, which has to be scheduled too.
THAWED_WITHIN = 2.0
SLACK = 1.5
STILL_FROZEN = 15
RANDOM_WITHIN = 0.4
UNABLE = (TimeoutError, RuntimeError, OSError, subprocess.SubprocessError, ValueError)


class Case:
    def __init__(self, mode, step, fault):
        self.mode, self.step, self.fault = mode, step, fault
        self.got = None
        self.measured = {}

    def __str__(self):
        return f"{self.mode.name}/{self.step}/{self.fault.name}"

    @property
    def marks(self):
        # A random instant is as good as another.
        phase = "random" if self.step.name in steps.RANDOM else f"step {self.step}"
        return self.mode.name, phase, self.fault.name

    def violated(self, text):
        self.problems.append(" ".join(str(text).split()))

    @property
    def driver(self):
        """Known a moment after it has been started."""
        self._started.wait(PATIENCE)
        return self._driver

    def run(self, rig):
        """A list of what was violated, empty if nothing was."""
        self.problems, self.measured = [], {}
        self.released_at = None
        self.dice = random.Random(f"{rig.seed} {self}")
        self._started = threading.Event()
        try:
            self._before = rig.published()
            self._made = rig.writer.done
            status = self._sequence(rig)
            self._judge_thaw(rig)
            self._judge_status(rig, status)
            self._judge_published(rig)
            if not self.problems and self.fault.clears_up_itself:
                self._judge_leftovers(rig, "the run itself")
            self._judge_next(rig)
        except UNABLE as error:
            self.violated(f"{type(error).__name__}: {error}")
        return self.problems

    # -- the sequence

    def _sequence(self, rig):
        event, count = self.step.event, self.step.count(self.mode)
        if event is not None:
            rig.stage.stop_at(event, count, lambda: self.fault.inject(self, rig))
        self._driver = rig.driver("backup", *self.mode.arguments, staged=True,
                                  **{**TIMES, **self.fault.settings})
        self._started.set()
        if event is None:
            time.sleep(self.dice.uniform(0, RANDOM_WITHIN))  # the instant that is no step
            self.fault.inject(self, rig)
        status = self.got = self._driver.wait()
        self._ended = rig.writer.begun
        # A child that had not become another program yet has the run's lock as long as it lives.
        await_true(lambda: set(rig.processes().values()) <= {"holdfast-guard"},
                   "the run's programs end with it", 10)
        self._windows = list(rig.guest.windows)
        if event is not None and not rig.stage.reached.is_set():
            self.violated(f"the run ended before the step: status {status}: {self._driver.errors()}")
        elif event is not None and not rig.stage.injected.wait(30):
            self.violated("the fault took more than 30 s")
        if rig.stage.error is not None:
            self.violated(f"unable to inject: {rig.stage.error}")
        rig.guest.behaviours.clear()
        rig.guest.delay = 0
        self.fault.after(self, rig)
        rig.guest.holdfast = True
        return status

    # -- the judgement

    def _judge_thaw(self, rig):
        if self.fault.name == "both-killed":
            return
        guest = rig.guest
        if not guest.wait_until(lambda: not guest.frozen, STILL_FROZEN):
            self.violated(f"the guest was still frozen {STILL_FROZEN} s later")
            return
        # A freeze that was on its way may come true after the death; a paused machine's agent can
        # do nothing before it goes on.
        for what, since in (("the driver's death to the thaw", self._driver.killed_at),
                            ("a paused machine's going on to the thaw", self.released_at)):
            if since is None or not guest.windows or guest.windows[-1].thawed_at is None:
                continue
            window = guest.windows[-1]
            span = window.thawed_at - max(since, window.froze_at)
            if span < 0:
                continue
            self.measured[what] = span
            if span > THAWED_WITHIN + SLACK:
                self.violated(f"from {what}: {span:.1f} s")

    def _judge_status(self, rig, status):
        errors = self._driver.errors()
        lines = errors.splitlines()
        if status not in self.fault.expected(self.mode, self.step):
            self.violated(f"status {status}, not one of "
                          f"{self.fault.expected(self.mode, self.step)}: {errors}")
        if not all(line.startswith("holdfast: ") for line in lines):
            self.violated(f"not a line of ours: {errors}")
        if status > 0 and not lines:
            self.violated(f"status {status} and not a word")
        says = self.fault.says
        if status > 0 and says and not any(words in errors for words in says):
            self.violated(f"says nothing of {says}: {errors}")
        if not rig.machine_runs():
            self.violated("the machine does not run")

    def _judge_published(self, rig):
        new = [backup for backup in rig.published() if backup not in self._before]
        errors, status = self._driver.errors(), self.got
        told = status in (0, 3) or "and published" in errors or "is published" in errors
        if status >= 0 and len(new) != int(told):
            self.violated(f"status {status}, and published: {new}: {errors}")
        for backup in new:
            for problem in judge.backup_problems(
                    rig, backup, self._windows, self.fault.best(self.mode, self.step),
                    (self._made, self._ended)):
                self.violated(problem)
            level = rig.manifest(backup)["level"]
            if (status, level) in ((0, "filesystem"), (3, "application")):
                self.violated(f"status {status} at level '{level}'")

    def _judge_leftovers(self, rig, who):
        try:
            # A guardian ends a moment after what it waits for.
            await_true(lambda: not rig.processes(), "no process is left", 10)
        except TimeoutError:
            pass  # it is among what is left
        for one in judge.leftovers(rig):
            self.violated(f"{who} left: {one}")

    def _judge_next(self, rig):
        verb = self.dice.choice(("recover", "backup"))
        if verb == "recover":
            self._recover(rig, "recover")
            rig.writer.go("recovery")
            self._judge_leftovers(rig, verb)
            rig.writer.hold("judgement")
            self._recover(rig, "backup")
        else:
            rig.writer.hold("judgement")
            rig.writer.go("recovery")
            self._recover(rig, "backup")
        self._judge_leftovers(rig, verb)
        last = rig.published()[-1]
        kind = rig.manifest(last)["kind"]
        if self.fault.account_survives and kind != "increment":
            self.violated(f"the next backup is '{kind}'")
        for problem in judge.disk_problems(rig) + judge.differences(rig, last):
            self.violated(problem)
        rig.writer.go("judgement")

    def _recover(self, rig, verb):
        status, _, errors = rig.run(verb)
        if status == 1 and "qemu-img commit" in errors and not self.fault.account_survives:
            rig.commit_by_hand()
            status, _, errors = rig.run(verb)
        if status != 0:
            raise RuntimeError(f"the next {verb}: status {status}: {errors}")
