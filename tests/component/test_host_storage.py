# SPDX-License-Identifier: MIT
"""The methods whose instant is taken by the filesystem below QEMU, on btrfs and XFS."""

import json
import os
import shutil
import signal
import socket
import subprocess

from host_case import MIB, VM, Killer
from lab import loopfs, testing
from storage_case import StorageCase
from support.qemu_machine import pattern_at

RESUMED_WITHIN = 2.0


def setUpModule():
    if loopfs.missing() is None:
        loopfs.enter_namespace()


class Storage:
    """What holds for each of them."""

    def test_a_restored_backup_holds_what_the_disks_held_at_the_freeze(self):
        self.write_all(1)
        self.write_all(2, 40 * MIB, 2 * MIB)
        self.run_machine()
        # The image's file alone does not tell of it: QEMU has its tables in memory.
        self.assertFalse(pattern_at(*self.machine.images["sys"], 0, MIB, 1))
        gate = self.gate("copying")
        process = self.start_host("backup", VM, "--json", incremental="yes",
                                  qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(process)
        expected = {disk: bytearray(content) for disk, content in self.expected.items()}
        self.assertEqual(self.status(), "running")
        self.write_all(3)
        self.write_all(4, 20 * MIB, 5 * MIB)
        gate.open()
        output, errors = process.communicate(timeout=90)
        reason = f"the method '{self.METHOD}' makes no increments"
        manifest = json.loads(output)
        self.assertEqual((process.returncode, manifest["method"], manifest["level"],
                          {disk["full_because"] for disk in manifest["disks"]}),
                         (0, self.METHOD, "application", {reason}), errors)
        self.expected = expected
        self.assert_holds_expected(manifest["id"])
        self.assert_nothing_left()

    def check_killed(self, steps):
        """At each step: the machine goes on and the guest is thawed in time; `recover`, or the next
        run, clears up."""
        self.through_proxy()
        self.run_machine()
        for number, (where, what) in enumerate(steps):
            with self.subTest(step=(where, what)):
                self.write_all(1 + number, number * MIB)
                killer = Killer()
                settings = {}
                if where == "script":
                    self.in_place_of(*what)
                elif where == "qemu-img":
                    settings = {"qemu_img": self.qemu_img((what, "kill -9 $PPID; exit 1"))}
                elif where == "frozen":
                    self.agent.on_freeze = killer
                elif where == "thaw":
                    def behave(agent, request, killer=killer):
                        killer()
                        return agent.respond(request)
                    self.agent.behaviours["guest-fsfreeze-thaw"] = behave
                else:
                    getattr(self.proxy, where)[what] = killer
                process = self.start_host("backup", VM, **settings)
                killer.aim(process)
                self.assertEqual(process.wait(60), -signal.SIGKILL)
                self.await_running(RESUMED_WITHIN)
                self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen,
                                                      RESUMED_WITHIN), "still frozen")
                self.proxy.before.clear()
                self.proxy.after.clear()
                self.agent.behaviours.clear()
                self.agent.on_freeze = None
                if where == "script":
                    self.in_place_of(what[0])
                if number % 2:
                    self.back_up()
                else:
                    done = self.run_host("recover", VM)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_nothing_left()
                self.assertEqual(self.status(), "running")
        self.write_all(60, 30 * MIB)
        self.assert_holds_expected(self.back_up()["id"])


