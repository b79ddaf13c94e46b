# SPDX-License-Identifier: MIT
"""The bounded campaign of tests/run, and the proof that it could fail: things that are broken on
purpose have to be counted as violations, or its `0 violations` says nothing."""

import os
import random
import subprocess
import sys
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TESTS)

from faults import campaign
from faults.guest import faults, kinds, steps
from faults.guest.matrix import GUEST, LAYOUTS, World
from faults.guest.case import Case
from lab import loopfs, testing
from lab.fake_database import Lie

# HOLDFAST_FAULTS_CASES=all runs everything; tests/run --long faults sets it.
CASES = os.environ.get("HOLDFAST_FAULTS_CASES", "70")
# The same cases each time, so that a pipeline's failure is a change's; HOLDFAST_FAULTS_SEED=random
# takes others, and tests/faults/run without --seed does.
SEED = os.environ.get("HOLDFAST_FAULTS_SEED", "5")


class Sabotage(faults.Fault):
    """Nothing that holdfastd could know of, and so a verdict 0; only the oracle can tell."""

    name = "sabotage"

    def expected(self, kind, step):
        return faults.WHOLE


class LieToTheEnd(Sabotage):
    """The target's server says "locked" at the hold, locks nothing, and swears to it at the check."""

    def inject(self, rig, step):
        rig.kind.database.script["fake:target hold"] = Lie("ok 100")


class ForgedVerdict(Sabotage):
    """Somebody has put another hook in the place of ours: one that always says 0."""

    def inject(self, rig, step):
        with open(rig.hook.script, encoding="utf-8") as file:
            script = file.read()
        with open(rig.hook.script, "w", encoding="utf-8") as file:
            file.write(script.replace("code=$?", "code=0"))
        rig.kind.kill_session(None)

    def after_call(self, rig):
        rig.hook.write_script()


class LeftFrozen(Sabotage):
    """Frozen once more, behind everybody's back, after the thaw."""

    def inject(self, rig, step):
        """After the call."""

    def after_call(self, rig):
        rig.freeze_state()


class LeftLocked(Sabotage):
    """A lock that nobody releases."""

    lock_bound = 0.2

    def inject(self, rig, step):
        self.session = object()
        rig.kind.database._locked["fake:ghost"] = self.session

    def undo(self, rig):
        rig.kind.database._locked.pop("fake:ghost", None)


class Sensitivity(unittest.TestCase):
    def setUp(self):
        self.world = World("fake")
        self.addCleanup(self.world.close)
        self.rig = self.world.ready(Case("fake", "idle", None, "grouped"))

    def violations(self, fault, step):
        return Case("fake", step, fault, "grouped").run(self.rig)

    def test_a_window_without_a_fault_is_no_violation(self):
        self.assertEqual(self.violations(faults.ClockForward(), "idle"), [])

    def test_a_lie_that_nobody_can_see_through_is_a_violation(self):
        self.assertEqual(self.violations(LieToTheEnd(), "idle")[0],
                         "verdict 0 for a window that was not held: the server has no such lock")

    def test_a_forged_verdict_is_a_violation(self):
        problems = self.violations(ForgedVerdict(), "frozen")
        self.assertEqual(problems[0],
                         "verdict 0 for a window that was not held: the server has no such lock")

    def test_a_filesystem_that_is_left_frozen_is_a_violation(self):
        self.assertIn("was still frozen", self.violations(LeftFrozen(), "verify")[0])

    def test_a_lock_that_is_left_is_a_violation(self):
        fault = LeftLocked()
        self.addCleanup(fault.undo, self.rig)
        self.assertIn("a lock was left", self.violations(fault, "frozen")[0])

    def test_an_undocumented_status_is_a_violation(self):
        class Impossible(faults.SessionKilled):
            def expected(self, kind, step):
                return faults.WHOLE
        self.assertIn("thaw: status 30", self.violations(Impossible(), "frozen")[0])


class Selection(unittest.TestCase):
    def test_has_every_fault_step_and_kind_in_it_whatever_the_seed(self):
        cases, _ = GUEST.matrix()
        for seed in range(20):
            chosen = campaign.choose(cases, 60, random.Random(seed))
            self.assertEqual({case.fault.name for case in chosen}, set(faults.ALL))
            self.assertEqual({case.step for case in chosen}, set(steps.ALL))
            self.assertEqual({case.kind for case in chosen}, set(kinds.ALL))
            self.assertEqual(len(set(map(str, chosen))), len(chosen))

    def test_and_what_is_left_out_are_the_whole_matrix(self):
        cases, excluded = GUEST.matrix()
        self.assertEqual(len(cases) + sum(excluded.values()),
                         len(kinds.ALL) * len(LAYOUTS) * len(steps.ALL) * len(faults.ALL))


class Campaign(unittest.TestCase):
    def test_finds_no_violation(self):
        # A program of its own: workers of this one would share its loop devices.
        words = [os.path.join(TESTS, "faults", "run"), "guest", "--jobs", "3"]
        words += ["--seed", SEED] if SEED != "random" else []
        words += ["--all", "--verbose"] if CASES == "all" else ["--cases", CASES]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        print(done.stdout, done.stderr, sep="", end="", flush=True)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"seed \d+: \d+ cases, 0 violations")


if __name__ == "__main__":
    reason = GUEST.missing()
    if reason:
        testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
