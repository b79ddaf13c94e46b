# SPDX-License-Identifier: MIT
"""Many machines in one run: side by side, each on its own, told apart."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time

from host_case import HostCase
from lab import testing
from support.fake_qga import FakeQga
from support.qemu_machine import Machine
from support.waiting import ended

SUMMARY = (r"\d{8}T\d{6}Z-[0-9a-f]{8}: application, window \d+ ms, 2 disks, "
           r"[0-9.]+ [KM]iB in [0-9.]+ s")


class Together:
    """Holds freezes back until `count` guests are asked at once; keeps the most at a time."""

    def __init__(self, count):
        self.count = count
        self.now = self.most = 0
        self.changed = threading.Condition()

    def __call__(self, agent, request):
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.count, 20)
            self.now -= 1
        return agent.respond(request)


class ManyCase(HostCase):
    """web1 of HostCase, and db1 and mail1, each with a file in vms.d."""

    NAMES = ("db1", "mail1", "web1")

    def setUp(self):
        super().setUp()
        self.machines, self.agents = {"web1": self.machine}, {"web1": self.agent}
        os.makedirs(self.path("etc/vms.d"))
        for name in self.NAMES:
            if name != "web1":
                self.add_machine(name)
            self.configure(name)
        self.write("etc/host.conf", f"repository = {self.repository}\n"
                   f"state-directory = {self.state}\noverlay-reserve = 0\nparallel = 2\n"
                   "agent-timeout = 5s\nqmp-timeout = 10s\n")

    def add_machine(self, name):
        os.mkdir(self.path("vm-" + name))
        machine = Machine(self.path("vm-" + name))
        self.addCleanup(machine.stop)
        machine.start()
        agent = FakeQga(self.path(name + ".qga"))
        self.addCleanup(lambda: agent.stop())
        self.machines[name], self.agents[name] = machine, agent

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, name, more="", **changed):
        values = {"qmp": self.machines[name].qmp, "agent": self.agents[name].path, **changed}
        lines = [f"{key} = {value}\n" for key, value in values.items()]
        self.write(f"etc/vms.d/{name}.conf", "".join(lines) + more)

    def command(self, verb, *arguments, **settings):
        """The configuration files say everything."""
        words = [self.program, verb, *arguments, f"--config-directory={self.path('etc')}"]
        return words + [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]

    def backups(self, name):
        directory = os.path.join(self.repository, name)
        if not os.path.isdir(directory):
            return []
        return [entry for entry in os.listdir(directory) if entry != ".lock"]

    def assert_clean(self, *names):
        for name in names:
            self.assertFalse(self.agents[name].frozen, name)
            self.assertEqual(self.machines[name].leftovers(), [], name)
            self.assertFalse(os.path.exists(os.path.join(self.state, name + ".json")), name)
            self.assertEqual([entry for entry in self.backups(name) if entry.startswith(".")], [])

    def hold_copies(self):
        """A qemu-img whose copies stand still; and where."""
        gate = self.gate("copying")
        return gate, self.qemu_img(("convert", gate.stop))


class HostMany(ManyCase):
    def test_all_enabled_machines_are_backed_up_side_by_side_within_the_limit(self):
        together = Together(2)
        for agent in self.agents.values():
            agent.behaviours["guest-fsfreeze-freeze"] = together
        done = self.run_host("backup", "--all")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(together.most, 2)
        lines = sorted(done.stdout.splitlines())
        self.assertEqual(len(lines), 3)
        for name, line in zip(self.NAMES, lines):
            self.assertRegex(line, f"^{name}: {SUMMARY}$")
        self.assert_clean(*self.NAMES)

    def test_one_at_a_time_is_one_at_a_time(self):
        together = Together(1)
        for agent in self.agents.values():
            agent.behaviours["guest-fsfreeze-freeze"] = together
        done = self.run_host("backup", "--all", "-j1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(together.most, 1)
        # One after the other, in the order of their names.
        self.assertEqual([line.split(":")[0] for line in done.stdout.splitlines()],
                         list(self.NAMES))

    def test_a_broken_machine_does_not_touch_the_others(self):
        self.machines["mail1"].stop()
        done = self.run_host("backup", "--all")
        line = self.failing(done, 1)
        self.assertRegex(line, "^holdfast: mail1: unable to reach the QEMU monitor ")
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual(sorted(text.split(":")[0] for text in done.stdout.splitlines()),
                         ["db1", "web1"])
        self.assert_clean("db1", "web1")
        self.assertEqual(self.backups("mail1"), [])

    def test_a_machine_with_a_mistake_in_its_file_is_named_and_the_others_are_done(self):
        self.configure("db1", more="freez-timeout = 5s\n")
        done = self.run_host("backup", "--all")
        line = self.failing(done, 2)
        self.assertIn("holdfast: db1: ", line)
        self.assertIn("vms.d/db1.conf:3: unknown key 'freez-timeout'", line)
        self.assertEqual([len(self.backups(name)) for name in self.NAMES], [0, 1, 1])

    def test_a_disabled_machine_is_left_out_of_all_but_done_when_it_is_named(self):
        self.configure("mail1", more="enabled = no\n")
        done = self.run_host("backup", "--all")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("mail1", done.stdout + done.stderr)
        done = self.run_host("backup", "mail1", "db1", "db1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([len(self.backups(name)) for name in self.NAMES], [2, 1, 1])

    def test_none_at_all_is_an_error(self):
        for name in self.NAMES:
            self.configure(name, more="enabled = no\n")
        self.assertIn("no machine is configured and enabled", self.failing(
            self.run_host("backup", "--all"), 2))

    def test_the_status_is_the_worst_one(self):
        self.agents["db1"].holdfast = False
        self.assertIn("db1: level 'filesystem', 'application' is preferred",
                      self.failing(self.run_host("backup", "--all"), 3))
        gate, script = self.hold_copies()
        holder = self.start_host("backup", "web1", "--full", qemu_img=script)
        gate.reached(holder)
        done = self.run_host("backup", "--all")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertRegex(done.stderr, "(?m)^holdfast: web1: another run is at work on 'web1'")
        self.machines["mail1"].stop()
        self.assertEqual(self.run_host("backup", "--all").returncode, 1)
        holder.send_signal(signal.SIGTERM)
        holder.wait(60)

    def test_json_is_one_document_in_the_order_of_the_names(self):
        self.machines["mail1"].stop()
        done = self.run_host("backup", "--all", "--json")
        self.assertEqual(done.returncode, 1)
        machines = json.loads(done.stdout)["machines"]
        self.assertEqual([(entry["vm"], entry["status"]) for entry in machines],
                         [("db1", 0), ("mail1", 1), ("web1", 0)])
        for entry in machines:
            self.assertEqual(entry["backup"] is None, entry["vm"] == "mail1")
            self.assertEqual(entry["error"] is None, entry["vm"] != "mail1")
        self.assertEqual(machines[0]["backup"]["level"], "application")
        self.assertTrue(os.path.isdir(machines[2]["backup"]["directory"]))

    def test_quiet_says_what_went_wrong_and_nothing_else(self):
        self.machines["mail1"].stop()
        done = self.run_host("backup", "--all", "--quiet")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Aholdfast: mail1: [^\n]*\n\Z")

    def test_a_socket_on_the_command_line_is_for_one_machine(self):
        self.assertIn("--qmp is for one machine", self.failing(
            self.run_host("backup", "--all", qmp="/nowhere"), 2))


class HostMetrics(ManyCase):
    KEPT = ("timestamp_seconds", "level", "window_seconds", "copy_seconds", "bytes", "disks")

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("metrics"))

    def metrics(self, name):
        """{metric: value}; every line is what the text format of Prometheus allows, in its order."""
        path = self.path(f"metrics/holdfast_{name}.prom")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.endswith("\n"))
        lines = text[:-1].split("\n")
        self.assertEqual(len(lines) % 3, 0, text)
        values = {}
        for index in range(0, len(lines), 3):
            metric = re.fullmatch(r"# HELP ([a-z_]+) [^\\]+", lines[index])[1]
            self.assertEqual(lines[index + 1], f"# TYPE {metric} gauge")
            value = re.fullmatch(metric + r'\{vm="' + name + r'"\} (\d+(?:\.\d+)?)',
                                 lines[index + 2])[1]
            self.assertTrue(metric.startswith("holdfast_backup_"))
            short = metric.removeprefix("holdfast_backup_")
            self.assertNotIn(short, values)
            values[short] = float(value)
        return values

    def test_each_machine_has_a_file_and_a_failure_keeps_the_last_success(self):
        begin = time.time() - 1
        metrics = self.path("metrics")
        self.assertEqual(self.run_host("backup", "--all", metrics_directory=metrics).returncode, 0)
        self.assertEqual(sorted(os.listdir(metrics)),
                         [f"holdfast_{name}.prom" for name in self.NAMES])
        first = self.metrics("db1")
        self.assertEqual(set(first), {f"last_success_{name}" for name in self.KEPT} | {
            f"last_run_{name}" for name in ("timestamp_seconds", "duration_seconds", "success",
                                            "exit_status")})
        self.assertEqual((first["last_run_success"], first["last_run_exit_status"],
                          first["last_success_level"], first["last_success_disks"]), (1, 0, 2, 2))
        self.assertGreater(first["last_success_bytes"], 0)
        self.assertTrue(begin <= first["last_success_timestamp_seconds"] <= time.time() + 1)
        self.machines["db1"].stop()
        self.assertEqual(self.run_host("backup", "db1", metrics_directory=metrics).returncode, 1)
        second = self.metrics("db1")
        self.assertEqual((second["last_run_success"], second["last_run_exit_status"]), (0, 1))
        self.assertGreater(second["last_run_timestamp_seconds"],
                           first["last_run_timestamp_seconds"])
        for name in self.KEPT:
            self.assertEqual(second[f"last_success_{name}"], first[f"last_success_{name}"])

    def test_a_directory_that_is_missing_is_said_and_the_backup_is_done(self):
        done = self.run_host("backup", "web1", metrics_directory=self.path("nowhere"))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"\Aholdfast: web1: unable to [^\n]*, continuing without "
                                      r"metrics\n\Z")


class HostManyDeaths(ManyCase):
    def children(self, process):
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            return {self.vm_of(pid): int(pid) for pid in file.read().split()}

    @staticmethod
    def vm_of(pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[-2].decode()

    def test_a_run_killed_inside_its_window_is_thawed_and_the_others_are_done(self):
        process = None
        known = threading.Event()

        def kill():
            known.wait(10)
            os.kill(self.children(process)["db1"], signal.SIGKILL)
        self.agents["db1"].on_freeze = kill
        process = self.start_host("backup", "--all")
        known.set()
        out, errors = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 1, errors)
        self.assertRegex(errors, r"(?m)^holdfast: db1: the run was killed by signal 9 \(.*"
                                 r"holdfast recover db1\)$")
        self.assertEqual(sorted(line.split(":")[0] for line in out.splitlines()),
                         ["mail1", "web1"])
        self.assertTrue(self.agents["db1"].wait_until(lambda: not self.agents["db1"].frozen, 5))
        self.agents["db1"].on_freeze = None
        self.assertEqual(self.run_host("backup", "db1").returncode, 0)
        self.assert_clean(*self.NAMES)

    def test_the_first_signal_ends_all_at_a_safe_point_and_starts_no_more(self):
        gate, script = self.hold_copies()
        process = self.start_host("backup", "--all", qemu_img=script)
        gate.reached(process, 2)
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=90)
        self.assertEqual((process.returncode, out), (1, ""), errors)
        self.assertEqual(sorted(line.split(":")[1].strip() for line in errors.splitlines()),
                         list(self.NAMES), errors)
        self.assertIn("web1: interrupted before it began", errors)
        self.assertEqual(self.agents["web1"].commands, [])
        self.assert_clean(*self.NAMES)
        self.assertEqual([self.backups(name) for name in self.NAMES], [[], [], []])

    def test_runs_whose_parent_is_killed_end_at_a_safe_point(self):
        gate, script = self.hold_copies()
        process = self.start_host("backup", "--all", qemu_img=script)
        gate.reached(process, 2)
        pids = self.children(process)
        process.kill()
        process.wait(20)
        ended(pids.values())
        self.assert_clean("db1", "mail1")

    def test_the_second_signal_leaves_the_clearing_up(self):
        gate, script = self.hold_copies()
        process = self.start_host("backup", "--all", "-j3", qemu_img=script)
        gate.reached(process, 3)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        self.assertEqual(self.run_host("backup", "--all").returncode, 0)
        self.assert_clean(*self.NAMES)


class HostManyTerminal(ManyCase):
    def on_a_terminal(self, *arguments):
        """(status, what a terminal of 60 columns on standard error got)."""
        ours, theirs = pty.openpty()
        subprocess.run(["stty", "cols", "60", "rows", "10"], stdin=theirs, check=True)
        process = subprocess.Popen(self.command("backup", *arguments), stdout=theirs,
                                   stderr=theirs, stdin=subprocess.DEVNULL)
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(ours)
        return process.wait(60), text.decode()

    @staticmethod
    def screen_of(text):
        """The lines that are left: a terminal that knows what we use of it."""
        lines, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[\d*[A-Z]|\r|\n|[^\x1b\r\n]+", text):
            if token == "\r":
                column = 0
            elif token == "\n":
                row, column = row + 1, column
                lines += [""] * (row + 1 - len(lines))
            elif token.endswith("A") and token.startswith("\x1b"):
                row -= int(token[2:-1])
            elif token == "\x1b[K":
                lines[row] = lines[row][:column]
            elif token == "\x1b[J":
                lines[row:] = [lines[row][:column]]
            else:
                lines[row] = lines[row][:column].ljust(column) + token + \
                    lines[row][column + len(token):]
                column += len(token)
        return lines

    def test_progress_is_drawn_in_place_and_leaves_the_summaries_alone(self):
        self.machines["mail1"].stop()
        status, text = self.on_a_terminal("--all", "-j3")
        self.assertEqual(status, 1)
        self.assertIn("db1: freeze", text)
        lines = self.screen_of(text)
        self.assertEqual(lines.pop(), "")
        self.assertEqual(sorted(line.split(": ")[0] for line in lines),
                         ["db1", "holdfast", "web1"], text)
        for line in re.findall(r"[^\x1b\r\n]+\x1b\[K", text):
            self.assertLess(len(line) - 3, 60)

    def test_quiet_draws_nothing(self):
        self.assertEqual(self.on_a_terminal("--all", "-q"), (0, ""))


if __name__ == "__main__":
    testing.main()
