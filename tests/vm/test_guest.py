# SPDX-License-Identifier: MIT
"""The packages in a booted guest: a proven backup, its restore, and what can go wrong in a window.

One guest serves all tests, in the order of load_tests(): first what leaves it whole, then the
restore, which replaces it by the second guest, and the removal of the packages there.
"""

import json
import os
import time
import unittest

from lab import claims, image, judge, qga, scenario, testing, workload

WORK = os.path.join(testing.BUILD, "vm")
LAB = None

# The dead-man has to be longer than the bound of the freeze that it guards.
SHORT_FREEZE_S, SHORT_HOLD_S = 3, 4
# What the design allows between the dead-man's time and the first new commit.
DEAD_MAN_GRACE_S = 2


def setUpModule():
    global LAB
    LAB = scenario.Lab(WORK, claims.Claims())
    unittest.addModuleCleanup(LAB.close)
    LAB.boot()


class GuestCase(unittest.TestCase):
    def assert_claims(self, since):
        """Every claim made since then held."""
        self.assertEqual(LAB.claims.failed[since:], [])

    def assert_back_to_normal(self):
        self.assertTrue(scenario.all_ready(LAB.wait_ready()), LAB.wait_ready(1))
        with LAB.guest.agent() as agent:
            self.assertEqual(agent.call("guest-fsfreeze-status"), "thawed")
            self.assertTrue(workload.running(agent), workload.errors(agent))

    def raw_window(self, agent, seconds=0.0):
        """Freeze, wait, thaw, all by hand. (count, the thaw's error or "")"""
        count = agent.call("guest-fsfreeze-freeze", timeout=60)
        time.sleep(seconds)
        return count, self.thaw(agent)

    def thaw(self, agent):
        try:
            agent.call("guest-fsfreeze-thaw", timeout=60)
            return ""
        except qga.AgentError as error:
            return str(error)


class Installation(GuestCase):
    def test_packages_install_without_a_network_and_both_databases_become_ready(self):
        LAB.install()
        LAB.make_accounts()
        status = LAB.wait_ready()
        self.assertTrue(scenario.all_ready(status), json.dumps(status, indent=1))

    def test_the_accounts_may_do_what_the_job_needs_and_no_more(self):
        with LAB.guest.agent() as agent:
            self.assertEqual(scenario.least_privilege(agent), "")

    def test_the_guest_agent_runs_our_shim_without_a_hand_edit(self):
        with LAB.guest.agent() as agent:
            line, hook = scenario.guest_agent_hook(agent)
        self.assertIn(" -F", line)
        self.assertEqual(hook, scenario.SHIM)

    def test_no_unit_of_the_guest_has_failed(self):
        with LAB.guest.agent() as agent:
            failed = agent.shell("systemctl list-units --failed --no-legend --plain").out
        self.assertEqual(failed, "")

    def test_the_write_load_starts(self):
        with LAB.guest.agent() as agent:
            workload.start(agent)
            self.assertTrue(workload.running(agent))


