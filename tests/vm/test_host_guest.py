# SPDX-License-Identifier: MIT
"""The host driver and a guest that is really there: its trim reaches the images, its writes go on
through every pivot, it is thawed when the driver dies, and it may reboot within a window.

One guest serves all tests, in the order of load_tests(): whole in the end, and shut down. It has
the distribution's guest agent and nothing of ours: `filesystem` is the level of its backups.
"""

import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from lab import cache, claims, ext4, records, scenario, testing
from lab.held_run import PATIENCE_S, Run

WORK = os.path.join(testing.BUILD, "vm-host")
MIB = 1 << 20
LAB = None
RECORDS = None
# A word written to it is a key of the guest's kernel.
KEYS = "org.holdfast.lab.keys"
PREFER = "--prefer=filesystem"

# Writes all over the disks, several at once, each on the disk before its next.
LOAD = r"""
use strict;
use warnings;
use Fcntl qw(:DEFAULT :seek);
use IO::Handle;
for my $path (@ARGV) {
  next if fork;
  sysopen(my $file, $path, O_RDWR | O_CREAT) or die "$path: $!\n";
  for (my $number = 0; ; $number++) {
    sysseek($file, int(rand(256)) * 65536, SEEK_SET) or die "$path: $!\n";
    my $done = syswrite $file, pack('Q', $number) x 8192;
    $done and $done == 65536 and $file->sync or die "$path: $!\n";
  }
}
wait;
exit 1;
"""
LOAD_FILES = [f"{place}/load.{number}" for place in records.PLACES.values() for number in (1, 2)]

# Deleted files of this size are what is trimmed, or not.
GARBAGE = 32 * MIB
# Of which a copy may lack so much, and have so much of other things.
MARGIN = 8 * MIB
# What is promised, and what a process may be kept waiting on a machine with more to do than
# processors, a guest that is itself one of them besides.
THAWED_WITHIN_S = 2.0
SLACK_S = 3.0


def setUpModule():
    global LAB, RECORDS
    LAB = scenario.Lab(WORK, claims.Claims())
    unittest.addModuleCleanup(LAB.close)
    LAB.boot(ports=[records.PORT, KEYS], databases=False, reboots=True)
    RECORDS = records.Port(LAB.guest.port_path(records.PORT))
    unittest.addModuleCleanup(RECORDS.close)


