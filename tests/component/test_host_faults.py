# SPDX-License-Identifier: MIT
"""The driver dies, or its QEMU does: never a frozen guest, never a worse disk."""

import json
import os
import random
import signal
import time

from host_case import KIB, MIB, VM, HostCase, Killer
from lab import testing
from support.qemu_machine import same_content
from support.waiting import until

THAWED_WITHIN = 2.0


class HostKilled(HostCase):
    """kill -9 at each step: the guardian thaws within two seconds, the next run clears up."""

    STEPS = [("before", "blockdev-add"), ("after", "blockdev-add"),
             ("before", "block-dirty-bitmap-add"), ("after", "block-dirty-bitmap-add"),
             ("before", "add-fd"), ("after", "add-fd"),
             ("agent", "guest-fsfreeze-freeze"), ("frozen", None),
             ("before", "transaction"), ("after", "transaction"),
             ("agent", "guest-fsfreeze-status"), ("agent", "guest-fsfreeze-thaw"),
             ("before", "blockdev-backup"), ("after", "blockdev-backup"),
             ("convert", None), ("check", None),
             ("before", "block-commit"), ("after", "block-commit"),
             ("before", "job-complete"), ("after", "job-complete"),
             ("before", "job-dismiss"), ("after", "job-dismiss"),
             # The first two are of the copies.
             ("before", "job-dismiss", 3), ("after", "job-dismiss", 3),
             ("before", "blockdev-del"), ("after", "blockdev-del"),
             ("before", "blockdev-del", 3), ("after", "blockdev-del", 3),
             ("before", "remove-fd"), ("after", "remove-fd"),
             ("before", "block-dirty-bitmap-remove"), ("after", "block-dirty-bitmap-remove"),
             ("after", "block-dirty-bitmap-remove", 2)]

    def arm(self, where, command, killer):
        """Puts the killer at the step; settings for the run."""
        if where == "before":
            self.proxy.before[command] = killer
        elif where == "after":
            self.proxy.after[command] = killer
        elif where == "frozen":
            self.agent.on_freeze = killer
        elif where == "agent":
            def behave(agent, request):
                # The status is asked for before the freeze too; the one inside the window is meant.
                if command != "guest-fsfreeze-status" or agent.frozen:
                    killer()
                return agent.respond(request)
            self.agent.behaviours[command] = behave
        else:
            return {"qemu_img": self.qemu_img((where, "kill -9 $PPID; exit 1"))}
        return {}

    def check_step(self, number, where, command, count=1):
        # Something else is written each time, so that an increment that misses it is noticed.
        pattern = 1 + 3 * number
        self.machine.write("data", pattern, MIB + number * 300 * KIB, 100 * KIB)
        self.machine.write("sys", pattern, 512 * number, 512)
        killer = Killer(skip=count - 1)
        settings = self.arm(where, command, killer)
        words = ["--full"] if where == "convert" else []
        process = self.start_host("backup", VM, *words, full_every="100", **settings)
        killer.aim(process)
        process.wait(60)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        died = time.monotonic()
        self.assertTrue(self.agent.wait_until(
            lambda: not self.agent.frozen, THAWED_WITHIN), "still frozen")
        # A freeze that was on its way may come true after the death; it must not stay.
        if where == "agent" and command == "guest-fsfreeze-freeze":
            self.assertTrue(self.agent.wait_until(lambda: self.agent.thawed_at, THAWED_WITHIN))
            self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, THAWED_WITHIN))
        if self.agent.froze_at and self.agent.froze_at > died:
            self.assertLess(self.agent.thawed_at - self.agent.froze_at, THAWED_WITHIN)
        self.proxy.before.clear()
        self.proxy.after.clear()
        self.agent.behaviours.clear()
        self.agent.on_freeze = None
        # Where an overlay is still on top, these go into it.
        self.machine.write("data", pattern + 1, MIB + number * 300 * KIB, 20 * KIB)
        self.machine.write("sys", pattern + 1, 20 * MIB + number * 70 * KIB, 70 * KIB)
        manifest = self.back_up(full_every="100")
        # The account of what has changed has survived.
        self.assertEqual([disk["full_because"] for disk in manifest["disks"]], [None, None])
        self.assert_nothing_left()
        for disk, image in self.machine.images.items():
            backup = f"{self.repository}/{VM}/{manifest['id']}/{disk}.qcow2"
            self.assertTrue(same_content((backup, "qcow2"), image), disk)

    def test_killed_at_each_step(self):
        self.through_proxy()
        self.back_up()
        for number, step in enumerate(self.STEPS):
            with self.subTest(step=step):
                self.check_step(number, *step)

    def test_a_stopped_driver_is_killed_and_the_guest_thawed(self):
        killer = Killer(signal.SIGSTOP)
        self.agent.on_freeze = killer
        process = self.start_host("backup", VM, freeze_timeout="1s", snapshot_timeout="1s",
                                  agent_timeout="1s", thaw_timeout="1s")
        killer.aim(process)
        self.assertTrue(self.agent.wait_until(lambda: self.agent.froze_at, 20))
        self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 10))
        self.assertLess(self.agent.thawed_at - self.agent.froze_at, 6 + THAWED_WITHIN)
        self.assertEqual(process.wait(20), -signal.SIGKILL)
        self.agent.on_freeze = None
        self.back_up()
        self.assert_nothing_left()

    def test_recover_does_what_the_next_run_would(self):
        self.through_proxy()
        killer = Killer()
        self.proxy.before["job-complete"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        process.wait(60)
        self.proxy.before.clear()
        done = self.run_host("status", VM)
        self.assertIn("holdfast recover", done.stdout)
        done = self.run_host("recover", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("finished the interrupted run", done.stdout)
        self.assertIn("removed the unfinished", done.stdout)
        self.assert_nothing_left()
        self.assertIn("nothing to recover", self.run_host("recover", VM).stdout)

    def test_overlays_are_taken_away_even_without_their_journal(self):
        self.through_proxy()
        killer = Killer()
        self.proxy.before["block-commit"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        process.wait(60)
        self.proxy.before.clear()
        os.unlink(os.path.join(self.state, VM + ".json"))
        self.machine.write("data", 9, 0, MIB)
        self.back_up()
        self.assert_nothing_left()

    def lose_overlays(self, before_the_stop=lambda: None):
        """A run killed with its overlays on top, and a machine restarted without them."""
        self.through_proxy()
        killer = Killer()
        self.proxy.before["block-commit"] = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        process.wait(60)
        self.proxy.before.clear()
        before_the_stop()
        self.machine.stop()
        overlays = self.overlays()
        self.assertEqual(len(overlays), 2)
        self.machine.start()
        return overlays

    def overlays(self):
        return sorted(name for name in os.listdir(self.machine.directory) if ".holdfast-" in name)

    def test_an_overlay_with_writes_of_a_machine_that_was_restarted_is_kept(self):
        overlays = self.lose_overlays(lambda: self.machine.write("data", 5, 0, MIB))
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("is not attached any more", line)
        self.assertIn("qemu-img commit", line)
        # The one without writes is gone; the other one is what the administrator has to decide on.
        self.assertEqual(self.overlays(), [name for name in overlays if ".data." in name])
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)

    def test_overlays_without_writes_of_a_machine_that_was_restarted_are_removed(self):
        self.lose_overlays()
        self.back_up()
        self.assert_nothing_left()

    def test_a_qemu_that_dies_in_the_window_leaves_a_thawed_agent_and_no_lie(self):
        self.through_proxy()

        def die():
            self.machine.process.kill()
            self.machine.process.wait(20)
        self.proxy.before["transaction"] = die
        self.failing(self.run_host("backup", VM))
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.published(), [])
        self.proxy.before.clear()
        self.machine.stop()
        self.machine.start()
        self.back_up()
        self.assert_nothing_left()


class HostKilledAtRandom(HostCase):
    """kill -9 at any instant, of runs that clear up after killed ones as well, while the guest
    writes: each backup that succeeds is what the disks hold."""

    ROUNDS = 5
    KILLS = 3  # in a row

    def write(self, dice):
        """Begins one; most others go on meanwhile."""
        disk = dice.choice(("data", "sys"))
        length = dice.choice((512, 64 * KIB, 300 * KIB))
        self.machine.begin_write(disk, dice.randrange(1, 256),
                                 dice.randrange((self.machine.size - length) // 512) * 512, length)
        if dice.random() < 0.2:
            self.machine.flush()

    def back_up_after_the_guardian(self):
        """The one of the last run that was killed has the machine's lock until it ends."""
        done = until(lambda: next((run for run in [self.run_host("backup", VM, "--json")]
                                   if run.returncode != 4), None), "the guardian's end")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_next_increment_equals_the_disks(self):
        seed = int(os.environ.get("HOLDFAST_SEED", "0")) or int(time.time())
        dice = random.Random(seed)
        with self.subTest(seed=seed):
            begin = time.monotonic()
            self.back_up()
            usual = time.monotonic() - begin
            for _ in range(self.ROUNDS):
                for _ in range(self.KILLS):
                    process = self.start_host("backup", VM)
                    limit = time.monotonic() + dice.uniform(0, 1.2 * usual)
                    while time.monotonic() < limit:
                        self.write(dice)
                    process.kill()
                    process.wait(30)
                    self.assertTrue(self.agent.wait_until(
                        lambda: not self.agent.frozen, THAWED_WITHIN), "still frozen")
                    self.write(dice)
                self.machine.flush()
                manifest = self.back_up_after_the_guardian()
                self.assert_nothing_left()
                self.assertEqual(manifest["kind"], "increment")
                for disk, image in self.machine.images.items():
                    backup = f"{self.repository}/{VM}/{manifest['id']}/{disk}.qcow2"
                    self.assertTrue(same_content((backup, "qcow2"), image), disk)


class HostSignals(HostCase):
    def interrupted(self, process):
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()

    def test_sigterm_during_the_copy_ends_cleanly(self):
        gate = self.gate("copying")
        process = self.start_host("backup", VM, qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(process)
        process.send_signal(signal.SIGTERM)
        self.interrupted(process)

    def test_sigint_inside_the_window_thaws_first(self):
        killer = Killer(signal.SIGINT)
        self.agent.on_freeze = killer
        process = self.start_host("backup", VM)
        killer.aim(process)
        self.interrupted(process)

    def test_sigterm_while_the_agent_is_silent_thaws_as_well(self):
        killer = Killer(signal.SIGTERM)

        def freeze(agent, request):
            agent.respond(request)
            killer()
            return None
        self.agent.behaviours["guest-fsfreeze-freeze"] = freeze
        process = self.start_host("backup", VM)
        killer.aim(process)
        self.interrupted(process)


if __name__ == "__main__":
    testing.main()