class Btrfs(Storage, StorageCase):
    def test_killed_at_each_step(self):
        def at(command, *, after):
            kill = 'kill -9 $PPID; exit 1'
            lines = f'$real "$@"; {kill}' if after else kill
            return "script", ("btrfs", f'[ "$2" = {command} ] && {{ {lines}; }}')
        self.check_killed([("frozen", None), ("before", "stop"), ("after", "stop"),
                           ("before", "cont"), ("after", "cont"), ("thaw", None),
                           ("qemu-img", "convert"), ("qemu-img", "check"),
                           at("snapshot", after=False), at("snapshot", after=True),
                           at("delete", after=False), at("delete", after=True)])

    def test_a_method_with_increments_begins_anew(self):
        self.back_up(incremental="yes")
        self.write_all(3, 7 * MIB)
        kinds = [self.back_up(method="overlay", incremental="yes")["kind"] for _ in range(2)]
        self.assertEqual(kinds, ["full", "increment"])

    def test_a_machine_that_somebody_paused_stays_paused(self):
        self.run_machine()
        self.write_all(1)
        self.machine.monitor.execute("stop")
        manifest = self.back_up(agent=None, require="crash", prefer="crash")
        self.assertEqual(self.status(), "paused")
        self.assert_holds_expected(manifest["id"])
        # While it is copied: at the end, and if the run is killed.
        for ending in (signal.SIGCONT, signal.SIGKILL):
            self.machine.monitor.execute("cont")
            gate = self.gate(f"copying-{ending}")
            process = self.start_host("backup", VM, qemu_img=self.qemu_img(("convert", gate.stop)))
            gate.reached(process)
            self.machine.monitor.execute("stop")
            process.send_signal(ending)
            gate.open()
            self.assertEqual(process.wait(90), 0 if ending == signal.SIGCONT else -ending)
            self.assertEqual(self.status(), "paused")
        done = self.run_host("recover", VM, agent=None)
        self.assertEqual((done.returncode, self.status()), (0, "paused"), done.stderr)
        self.assert_nothing_left()

    def test_a_machine_let_go_on_meanwhile_is_not_stopped(self):
        # Before the instant, by somebody who had it paused: no guardian knows of it.
        self.through_proxy()
        asked = []
        def let_go_on():
            asked.append(True)
            if len(asked) == 2:
                self.machine.monitor.execute("cont")
        self.proxy.before["query-status"] = let_go_on
        line = self.failing(self.run_host("backup", VM, agent=None, require="crash"))
        self.assertIn("the machine was paused when this run began, and runs by now", line)
        self.assertEqual(self.status(), "running")
        self.assert_nothing_left()

    def test_a_job_at_work_is_a_reason_not_to_begin(self):
        target = self.path("mirror.raw")
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", target, "64M"], check=True)
        self.machine.monitor.execute("blockdev-add", **{
            "driver": "raw", "node-name": "mirror", "file": {"driver": "file", "filename": target}})
        self.machine.monitor.execute("blockdev-mirror", **{
            "job-id": "theirs", "device": "data", "target": "mirror", "sync": "full"})
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("the job 'theirs' is at work in the machine", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.left_on_filesystem(), [])

    def test_recover_lets_a_machine_go_on_and_removes_the_snapshots(self):
        self.run_machine()
        # The guardian is killed first, and then the driver.
        self.in_place_of("btrfs", '[ "$2" = snapshot ] && { $real "$@"; '
                         'for g in $(cat /proc/$PPID/task/$PPID/children); do '
                         '[ $g = $$ ] || kill -9 $g; done; kill -9 $PPID; exit 1; }')
        process = self.start_host("backup", VM)
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.assertEqual((self.status(), self.agent.frozen), ("paused", True))
        self.assertEqual(len(self.left_on_filesystem()), 1)
        done = self.run_host("recover", VM)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("let the machine go on", done.stdout)
        self.assertIn("thawed the guest", done.stdout)
        self.assertIn("removed the snapshots of the interrupted run", done.stdout)
        self.assertEqual(self.status(), "running")
        self.assert_nothing_left()

    def test_a_monitor_that_somebody_else_has_keeps_no_guest_frozen(self):
        self.run_machine()
        monitor = self.path("monitor.sock")
        os.symlink(self.machine.qmp, monitor)
        gate = self.gate("snapshotted")
        self.in_place_of("btrfs", f'[ "$2" = snapshot ] && {{ $real "$@"; {gate.stop}; exit 1; }}')
        process = self.start_host("backup", VM, qmp=monitor)
        gate.reached(process)
        # It takes who comes, and says nothing: so does QEMU while it serves another client.
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(self.path("taken.sock"))
            taken.listen()
            os.unlink(monitor)
            os.symlink(self.path("taken.sock"), monitor)
            process.kill()
            self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 10))
            self.assertEqual(self.status(), "paused")
            os.unlink(monitor)
            os.symlink(self.machine.qmp, monitor)
        self.await_running(10)
        gate.open()
        done = self.run_host("recover", VM)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_nothing_left()

    def test_without_an_agent_a_killed_run_leaves_no_machine_stopped(self):
        self.run_machine()
        self.in_place_of("btrfs", '[ "$2" = snapshot ] && { kill -9 $PPID; exit 1; }')
        process = self.start_host("backup", VM, agent=None, require="crash")
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.await_running(RESUMED_WITHIN)

    def test_a_snapshot_that_fails_is_told_and_leaves_a_running_thawed_guest(self):
        self.run_machine()
        self.in_place_of("btrfs", '[ "$2" = snapshot ] && '
                         '{ echo "ERROR: cannot snapshot: No space left on device" >&2; exit 1; }')
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"^holdfast: unable to take the snapshot: unable to snapshot '\S+': .*"
                               r"btrfs.*: ERROR: cannot snapshot: No space left on device$")
        self.assertEqual(self.status(), "running")
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()

    def test_images_elsewhere_are_refused_and_the_doctor_tells(self):
        def findings():
            done = self.run_host("doctor", VM, "--json", incremental="yes")
            return {entry["id"]: entry for entry in json.loads(done.stdout)[0]["findings"]}
        found = findings()
        self.assertEqual((found["method"]["level"], found["no-increments"]["level"]),
                         ("ok", "warning"))
        self.machine.stop()
        old, kind = self.machine.images["sys"]
        self.machine.images["sys"] = (self.path("sys.qcow2"), kind)
        shutil.move(old, self.path("sys.qcow2"))
        self.machine.start()
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"unable to snapshot disk 'sys' by 'btrfs': '\S+' is no file on btrfs")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assert_nothing_left()
        found = findings()["method"]
        self.assertEqual(found["level"], "problem")
        self.assertIn("is no file on btrfs", found["text"])


