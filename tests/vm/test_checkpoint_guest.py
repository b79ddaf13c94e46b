# SPDX-License-Identifier: MIT
"""A checkpoint of a booted guest with a real qemu-ga: continued, it is where it was, down to what is
nowhere but in its memory; its disks alone start clean. And a restore point with memory, gone back to.

The machine is small. How long one with more memory stands still depends on how much is in it;
HOLDFAST_MEMORY (in MiB, half of it is filled) is for who wants to know.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from lab import claims, small_guest, testing
from support.waiting import ended

WORK = os.path.join(testing.BUILD, "vm-checkpoint")
MEMORY = int(os.environ.get("HOLDFAST_MEMORY", "256"))
YEAR = 365 * 24 * 3600
# /run is in memory, / on the disk. A write to that stands still while it is frozen.
COUNT = """\
n=0
while :; do
  n=$((n + 1))
  echo $n >/run/count.new
  mv /run/count.new /run/count
  echo $n >/count
  sync -f /count
done
"""
# One process after one boot, and what is in the memory alone.
IDENTITY = """\
cut -d' ' -f1,22 /proc/$(cat /run/counter)/stat
cat /proc/sys/kernel/random/boot_id
sha256sum </run/filled
"""
# What has not happened in a machine that is back where it was before.
CHANGE = "kill -KILL $(cat /run/counter); rm /run/filled; touch /run/after /after; sync"
SAY = claims.Claims().say


def setUpModule():
    missing = small_guest.missing_tools()
    if missing:
        raise unittest.SkipTest(f"'{', '.join(missing)}' missing")
    if os.geteuid() != 0:
        raise unittest.SkipTest("making the guest's image needs root")


class Checkpoint(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(WORK, ignore_errors=True)
        begin = time.monotonic()
        self.guest = small_guest.AgentGuest(os.path.join(WORK, "vm"), memory=MEMORY)
        self.addCleanup(self.guest.close)
        SAY(f"booted in {time.monotonic() - begin:.0f} s")
        self.shell("mount -o remount,size=90% /run")

    def host(self, *arguments):
        done = subprocess.run(
            [testing.built("host-driver/holdfast"), *arguments, f"--repository={WORK}/repository",
             f"--state-directory={WORK}/state", f"--config-directory={WORK}/etc",
             f"--qmp={self.guest.qmp_path}", f"--agent={self.guest.agent_path}",
             "--method=checkpoint", "--overlay-reserve=0", "--agent-timeout=30s",
             "--snapshot-timeout=60s", "--memory-timeout=120s", "--freeze-timeout=60s",
             "--thaw-timeout=60s", "--require=filesystem", "--prefer=filesystem"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def shell(self, script):
        with self.guest.agent() as agent:
            return agent.shell(script, 200).out.strip()

    def assert_thawed(self):
        with self.guest.agent() as agent:
            self.assertEqual(agent.call("guest-fsfreeze-status"), "thawed")

    def assert_counts_on(self):
        """In memory and on the disk. What it counts it says."""
        before = int(self.shell("cat /run/count"))
        self.shell(f"until [ $(cat /count) -gt $(({before} + 1)) ]; do sleep 0.1; done")
        return before

    def back_up(self, memory):
        manifest = self.host("backup", "guest", "--json", f"--memory={memory}")
        kept = manifest["memory"]
        self.assertEqual(kept["live"], memory == "live")
        self.assertEqual(manifest["level"], "filesystem", manifest)
        self.assert_thawed()
        SAY(f"{memory}: {MEMORY} MiB stood still for {kept['standstill_ms']:.0f} ms, frozen for "
            f"{manifest['window']['total_ms']:.0f} ms, {kept['bytes'] >> 20} MiB stored")
        return manifest

    def set_clock_back(self):
        """A clock that is a year behind shows who has set it."""
        self.shell(f"date -s @{int(time.time()) - YEAR}")

    def goes_on(self, identity, before):
        """Where it was, knowing nothing of later. What it counts it says."""
        self.assertLess(abs(int(self.shell("date +%s")) - time.time()), 600)
        self.assert_thawed()
        self.assertEqual(self.shell(IDENTITY), identity)
        self.assertEqual(self.shell("ls -d /run/after /after 2>/dev/null || :"), "")
        counted = self.assert_counts_on()
        self.assertGreaterEqual(counted, before)
        self.assertEqual(self.shell("dmesg | grep -i 'ext4.*error' || :"), "")
        return counted

    def point(self, identity):
        before = self.assert_counts_on()
        point = self.host("snapshot", "create", "guest", "--with-memory", "--json")
        self.assertEqual(point["level"], "filesystem", point)
        self.assert_thawed()
        self.assert_counts_on()
        self.shell(CHANGE)
        self.host("snapshot", "revert", "guest", point["id"], "--resume", "--discard", "--json")
        self.goes_on(identity, before)
        self.host("snapshot", "delete", "guest", point["id"], "--json")
        SAY(f"restore point: {MEMORY} MiB stood still for {point['memory']['standstill_ms']} ms; "
            "gone back to, the same process counts on")

    def test_goes_on_where_it_was_and_its_disks_alone_start_clean(self):
        self.set_clock_back()
        self.shell(f"head -c {MEMORY // 2}M /dev/urandom >/run/filled")
        with self.guest.agent() as agent:
            agent.write_file("/run/count.sh", COUNT.encode())
        self.shell("setsid sh /run/count.sh </dev/null >/dev/null 2>&1 & echo $! >/run/counter\n"
                   "until [ -e /count ]; do sleep 0.1; done")
        identity = self.shell(IDENTITY)
        self.point(identity)
        self.set_clock_back()
        self.back_up("stopped")
        before = self.assert_counts_on()
        backup = self.back_up("live")["id"]
        self.assert_counts_on()
        self.shell(CHANGE)
        self.guest.close()
        self.continued(backup, identity, before)
        self.started(backup, identity, before)

    def continued(self, backup, identity, before):
        restored = self.host("restore", "guest", backup, f"--to={WORK}/continued", "--resume",
                             "--json")["resumed"]
        process = restored["process"]
        try:
            self.assertEqual((restored["not_thawed"], restored["clock_not_set"]), (None, None))
            counted = self.goes_on(identity, before)
        finally:
            os.kill(process, signal.SIGKILL)
            ended([process])
        SAY(f"continued: the same process counts on at {counted}, the guest is thawed and knows "
            "the time")

    def started(self, backup, identity, before):
        """A boot of its own, from the same instant."""
        self.host("restore", "guest", backup, f"--to={WORK}/started", "--json")
        [disk] = [name for name in os.listdir(f"{WORK}/started") if name.endswith(".qcow2")]
        self.guest = small_guest.AgentGuest(os.path.join(WORK, "vm2"), f"{WORK}/started/{disk}")
        self.addCleanup(self.guest.close)
        self.assertNotIn(self.shell("cat /proc/sys/kernel/random/boot_id"), identity)
        self.assertEqual(self.shell("ls -d /run/counter /after 2>/dev/null || :"), "")
        self.assertGreaterEqual(int(self.shell("cat /count")), before)
        self.assertEqual(self.shell("echo x >/written && sync && dmesg | grep -i 'ext4.*error' || :"),
                         "")
        SAY("its disks alone: another boot, clean, with what was on them at the instant")


if __name__ == "__main__":
    testing.main()