class Windows(GuestCase):
    """Windows opened and hurt by hand or by the driver."""

    def test_everything_freezes_and_the_service_answers_all_the_while(self):
        with LAB.guest.agent() as agent:
            agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", "--unit=poller",
                       "--property=StandardOutput=file:/dev/shm/answers", "/bin/sh", "-c",
                       "while [ ! -e /dev/shm/enough ]; do read begin _ </proc/uptime; "
                       "timeout 5 /usr/sbin/holdfastctl status --json >/dev/null; status=$?; "
                       "read end _ </proc/uptime; echo $begin $end $status; sleep 0.05; done"])
            agent.shell("until [ -s /dev/shm/answers ]; do sleep 0.1; done")
            count, error = self.raw_window(agent, 3.0)
            agent.shell("touch /dev/shm/enough; systemctl stop poller.service 2>/dev/null || true")
            answers = [line.split() for line in
                       agent.read_file("/dev/shm/answers").decode().splitlines()]
            agent.shell("rm -f /dev/shm/enough /dev/shm/answers")
        self.assertEqual((count, error), (2, ""))
        record = LAB.record()
        self.assertEqual(sorted(record["filesystems"]), ["/", "/var/lib/mysql"])
        verify, = [one["begin_ns"] for one in record["phases"] if one["name"] == "verify"]
        begin, end = record["held"]["monotonic_ns"] / 1e9, verify / 1e9
        self.assertGreater(end - begin, 2.5)
        frozen = [(float(a), float(b), status) for a, b, status in answers
                  if float(a) > begin and float(b) < end]
        self.assertGreater(len(frozen), 5)
        self.assertEqual({status for _, _, status in frozen}, {"0"})
        self.assertLess(max(b - a for a, b, _ in frozen), 1.0)
        self.assert_back_to_normal()

    def test_a_killed_session_fails_the_thaw_with_30(self):
        self.hurt_window(scenario.KILL_SESSION, 30, "hold-lost")

    def test_a_killed_service_fails_the_thaw_with_33(self):
        self.hurt_window(scenario.KILL_DAEMON, 33, "daemon-restarted", None)

    def hurt_window(self, script, status, *verdicts):
        with LAB.guest.agent() as agent:
            scenario.arm_breaker(agent, script)
            _, error = self.raw_window(agent, scenario.WINDOW_S)
        self.assertIn(f"status {status}", error)
        self.assert_back_to_normal()
        # A service that came back after the thaw knows of no end of that window.
        self.assertIn((LAB.record()["verdict"] or {}).get("code"), verdicts)
        with LAB.guest.agent() as agent:
            self.assertEqual(self.raw_window(agent), (2, ""), "the next window is whole again")

    def test_when_the_host_never_thaws_the_databases_write_again_in_time(self):
        with LAB.guest.agent() as agent:
            kept = agent.shell("cat /etc/holdfast/agent.conf 2>/dev/null || true").out
            agent.write_file("/etc/holdfast/agent.conf",
                             f"freeze-timeout = {SHORT_FREEZE_S}s\n"
                             f"max-hold = {SHORT_HOLD_S}s\n".encode())
        LAB.restart_service()
        LAB.wait_ready()
        with LAB.guest.agent() as agent:
            since = workload.now_ns(agent)
            self.assertEqual(agent.call("guest-fsfreeze-freeze", timeout=60), 2)
        # The host is gone. Twice the grace, so that a pause which only our thaw ends is too long.
        time.sleep(SHORT_HOLD_S + 2 * DEAD_MAN_GRACE_S)
        with LAB.guest.agent() as agent:
            self.assertIn("status 31", self.thaw(agent))
            pauses = {mode: log.longest_pause_ms(since)
                      for mode, log in workload.logs(agent).items()}
            agent.write_file("/etc/holdfast/agent.conf", kept.encode())
        for mode, pause in pauses.items():
            with self.subTest(mode):
                self.assertGreater(pause, (SHORT_HOLD_S - 1) * 1000)
                self.assertLess(pause, (SHORT_HOLD_S + DEAD_MAN_GRACE_S) * 1000)
        self.assertEqual(LAB.record()["verdict"]["code"], "window-expired")
        LAB.restart_service()
        self.assert_back_to_normal()


class Backups(GuestCase):
    record, logs, identifier = None, None, None

    def test_a_backup_under_load_is_proven_and_published(self):
        done = LAB.backup("--require=application")
        self.assertEqual(done.status, 0, done.text)
        Backups.record = LAB.record()
        with LAB.guest.agent() as agent:
            Backups.logs = workload.logs(agent)
        path, = LAB.backups()
        Backups.identifier = os.path.basename(os.path.dirname(path))
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual(manifest["level"], "application")
        self.assertEqual(manifest["evidence"]["guest_record"]["window"], Backups.record["window"])
        self.assertEqual(LAB.attached_overlays(), [])
        self.assert_back_to_normal()

    def test_a_backup_whose_hold_was_lost_is_not_published_as_good(self):
        before = LAB.backups()
        done = LAB.hurt_backup(scenario.KILL_DAEMON, "--require=application")
        self.assertEqual(done.status, 1, done.text)
        self.assertEqual(LAB.backups(), before)
        self.assertEqual(LAB.attached_overlays(), [])
        self.assert_back_to_normal()