class GuestCase(unittest.TestCase):
    def setUp(self):
        self.began = time.monotonic()
        self.addCleanup(lambda: self.say(f"{time.monotonic() - self.began:.1f} s"))

    def say(self, text):
        LAB.claims.say(f"{self.id().rpartition('.')[2]}: {text}")

    def start_writer(self):
        """From then on it writes; with every boot again."""
        if RECORDS.begun == 0:
            with LAB.guest.agent() as agent:
                records.install(agent)
        RECORDS.wait_for_more(50)

    # -- backups

    def manifest(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def back_up(self, *options):
        """One that must work, and reach its level; its manifest."""
        manifest = self.manifest(LAB.host("backup", scenario.VM, "--json", PREFER, *options,
                                          timeout=PATIENCE_S))
        self.assertEqual(manifest["level"], "filesystem", manifest["evidence"]["reasons"])
        return manifest

    def newest(self):
        return os.path.basename(os.path.dirname(LAB.backups()[-1]))

    def restored(self, backup):
        """{disk: raw image} of a backup; the next call removes them."""
        target = LAB.path("restored")
        shutil.rmtree(target, ignore_errors=True)
        done = LAB.host("restore", scenario.VM, backup, f"--to={target}", "--format=raw")
        self.assertEqual(done.returncode, 0, done.stderr)
        return {disk: f"{target}/{disk}.raw" for disk in records.PLACES}

    def keep_instant(self):
        """The disks as they are below their overlays: what a backup is to be equal to."""
        shutil.rmtree(LAB.path("instant"), ignore_errors=True)
        os.mkdir(LAB.path("instant"))
        for disk in records.PLACES:
            cache.run(["cp", "--sparse=always", LAB.path(f"{disk}.qcow2"),
                       LAB.path("instant", f"{disk}.qcow2")])

    def assert_equal_to_instant(self, images):
        for disk, path in images.items():
            cache.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", path,
                       LAB.path("instant", f"{disk}.qcow2")])

    def assert_sound(self, images, frozen=True):
        """Filesystems that need nothing, writes that are the first so many; how many."""
        if frozen:
            self.assertEqual([disk for disk, path in images.items()
                              if ext4.needs_recovery(path)], [])
        for disk, path in images.items():
            self.assertEqual(ext4.problems(path), "", disk)
        last, problem = records.prefix(records.read_from(images, ext4.extract))
        self.assertEqual(problem, "")
        return last

    def assert_next_backup(self):
        """It is at its level, an increment, and equal to the disks."""
        with Run(LAB) as run:
            run.before("block-commit", self.keep_instant)
            manifest = self.manifest(run.back_up("--json", PREFER))
        self.assertEqual((manifest["level"], manifest["kind"]), ("filesystem", "increment"),
                         manifest["evidence"]["reasons"])
        images = self.restored(manifest["id"])
        self.assert_equal_to_instant(images)
        self.assert_sound(images)
        self.assert_nothing_left()

    # -- what is left

    def assert_nothing_left(self):
        self.assertEqual(LAB.attached_overlays(), [])
        with LAB.guest.control() as control:
            self.assertEqual(control.call("query-jobs"), [])
            self.assertEqual(control.call("query-fdsets"), [])
            bitmaps = [bitmap["name"] for device in control.call("query-block")
                       for bitmap in device.get("inserted", {}).get("dirty-bitmaps", [])]
        self.assertEqual(sorted({name.split("-", 2)[2].rsplit("-", 1)[0] for name in bitmaps}),
                         [self.newest()])
        self.assertEqual(len(bitmaps), len(records.PLACES), bitmaps)
        self.assertEqual([name for name in os.listdir(LAB.path("state"))
                          if not name.endswith(".lock") and
                          name not in ("repositories", "outcomes", "points", "archives")], [])
        self.assertEqual([name for name in os.listdir(LAB.path("repository", scenario.VM))
                          if name.startswith(".") and name != ".lock"], [])
        self.assertEqual([name for name in os.listdir(LAB.directory) if ".holdfast-" in name], [])

    def assert_guest_whole(self):
        """It runs, writes, is not frozen, and its kernel has nothing to complain of."""
        RECORDS.wait_for_more(20)
        self.assertTrue(LAB.guest.alive())
        with LAB.guest.agent() as agent:
            self.assertEqual(agent.call("guest-fsfreeze-status"), "thawed")
            kernel = agent.shell("dmesg").out
        self.assertEqual([line for line in kernel.splitlines() if re.search(
            r"I/O error|EXT4-fs (error|warning)|JBD2: .*(error|abort)|hung|blocked for more|BUG:"
            r"|Remounting filesystem read-only", line)], [])
        with open(LAB.path("first.stderr"), encoding="utf-8", errors="replace") as file:
            self.assertNotRegex(file.read(), "Assert|assert|abort")


