# SPDX-License-Identifier: MIT
"""The host's systemd units: how far they confine a run, why no further, and that a real run fits in."""

import os
import re
import subprocess
import unittest

from host_case import VM, HostCase
from lab import syscalls, testing, units
from support.fake_guest import FakeGuest, answer

ONE, ALL = "host/holdfast-backup@.service", "host/holdfast-backup-all.service"
BOOT = "host/holdfast-verify-boot.service"
MAXIMUM_EXPOSURE = 2.5
_CALL = re.compile(r"^\d+ +(\w+)\(")
_SOCKET = re.compile(r"^\d+ +socket(?:pair)?\((AF_\w+)")


def sandbox(unit):
    """The settings that confine it."""
    with open(units.path(unit), encoding="utf-8") as file:
        text = file.read()
    return text[text.index("# The sandbox."):]


class Units(unittest.TestCase):
    def test_a_run_is_confined_and_each_relaxation_has_its_reason(self):
        for unit in (ONE, ALL, BOOT):
            with self.subTest(unit):
                self.assertLessEqual(units.exposure(unit), MAXIMUM_EXPOSURE)
                self.assertEqual(units.without_a_reason(unit), [])

    def test_one_machine_is_confined_as_all_are(self):
        self.assertEqual(sandbox(ONE), sandbox(ALL))

    def test_systemd_finds_nothing_wrong_with_them(self):
        directory = os.path.join(units.UNITS, "host")
        for name in sorted(os.listdir(directory)):
            with self.subTest(name), open(os.path.join(directory, name),
                                          encoding="utf-8") as file:
                # The program is where the package puts it, which is not this machine's concern.
                text = file.read().replace("/usr/bin/holdfast", "/bin/true")
                work = os.path.join(testing.BUILD, "tests", "units")
                os.makedirs(work, exist_ok=True)
                copy = os.path.join(work, name.replace("@", "@web1"))
                with open(copy, "w", encoding="utf-8") as unit:
                    unit.write(text)
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy],
                                      capture_output=True, text=True, timeout=60, check=False,
                                      env={**os.environ, "SYSTEMD_UNIT_PATH": work + ":"})
                self.assertEqual((done.returncode, done.stderr), (0, ""))


class Run(HostCase):
    """What the unit leaves of capabilities is taken from the run for real; what it leaves of system
    calls and sockets is compared with all that a run asks for."""

    def within_the_unit(self, verb, *arguments, unit=ONE, **settings):
        trace = self.path("trace")
        bounding = ",".join("+" + name.removeprefix("CAP_").lower()
                            for name in units.values(unit, "CapabilityBoundingSet"))
        done = subprocess.run(["setpriv", "--no-new-privs", "--bounding-set", "-all," + bounding,
                               "strace", "-f", "-qq", "-o", trace, "--",
                               *self.command(verb, *arguments, **settings)],
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL, env=testing.under_strace())
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(trace, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def test_backups_ask_for_nothing_that_the_unit_denies(self):
        # An image of somebody else's: its overlay has to be given to them.
        for image, _ in self.machine.images.values():
            os.chown(image, 65534, 65534)
        first = self.within_the_unit("backup", VM)
        self.assert_nothing_left()
        lines = first + self.within_the_unit("backup", VM)
        self.assert_nothing_left()
        calls = self.assert_within(lines, ONE)
        self.assertTrue([name for name in calls if "chown" in name])
        # MemoryDenyWriteExecute
        self.assertEqual([line for line in lines
                          if "PROT_WRITE|PROT_EXEC" in line or
                          re.search(r"mprotect\([^)]*PROT_EXEC", line)], [])

    def assert_within(self, lines, unit):
        """What it called, and which kinds of sockets it made; the calls."""
        calls = {found.group(1) for found in map(_CALL.match, lines) if found}
        allowed = set().union(*(units.calls_of(group) if group.startswith("@") else {group}
                                for group in units.values(unit, "SystemCallFilter")))
        self.assertEqual(calls - allowed, set())
        families = {found.group(1) for found in map(_SOCKET.match, lines) if found}
        self.assertEqual(families, set(units.values(unit, "RestrictAddressFamilies")))
        return calls

    def test_a_proof_asks_for_nothing_that_its_unit_denies(self):
        manifest = self.back_up()
        guest = FakeGuest(self.directory)
        self.addCleanup(guest.stop)
        guest.proof = answer(manifest["evidence"]["guest_record"])
        guest.on_exec = lambda: guest.await_images(self.repository, 2)
        lines = self.within_the_unit("verify", "--boot", VM, unit=BOOT, boot_qemu=guest.qemu,
                                     boot_accelerator="tcg", boot_directory=self.directory,
                                     boot_memory="64MiB")
        self.assertIn("seccomp", self.assert_within(lines, BOOT))


if __name__ == "__main__":
    reason = (units.missing() or syscalls.missing() or
              (None if os.geteuid() == 0 else "only root has capabilities to take away"))
    if reason:
        testing.skip_all(reason)
    testing.main()
