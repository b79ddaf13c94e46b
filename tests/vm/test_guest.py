# SPDX-License-Identifier: MIT
"""The packages in a booted guest: a proven backup, its restore, and what can go wrong in a window.

One guest serves all tests, in the order of load_tests(): first what leaves it whole, then the
restore, which replaces it by the second guest, and the removal of the packages there.
"""

import json
import os
import time
import unittest

from lab import claims, judge, qga, scenario, testing, workload

WORK = os.path.join(testing.BUILD, "vm")
LAB = None

# The dead-man has to be longer than the bound of the freeze that it guards.
SHORT_FREEZE_S, SHORT_HOLD_S = 10, 11
# What the design allows between the dead-man's time and the first new commit.
DEAD_MAN_GRACE_S = 2
CLOCK_TICK_NS = 10_000_000  # /proc/uptime has hundredths of a second
FILESYSTEMS = {"root": "/root", "mysql": "/var/lib/mysql"}
NEXT_VERSION = "0.1.0+next"
# probe.sh DIRECTORY RESULT: writes to a filesystem until it has to wait for more than a second, and
# notes when that ended, in hundredths of a second of the guest's monotonic clock.
PROBE = """\
while :; do
  read a _ </proc/uptime
  : >"$1/probe"
  read b _ </proc/uptime
  a=${a%.*}${a#*.} b=${b%.*}${b#*.}
  if [ $((b - a)) -gt 100 ]; then break; fi
  sleep 0.05
done
echo "$b" >"$2"
"""


def setUpModule():
    global LAB
    LAB = scenario.Lab(WORK, claims.Claims(), NEXT_VERSION)
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
        time.sleep(seconds)  # as long as the window is to be
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
        self.use_short_limits()
        with LAB.guest.agent() as agent:
            self.start_probes(agent)
            self.assertEqual(agent.call("guest-fsfreeze-freeze", timeout=60), 2)
        # The host is gone. Twice the grace, so that a pause which only our thaw ends is too long.
        time.sleep(SHORT_HOLD_S + 2 * DEAD_MAN_GRACE_S)
        with LAB.guest.agent() as agent:
            # qemu-ga has no eyes for a thaw by somebody else, and no hand in it.
            self.assertEqual(agent.call("guest-fsfreeze-status"), "frozen")
            self.assertIn("status 31", self.thaw(agent))
            logs = workload.logs(agent)
            thawed = self.probed(agent)
        record = LAB.record()
        self.assertEqual(record["verdict"]["code"], "window-expired")
        begin, held = (record[key]["monotonic_ns"] for key in ("begin", "held"))
        due = begin + SHORT_HOLD_S * 10**9
        # In the guest's own time: the first commit that follows the long pause, and the first write
        # to each filesystem that had to wait.
        resumed = {mode: self.resumed(log, held) for mode, log in logs.items()}
        for what, when in [*resumed.items(), *thawed.items()]:
            with self.subTest(what):
                self.assertGreater(when, due - CLOCK_TICK_NS)
                self.assertLess(when, due + DEAD_MAN_GRACE_S * 10**9)
        self.assert_back_to_normal()

    def use_short_limits(self):
        """For this test alone, however it ends."""
        def configure(text):
            with LAB.guest.agent() as agent:
                agent.write_file("/etc/holdfast/agent.conf", text.encode())
            LAB.restart_service()
            LAB.wait_ready()

        with LAB.guest.agent() as agent:
            kept = agent.shell("cat /etc/holdfast/agent.conf 2>/dev/null || true").out
        self.addCleanup(configure, kept)
        configure(f"freeze-timeout = {SHORT_FREEZE_S}s\nmax-hold = {SHORT_HOLD_S}s\n")

    def resumed(self, log, held):
        """When a writer's longest pause after that time ended."""
        acked = [one for _, _, one in log.records if one > 0]
        pauses = [(after - before, after) for before, after in zip(acked, acked[1:])
                  if after > held]
        return max(pauses)[1]

    def start_probes(self, agent):
        """One for each filesystem: writes to it until it has to wait, and notes when that ended."""
        # From a file: systemd would put its own environment in the place of every ${...} (it does so
        # in the arguments of what it runs, systemd.service(5)).
        agent.write_file("/dev/shm/probe.sh", PROBE.encode())
        for name, directory in FILESYSTEMS.items():
            agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", f"--unit=probe-{name}",
                       "/bin/sh", "/dev/shm/probe.sh", directory, f"/dev/shm/{name}.thawed"])

    def probed(self, agent):
        """Those times, in nanoseconds."""
        times = {}
        for name, directory in FILESYSTEMS.items():
            # Nothing in the guest announces it to its agent.
            agent.shell(f"until [ -s /dev/shm/{name}.thawed ]; do sleep 0.1; done", 20)
            times[name] = int(agent.read_file(f"/dev/shm/{name}.thawed")) * CLOCK_TICK_NS
            agent.shell(f"rm -f {directory}/probe /dev/shm/{name}.thawed")
        return times


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


class Upgrade(GuestCase):
    def sequence_of_a_window(self):
        with LAB.guest.agent() as agent:
            self.assertEqual(self.raw_window(agent), (2, ""))
        record = LAB.record()
        self.assertEqual(record["verdict"]["code"], "ok")
        return record["sequence"]

    def service_pid(self):
        return LAB.guest.run(["/bin/systemctl", "show", "--property=MainPID", "--value",
                              "holdfastd.service"]).out.strip()

    def installed(self):
        return LAB.guest.run(["/usr/bin/dpkg-query", "-W", "-f", "${Version}",
                              "holdfast-agent"]).out

    def windows_known(self):
        report = json.loads(LAB.guest.run(["/usr/sbin/holdfastctl", "report", "--json"]).out)
        return {record["window"] for record in report["records"]}

    def assert_replaced_without_a_loss(self, install, version):
        sequence, known, pid = (self.sequence_of_a_window(), self.windows_known(),
                                self.service_pid())
        output = install()
        self.assertEqual(self.installed(), version)
        self.assertNotEqual(self.service_pid(), pid, "the old service still runs")
        # Sessions are there again, no window is taken for lost, none is forgotten.
        self.assert_back_to_normal()
        self.assertEqual(known - self.windows_known(), set())
        self.assertEqual(self.sequence_of_a_window(), sequence + 1)
        return output

    def test_an_upgrade_reopens_the_sessions_and_loses_no_window(self):
        output = self.assert_replaced_without_a_loss(lambda: LAB.install("next"), NEXT_VERSION)
        self.assertNotIn("waiting", output)

    def test_a_downgrade_does_the_same_and_says_what_to_look_at(self):
        output = self.assert_replaced_without_a_loss(
            lambda: LAB.install("deb", "--allow-downgrades"), "0.1.0")
        self.assertIn(f"going back from {NEXT_VERSION} to 0.1.0", output)


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
        Upgrade("test_an_upgrade_reopens_the_sessions_and_loses_no_window"),
        Upgrade("test_a_downgrade_does_the_same_and_says_what_to_look_at"),
        Restored("test_the_restored_guest_is_what_the_backup_says"),
        Restored("test_removing_the_packages_puts_the_guest_agent_back_as_it_was"),
    ]
    return testing.in_order(loader, order, Installation, Windows, Backups, Upgrade, Restored)


if __name__ == "__main__":
    scenario.skip_if_impossible()
    testing.main()