class Trim(GuestCase):
    """Before anything else writes: what is copied is counted."""

    def make_garbage(self):
        with LAB.guest.agent() as agent:
            agent.shell(f"dd if=/dev/urandom of=/var/lib/mysql/garbage bs=1M "
                        f"count={GARBAGE // MIB} conv=fsync status=none && "
                        "rm /var/lib/mysql/garbage && sync", 120)

    def data_bytes(self, manifest):
        return {disk["name"]: disk["bytes"] for disk in manifest["disks"]}["mysql"]

    def allocated(self):
        return os.stat(LAB.path("mysql.qcow2")).st_blocks * 512

    def test_what_a_real_guest_trims_is_not_copied_any_more(self):
        self.make_garbage()
        untrimmed = self.back_up()
        self.assertIsNone(untrimmed["trim"])
        before = self.allocated()
        trimmed = self.back_up("--full", "--trim")
        after = self.allocated()
        paths = {path["path"]: path for path in trimmed["trim"]["paths"]}
        self.say(f"full {self.data_bytes(untrimmed) / MIB:.1f} MiB, trimmed "
                 f"{self.data_bytes(trimmed) / MIB:.1f} MiB; the image {before / MIB:.1f} MiB, "
                 f"{after / MIB:.1f} MiB; trimmed of {json.dumps(paths)} in "
                 f"{trimmed['trim']['duration_ms']} ms")
        self.assertEqual([manifest["kind"] for manifest in (untrimmed, trimmed)], ["full"] * 2)
        self.assertGreater(self.data_bytes(untrimmed) - self.data_bytes(trimmed), GARBAGE - MARGIN)
        self.assertGreater(before - after, GARBAGE - MARGIN)
        self.assertIsNone(trimmed["trim"]["error"])
        self.assertEqual(set(paths), {"/", "/var/lib/mysql"})
        self.assertEqual([path["error"] for path in paths.values()], [None, None])
        self.assertGreaterEqual(paths["/var/lib/mysql"]["bytes"], GARBAGE)

    def test_an_increment_is_without_it_too_and_the_run_says_so(self):
        self.make_garbage()
        untrimmed = self.back_up()
        self.make_garbage()
        done = LAB.host("backup", scenario.VM, "--trim", PREFER)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout,
                         r": filesystem, increment, .* in [\d.]+ s, [\d.]+ [MG]iB trimmed\n$")
        with open(LAB.backups()[-1], encoding="utf-8") as file:
            trimmed = json.load(file)
        self.say(f"increment {self.data_bytes(untrimmed) / MIB:.1f} MiB, trimmed "
                 f"{self.data_bytes(trimmed) / MIB:.1f} MiB: {done.stdout.strip()}")
        self.assertEqual([manifest["kind"] for manifest in (untrimmed, trimmed)],
                         ["increment"] * 2)
        self.assertGreater(self.data_bytes(untrimmed), GARBAGE)
        self.assertLess(self.data_bytes(trimmed), MARGIN)
        self.assert_nothing_left()

    def test_a_guest_agent_that_refuses_is_told_of_and_fails_what_requires_it(self):
        conf = "/etc/qemu/qemu-ga.conf"
        self.reconfigured(f"printf '[general]\\nblock-rpcs=guest-fstrim\\n' >{conf}")
        try:
            done = LAB.host("backup", scenario.VM, "--trim", "--json", PREFER)
            required = LAB.host("backup", scenario.VM, "--trim=require")
        finally:
            self.reconfigured(f"rm {conf}")
        self.say(done.stderr.strip())
        self.say(required.stderr.strip())
        self.assertRegex(done.stderr, f"^holdfast: {scenario.VM}: the guest's filesystems were not "
                         "all trimmed: .*guest-fstrim.*, continuing\n$")
        manifest = self.manifest(done)
        self.assertEqual(manifest["level"], "filesystem")
        self.assertIn("guest-fstrim", manifest["trim"]["error"])
        self.assertEqual((manifest["trim"]["bytes"], manifest["trim"]["paths"]), (0, []))
        self.assertEqual(required.returncode, 1)
        self.assertRegex(required.stderr, "^holdfast: unable to trim the guest's filesystems: "
                         r".*\(the disks need discard=unmap; 'trim = yes' goes on without\)\n$")
        self.assertEqual(self.newest(), manifest["id"])
        self.assert_nothing_left()

    def reconfigured(self, script):
        self.assertEqual(LAB.guest.detached(f"{script}; systemctl restart qemu-guest-agent", 60)[0],
                         0)


