# SPDX-License-Identifier: MIT
"""The guest is told to trim before it is frozen; what it gives back is neither copied nor kept, and
a guest that cannot, will not or lies spoils nothing."""

import os
import threading

from host_case import KIB, MIB, VM
from lab import testing
from test_host_increment import IncrementCase

COMMAND = "guest-fstrim"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n"


def trims(*paths):
    return lambda *_: {"return": {"paths": list(paths)}}


class TrimCase(IncrementCase):
    def setUp(self):
        super().setUp()
        self.agent.behaviours[COMMAND] = trims({"path": "/", "trimmed": 3 * MIB, "minimum": 0},
                                               {"path": "/boot", "trimmed": 64 * KIB})

    def told(self, done, count=1):
        """What the one line of warning says."""
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), count, lines)
        prefix = f"holdfast: {VM}: the guest's filesystems were not all trimmed: "
        self.assertTrue(lines[0].startswith(prefix) and lines[0].endswith(", continuing"), lines)
        return lines[0].removeprefix(prefix).removesuffix(", continuing")


class Trim(TrimCase):
    def test_is_asked_for_once_before_the_freeze_and_only_where_it_is_wanted(self):
        self.assertIsNone(self.back_up()["trim"])
        self.assertEqual(self.agent.count(COMMAND), 0)
        self.agent.commands.clear()
        done = self.run_host("backup", VM, "--trim")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(", 3.06 MiB trimmed\n", done.stdout)
        names = self.agent.names()
        self.assertEqual(names.count(COMMAND), 1)
        self.assertLess(names.index(COMMAND), names.index("guest-fsfreeze-freeze"))
        manifest = self.back_up(trim="require")
        trim = manifest["trim"]
        self.assertGreaterEqual(trim.pop("duration_ms"), 0)
        self.assertEqual(trim, {"bytes": 3 * MIB + 64 * KIB, "error": None, "paths_left_out": 0,
                                "paths": [{"path": "/", "bytes": 3 * MIB, "error": None},
                                          {"path": "/boot", "bytes": 64 * KIB, "error": None}]})
        shown = self.run_host("show", VM).stdout
        self.assertIn(f"  /boot: {64 * KIB}\n", shown)

    def test_makes_an_increment_of_nothing(self):
        for disk in self.machine.images:
            self.machine.write(disk, 3, 0, 24 * MIB)
        self.back_up(compress="none")
        before = {disk: os.stat(path).st_blocks for disk, (path, _) in self.machine.images.items()}

        def discard(*_):
            for disk in self.machine.images:
                self.machine.command(disk, "discard 2M 20M")
            return {"return": {"paths": [{"path": "/", "trimmed": 40 * MIB}]}}
        self.agent.behaviours[COMMAND] = discard
        for method in ("overlay", "backup"):
            manifest = self.back_up(trim="yes", compress="none", method=method)
            self.assertEqual(manifest["kind"], "increment")
            self.assert_equals_disks(manifest)
            for disk in manifest["disks"]:
                self.assertLessEqual(disk["bytes"], 5 * 64 * KIB, disk["name"])
        for disk, (path, _) in self.machine.images.items():
            self.assertLess(os.stat(path).st_blocks * 512, before[disk] * 512 - 19 * MIB, disk)

    def test_needs_no_room_for_what_it_gives_back(self):
        self.small_repository(64)
        self.machine.write("data", 1, 0, 32 * MIB)
        self.back_up(compress="none")

        def discard(*_):
            # All that the filesystem does not use, once more: QEMU's account marks all of it.
            self.machine.command("data", "discard 1M 63M")
            return {"return": {"paths": [{"path": "/", "trimmed": 63 * MIB}]}}
        self.agent.behaviours[COMMAND] = discard
        for method in ("overlay", "backup"):
            manifest = self.back_up(trim="yes", method=method)
            self.assertEqual(manifest["kind"], "increment")
            self.assert_equals_disks(manifest)


