# SPDX-License-Identifier: MIT
"""What stands in /etc/qemu/fsfreeze-hook.d still runs, as root, by way of holdfast-execd; now its
status counts."""

import os
import unittest

from lab import agent_rig, loopfs, qga, testing


class HookDirectory(unittest.TestCase):
    def setUp(self):
        self.filesystem = loopfs.LoopFilesystem(64)
        self.addCleanup(self.filesystem.close)
        self.rig = agent_rig.Rig(self.filesystem)
        self.addCleanup(self.rig.close)
        # As the package ships it, but for the paths.
        self.rig.resource("hooks", f"plugin = exec\ndirectory = {self.rig.path('hooks.d')}\n"
                                   f"as-root = yes\nexec-socket = {self.rig.path('exec.sock')}\n")

    def started(self):
        self.rig.start()
        self.rig.await_ready()
        return self.rig

    def test_an_empty_directory_is_in_nobodys_way(self):
        rig = self.started()
        self.assertEqual(rig.freeze(), 1)
        self.assertEqual(rig.thaw(), 1)
        self.assertEqual(rig.record()["verdict"]["code"], "ok")

    def test_scripts_run_in_order_and_are_thawed_in_reverse(self):
        rig = self.rig
        for name in ("10-first", "20-second", "20-second.dpkg-old", "30-third~"):
            rig.hook_script(name, "exit 0")
        self.started()
        rig.freeze()
        self.assertEqual(rig.hooks_log(), ["10-first freeze", "20-second freeze"])
        rig.thaw()
        self.assertEqual(rig.hooks_log()[2:], ["20-second thaw", "10-first thaw"])

    def test_a_script_that_fails_refuses_the_freeze_and_the_others_are_thawed(self):
        rig = self.rig
        rig.hook_script("10-first", "exit 0")
        rig.hook_script("20-second", "echo 'no room for the dump' >&2; exit 1")
        rig.hook_script("30-third", "exit 0")
        self.started()
        with self.assertRaises(qga.AgentError) as caught:
            rig.freeze()
        self.assertIn("status 21", str(caught.exception))
        self.assertEqual(rig.hooks_log(), ["10-first freeze", "20-second freeze", "10-first thaw"])
        self.assertEqual(rig.frozen_status(), "thawed")
        self.assertIn("no room for the dump", rig.record()["verdict"]["text"])

    def test_scripts_are_thawed_when_the_service_dies_in_the_window(self):
        rig = self.rig
        rig.hook_script("10-first", "exit 0")
        self.started()
        rig.freeze()
        rig.kill_daemon()
        agent_rig.await_true(lambda: len(rig.hooks_log()) == 2, "the thaw of the hook")
        self.assertEqual(rig.hooks_log(), ["10-first freeze", "10-first thaw"])
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn("status 33", str(caught.exception))

    def test_a_program_that_needs_no_root_is_thawed_by_the_next_service(self):
        rig = self.rig
        program = rig.path("own")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n[ $1 = check ] || echo own $1 >>{rig.path('hooks.log')}\n")
        os.chmod(program, 0o755)
        rig.resource("own", f"plugin = exec\nprogram = {program}\n")
        self.started()
        rig.freeze()
        rig.kill_daemon()
        rig.end_lease()
        self.assertEqual(rig.hooks_log(), ["own prepare", "own freeze"])
        rig.start_daemon()
        agent_rig.await_true(lambda: len(rig.hooks_log()) == 3, "the thaw of the program")
        self.assertEqual(rig.hooks_log()[2:], ["own thaw"])
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn("status 33", str(caught.exception))

    def test_the_death_of_the_helper_in_the_window_is_a_lost_hold(self):
        rig = self.rig
        rig.hook_script("10-first", "exit 0")
        self.started()
        rig.freeze()
        rig.execd.kill()
        rig.execd.wait(10)
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn("status 30", str(caught.exception))
        self.assertEqual(rig.record()["verdict"]["code"], "hold-lost")

    def test_a_script_that_others_can_write_is_not_run_as_root(self):
        rig = self.rig
        rig.hook_script("10-first", "exit 0")
        loose = rig.path("hooks.d/10-first")
        os.chmod(loose, 0o777)
        rig.start()
        with self.assertRaises(qga.AgentError) as caught:
            rig.freeze()
        self.assertIn("status 21", str(caught.exception))
        self.assertEqual(rig.hooks_log(), [])


if __name__ == "__main__":
    for module in (loopfs, agent_rig):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