class Restored(GuestCase):
    def test_the_restored_guest_is_what_the_backup_says(self):
        since = len(LAB.claims.failed)
        target = os.path.join(WORK, "restored")
        done = LAB.host("restore", scenario.VM, Backups.identifier, f"--to={target}")
        self.assertEqual(done.returncode, 0, done.stderr)
        LAB.boot_restored(target)
        with LAB.guest.agent() as agent:
            judge.inside(agent, LAB.claims, 5, Backups.record)
            judge.mariadb(agent, LAB.claims, 5, Backups.record, Backups.logs["mysql"])
            judge.postgresql(agent, LAB.claims, 5, Backups.record, Backups.logs["postgresql"])
        self.assert_claims(since)

    def test_removing_the_packages_puts_the_guest_agent_back_as_it_was(self):
        status, out = LAB.guest.detached(
            "DEBIAN_FRONTEND=noninteractive apt-get -q -y remove 'holdfast-*'", 240)
        self.assertEqual(status, 0, out)
        with LAB.guest.agent() as agent:
            line, hook = scenario.guest_agent_hook(agent)
            self.assertNotIn("-F", line)
            self.assertEqual(hook, scenario.HOOK)
            verified = agent.run(["/usr/bin/dpkg", "--verify", "qemu-guest-agent"], check=False)
            # the image has no documentation
            self.assertEqual([one for one in verified.out.splitlines()
                              if " /usr/share/" not in one], [])
            self.assertEqual(agent.shell("ls -A /etc/qemu").out.split(),
                             ["fsfreeze-hook", "fsfreeze-hook.d"])
            self.assertEqual(agent.shell("pgrep -a holdfast || true").out, "")
            self.assertEqual(self.raw_window(agent), (2, ""))


def load_tests(loader, _tests, _pattern):
    order = [
        Installation("test_packages_install_without_a_network_and_both_databases_become_ready"),
        Installation("test_the_accounts_may_do_what_the_job_needs_and_no_more"),
        Installation("test_the_guest_agent_runs_our_shim_without_a_hand_edit"),
        Installation("test_no_unit_of_the_guest_has_failed"),
        Installation("test_the_write_load_starts"),
        Windows("test_everything_freezes_and_the_service_answers_all_the_while"),
        Backups("test_a_backup_under_load_is_proven_and_published"),
        Backups("test_a_backup_whose_hold_was_lost_is_not_published_as_good"),
        Windows("test_a_killed_session_fails_the_thaw_with_30"),
        Windows("test_a_killed_service_fails_the_thaw_with_33"),
        Windows("test_when_the_host_never_thaws_the_databases_write_again_in_time"),
        Restored("test_the_restored_guest_is_what_the_backup_says"),
        Restored("test_removing_the_packages_puts_the_guest_agent_back_as_it_was"),
    ]
    named = {test.id().split(".")[-1] for test in order}
    for case in (Installation, Windows, Backups, Restored):
        missed = set(loader.getTestCaseNames(case)) - named
        if missed:
            raise AssertionError(f"not in the order of the tests: {sorted(missed)}")
    return unittest.TestSuite(order)


if __name__ == "__main__":
    absent = image.missing_tools()
    if absent:
        testing.skip_all(f"'{', '.join(absent)}' missing")
    if os.geteuid() != 0:
        testing.skip_all("making the guest's image needs root")
    try:
        scenario.packages()
    except FileNotFoundError as error:
        testing.skip_all(str(error))
    testing.main()
