# SPDX-License-Identifier: MIT
"""The method `checkpoint`, against a machine that counts in its memory and on a disk at once."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

from host_case import MIB, VM, HostCase, Killer
from lab import loopfs, testing
from support.counting_machine import CountingMachine, number_on, problem_of
from support.qemu_machine import Monitor
from support.qmp_proxy import Cut
from support.waiting import ended, until

SOON = 2.0
SETTINGS = ("background-snapshot", "events")


def kill_with_children(process):
    """The driver, and the guardian that it has started."""
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(children, encoding="ascii") as file:
        for child in file.read().split():
            os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.wait(10)


class CheckpointCase(HostCase):
    def setUp(self):
        super().setUp()
        self.bandwidth = self.migration_settings()[0]
        self.machine.run()

    def make_machine(self):
        return CountingMachine(self.path("vm"))

    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **{"method": "checkpoint", **settings})

    def migration_settings(self):
        capabilities = {one["capability"]: one["state"] for one in
                        self.machine.monitor.execute("query-migrate-capabilities")}
        return (self.machine.monitor.execute("query-migrate-parameters")["max-bandwidth"],
                [name for name in SETTINGS if capabilities[name]])

    def assert_nothing_left(self):
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.machine.leftovers(), [])
        self.assertEqual(self.left_in_state(), [])
        self.assertEqual([name for name in self.published() if name.startswith(".")], [])
        self.assertEqual(self.migration_settings(), (self.bandwidth, []))

    def assert_goes_on(self):
        before = self.machine.first()
        until(lambda: self.machine.first() > before, "the machine counts on", SOON)

    def memory_of(self, manifest):
        return os.path.join(self.repository, VM, manifest["id"], manifest["memory"]["file"])

    def restored(self, manifest):
        """A second machine on the restored disks, with the memory loaded: it stands still."""
        out = self.path("out-" + manifest["id"])
        done = self.run_host("restore", VM, manifest["id"], "--to", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([name for name in os.listdir(out) if "memory" in name], [])
        reader = "zstd -dcq" if manifest["memory"]["compression"] == "zstd" else "cat"
        directory = self.path("vm-" + manifest["id"])
        os.mkdir(directory)
        other = CountingMachine(
            directory, extra=("-incoming", f"exec:{reader} {self.memory_of(manifest)}"))
        other.images = {"data": (f"{out}/data.qcow2", "qcow2"), "sys": (f"{out}/sys.qcow2", "qcow2")}
        other.count = f"{out}/{other.COUNT}.qcow2"
        self.addCleanup(other.stop)
        other.start()
        until(lambda: other.status() == "paused", "the memory is loaded", 20,
              process=other.process)
        return other

    def assert_is_one_instant(self, manifest):
        """And goes on from there."""
        out = self.restored(manifest)
        numbers = out.numbers()
        self.assertIsNone(problem_of(numbers, number_on(out.count)))
        self.assertGreater(numbers[0], 0)
        out.run()
        until(lambda: out.first() > numbers[0], "the restored machine counts on", SOON)
        out.monitor.execute("stop")
        first, _, last = out.numbers()
        self.assertLessEqual(first - last, 1)
        out.stop()
        self.assertGreaterEqual(number_on(out.count), last)


class Checkpoint(CheckpointCase):
    def test_live_has_disks_and_memory_of_one_instant(self):
        until(lambda: self.machine.first() > 100, "the machine counts", SOON)
        manifest = self.back_up()
        self.assert_nothing_left()
        self.assert_goes_on()
        memory = manifest["memory"]
        print(f"live: stood still for {memory['standstill_ms']:.1f} ms", flush=True)
        self.assertEqual((manifest["method"], manifest["level"], memory["live"],
                          memory["stopped_because"], memory["compression"], memory["ram_bytes"]),
                         ("checkpoint", "application", True, None, "zstd", 32 * MIB))
        self.assertLess(memory["standstill_ms"], manifest["window"]["total_ms"])
        self.assertEqual((memory["qemu"], memory["machine"]),
                         (manifest["qemu"]["version"], manifest["definition"]["machine"]))
        self.assert_is_one_instant(manifest)
        # What else knows of it.
        shown = self.run_host("show", VM).stdout
        self.assertRegex(shown, r"Memory +33554432 bytes, \S+ \S+ stored, saved live; the machine "
                                r"stood still for [0-9.]+ ms\n")
        listed = json.loads(self.run_host("list", VM, "--json").stdout)["backups"][0]
        self.assertEqual(listed["memory"], memory["bytes"])
        self.assertIn("MEMORY", self.run_host("list", VM).stdout)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        with open(self.memory_of(manifest), "r+b") as file:
            file.seek(100)
            byte = file.read(1)
            file.seek(100)
            file.write(bytes([byte[0] ^ 1]))
        line = self.failing(self.run_host("verify", VM))
        self.assertIn("memory.state.zst' is not that of the manifest", line)

    def test_stopped_has_them_too_and_increments_go_on(self):
        for kind in ("full", "increment"):
            manifest = self.back_up(memory="stopped", compress="none")
            self.assert_nothing_left()
            self.assert_goes_on()
            memory = manifest["memory"]
            print(f"stopped: stood still for {memory['standstill_ms']:.1f} ms", flush=True)
            self.assertEqual((manifest["kind"], memory["live"], memory["compression"]),
                             (kind, False, "none"))
        self.assert_is_one_instant(manifest)
        # Live, on top of one that was not.
        manifest = self.back_up()
        self.assertEqual((manifest["kind"], manifest["memory"]["live"]), ("increment", True))
        self.assert_is_one_instant(manifest)

    def check_killed(self, steps, **settings):
        """The machine goes on and the guest is thawed in time; `recover`, or the next run, clears
        up."""
        self.through_proxy()
        for number, (where, what, skip) in enumerate(steps):
            with self.subTest(step=(where, what, skip)):
                killer = Killer(skip=skip)
                more = dict(settings)
                if where == "qemu-img":
                    more["qemu_img"] = self.qemu_img((what, "kill -9 $PPID; exit 1"))
                elif where == "thaw":
                    def behave(agent, request, killer=killer):
                        killer()
                        return agent.respond(request)
                    self.agent.behaviours["guest-fsfreeze-thaw"] = behave
                else:
                    getattr(self.proxy, where)[what] = killer
                process = self.start_host("backup", VM, **more)
                killer.aim(process)
                status = process.wait(60)
                self.assertEqual(status, -signal.SIGKILL,
                                 process.stderr.read() if status >= 0 else "another signal")
                until(lambda: self.machine.status() == "running", "the machine goes on", SOON)
                self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, SOON))
                self.assert_goes_on()
                self.proxy.before.clear()
                self.proxy.after.clear()
                self.agent.behaviours.clear()
                if number % 2:
                    self.back_up(**settings)
                else:
                    done = self.run_host("recover", VM)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_nothing_left()
                self.assert_goes_on()

    def test_killed_while_it_is_saved_live(self):
        self.check_killed([("after", "stop", 0), ("after", "migrate", 0), ("thaw", None, 0),
                           ("qemu-img", "check", 0)])

    def test_killed_while_it_stands_still(self):
        self.check_killed([("after", "migrate", 0), ("before", "cont", 0)], memory="stopped")

    def test_recover_lets_a_machine_go_on_whose_guardian_was_killed_too(self):
        self.through_proxy()
        def cut():
            killer.known.wait(10)
            kill_with_children(process)
            raise Cut()
        for memory, where, what, again in (("stopped", self.proxy.before, "cont", "recover"),
                                           ("live", self.proxy.after, "transaction", "backup")):
            killer = Killer()
            where[what] = cut
            process = self.start_host("backup", VM, memory=memory)
            killer.aim(process)
            self.assertEqual(process.wait(60), -signal.SIGKILL)
            self.assertNotEqual(self.machine.status(), "running")
            self.assertTrue(self.agent.frozen)
            self.assertEqual(sorted(self.left_in_state()), [VM + ".json", VM + ".memory"])
            where.clear()
            if again == "recover":
                done = self.run_host("recover", VM)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("let the machine go on", done.stdout)
                self.assertIn("thawed the guest", done.stdout)
            else:
                self.back_up()
            self.assertEqual(self.machine.status(), "running")
            self.assert_nothing_left()

    def test_a_repository_that_fills_up_is_told_and_leaves_a_running_machine(self):
        self.small_repository(56)
        def fill():
            # What was set aside for the memory is gone too, as where storage promises more than it has.
            [memory] = glob.glob(f"{self.repository}/{VM}/.incomplete-*/memory.state")
            for size in (1, 0):
                os.truncate(memory, size)
            status = os.statvfs(self.repository)
            with open(os.path.join(self.repository, VM, "filler"), "wb") as file:
                os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)
        # Room for the memory is asked for beforehand.
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"MiB free, \S+ MiB may be needed")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        subprocess.run(["mount", "-o", "remount,size=96m", self.repository], check=True)
        for memory in ("live", "stopped"):
            self.agent.on_freeze = fill
            line = self.failing(self.run_host("backup", VM, memory=memory))
            self.agent.on_freeze = None
            os.unlink(os.path.join(self.repository, VM, "filler"))
            self.assertIn("No space left on device", line)
            self.assertEqual((self.published(), self.machine.status()), ([], "running"))
            self.assert_nothing_left()
            self.assert_goes_on()

    def test_where_it_cannot_be_live_the_doctor_and_the_run_say_so(self):
        def finding():
            done = self.run_host("doctor", VM, "--json")
            found = {one["id"]: one for one in json.loads(done.stdout)[0]["findings"]}
            self.assertEqual(found["method"]["level"], "ok")
            return found["memory"]
        self.assertEqual(finding()["level"], "ok")
        xbzrle = [{"capability": "xbzrle", "state": True}]
        self.machine.monitor.execute("migrate-set-capabilities", capabilities=xbzrle)
        found = finding()
        self.assertEqual(found["level"], "warning")
        self.assertIn("xbzrle", found["text"])
        line = self.failing(self.run_host("backup", VM, memory="live"))
        self.assertRegex(line, r"^holdfast: unable to save the memory live: .*xbzrle.*"
                               r"\('memory = auto' lets the machine stand still for it\)$")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        memory = self.back_up()["memory"]
        self.assertFalse(memory["live"])
        self.assertIn("xbzrle", memory["stopped_because"])
        self.assert_nothing_left()

    def test_a_machine_that_somebody_paused_is_refused_and_stays_paused(self):
        self.machine.monitor.execute("stop")
        line = self.failing(self.run_host("backup", VM, agent=None, require="crash"))
        self.assertIn("the machine does not run, and would not be left as it is", line)
        self.assertEqual(self.machine.status(), "paused")
        self.machine.run()
        # While it is copied, by the run and after its death.
        for ending in (signal.SIGCONT, signal.SIGKILL):
            self.machine.run()
            gate = self.gate(f"copying-{ending}")
            process = self.start_host("backup", VM, "--full",
                                      qemu_img=self.qemu_img(("convert", gate.stop)))
            gate.reached(process)
            self.machine.monitor.execute("stop")
            process.send_signal(ending)
            gate.open()
            self.assertEqual(process.wait(90), 0 if ending == signal.SIGCONT else -ending)
            self.assertEqual(self.machine.status(), "paused")
        done = self.run_host("recover", VM, agent=None)
        self.assertEqual((done.returncode, self.machine.status()), (0, "paused"), done.stderr)
        self.assert_nothing_left()


class Resumed(CheckpointCase):
    continued = None  # the process

    def resume(self, backup, **settings):
        return self.run_host("restore", VM, backup, "--to", self.path(f"out-{backup}"), "--resume",
                             **settings)

    def resumed(self, backup):
        """Continued by the program under test; `self.machine` is it from then on."""
        self.machine.stop()
        self.agent.frozen = True  # as in the memory
        done = self.resume(backup)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        match = re.search(r"continued as process (\d+); the guest is thawed, its clock is set$",
                          done.stdout.strip())
        self.continued = int(match.group(1))
        self.addCleanup(self.end, self.continued)
        self.machine.monitor = Monitor(os.path.join(self.machine.directory, "own.sock"))

    @staticmethod
    def end(process):
        try:
            os.kill(process, signal.SIGKILL)
            ended([process])
        except ProcessLookupError:
            pass

    def test_a_machine_is_continued_where_it_was_and_can_be_again(self):
        until(lambda: self.machine.first() > 100, "the machine counts", SOON)
        first = self.back_up()
        at_first = self.machine.first()
        until(lambda: self.machine.first() > at_first + 100, "the machine counts on", SOON)
        # While it runs nothing is written.
        line = self.failing(self.resume(first["id"]))
        self.assertIn("the machine runs: something listens at ", line)
        self.assertFalse(os.path.exists(self.path(f"out-{first['id']}")))
        numbers = self.restored(first).numbers()
        shutil.rmtree(self.path(f"out-{first['id']}"))
        self.resumed(first["id"])
        self.assertFalse(self.agent.frozen)
        self.assertLess(abs(self.agent.time_set / 1e9 - time.time()), 60)
        self.assertEqual(self.machine.status(), "running")
        self.assertGreaterEqual(self.machine.first(), numbers[0])
        self.assert_goes_on()
        out = self.path(f"out-{first['id']}")
        # The memory is not there any more.
        self.assertEqual({name for name in os.listdir(out) if "json" not in name},
                         {f"{self.machine.COUNT}.qcow2", "data.raw", "sys.qcow2"})
        # Its command line is another one now; a checkpoint of it does as well.
        second = self.back_up(memory="stopped")
        self.assertEqual(self.machine.status(), "running")
        self.machine.monitor.execute("stop")
        at_second = self.machine.numbers()[0]
        self.machine.monitor.execute("quit")
        self.machine.monitor.close()
        self.machine.monitor = None
        ended([self.continued])
        self.resumed(second["id"])
        self.assert_goes_on()
        self.assertGreater(at_second, numbers[0])

    def test_what_cannot_be_done_is_told_before_anything_is_written(self):
        manifest = self.back_up(method="overlay")
        self.machine.stop()
        line = self.failing(self.resume(manifest["id"]))
        self.assertIn("the backup has no memory to be continued from", line)
        self.machine.start()
        self.machine.run()
        manifest = self.back_up()
        self.machine.stop()
        line = self.failing(self.resume(manifest["id"], qmp=self.path("other.qmp")), 2)
        self.assertRegex(line, r"the backup's command line has no monitor at '\S+other.qmp', which is "
                               r"the key 'qmp'")
        self.assertFalse(os.path.exists(self.path(f"out-{manifest['id']}")))

    def test_an_agent_that_does_not_thaw_is_an_error_and_the_machine_runs(self):
        manifest = self.back_up()
        self.machine.stop()
        self.agent.stop()
        line = self.failing(self.resume(manifest["id"], thaw_timeout="1s"))
        process = int(re.search(r"the machine is continued as process (\d+), but its guest may be "
                                r"frozen: ", line).group(1))
        self.addCleanup(self.end, process)
        monitor = Monitor(os.path.join(self.machine.directory, "own.sock"))
        self.assertEqual(monitor.execute("query-status")["status"], "running")
        monitor.close()


class HangingStorage(CheckpointCase):
    """Of a machine whose memory takes some time to be written."""

    FILLED = 384 * MIB

    @classmethod
    def setUpClass(cls):
        if loopfs.missing():
            raise unittest.SkipTest(loopfs.missing())
        cls.filesystem = loopfs.LoopFilesystem(2048)
        cls.addClassCleanup(cls.filesystem.close)

    def setUp(self):
        super().setUp()
        self.repository = os.path.join(self.filesystem.mount_point, "repository")

    def make_machine(self):
        with open(self.path("content"), "wb") as file:
            file.write(os.urandom(self.FILLED))
        return CountingMachine(self.path("vm"), extra=(
            "-m", "512", "-device", f"loader,file={self.path('content')},addr=0x1000000,force-raw=on"))

    def is_protected(self):
        with open(f"/proc/{self.machine.process.pid}/smaps", encoding="ascii") as smaps:
            return any("uw" in line.split() for line in smaps if line.startswith("VmFlags:"))

    def start_and_hang(self, **settings):
        """A backup, whose storage hangs when the guest is thawed. For a lease of the filesystem."""
        hangs = threading.Event()
        def hang(agent, request):
            subprocess.run(["fsfreeze", "-f", self.filesystem.mount_point], check=True)
            hangs.set()
            return agent.respond(request)
        self.agent.behaviours["guest-fsfreeze-thaw"] = hang
        process = self.start_host("backup", VM, memory="live", **settings)
        self.assertTrue(hangs.wait(30))
        self.assertTrue(self.is_protected())
        return process

    def assert_is_set_free_by(self, process):
        until(lambda: not self.is_protected(), "the memory is set free", 30)
        self.assert_goes_on()
        # QEMU and the driver still wait for the storage.
        self.assertIsNone(process.poll())

    def test_recover_sets_the_memory_free_when_nobody_else_is_left(self):
        with self.filesystem.lease(120):
            kill_with_children(self.start_and_hang())
            self.assertTrue(self.is_protected())
            process = self.start_host("recover", VM)
            self.assert_is_set_free_by(process)
        _, problem = process.communicate(timeout=90)
        self.assertEqual((process.returncode, problem), (0, ""))
        self.assert_nothing_left()
        self.assert_goes_on()

    def test_the_memory_is_set_free_after_memory_timeout(self):
        with self.filesystem.lease(120):
            process = self.start_and_hang(memory_timeout="3s")
            self.assert_is_set_free_by(process)
        _, problem = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 1)
        self.assertIn("QEMU has written nothing of the memory for 3s (does the storage of the repository "
                      "hang? see memory-timeout)", problem)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        self.assert_goes_on()
        self.agent.behaviours.clear()
        self.assertTrue(self.back_up()["memory"]["live"])
        self.assert_nothing_left()
        self.assert_goes_on()


class Unmigratable(CheckpointCase):
    def make_machine(self):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.path("nvme.qcow2"), "1M"],
                       check=True)
        return CountingMachine(self.path("vm"), extra=(
            "-drive", f"file={self.path('nvme.qcow2')},format=qcow2,if=none,id=fast",
            "-device", "nvme,drive=fast,serial=1"))

    def test_devices_are_refused_with_their_name(self):
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"^holdfast: the memory of this machine cannot be saved: "
                               r"non-migratable device: \S+/nvme")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.machine.status(), "running")
        self.assert_nothing_left()


if __name__ == "__main__":
    if not loopfs.missing():
        loopfs.enter_namespace()
    testing.main()
