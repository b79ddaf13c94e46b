# SPDX-License-Identifier: MIT
"""The bounded campaign of tests/run, and the proof that it could fail: a driver without its guardian,
a guest that is not frozen, and the like have to be counted as violations."""

import os
import random
import subprocess
import sys
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TESTS)

from faults import campaign
from faults.host import faults, modes, steps
from faults.host.case import Case
from faults.host.matrix import HOST
from faults.host.rig import Rig
from lab import loopfs, testing
from lab.agent_rig import await_true

# HOLDFAST_FAULTS_CASES=all runs everything; tests/run --long faults sets it.
CASES = os.environ.get("HOLDFAST_FAULTS_CASES", "60")
# The same cases each time, so that a pipeline's failure is a change's; HOLDFAST_FAULTS_SEED=random
# takes others, and tests/faults/run without --seed does.
SEED = os.environ.get("HOLDFAST_FAULTS_SEED", "5")


class Nothing(faults.Fault):
    """Does nothing, and so expects a good backup."""

    name = "nothing"
    statuses = faults.everywhere(0)

    def inject(self, case, rig):
        """Nothing."""


class NoGuardian(faults.DriverKilled):
    """A driver whose guardian does not do its duty."""

    def inject(self, case, rig):
        for guardian in rig.guardians():
            os.kill(guardian, 9)
        super().inject(case, rig)


class NotFrozen(Nothing):
    """A guest that swears to be frozen, and writes."""

    def inject(self, case, rig):
        rig.writer.go("frozen")
        await_true(lambda: rig.writer.done > rig.guest.windows[-1].write + 1, "the guest writes")


class Rotten(Nothing):
    """Somebody has changed the published backup."""

    def after(self, case, rig):
        path = f"{rig.repository}/web1/{rig.published()[-1]}/data.qcow2"
        with open(path, "r+b") as image:
            image.seek(-512, os.SEEK_END)
            image.write(b"rotten")


class Forgetful(Nothing):
    """A dirty bitmap that has lost what was written."""

    def after(self, case, rig):
        rig.writer.hold("sabotage")
        rig.machine.write("data", 7, 4 << 20, 64 << 10)
        name, = (name for name in rig.machine.bitmaps() if name.endswith("-data"))
        node = next(device["inserted"]["node-name"] for device in
                    rig.machine.monitor.execute("query-block") if device["device"] == "data")
        rig.machine.monitor.execute("block-dirty-bitmap-clear", node=node, name=name)


class Untidy(Nothing):
    def after(self, case, rig):
        with open(rig.path("overlays/data.holdfast-0"), "wb"):
            """An overlay that nobody takes away."""


class Sensitivity(unittest.TestCase):
    def violations(self, fault, step, mode="overlay-increment"):
        rig = Rig(modes.ALL[mode])
        self.addCleanup(rig.close)
        rig.make_ready()
        return Case(modes.ALL[mode], steps.ALL[step], fault).run(rig)

    def test_a_run_without_a_fault_is_no_violation(self):
        for mode in modes.ALL:
            self.assertEqual(self.violations(Nothing(), "frozen", mode), [])

    def test_a_guest_that_is_left_frozen_is_a_violation(self):
        self.assertIn("the guest was still frozen 15 s later",
                      self.violations(NoGuardian(), "taken"))

    def test_a_level_that_is_not_true_is_a_violation(self):
        self.assertIn("level 'application' for an instant at which the guest was not frozen",
                      self.violations(NotFrozen(), "frozen")[0])

    def test_a_backup_that_is_not_what_it_was_is_a_violation(self):
        self.assertIn("does not verify", self.violations(Rotten(), "frozen", "backup-full")[0])

    def test_an_increment_that_lacks_something_is_a_violation(self):
        problems = self.violations(Forgetful(), "frozen", "backup-increment")
        self.assertIn("is not what disk 'data' holds", problems[-1])

    def test_something_that_is_left_is_a_violation(self):
        self.assertEqual(self.violations(Untidy(), "frozen")[0],
                         "the run itself left: overlay data.holdfast-0")

    def test_an_undocumented_status_is_a_violation(self):
        class Impossible(faults.FreezeRefused):
            statuses = faults.everywhere(0)
        self.assertIn("status 1, not one of {0}", self.violations(Impossible(), "freeze")[0])

    def test_a_step_that_never_comes_is_a_violation(self):
        self.assertIn("the run ended before the step",
                      self.violations(Nothing(), "convert", "backup-full")[0])


class Selection(unittest.TestCase):
    def test_has_every_fault_step_and_mode_in_it_whatever_the_seed(self):
        cases, _ = HOST.matrix()
        for seed in range(20):
            chosen = campaign.choose(cases, 40, random.Random(seed))
            self.assertEqual({case.fault.name for case in chosen}, set(faults.ALL))
            self.assertEqual({case.step.name for case in chosen} - set(steps.RANDOM),
                             set(steps.ALL) - set(steps.RANDOM))
            self.assertEqual({case.mode.name for case in chosen}, set(modes.ALL))
            self.assertEqual(len(set(map(str, chosen))), len(chosen))

    def test_and_what_is_left_out_are_the_whole_matrix(self):
        cases, excluded = HOST.matrix()
        self.assertEqual(len(cases) + sum(excluded.values()),
                         len(modes.ALL) * len(steps.ALL) * len(faults.ALL))


class Campaign(unittest.TestCase):
    def test_finds_no_violation(self):
        words = [os.path.join(TESTS, "faults", "run"), "host", "--jobs", "2"]
        words += ["--seed", SEED] if SEED != "random" else []
        words += ["--all", "--verbose"] if CASES == "all" else ["--cases", CASES]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        print(done.stdout, done.stderr, sep="", end="", flush=True)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"seed \d+: \d+ cases, 0 violations")


if __name__ == "__main__":
    reason = HOST.missing()
    if reason:
        testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