class Writes(GuestCase):
    """A device's writes at the places at which those of a monitor must not be tried."""

    # The commits are at their end, the guest goes over to what is below, the overlay goes.
    PIVOT = ("before job-complete", "after job-complete", "before job-dismiss",
             "after job-dismiss", "before blockdev-del", "after blockdev-del")

    def test_go_on_through_every_commit_and_pivot_and_every_copy_is_one_instant(self):
        self.start_writer()
        with LAB.guest.agent() as agent:
            agent.write_file("/usr/local/lib/load.pl", LOAD.encode())
            agent.run(["/usr/bin/systemd-run", "--quiet", "--unit=load", "/usr/bin/perl",
                       "/usr/local/lib/load.pl", *LOAD_FILES])
        for method in ("overlay", "overlay", "backup", "overlay"):
            self.one_backup(method)
        with LAB.guest.agent() as agent:
            self.assertEqual(agent.run(["/bin/systemctl", "is-active", "load"]).out, "active\n")
            agent.run(["/bin/systemctl", "stop", "load"])
            agent.shell(f"rm {' '.join(LOAD_FILES)}; sync")
        self.assert_guest_whole()
        self.assert_nothing_left()

    def one_backup(self, method):
        passed, instant, first = collections.Counter(), [], RECORDS.last

        def go_on(hook):
            RECORDS.wait_for_more(5)
            passed[hook] += 1

        with Run(LAB) as run:
            if method == "overlay":
                run.always(self.PIVOT, go_on)
                run.before("block-commit", self.keep_instant)
            run.after("transaction", lambda: instant.append(RECORDS.last))
            manifest = self.manifest(run.back_up("--json", PREFER, f"--method={method}"))
        self.assertEqual((manifest["level"], manifest["kind"]), ("filesystem", "increment"))
        images = self.restored(manifest["id"])
        if method == "overlay":
            disks = len(records.PLACES)
            self.assertEqual([hook for hook in self.PIVOT if passed[hook] < disks], [])
            self.assert_equal_to_instant(images)
        last = self.assert_sound(images)
        self.say(f"{method}: writes {first} to {RECORDS.last}, the copy has {last}, "
                 f"{manifest['copy']['bytes'] / MIB:.1f} MiB, window "
                 f"{manifest['window']['total_ms']:.0f} ms; written on at {passed.total()} places")
        self.assertGreaterEqual(last, first)
        # Frozen: of what was written after the instant nothing, one that was under way perhaps.
        self.assertLessEqual(abs(last - instant[0]), 1)