class Unable(TrimCase):
    def test_a_guest_is_told_of_and_backed_up_all_the_same(self):
        self.agent.behaviours[COMMAND] = lambda agent, _: agent.error(
            "Command guest-fstrim has been disabled")
        done = self.run_host("backup", VM, trim="yes")
        self.assertIn("has been disabled", self.told(done))
        self.assertRegex(done.stdout, f"^{VM}: [^:]*: application, ")
        manifest = self.back_up(trim="yes")
        self.assertIn("has been disabled", manifest["trim"]["error"])
        self.assertEqual((manifest["trim"]["bytes"], manifest["trim"]["paths"]), (0, []))

    def test_one_mount_point_is_named(self):
        self.agent.behaviours[COMMAND] = trims({"path": "/", "trimmed": MIB},
                                               {"path": "/mnt", "error": "no discard here"},
                                               {"path": "/mnt2", "error": "nor here"})
        done = self.run_host("backup", VM, trim="yes")
        self.assertEqual(self.told(done), "'/mnt': no discard here; and 1 more")
        self.assertIn(", 1 MiB trimmed\n", done.stdout)

    def test_a_mount_point_that_knows_no_trim_is_no_matter_unless_all_are_so(self):
        unsupported = {"path": "/boot/efi", "error": "trim not supported"}
        self.agent.behaviours[COMMAND] = trims(unsupported, {"path": "/", "trimmed": 0})
        done = self.run_host("backup", VM, trim="require")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.agent.behaviours[COMMAND] = trims(unsupported, dict(unsupported, path="/"))
        self.assertEqual(self.told(self.run_host("backup", VM, trim="yes")),
                         "none of the guest's disks supports it")
        self.assertIn("none of the guest's disks supports it (the disks need discard=unmap",
                      self.failing(self.run_host("backup", VM, trim="require")))
        self.agent.behaviours[COMMAND] = trims()
        self.assertEqual(self.run_host("backup", VM, trim="require").stderr, "")

    def test_a_guest_fails_the_run_if_it_is_required(self):
        self.agent.behaviours[COMMAND] = trims({"path": "/mnt", "error": "no discard here"})
        self.assertEqual(self.failing(self.run_host("backup", VM, trim="require")),
                         "holdfast: unable to trim the guest's filesystems: '/mnt': no discard here "
                         "(the disks need discard=unmap; 'trim = yes' goes on without)")
        self.agent.behaviours[COMMAND] = lambda agent, _: agent.error("no such command")
        self.assertIn("no such command", self.failing(self.run_host("backup", VM, trim="require")))
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.published(), [])
        self.assertEqual(self.machine.leftovers() + self.machine.bitmaps(), [])

    def test_without_an_agent_there_is_nobody_to_ask(self):
        done = self.run_host("backup", VM, trim="yes", agent=None, require="crash", prefer="crash")
        self.assertIn("no agent socket is configured", self.told(done))
        self.failing(self.run_host("backup", VM, trim="require", agent=None, require="crash"))


class Hostile(TrimCase):
    def test_words_and_numbers_are_bounded_and_escaped(self):
        self.agent.behaviours[COMMAND] = trims(
            {"path": f"/{ESCAPES}" + "x" * 50000, "error": ESCAPES * 1000},
            {"path": "../../etc/passwd", "trimmed": 2 ** 63 - 1},
            {"path": "/n", "trimmed": -1}, {"path": "/f", "trimmed": 1e308},
            {"path": "/ok", "trimmed": MIB},
            *({"path": f"/{number}", "trimmed": 1} for number in range(3000)))
        done = self.run_host("backup", VM, trim="yes")
        said = self.told(done)
        self.assertIn(r"/\x1b[2J\x1b]0;owned\x07\x0d\x0a", said)
        self.assertLess(len(said), 1000)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        shown = self.run_host("show", VM)
        self.assertNotIn("\x1b", shown.stdout)
        manifest = self.back_up(trim="yes")["trim"]
        self.assertEqual(len(manifest["paths"]), 64)
        self.assertEqual(manifest["paths_left_out"], 3005 - 64)
        self.assertEqual([path["bytes"] for path in manifest["paths"][:5]],
                         [None, None, None, None, MIB])
        self.assertEqual(manifest["bytes"], MIB + 59)

    def test_answers_that_are_none_are_told_of(self):
        for answer in ({}, {"paths": 3}, {"paths": [7]}, {"paths": [{"path": {}}]}, [], "trimmed"):
            with self.subTest(answer=answer):
                self.agent.behaviours[COMMAND] = lambda *_, said=answer: {"return": said}
                self.assertIn("makes no sense", self.told(self.run_host("backup", VM, trim="yes")))

    def test_one_that_takes_too_long_is_waited_for_as_long_as_a_freeze_is(self):
        done = threading.Event()
        self.addCleanup(done.set)
        timer = threading.Timer(2.5, done.set)

        def slow(*_):
            timer.start()
            done.wait(60)
            return {"return": {"paths": []}}
        self.agent.behaviours[COMMAND] = slow
        manifest = self.back_up(trim="yes", trim_timeout="1s", freeze_timeout="60s")
        self.assertTrue(done.is_set())
        self.assertEqual(manifest["level"], "application")
        self.assertIn("timed out", manifest["trim"]["error"])

    def test_one_that_never_ends_fails_the_run_and_leaves_nothing(self):
        ended = threading.Event()
        self.addCleanup(ended.set)
        self.agent.behaviours[COMMAND] = lambda *_: ended.wait(60) and b""
        done = self.run_host("backup", VM, trim="yes", trim_timeout="1s", freeze_timeout="1s")
        self.assertIn("the guest agent is still busy with guest-fstrim", self.failing(done))
        ended.set()
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.published(), [])
        self.assertEqual(self.machine.leftovers() + self.machine.bitmaps(), [])

    def test_one_that_never_ends_leaves_a_crash_consistent_backup_if_that_will_do(self):
        ended = threading.Event()
        self.addCleanup(ended.set)
        self.agent.behaviours[COMMAND] = lambda *_: ended.wait(60) and b""
        done = self.run_host("backup", VM, trim="yes", trim_timeout="1s", freeze_timeout="1s",
                             require="crash", prefer="crash")
        ended.set()
        self.assertIn("timed out", self.told(done))
        self.assertRegex(done.stdout, f"^{VM}: [^:]*: crash, ")


if __name__ == "__main__":
    testing.main()
