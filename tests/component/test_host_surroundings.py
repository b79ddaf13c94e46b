# SPDX-License-Identifier: MIT
"""What the driver meets: an agent, a monitor and a repository that are not what they should be."""

import json
import os
import shutil
import subprocess
import time

from host_case import MIB, VM, HostCase
from lab import testing
from support.qmp_proxy import Cut


class HostAgentMisbehaves(HostCase):
    """Bounded time, one clear line, nothing frozen, nothing left."""

    def fails_within(self, seconds, **settings):
        begin = time.monotonic()
        line = self.failing(self.run_host("backup", VM, **settings))
        self.assertLess(time.monotonic() - begin, seconds)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        return line

    def test_never_answers(self):
        for command in ("guest-sync-delimited", "guest-fsfreeze-status"):
            self.agent.behaviours[command] = lambda agent, request: None
            self.assertIn("timed out", self.fails_within(20, agent_timeout="500ms"))
            self.agent.behaviours.clear()

    def test_stands_still_with_its_machine(self):
        self.machine.monitor.execute("cont")
        self.machine.monitor.execute("stop")
        self.agent.behaviours["guest-sync-delimited"] = lambda agent, request: None
        self.assertIn("the machine is paused", self.fails_within(20, agent_timeout="500ms"))
        done = self.run_host("backup", VM, "--json", agent_timeout="500ms", require="crash",
                             prefer="crash")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["level"], "crash")
        self.assertEqual(self.machine.monitor.execute("query-status")["status"], "paused")

    def test_is_not_there(self):
        self.agent.stop()
        self.assertIn("unable to reach the guest agent", self.fails_within(10))

    def test_answers_the_freeze_late(self):
        def freeze(agent, request):
            self.assertTrue(agent.given_up())
            return agent.respond(request)
        self.agent.behaviours["guest-fsfreeze-freeze"] = freeze
        self.assertIn("timed out", self.fails_within(30, freeze_timeout="1s"))
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)
        self.assertIsNotNone(self.agent.thawed_at)

    def test_freezes_and_never_says_so(self):
        def freeze(agent, request):
            agent.respond(request)
        self.agent.behaviours["guest-fsfreeze-freeze"] = freeze
        self.fails_within(20, freeze_timeout="1s")
        self.assertIsNotNone(self.agent.thawed_at)

    def test_cannot_be_thawed_by_the_run_but_by_its_guardian(self):
        # The channel is dead for longer than the run tries; its socket is not served any more.
        def freeze(agent, request):
            agent.respond(request)
            agent.pause()
            raise OSError
        self.agent.behaviours["guest-fsfreeze-freeze"] = freeze
        process = self.start_host("backup", VM)
        self.assertTrue(self.agent.wait_until(lambda: self.agent.froze_at, 20))
        line = self.failing(subprocess.CompletedProcess(
            [], process.wait(60), None, process.stderr.readline()))
        self.assertIn("unable to thaw the guest", line)
        self.assertTrue(self.agent.frozen)
        self.agent.behaviours.clear()
        self.agent.resume()
        self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 10))
        self.assertIn("the guest is thawed", process.stderr.read())
        self.assertEqual(self.machine.leftovers(), [])

    def test_answers_nonsense(self):
        for answer in (b"rubbish\n", b"\x00\x01\x02\n", b"[]\n", b"{}\n", b"null\n",
                       b'{"return": "three"}\n', b'{"return": -3}\n', b'{"return": 1e400}\n',
                       b'{"return": 123456789012345678901234567890}\n',
                       b'{"return": ' + b"[" * 10000 + b"]" * 10000 + b"}\n",
                       b'{"error": []}\n', b'{"error": {"desc": "\\u001b[2J"}}\n'):
            with self.subTest(answer=answer[:40]):
                def freeze(agent, request, answer=answer):
                    agent.respond(request)
                    return answer
                self.agent.behaviours["guest-fsfreeze-freeze"] = freeze
                self.assertNotIn("\x1b", self.fails_within(20))

    def test_floods_and_never_ends_its_line(self):
        def flood(agent, request):
            agent.respond(request)
            return b"x" * (8 << 20)
        self.agent.behaviours["guest-fsfreeze-freeze"] = flood
        self.fails_within(30)

    def test_answers_with_wrong_numbers(self):
        self.agent.behaviours["guest-sync-delimited"] = lambda agent, request: {"return": 42}
        self.assertIn("timed out", self.fails_within(20, agent_timeout="500ms"))

    def test_closes_at_each_command(self):
        for command in ("guest-sync-delimited", "guest-info", "guest-fsfreeze-freeze"):
            with self.subTest(command=command):
                def close(agent, request):
                    raise OSError
                self.agent.behaviours[command] = close
                settings = {"timeout": 120}
                process = self.start_host("backup", VM)
                self.assertTrue(self.agent.wait_until(
                    lambda name=command: self.agent.count(name) > 0, 20))
                if command == "guest-fsfreeze-freeze":
                    self.agent.behaviours.clear()
                _, errors = process.communicate(timeout=settings["timeout"])
                self.assertEqual(process.returncode, 1, errors)
                self.agent.behaviours.clear()
                self.assert_nothing_left()
                self.agent.commands.clear()

    def test_late_answers_of_an_earlier_client_are_discarded(self):
        self.agent.unsent = b'{"return": {}}\n' * 17 + b'{"return": 7}\n{"retu'
        self.back_up()

    def test_is_frozen_already(self):
        self.agent.frozen = True
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("frozen already", line)
        self.assertTrue(self.agent.frozen)
        self.assertEqual(self.run_host("thaw", VM).returncode, 0)
        self.back_up()

    def test_the_record_is_hostile(self):
        from support import fake_qga
        for record in (b"", b"\xff\xfe", b"[" * 100000, b'{"schema": 1}', b"x" * (3 << 20),
                       b'{"schema":1,"sequence":1,"boot":"b","state":"done","x":'
                       + b"[1]" * 1000 + b"}"):
            with self.subTest(record=record[:30]):
                def thaw(agent, request, record=record):
                    answer = agent.respond(request)
                    agent.files[fake_qga.RECORD] = record
                    return answer
                self.agent.behaviours["guest-fsfreeze-thaw"] = thaw
                self.failing(self.run_host("backup", VM), 3)
                self.agent.files.clear()
                self.assert_nothing_left()