class Killed(GuestCase):
    def test_in_the_window_the_guardian_thaws_the_guest_in_time_and_recover_clears_up(self):
        self.start_writer()
        with Run(LAB) as run:
            driver = subprocess.Popen(LAB.command(*run.arguments()), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            times = {}

            def kill():
                times["last"] = self.standing_still()
                times["killed"] = time.monotonic()
                driver.send_signal(signal.SIGKILL)
                driver.wait(30)

            run.after("transaction", kill)
            _, errors = driver.communicate(timeout=120)
            self.assertEqual(driver.returncode, -signal.SIGKILL, errors)
            RECORDS.wait_for_more(1, 60)
            thawed = RECORDS.first_after(times["last"])
        span = thawed - times["killed"]
        self.say(f"from the driver's death to the guest's next write: {span:.2f} s")
        self.assertGreater(span, 0)
        self.assertLess(span, THAWED_WITHIN_S + SLACK_S)
        self.assertIn("ended inside the window; the guest is thawed", errors)
        self.assertNotEqual(LAB.attached_overlays(), [], "nothing was left to recover")
        recovered = LAB.host("recover", scenario.VM)
        self.say(recovered.stdout.strip())
        self.assertEqual((recovered.returncode, recovered.stderr), (0, ""))
        self.assert_nothing_left()
        self.assert_next_backup()
        self.assert_guest_whole()

    def standing_still(self):
        """The number of the last write of a frozen guest."""
        return RECORDS.wait_quiet(1.0)  # what was under way gets its time


class Rebooted(GuestCase):
    """Between the freeze and the thaw. What the driver asks meanwhile waits for the next boot, as
    long as that takes on this machine."""

    BOOT = "--thaw-timeout=1h"

    def test_by_its_own_kernel_before_the_instant_nothing_is_published(self):
        self.start_writer()
        before, begun = LAB.backups(), RECORDS.begun
        keyboard = socket.socket(socket.AF_UNIX)
        self.addCleanup(keyboard.close)
        # Before anybody reads: the guest takes a port without a host for one that is at its end.
        keyboard.connect(LAB.guest.port_path(KEYS))
        with LAB.guest.agent() as agent:
            # Nothing of it has to be read while all is frozen.
            agent.run(["/usr/bin/systemd-run", "--quiet", "--unit=keys", "/bin/sh", "-c",
                       f"until read -r key; do :; done </dev/virtio-ports/{KEYS}; "
                       "echo $key >/proc/sysrq-trigger"])

        def press():
            keyboard.sendall(b"b\n")
            RECORDS.wait_begun(begun + 1)

        with Run(LAB) as run:
            run.before("transaction", press)
            done = run.back_up("--require=filesystem", "--snapshot-timeout=1h",
                               "--agent-timeout=5min", self.BOOT)
        self.say(done.stderr.strip())
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.endswith(
            "holdfast: the level would be 'crash', 'filesystem' is required: the guest was not "
            "frozen any more after the snapshot\n"), done.stderr)
        self.assertEqual(LAB.backups(), before)
        self.assert_as_before()

    def test_by_a_reset_after_the_instant_no_level_is_claimed(self):
        before, begun, written = LAB.backups(), RECORDS.begun, []
        with Run(LAB) as run:
            run.after("transaction", lambda: written.append(self.reset()))
            done = run.back_up("--require=crash", "--json", self.BOOT)
        self.say(done.stderr.strip())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("the guest was not frozen any more after the snapshot", done.stderr)
        manifest = json.loads(done.stdout)
        self.assertEqual(manifest["level"], "crash")
        self.assertEqual(manifest["evidence"]["reasons"],
                         ["the guest was not frozen any more after the snapshot"])
        self.assertEqual(len(LAB.backups()), len(before) + 1)
        last = self.assert_sound(self.restored(manifest["id"]), frozen=False)
        self.assertLessEqual(abs(last - written[0]), 1)
        RECORDS.wait_begun(begun + 1)
        self.assert_as_before()

    def reset(self):
        with LAB.guest.control() as control:
            control.call("system_reset")
        return RECORDS.last

    def assert_as_before(self):
        self.assert_nothing_left()
        self.assert_next_backup()
        self.assert_guest_whole()


class Ended(GuestCase):
    def test_shut_down_the_disks_hold_every_write_and_need_no_repair(self):
        with LAB.guest.agent() as agent:
            agent.shell("systemctl stop records")
        LAB.guest.power_down(300)
        raw = {}
        for disk in records.PLACES:
            path, raw[disk] = LAB.path(f"{disk}.qcow2"), LAB.path(f"{disk}.raw")
            cache.run(["qemu-img", "check", "-f", "qcow2", path])
            cache.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw[disk]])
        # The last one may have been told to nobody.
        self.assertIn(self.assert_sound(raw), (RECORDS.last, RECORDS.last + 1))


def load_tests(loader, _tests, _pattern):
    order = [
        Trim("test_what_a_real_guest_trims_is_not_copied_any_more"),
        Trim("test_an_increment_is_without_it_too_and_the_run_says_so"),
        Trim("test_a_guest_agent_that_refuses_is_told_of_and_fails_what_requires_it"),
        Writes("test_go_on_through_every_commit_and_pivot_and_every_copy_is_one_instant"),
        Killed("test_in_the_window_the_guardian_thaws_the_guest_in_time_and_recover_clears_up"),
        Rebooted("test_by_its_own_kernel_before_the_instant_nothing_is_published"),
        Rebooted("test_by_a_reset_after_the_instant_no_level_is_claimed"),
        Ended("test_shut_down_the_disks_hold_every_write_and_need_no_repair"),
    ]
    return testing.in_order(loader, order, Trim, Writes, Killed, Rebooted, Ended)


if __name__ == "__main__":
    scenario.skip_if_impossible()
    testing.main()
