# SPDX-License-Identifier: MIT
"""Many backups of one machine, and the index that spares their manifests: whatever becomes of it,
what is listed is what is there, and nothing is removed for what it says."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from host_case import VM, HostCase
from lab import testing

COPIES = 60


class Index(HostCase):
    INCREMENTAL = "no"

    def setUp(self):
        super().setUp()
        self.first = self.back_up()
        self.vm = os.path.join(self.repository, VM)
        self.index = os.path.join(self.vm, ".index")
        for number in range(COPIES):
            self.copy(f"20200101T{number // 60:02}{number % 60:02}00Z-{number:08x}")

    def manifest(self, backup):
        return os.path.join(self.vm, backup, "manifest.json")

    def copy(self, backup, **changes):
        """One more backup, whose files are those of the first."""
        os.mkdir(os.path.join(self.vm, backup), 0o700)
        for name in os.listdir(os.path.join(self.vm, self.first["id"])):
            if name != "manifest.json":
                os.link(os.path.join(self.vm, self.first["id"], name),
                        os.path.join(self.vm, backup, name))
        self.rewrite(backup, id=backup, **changes)

    def rewrite(self, backup, **changes):
        with open(self.manifest(self.first["id"]), encoding="utf-8") as file:
            document = json.load(file)
        document.update({"id": backup, **changes})
        with open(self.manifest(backup), "w", encoding="utf-8") as file:
            json.dump(document, file)

    def listed(self):
        done = self.run_host("list", VM, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def truth(self):
        """What is listed where there is no index, which makes one."""
        if os.path.lexists(self.index):
            os.unlink(self.index)
        return self.listed()

    def let_settle(self):
        """Everything is old, as seen from the index."""
        later = time.time() + 60
        os.utime(self.index, (later, later))

    def opened(self):
        """How many manifests a listing opens."""
        trace = self.path("trace")
        done = subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", trace,
                               *self.command("list", VM)], capture_output=True, timeout=90,
                              check=False, env=testing.under_strace(), stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(trace, encoding="utf-8") as file:
            return sum("manifest.json" in line for line in file)

    def left_behind(self):
        return [name for name in os.listdir(self.vm) if name.startswith(".index.")]

    def test_what_is_known_is_not_read_again(self):
        truth = self.truth()
        self.let_settle()
        self.assertEqual(self.opened(), 0)
        self.assertEqual(self.listed(), truth)
        self.rewrite(self.published()[3], level="crash")
        self.assertEqual(self.opened(), 1)
        self.assertEqual(json.loads(self.listed())["backups"][3]["level"], "crash")
        self.assertEqual(self.run_host("verify", VM, self.published()[3]).returncode, 0)

    def test_who_is_killed_while_writing_it_costs_nothing(self):
        killed = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2", "-e",
             "inject=rename,renameat,renameat2:error=EIO:signal=KILL", *self.command("list", VM)],
            capture_output=True, timeout=90, check=False, env=testing.under_strace(),
            stdin=subprocess.DEVNULL)
        self.assertIn(killed.returncode, (-signal.SIGKILL, 128 + signal.SIGKILL))
        self.assertFalse(os.path.exists(self.index))
        left, = self.left_behind()
        # A power cut may leave any part of it.
        for part in (1, 2, 3):
            shutil.copy(os.path.join(self.vm, left), self.index)
            with open(self.index, "r+b") as file:
                file.truncate(os.path.getsize(self.index) * part // 4)
            self.let_settle()
            shown = self.listed()
            self.assertEqual(shown, self.truth())
        self.back_up()
        self.assertEqual(self.left_behind(), [])
        self.assert_nothing_left()

    def test_runs_side_by_side_see_the_same(self):
        truth = self.truth()
        for _ in range(3):
            os.unlink(self.index)
            runs = [self.start_host("list", VM, "--json") for _ in range(6)]
            for run in runs:
                out, err = run.communicate(timeout=60)
                self.assertEqual((run.returncode, err, out), (0, "", truth))
        self.let_settle()
        self.assertEqual(self.listed(), truth)
        self.assertEqual(self.left_behind(), [])

    @unittest.skipIf(os.geteuid() != 0, "mounting needs root")
    def test_a_repository_that_cannot_be_written_is_listed_all_the_same(self):
        script = ('mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"')
        done = subprocess.run(
            ["unshare", "--mount", "--propagation=private", "sh", "-c", script, self.repository,
             *self.command("list", VM, "--json")], capture_output=True, text=True, timeout=90,
            check=False, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(self.index))
        self.assertEqual(done.stdout, self.truth())

    def test_nothing_is_removed_for_what_it_says(self):
        oldest, middle, *_ = self.published()
        increment = "20300101T000000Z-00000001"
        disks = [{**disk, "backing": {"id": middle}} for disk in self.first["disks"]]
        self.copy(increment, kind="increment", disks=disks)
        self.truth()
        # It says that the increment stands on nothing, and that nothing has changed.
        with open(self.index, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text.count(f',"{middle}",'), 1)
        with open(self.index, "w", encoding="utf-8") as file:
            file.write(text.replace(f',"{middle}",', ',"",'))
        self.let_settle()
        done = self.run_host("prune", VM, keep_last="1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.published(), [middle, increment])
        self.assertNotIn(oldest, self.published())


if __name__ == "__main__":
    testing.main()