class HostMonitorMisbehaves(HostCase):
    def test_closes_at_each_command(self):
        proxy = self.through_proxy()

        def cut():
            raise Cut
        for hooks in (proxy.before, proxy.after):
            for command in ("qmp_capabilities", "query-block", "blockdev-add", "transaction",
                            "block-commit", "job-complete", "job-dismiss", "blockdev-del"):
                with self.subTest(command=command, after=hooks is proxy.after):
                    hooks[command] = cut
                    self.failing(self.run_host("backup", VM))
                    self.assertFalse(self.agent.frozen)
                    hooks.clear()
                    self.back_up()
                    self.assert_nothing_left()

    def test_is_in_use_by_somebody_else(self):
        import socket
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(self.machine.qmp)
            other.recv(100)
            line = self.failing(self.run_host("backup", VM, qmp_timeout="500ms"))
        self.assertIn("is another one connected?", line)

    def test_is_not_there(self):
        self.machine.stop()
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("unable to reach the QEMU monitor", line)


class HostRepository(HostCase):
    def test_that_is_not_ours_is_refused(self):
        os.mkdir(self.repository)
        with open(os.path.join(self.repository, "thesis.txt"), "w", encoding="utf-8"):
            pass
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("it is not one of Holdfast's", line)
        self.assertEqual(os.listdir(self.repository), ["thesis.txt"])
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)

    def test_that_was_there_is_not_begun_anew_where_it_was_mounted(self):
        self.back_up()
        away = self.path("away")
        os.rename(self.repository, away)
        for empty in (False, True):
            if empty:
                os.mkdir(self.repository)
            line = self.failing(self.run_host("backup", VM))
            self.assertIn(f"the repository '{self.repository}' is gone: this host has published "
                          "backups in it", line)
            self.assertIn("(is its filesystem mounted? To begin anew there: --new-repository)", line)
            self.assertEqual(empty and os.listdir(self.repository), [] if empty else False)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 1)
        os.rmdir(self.repository)
        os.rename(away, self.repository)
        self.assertEqual(self.back_up()["kind"], "increment")
        shutil.rmtree(self.repository)
        done = self.run_host("backup", VM, "--new-repository", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["kind"], "full")
        # The old repository's bitmaps stay: it may come back.
        self.assertEqual(len(self.machine.bitmaps()), 4)
        self.assertEqual(self.machine.leftovers(), [])

    def test_that_cannot_be_remembered_is_used_all_the_same_and_the_run_says_so(self):
        os.makedirs(os.path.join(self.state, "repositories"))
        done = self.run_host("backup", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"unable to write '{self.state}/repositories'", done.stderr)
        self.assertIn("continuing: it will not be noticed when the repository is not mounted",
                      done.stderr)
        self.assert_nothing_left()

    def test_two_runs_at_once(self):
        gate = self.gate("copying")
        first = self.start_host("backup", VM, qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(first)
        line = self.failing(self.run_host("backup", VM), 4)
        self.assertIn(f"process {first.pid}", line)
        line = self.failing(self.run_host("backup", VM, state_directory=self.path("other")), 4)
        self.assertIn("in this repository", line)
        gate.open()
        _, errors = first.communicate(timeout=60)
        self.assertEqual(first.returncode, 0, errors)
        self.assert_nothing_left()

    def test_bad_usage_is_status_2(self):
        self.failing(self.run_host("bakcup", VM), 2)
        self.failing(self.run_host("backup", "../evil"), 2)
        self.failing(self.run_host("backup", VM, require="perhaps"), 2)
        self.failing(self.run_host("backup", VM, repository=None), 2)
        self.failing(self.run_host("backup", VM, qmp=None), 2)


class HostFullRepository(HostCase):
    def setUp(self):
        super().setUp()
        self.small_repository(40)

    def test_too_small_is_said_before_the_freeze(self):
        self.machine.write("data", 1, 0, 48 * MIB)
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("may be needed", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assert_nothing_left()

    def test_filling_up_during_the_copy_leaves_nothing_half_done(self):
        self.machine.write("data", 1, 0, 16 * MIB)

        def fill():
            with open(os.path.join(self.repository, "ballast"), "wb") as file:
                file.write(b"x" * (30 * MIB))
        self.agent.on_freeze = fill
        line = self.failing(self.run_host("backup", VM, compress="none"))
        self.assertIn("No space left on device", line)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        os.unlink(os.path.join(self.repository, "ballast"))
        self.agent.on_freeze = None
        self.back_up()


if __name__ == "__main__":
    testing.main()
