# SPDX-License-Identifier: MIT
"""Every filesystem of a guest, its root among them, stays frozen for five minutes, under load.

All the while the service answers, without a page from the disk; the databases stay held to the last
moment, and write again after the thaw; and the log has the window's lines, in order, when it is over.
Mostly a wait: tests/run lets it run beside everything else. HOLDFAST_LONG_FREEZE_S shortens it.
"""

import json
import os
import re
import socket
import threading
import time
import unittest

from lab import claims, scenario, testing, workload

WORK = os.path.join(testing.BUILD, "vm-long")
FROZEN_S = float(os.environ.get("HOLDFAST_LONG_FREEZE_S", "300"))
PORT = "org.holdfast.lab.0"
# What an answer may take in a guest without hardware to help it, on a machine that is busy besides.
ANSWER_MS = 5000
SERVICES = ("holdfastd.service", "holdfast-fs.service")


class Answer:
    """One line of tests/tools/responder."""

    def __init__(self, line):
        begin, spent, faults, text = line.split(" ", 3)
        self.at_s, self.ms = int(begin) / 1e9, int(spent) / 1e3
        self.faults = [int(number) for number in faults.split(",")]
        self.text = text
        found = re.match(r"holdfast/1 0 ok +(\{.*\}) *$", text)
        self.state = json.loads(found.group(1))["state"] if found else f"no answer: {text[:200]}"


class Port:
    """The host's end of the responder's port."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self.answers = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self._socket.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with self._changed:
                    self.answers.append(Answer(line))
                    self._changed.notify_all()

    def say(self, word):
        self._socket.sendall(word.encode() + b"\n")

    def wait(self, condition, timeout):
        """Until the answers so far are as wanted."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self.answers), timeout):
                last = self.answers[-1].text if self.answers else "none"
                raise TimeoutError(f"not within {timeout} s: the last answer was {last[:200]}")

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(10)
        self._socket.close()


class LongFreeze(unittest.TestCase):
    def setUp(self):
        self.lab = scenario.Lab(WORK, claims.Claims())
        self.addCleanup(self.lab.close)
        self.lab.boot(ports=[PORT])
        self.lab.install()
        with self.lab.guest.agent() as agent:
            agent.write_file("/etc/holdfast/agent.conf",
                             b"log-level = debug\nmax-hold = %ds\n" % (FROZEN_S + 120))
        self.lab.make_accounts()
        self.assertTrue(scenario.all_ready(self.lab.wait_ready()))

    def start_responder(self, agent):
        pids = [agent.run(["/bin/systemctl", "show", "--property=MainPID", "--value",
                           unit]).out.strip() for unit in SERVICES]
        agent.shell(f"cp {workload.TOOLS}/responder /dev/shm/")
        agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", "--unit=responder",
                   "/dev/shm/responder", "/run/holdfast/control.sock",
                   f"/dev/virtio-ports/{PORT}", *pids])

    def test_for_five_minutes_the_service_answers_and_the_holds_last(self):
        port = Port(self.lab.guest.port_path(PORT))
        self.addCleanup(port.close)
        with self.lab.guest.agent() as agent:
            workload.start(agent)
            self.start_responder(agent)
            port.wait(lambda answers: answers and answers[-1].state == "idle", 60)
            self.assertEqual(agent.call("guest-fsfreeze-freeze", timeout=120), 2)
            port.wait(lambda answers: answers[-1].state == "held", 60)
            frozen_at = port.answers[-1].at_s
            port.say("drop")  # from here on every page that is not locked is on the disk alone
            port.wait(lambda answers: answers[-1].at_s > frozen_at + FROZEN_S, FROZEN_S + 300)
            during = [one for one in port.answers if one.at_s >= frozen_at]
            self.assertEqual(agent.call("guest-fsfreeze-status"), "frozen")
            self.assertEqual(agent.call("guest-fsfreeze-thaw", timeout=120), 2)
        self.judge_answers(during)
        record = self.lab.record()
        self.assertEqual(record["verdict"], {"code": "ok", "status": 0, "text": ""})
        self.judge_writers(record)
        self.judge_log(record)
        self.assertTrue(scenario.all_ready(self.lab.wait_ready()))

    def judge_answers(self, during):
        self.assertEqual({one.state for one in during}, {"held"})
        # One each second or so: none was left out, and none took long.
        gaps = [b.at_s - a.at_s for a, b in zip(during, during[1:])]
        self.assertLess(max(gaps), 2 + ANSWER_MS / 1e3)
        self.assertLess(max(one.ms for one in during), ANSWER_MS)
        self.assertEqual(during[-1].faults, during[0].faults, "pages were read from the disk")
        milliseconds = sorted(one.ms for one in during)
        print(f"{len(during)} answers, median {milliseconds[len(during) // 2]:.1f} ms, "
              f"longest {milliseconds[-1]:.1f} ms, major faults {during[-1].faults}")

    def judge_writers(self, record):
        """Nothing was acknowledged between the lock and its release, much afterwards."""
        held = record["held"]["monotonic_ns"]
        verify, = [one["begin_ns"] for one in record["phases"] if one["name"] == "verify"]
        self.assertGreater(verify - held, FROZEN_S * 1e9)
        with self.lab.guest.agent() as agent:
            self.assertTrue(workload.running(agent), workload.errors(agent))
            # Anew: what is counted has to be after the thaw.
            logs, _ = workload.stop(agent)
        for mode, log in logs.items():
            with self.subTest(mode):
                begun_in_time = [acked for _, _, acked in log.records if acked > 0]
                self.assertTrue([acked for acked in begun_in_time if acked < held])
                self.assertTrue([acked for acked in begun_in_time if acked > verify])
        # MariaDB is held by the lock from the moment of the record on. PostgreSQL's writers go on
        # until the filesystem stands still, a moment later, and from the thaw on.
        acked = [acked for _, _, acked in logs["mysql"].records if held < acked < verify]
        self.assertEqual(acked, [])
        self.assertGreater(logs["postgresql"].longest_pause_ms(held), (FROZEN_S - 1) * 1e3)

    def judge_log(self, record):
        window = record["window"][:8]
        with self.lab.guest.agent() as agent:
            # journald was frozen, too, and may still be at it.
            agent.shell("journalctl --sync")
            lines = agent.shell("journalctl -u holdfastd.service --output=cat").out.splitlines()
        ours = [line for line in lines if f"window {window}: " in line]
        steps = [re.sub(r".*window \w+: ", "", line) for line in ours]
        steps = [re.sub(r"\d+ (ms|resources)", r"N \1", step) for step in steps]
        wanted = ["freeze: N resources", "changed 'preparing' -> 'holding'",
                  "changed 'holding' -> 'recording'", "held after N ms",
                  "changed 'recording' -> 'held'", "changed 'held' -> 'verifying'",
                  "changed 'verifying' -> 'releasing'",
                  "thawed: every hold was unbroken for N ms"]
        self.assertEqual([step for step in steps if step in wanted], wanted, "\n".join(lines))
        self.assertEqual([line for line in lines if "dropped" in line], [])


if __name__ == "__main__":
    scenario.skip_if_impossible()
    testing.main()
