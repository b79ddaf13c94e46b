# SPDX-License-Identifier: MIT
"""The keep- rules put to work by the run that publishes: what goes after it, and what is said when
that fails."""

import json
import os

from host_case import VM, HostCase
from lab import testing


class Retention(HostCase):
    # Each backup stands for itself: what the rules do with chains is test_host_prune.py's.
    INCREMENTAL = "no"

    def test_what_an_increment_stands_on_stays(self):
        full = self.back_up(incremental="yes")["id"]
        self.machine.write("data", 1, 0, 65536)
        last = self.back_up(incremental="yes", keep_last="1")
        self.assertEqual((last["removed"], self.published()), ([], sorted([full, last["id"]])))
        self.assertEqual(self.run_host("verify", VM).returncode, 0)

    def spoil(self, backup):
        with open(os.path.join(self.repository, VM, backup, "manifest.json"), "w",
                  encoding="utf-8") as file:
            file.write("{")

    def test_without_a_rule_everything_stays(self):
        ids = [self.back_up()["id"] for _ in range(3)]
        self.assertEqual(self.published(), sorted(ids))

    def test_what_no_rule_keeps_goes_after_the_new_one_is_published(self):
        first, second = self.back_up(keep_last="2"), self.back_up(keep_last="2")
        self.assertEqual((first["removed"], second["removed"]), ([], []))
        done = self.run_host("backup", VM, keep_last="2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, rf"^{VM}: .*, 1 older removed\n$")
        self.assertEqual(len(self.published()), 2)
        self.assertNotIn(first["id"], self.published())
        last = self.back_up(keep_last="1")
        self.assertEqual(len(last["removed"]), 2)
        self.assertIn(second["id"], last["removed"])
        self.assertEqual(self.published(), [last["id"]])
        # What was removed is the run's affair, not the backup's.
        with open(os.path.join(last["directory"], "manifest.json"), encoding="utf-8") as file:
            self.assertNotIn("removed", json.load(file))
        self.assert_nothing_left()

    def test_a_run_that_fails_removes_nothing(self):
        ids = [self.back_up()["id"] for _ in range(2)]
        self.agent.behaviours["guest-fsfreeze-freeze"] = (
            lambda agent, _: agent.error("no"))
        self.failing(self.run_host("backup", VM, keep_last="1"))
        self.assertEqual(self.published(), sorted(ids))

    def test_a_protected_one_stays(self):
        first = self.back_up()["id"]
        self.assertEqual(self.run_host("protect", VM, first).returncode, 0)
        last = self.back_up(keep_last="1")
        self.assertEqual((last["removed"], self.published()), ([], sorted([first, last["id"]])))

    def test_a_failed_retention_leaves_the_backup_and_is_said(self):
        ids = [self.back_up()["id"] for _ in range(2)]
        self.spoil(ids[1])
        os.mkdir(self.path("metrics"))
        done = self.run_host("backup", VM, keep_last="1", metrics_directory=self.path("metrics"))
        line = self.failing(done, 1)
        self.assertTrue(line.startswith(
            f"holdfast: {VM}: the backup is published, but the keep- rules could not be applied: "
            f"{ids[1]}: not removed, nor anything older: unable to use the manifest: "), line)
        new = [name for name in self.published() if name not in ids]
        self.assertEqual(len(new), 1)
        self.assertRegex(done.stdout, rf"^{VM}: {new[0]}: application, .* s\n$")
        self.assertEqual(self.run_host("verify", VM, new[0]).returncode, 0)
        with open(self.path(f"metrics/holdfast_{VM}.prom"), encoding="utf-8") as file:
            metrics = file.read()
        self.assertIn(f'holdfast_backup_last_run_success{{vm="{VM}"}} 1\n', metrics)
        self.assertIn(f'holdfast_backup_last_run_exit_status{{vm="{VM}"}} 1\n', metrics)
        self.assert_nothing_left()

    def test_both_a_low_level_and_a_failed_retention_are_told(self):
        self.spoil(self.back_up()["id"])
        self.agent.holdfast = False
        self.agent.files.clear()
        line = self.failing(self.run_host("backup", VM, keep_last="1"), 1)
        self.assertIn("the keep- rules could not be applied", line)
        self.assertIn("level 'filesystem', 'application' is preferred", line)

    def test_machines_side_by_side_each_follow_their_own_rules(self):
        os.makedirs(self.path("etc/vms.d"))
        with open(self.path(f"etc/vms.d/{VM}.conf"), "w", encoding="utf-8") as file:
            file.write(f"qmp = {self.machine.qmp}\nagent = {self.agent.path}\nkeep-last = 1\n")
        first = self.back_up()["id"]
        done = self.run_host("backup", "--all", "--json", qmp=None, agent=None)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        machine = json.loads(done.stdout)["machines"][0]
        self.assertEqual(machine["backup"]["removed"], [first])


if __name__ == "__main__":
    testing.main()