class TwoSubvolumes(StorageCase):
    """The second one within the first, which a snapshot leaves out; below its image a backing file
    in the first."""

    def make_machine(self):
        machine = super().make_machine()
        inner = os.path.join(machine.directory, "inner")
        subprocess.run(["btrfs", "-q", "subvolume", "create", inner], check=True)
        old, kind = machine.images["sys"]
        machine.images["sys"] = (os.path.join(inner, "sys.qcow2"), kind)
        subprocess.run(["mv", old, machine.images["sys"][0]], check=True)
        return machine

    def test_are_snapshotted_both(self):
        self.write_all(1)
        self.run_machine()
        self.in_place_of("btrfs", f'echo "$@" >>{self.path("said")}')
        manifest = self.back_up()
        self.assert_holds_expected(manifest["id"])
        self.assert_nothing_left()
        with open(self.path("said"), encoding="utf-8") as file:
            said = [line.split()[:2] for line in file]
        self.assertEqual(said, [["--version"]] + [["subvolume", "snapshot"]] * 2 +
                         [["subvolume", "delete"]] * 2)


class Reflink(Storage, StorageCase):
    METHOD = "reflink"

    def test_killed_at_each_step(self):
        # The steps that both share are Btrfs's.
        self.check_killed([("before", "stop"), ("after", "stop"), ("after", "cont"),
                           ("qemu-img", "convert")])

    def test_images_without_copy_on_write_are_cloned_too(self):
        self.machine.stop()
        path = self.machine.images["data"][0]
        subprocess.run(["rm", path], check=True)
        with open(path, "wb"):
            subprocess.run(["chattr", "+C", path], check=True)
        os.truncate(path, self.machine.size)
        self.machine.start()
        self.write_all(1)
        self.assert_holds_expected(self.back_up()["id"])
        self.assert_nothing_left()


class ReflinkOnXfs(Storage, StorageCase):
    KIND = "xfs"
    METHOD = "reflink"

    def test_without_room_for_what_the_guest_overwrites_nothing_is_begun(self):
        self.fill(100)
        line = self.failing(self.run_host("backup", VM, overlay_reserve="100"))
        self.assertRegex(line, r"unable to snapshot what is in '.*/vm-\S+/': \S+ MiB free, "
                               r"\S+ MiB wanted \(what the guest overwrites is kept: "
                               r"see overlay-reserve\)$")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assert_nothing_left()

    def fill(self, mebibytes):
        """Until no more than that is free."""
        status = os.statvfs(self.filesystem.mount_point)
        free = status.f_bavail * status.f_frsize
        with open(os.path.join(self.machine.directory, "filler"), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - mebibytes * MIB)

    def test_needs_no_root_and_no_capability(self):
        self.write_all(1)
        for path in (self.directory, self.machine.directory, self.agent.path, self.machine.qmp,
                     *(image[0] for image in self.machine.images.values()), self.machine.golden):
            os.chmod(path, 0o777)
        os.chmod(self.filesystem.mount_point, 0o755)
        done = subprocess.run(self.command("backup", VM), user=65534, group=65534, extra_groups=[],
                              capture_output=True, text=True, timeout=90, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_holds_expected("latest")
        self.assert_nothing_left()


class NoReflinks(StorageCase):
    KIND = "ext4"
    METHOD = "reflink"

    def test_are_refused_before_anything_is_done(self):
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"unable to snapshot disk 'data' by 'reflink': the filesystem of '\S+' "
                               r"has no reflinks \(see METHODS in holdfast\(1\) for others\)$")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assert_nothing_left()


if __name__ == "__main__":
    testing.main()
