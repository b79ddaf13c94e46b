# SPDX-License-Identifier: MIT
"""Consistency groups: one window for several machines, and all of them or none, whatever happens."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest

from host_case import Killer
from lab import syscalls, testing
from support.qmp_proxy import Cut, QmpProxy
from test_host_many import ManyCase

THAWED_WITHIN = 2.0


class GroupCase(ManyCase):
    NAMES = ("db1", "web1")

    def setUp(self):
        super().setUp()
        for name in self.NAMES:
            self.configure(name, "group = shop\n")

    def proxy_of(self, name):
        proxy = QmpProxy(self.path(name + ".proxy"), self.machines[name].qmp)
        self.addCleanup(proxy.stop)
        self.configure(name, "group = shop\n", qmp=proxy.path)
        return proxy

    def back_up_group(self, **settings):
        done = self.run_host("backup", "--group=shop", "--json", **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, status=1, **settings):
        """Nothing of any is published, everything thawed and cleared up; what was said."""
        before = [self.backups(name) for name in self.NAMES]
        done = self.run_host("backup", "--group=shop", **settings)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual([self.backups(name) for name in self.NAMES], before)
        self.assert_clean(*self.NAMES)
        return done.stderr


class HostGroup(GroupCase):
    def test_all_are_frozen_before_one_is_taken_and_taken_before_one_is_thawed(self):
        order, lock = [], threading.Lock()
        proxies = {name: self.proxy_of(name) for name in self.NAMES}

        def note(what):
            with lock:
                order.append(what)
        for name in self.NAMES:
            self.agents[name].on_freeze = lambda name=name: note("frozen")
            proxies[name].before["transaction"] = lambda name=name: note("transaction")
            proxies[name].after["transaction"] = lambda name=name: note("taken")

            def thaw(agent, request):
                if agent.frozen:
                    note("thaw")
                return agent.respond(request)
            self.agents[name].behaviours["guest-fsfreeze-thaw"] = thaw
        report = self.back_up_group()
        self.assertEqual(order[:2], ["frozen"] * 2)
        self.assertEqual(sorted(order[2:6]), ["taken"] * 2 + ["transaction"] * 2)
        self.assertEqual(order[6:], ["thaw"] * 2)
        record = report["group"]
        self.assertEqual((record["name"], record["members"]), ("shop", ["db1", "web1"]))
        self.assertGreater(record["window"]["together_ms"], 0)
        for one in report["machines"]:
            self.assertEqual(one["backup"]["id"], record["id"])
            self.assertEqual(one["backup"]["group"], {"name": "shop", "members": ["db1", "web1"]})
            self.assertEqual(os.listdir(one["backup"]["directory"]).count("unbound"), 0)
        self.assert_clean(*self.NAMES)
        again = self.back_up_group()
        self.assertEqual([one["backup"]["kind"] for one in again["machines"]], ["increment"] * 2)
        for name in self.NAMES:
            self.assertEqual(self.run_host("verify", name).returncode, 0)

    def test_one_that_cannot_freeze_keeps_all_from_it(self):
        def refuse(agent, request):
            return {"error": {"class": "GenericError", "desc": "the hook failed"}}
        self.agents["web1"].behaviours["guest-fsfreeze-freeze"] = refuse
        said = self.refused()
        self.assertRegex(said, "(?m)^holdfast: web1: .*the hook failed")
        self.assertRegex(said, "(?m)^holdfast: db1: nothing is published of the group 'shop', "
                               "because of 'web1'$")
        self.agents["web1"].behaviours.clear()
        self.back_up_group()

    def test_one_that_is_slow_to_freeze_keeps_the_others_waiting_no_longer_than_its_time(self):
        begun = threading.Event()

        def hang(agent, request):
            begun.set()
            agent.given_up()
            return None
        self.agents["web1"].behaviours["guest-fsfreeze-freeze"] = hang
        begin = time.monotonic()
        said = self.refused(freeze_timeout="2s", thaw_timeout="2s")
        self.assertTrue(begun.is_set())
        self.assertLess(time.monotonic() - begin, 60)
        self.assertIn("holdfast: web1: ", said)
        db1 = self.agents["db1"]
        self.assertLess(db1.thawed_at - db1.froze_at, 30)

    def test_a_level_below_the_required_one_keeps_all_from_it(self):
        self.agents["db1"].holdfast = False
        said = self.refused(require="application")
        self.assertRegex(said, "(?m)^holdfast: db1: the level would be 'filesystem', "
                               "'application' is required")
        self.assertRegex(said, "(?m)^holdfast: web1: nothing is published")

    def test_one_that_does_not_run_keeps_the_others_from_being_frozen(self):
        self.machines["web1"].stop()
        done = self.run_host("backup", "--group=shop")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.agents["db1"].count("guest-fsfreeze-freeze"), 0)

    def test_one_without_an_agent_is_no_member_whatever_is_required(self):
        self.agents["web1"].stop()
        self.assertIn("the guest cannot be frozen", self.refused(require="crash"))

    def test_a_copy_that_fails_takes_all_back(self):
        # The other copy would go on for longer than a test lasts.
        image = self.qemu_img(("convert", "case $* in */web1/*) echo no room >&2; exit 1;; esac; "
                                          "exec sleep 600"))
        said = self.refused(qemu_img=image)
        self.assertRegex(said, "(?m)^holdfast: web1: unable to copy .*no room")
        self.assertRegex(said, "(?m)^holdfast: db1: nothing is published of the group 'shop', "
                               "because of 'web1'$")
        self.back_up_group()

    def test_what_is_left_in_qemu_of_one_loses_no_backup(self):
        proxy = self.proxy_of("web1")

        def cut():
            raise Cut
        proxy.before["block-commit"] = cut
        done = self.run_host("backup", "--group=shop")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "(?m)^holdfast: web1: the backup '.*' is complete and published, "
                                          "but something of it is left in QEMU: ")
        listed = json.loads(self.run_host("list", "--json").stdout)["backups"]
        self.assertEqual([(one["vm"], one["group"]) for one in listed],
                         [("db1", "shop"), ("web1", "shop")])
        proxy.before.clear()
        again = self.back_up_group()
        self.assertEqual(again["machines"][0]["backup"]["kind"], "increment")
        self.assert_clean(*self.NAMES)

    def test_a_machine_that_dies_in_the_window_keeps_all_from_it(self):
        proxy = self.proxy_of("web1")
        proxy.before["transaction"] = self.machines["web1"].stop
        done = self.run_host("backup", "--group=shop")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "(?m)^holdfast: web1: unable to take the snapshot: ")
        self.assertFalse(self.agents["web1"].frozen)
        self.assert_clean("db1")
        self.assertEqual([self.backups(name) for name in self.NAMES], [[], []])
        proxy.before.clear()
        self.machines["web1"].start()
        self.back_up_group()
        self.assert_clean(*self.NAMES)

    def test_a_guest_that_freezes_nothing_keeps_all_from_it(self):
        self.agents["web1"].filesystems = 0
        said = self.refused(require="crash")
        self.assertRegex(said, "(?m)^holdfast: web1: .*the guest froze no filesystem$")
        self.assertNotIn("for no reason", said)

    def test_a_repository_without_room_for_all_of_them_is_refused_before_any_freeze(self):
        self.small_repository(32)  # of which each wants more than 16
        self.assertRegex(self.refused(), "holdfast: db1: nothing is published of the group 'shop': "
                         "unable to back up all of them into '.*': .* free, .* may be needed")
        self.assertEqual([self.agents[name].count("guest-fsfreeze-freeze") for name in self.NAMES],
                         [0, 0])

    def test_all_machines_are_those_of_groups_too(self):
        done = self.run_host("backup", "--all", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual([group["name"] for group in report["groups"]], ["shop"])
        self.assertEqual([one["backup"]["id"] for one in report["machines"]],
                         [report["groups"][0]["id"]] * 2)
        self.configure("web1", "group = shop\nenabled = no\n")
        self.assertRegex(self.failing(self.run_host("backup", "--all"), 2),
                         "^holdfast: db1: 'web1' of the group 'shop' is not enabled ")
        self.assertEqual([len(self.backups(name)) for name in self.NAMES], [1, 1])

    def test_a_lock_that_is_held_is_said_and_no_other_one_is_kept(self):
        gate, script = self.hold_copies()
        holder = self.start_host("backup", "web1", qemu_img=script)
        gate.reached(holder)
        done = self.run_host("backup", "--group=shop")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertRegex(done.stderr, "(?m)^holdfast: web1: another run is at work on 'web1'")
        self.assertEqual(self.run_host("backup", "db1").returncode, 0)
        gate.open()
        self.assertEqual(holder.wait(60), 0)

    def test_who_is_in_a_group_and_what_is_one(self):
        self.assertIn("the group 'none' has 0 machines", self.failing(
            self.run_host("backup", "--group=none"), 2))
        self.configure("web1")
        self.assertIn("the group 'shop' has 1 machine", self.failing(
            self.run_host("backup", "--group=shop"), 2))
        self.configure("web1", f"group = shop\nrepository = {self.path('other')}\n")
        self.assertIn("have different repositories", self.failing(
            self.run_host("backup", "--group=shop"), 2))
        self.configure("web1", "group = shop\nkeep-last = 3\n")
        self.assertIn("have different keep- rules", self.failing(
            self.run_host("backup", "--group=shop"), 2))
        self.assertIn("usage: ", self.failing(self.run_host("backup", "web1", "--group=shop"), 2))
        self.assertIn("is not the name of a group", self.failing(
            self.run_host("backup", "--group=../x"), 2))

    def test_the_rules_keep_a_group_together(self):
        first = self.back_up_group(full_every="1")["group"]["id"]
        # Of db1 alone there are newer ones.
        for _ in range(2):
            self.assertEqual(self.run_host("backup", "db1", full_every="1").returncode, 0)
        plan = json.loads(self.run_host("prune", "db1", "--dry-run", "--json", keep_last="1").stdout)
        reasons = {one["id"]: one["reasons"] for one in plan[0]["backups"]}
        self.assertEqual(reasons[first], ["its group"])
        second = self.back_up_group(full_every="1")["group"]["id"]
        self.assertEqual(self.run_host("prune", "db1", "web1", keep_last="1").returncode, 0)
        self.assertEqual([self.backups(name) for name in self.NAMES], [[second], [second]])
        self.assertEqual(os.listdir(os.path.join(self.repository, ".groups")), [second + ".json"])

    def test_all_of_it_is_restored_or_none(self):
        group = self.back_up_group()["group"]["id"]
        done = self.run_host("restore", f"--group={group}", f"--to={self.path('out')}", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([one["vm"] for one in json.loads(done.stdout)["machines"]],
                         ["db1", "web1"])
        for name in self.NAMES:
            self.assertIn("data.qcow2", os.listdir(self.path(f"out/{name}")))
        os.rename(f"{self.repository}/web1/{group}", self.path("away"))
        done = self.run_host("restore", f"--group={group}", f"--to={self.path('more')}")
        self.assertEqual(done.returncode, 1)
        self.assertFalse(os.path.exists(self.path("more")))


class HostGroupCause(GroupCase):
    """What db1 is told first, web1 is told after it: no pair of disks may have the second without
    the first. Nobody writes to a guest that is frozen."""

    CELL, CELLS = 4096, 15000

    def setUp(self):
        super().setUp()
        self.written = 0
        self.stopping = False
        self.changed = threading.Condition()
        self.locks = {name: threading.Lock() for name in self.NAMES}
        for name in self.NAMES:
            def freeze(agent, request, lock=self.locks[name]):
                with lock:
                    return agent.respond(request)
            self.agents[name].behaviours["guest-fsfreeze-freeze"] = freeze
        self.writer = threading.Thread(target=self.write_on)
        self.addCleanup(self.end_writer)
        self.writer.start()
        self.wait_for_more()

    def write_on(self):
        for number in range(1, self.CELLS):
            for name in self.NAMES:
                while not self.write_one(name, number):
                    self.agents[name].wait_until(
                        lambda name=name: not self.agents[name].frozen or self.stopping, 60)
                    if self.stopping:
                        return
            with self.changed:
                self.written = number
                self.changed.notify_all()
            if self.stopping:
                return

    def write_one(self, name, number):
        with self.locks[name]:
            if self.agents[name].frozen:
                return False
            self.machines[name].write("data", 1 + number % 250, number * self.CELL, self.CELL)
            return True

    def wait_for_more(self):
        with self.changed:
            before = self.written
            self.assertTrue(self.changed.wait_for(lambda: self.written >= before + 10, 60))

    def end_writer(self):
        self.stopping = True
        self.writer.join(90)

    def last_in(self, name, backup):
        """The last number that the backup has, all of those before it being there."""
        target = self.path(f"out-{name}-{backup}")
        done = self.run_host("restore", name, backup, f"--to={target}", "--disk=data",
                             "--format=raw")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(target, "data.raw"), "rb") as image:
            image.seek(self.CELL)
            number = 0
            while image.read(self.CELL) == bytes([1 + (number + 1) % 250]) * self.CELL:
                number += 1
        return number

    def test_a_cause_never_lacks_in_a_group(self):
        for _ in range(3):
            self.wait_for_more()
            group = self.back_up_group()["group"]["id"]
            cause, effect = (self.last_in(name, group) for name in self.NAMES)
            self.assertGreater(effect, 0)
            self.assertIn(cause - effect, (0, 1))

    def test_it_does_in_backups_that_are_none(self):
        ids = {}
        for name in self.NAMES:
            done = self.run_host("backup", name, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            ids[name] = json.loads(done.stdout)["id"]
            self.wait_for_more()
        cause, effect = (self.last_in(name, ids[name]) for name in self.NAMES)
        self.assertGreater(effect, cause)


class HostGroupKilled(GroupCase):
    def died(self, process):
        process.wait(90)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        for name in self.NAMES:
            agent = self.agents[name]
            self.assertTrue(agent.wait_until(lambda agent=agent: not agent.frozen, THAWED_WITHIN),
                            name)

    def test_all_are_thawed_when_the_driver_dies_within_the_window(self):
        for name in self.NAMES:
            with self.subTest(name):
                killer = Killer()
                frozen = threading.Barrier(2)

                def freeze(agent=self.agents[name], killer=killer, frozen=frozen):
                    frozen.wait(20)
                    killer()
                for other in self.NAMES:
                    self.agents[other].on_freeze = (
                        freeze if other == name else lambda frozen=frozen: frozen.wait(20))
                process = self.start_host("backup", "--group=shop")
                killer.aim(process)
                self.died(process)
                for other in self.NAMES:
                    self.agents[other].on_freeze = None
                self.back_up_group()
                self.assert_clean(*self.NAMES)

    def traced(self, trace, expression):
        return subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", expression, "--",
                               *self.command("backup", "--group=shop", full_every="1")],
                              capture_output=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL, env=testing.under_strace())

    def place_of(self, call, path):
        """Which of the calls of its thread is the first one with this path."""
        trace = self.path("trace")
        self.assertEqual(self.traced(trace, f"trace={call}").returncode, 0)
        counts = {}
        with open(trace, encoding="utf-8", errors="replace") as file:
            for line in file:
                found = re.match(rf"(\d+) +{call}\(", line)
                if not found:
                    continue
                counts[found[1]] = counts.get(found[1], 0) + 1
                if path in line:
                    return counts[found[1]]
        self.fail(f"no {call} of {path}")
        return None

    def empty_repository(self):
        for name in (*self.NAMES, ".groups"):
            subprocess.run(["rm", "-rf", os.path.join(self.repository, name)], check=True)

    @unittest.skipIf(syscalls.missing(), "strace is not there")
    def test_a_kill_while_it_is_published_leaves_all_of_it_or_nothing(self):
        for call, path, bound in (("renameat2", "/db1/", False), ("renameat2", "/web1/", False),
                                  ("rename", "/.groups/", False), ("unlink", "/unbound", True)):
            when = self.place_of(call, path)
            self.empty_repository()
            with self.subTest(call=call, path=path):
                done = self.traced("/dev/null", f"inject={call}:signal=SIGKILL:when={when}")
                self.assertEqual(done.returncode, -signal.SIGKILL)
                listed = json.loads(self.run_host("list", "--json").stdout)
                ids = {entry["vm"]: entry["id"] for entry in listed["backups"]}
                self.assertEqual(len(ids), 2 if bound else 0, listed)
                self.back_up_group()
                self.assertEqual([len(self.backups(name)) for name in self.NAMES],
                                 [2, 2] if bound else [1, 1])
                self.assert_clean(*self.NAMES)
                for name in self.NAMES:
                    for backup in self.backups(name):
                        directory = os.path.join(self.repository, name, backup)
                        self.assertNotIn("unbound", os.listdir(directory))
                self.empty_repository()


if __name__ == "__main__":
    testing.main()
