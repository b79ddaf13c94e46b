# SPDX-License-Identifier: MIT
"""Retention with the real program: what goes, what stays, what is said; and a removal that is
killed."""

import fcntl
import json
import os
import shutil
import signal
import subprocess

from chain_case import KIB, VM, ChainCase, backup_id
from lab import testing


class Prune(ChainCase):
    NEEDS = ("strace",)

    def setUp(self):
        super().setUp()
        # Two chains of three, one day after the other.
        self.ids = []
        for day in (18, 19):
            parent = None
            for number in (1, 2, 3):
                writes = [(64 * KIB * number, 64 * KIB, number)]
                parent = self.repository.add(backup_id(number, day), parent, {"vda": writes})
                self.ids.append(parent)

    def left(self):
        return sorted(name for name in os.listdir(f"{self.repository.path}/{VM}")
                      if name != ".lock")

    def test_what_no_rule_keeps_goes_and_the_rest_is_sound(self):
        self.assertRegex(self.succeeding("prune", VM, "--keep-last", "2"),
                         rf"^{VM}: 3 backups removed \([1-9][0-9.]* [KM]iB\), 3 kept\n$")
        self.assertEqual(self.left(), self.ids[3:])
        self.succeeding("verify", VM)
        self.assertEqual(self.succeeding("prune", VM, "--keep-last", "2"),
                         f"{VM}: 0 backups removed (0 B), 3 kept\n")

    def test_a_dry_run_shows_the_same_and_removes_nothing(self):
        plan = json.loads(self.succeeding("prune", VM, "--keep-daily", "1", "--dry-run", "--json"))
        self.assertEqual([entry["keep"] for entry in plan[0]["backups"]], [False] * 3 + [True] * 3)
        self.assertEqual([entry["reasons"] for entry in plan[0]["backups"]],
                         [[], [], [], [f"{self.ids[4]} stands on it"],
                          [f"{self.ids[5]} stands on it"], ["newest", "daily"]])
        lines = self.succeeding("prune", VM, "--keep-daily", "1", "--dry-run").splitlines()
        self.assertEqual(lines[0].split(), ["VM", "ID", "SIZE", "ACTION", "BECAUSE"])
        self.assertTrue(lines[1].endswith("remove  no rule keeps it"), lines[1])
        self.assertTrue(lines[6].endswith("keep    newest, daily"), lines[6])
        self.assertEqual(self.left(), self.ids)

    def test_without_any_rule_nothing_is_done(self):
        os.makedirs(self.path("etc/vms.d"))
        with open(self.path("etc/vms.d/web0.conf"), "w", encoding="utf-8") as file:
            file.write("keep-last = 1\n")
        self.assertEqual(self.failing("prune", "web0", VM, status=2),
                         f"no rule says which backups of '{VM}' to keep (set keep-last, keep-daily "
                         "or another of these keys)")
        self.assertEqual(self.left(), self.ids)

    def test_a_protected_backup_stays_with_its_chain(self):
        self.assertEqual(self.succeeding("protect", VM, self.ids[1]),
                         f"{VM}: {self.ids[1]}: protected\n")
        listed = json.loads(self.succeeding("list", VM, "--json"))["backups"]
        self.assertEqual([entry["protected"] for entry in listed],
                         [name == self.ids[1] for name in self.ids])
        self.assertIn("Protected  yes\n", self.succeeding("show", VM, self.ids[1]))
        self.succeeding("prune", VM, "--keep-last", "1")
        self.assertEqual(self.left(), self.ids[:2] + self.ids[3:])
        self.succeeding("verify", VM)
        self.succeeding("unprotect", VM, self.ids[1])
        self.succeeding("prune", VM, "--keep-last", "1")
        self.assertEqual(self.left(), self.ids[3:])

    def test_what_cannot_be_read_stays_and_is_named(self):
        manifest = f"{self.repository.directory(self.ids[4])}/manifest.json"
        with open(manifest, "w", encoding="utf-8") as file:
            file.write("{")
        done = self.holdfast("prune", VM, "--keep-last", "1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.left(), self.ids)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertTrue(lines[0].startswith(
            f"holdfast: {VM}: {self.ids[4]}: not removed, nor anything older: unable to use the "
            "manifest: "), lines[0])
        self.assertEqual(lines[1],
                         f"holdfast: {VM}: {self.ids[5]}: not removed: its chain is broken "
                         f"(holdfast show {VM} {self.ids[5]})")

    def test_another_run_is_waited_for_by_nobody(self):
        with open(f"{self.repository.path}/{VM}/.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for words in (("prune", VM, "--keep-last", "1"), ("protect", VM, "latest"),
                          ("unprotect", VM, "latest")):
                self.assertEqual(self.failing(*words, status=4),
                                 f"another run is at work on '{VM}' in this repository: process "
                                 "unknown")
            self.succeeding("prune", VM, "--keep-last", "1", "--dry-run")
        self.assertEqual(self.left(), self.ids)

    def test_killed_at_any_system_call_it_breaks_no_chain(self):
        # After the n-th of these calls, for every n until the program gets through.
        pristine = self.path("pristine")
        shutil.copytree(self.repository.path, pristine)
        kills = {}
        for call in ("rename", "unlinkat", "rmdir"):
            for count in range(1, 100):
                shutil.rmtree(self.repository.path)
                shutil.copytree(pristine, self.repository.path)
                done = subprocess.run(
                    ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                     "-e", f"inject={call}:signal=KILL:when={count}",
                     *self.command("prune", VM, "--keep-last", "1")],
                    capture_output=True, text=True, check=False, timeout=120,
                    env=testing.under_strace())
                if done.returncode == 0:
                    break
                self.assertIn(done.returncode, (-signal.SIGKILL, 128 + signal.SIGKILL),
                              done.stderr)
                kills[call] = count
                for entry in json.loads(self.succeeding("list", VM, "--json"))["backups"]:
                    self.assertIsNotNone(entry["chain"])
                self.succeeding("verify", VM)
                self.succeeding("prune", VM, "--keep-last", "1")
                self.assertEqual(self.left(), self.ids[3:])
        # Three backups: each a name, and then two files in a directory.
        self.assertEqual(kills.get("rename"), 3)
        self.assertEqual(kills.get("unlinkat", 0) + kills.get("rmdir", 0), 9)


if __name__ == "__main__":
    testing.main()
