# SPDX-License-Identifier: MIT
"""What the doctor says of each hazard, and that it neither freezes nor changes anything."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess

from host_case import KIB, MIB, VM, HostCase
from lab import testing

ALLOWED = ("guest-fsfreeze-freeze", "guest-fsfreeze-status", "guest-fsfreeze-thaw",
           "guest-file-open", "guest-file-read", "guest-file-close")
TRIM = "guest-fstrim"
DAEMON, SOCKET = "/usr/sbin/holdfastd", "/run/holdfast/control.sock"


class Doctor(HostCase):
    def setUp(self):
        super().setUp()
        self.allow(*ALLOWED)
        self.agent.files[DAEMON] = b"\x7fELF"
        self.agent.behaviours["guest-file-open"] = self.open_file
        self.daemon_runs = True

    def open_file(self, agent, request):
        if request["arguments"]["path"] == SOCKET and self.daemon_runs:
            return agent.error(f"failed to open file '{SOCKET}' (mode: 'r'): "
                               "No such device or address")
        return agent.respond(request)

    def allow(self, *names):
        commands = [{"name": name, "enabled": name in names, "success-response": True}
                    for name in (*ALLOWED, TRIM)]
        self.agent.behaviours["guest-info"] = (
            lambda *_: {"return": {"version": "7.2.22", "supported_commands": commands}})

    def diagnosis(self, *arguments, **settings):
        done = self.run_host("doctor", VM, "--json", *arguments, **settings)
        self.assertEqual(done.stderr, "")
        found, = json.loads(done.stdout)
        levels = [finding["level"] for finding in found["findings"]]
        self.assertEqual((found["problems"], found["warnings"], found["unknown"]),
                         tuple(levels.count(name) for name in ("problem", "warning", "unknown")))
        self.assertEqual(found["status"], 1 if found["problems"] else 0)
        self.assertEqual(done.returncode, found["status"])
        return found

    def finding(self, name, level, **settings):
        """The one finding of this id; it has this level, and a hint if it is not 'ok'."""
        found = self.diagnosis(**settings)["findings"]
        one = [finding for finding in found if finding["id"] == name]
        self.assertEqual(len(one), 1, found)
        self.assertEqual(one[0]["level"], level)
        self.assertEqual(bool(one[0]["hint"]), level in ("warning", "problem"), one[0])
        return one[0]["text"]

    def ids(self, **settings):
        return {finding["id"]: finding["level"]
                for finding in self.diagnosis(**settings)["findings"]}

    def test_what_cannot_compress(self):
        script = self.qemu_img(("create", 'case "$*" in *zstd*) echo "no zstd here" >&2; exit 1;; '
                                          'esac'))
        self.assertEqual(self.finding("qemu-img-compression", "problem", qemu_img=script),
                         "this qemu-img is unable to compress with zstd: unable to run 'qemu-img "
                         "create': exited with status 1: no zstd here")
        self.assertNotIn("qemu-img-compression", self.ids(qemu_img=script, compress="none"))
        self.assertNotIn("qemu-img-compression", self.ids())
        self.through_proxy().rewrite["query-qmp-schema"] = (
            lambda answer: answer.replace(b'"zstd"', b'"zst"'))
        self.assertRegex(self.finding("qemu-compression", "problem"),
                         r"^QEMU \S+ of this machine is unable to compress with zstd$")
        self.assertNotIn("qemu-compression", self.ids(compress="none"))

    def test_an_agent_that_may_not_trim(self):
        self.assertNotIn("fstrim-disabled", self.ids())
        self.assertIn("does not allow guest-fstrim", self.finding("fstrim-disabled", "warning",
                                                                  trim="yes"))
        self.finding("fstrim-disabled", "problem", trim="require")
        self.allow(*ALLOWED, TRIM)
        self.assertNotIn("fstrim-disabled", self.ids(trim="require"))

    def test_a_healthy_machine_has_no_problem_and_nothing_is_touched(self):
        before = self.snapshot()
        ids = self.ids(keep_last="3", require="application", freeze_timeout="30s",
                       thaw_timeout="30s")
        self.assertEqual({name: level for name, level in ids.items() if level == "problem"}, {})
        for name in ("qemu-img", "disk", "answers", "holdfastd", "configuration", "new"):
            self.assertEqual(ids.get(name), "ok", ids)
        self.assertEqual(ids["not-running"], "warning")   # the test's machine stands still
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.agent.count("guest-fsfreeze-thaw"), 0)
        self.assertEqual(self.snapshot(), before)

    def snapshot(self):
        """Everything below the test's directory, and what QEMU has."""
        names = sorted(os.path.join(directory, name) for directory, _, files
                       in os.walk(self.directory) for name in files)
        return names, self.machine.block_nodes()

    def test_one_line_per_finding_and_a_count(self):
        done = self.run_host("doctor", VM)
        lines = done.stdout.splitlines()
        for line in lines[:-1]:
            self.assertRegex(line, rf"^{VM}: (ok|warning|problem|unknown) +[a-z]+: .+$")
        self.assertRegex(lines[-1], rf"^{VM}: 0 problems, \d+ warnings?, 0 unknown$")
        quiet = self.run_host("doctor", VM, "--quiet")
        self.assertEqual(quiet.stdout.splitlines(),
                         [line for line in lines[:-1] if not line.startswith(f"{VM}: ok")])

    def test_several_machines_and_a_wrong_configuration(self):
        os.makedirs(self.path("etc/vms.d"))
        with open(self.path("etc/vms.d/bad.conf"), "w", encoding="utf-8") as file:
            file.write("qpm = /x\n")
        done = self.run_host("doctor", "bad", VM, "--json")
        bad, good = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertEqual((bad["status"], good["status"]), (1, 0))
        self.assertIn("bad.conf:1: unknown key 'qpm'", bad["findings"][0]["text"])
        self.assertIn("did you mean 'qmp'?", bad["findings"][0]["hint"])

    def test_settings_that_do_not_fit(self):
        self.assertEqual(self.ids(agent=None)["no-agent"], "problem")
        self.assertEqual(self.ids(qmp=None, repository=None)["no-qmp"], "problem")
        self.assertEqual(self.ids(require="crash")["require-crash"], "warning")
        self.assertEqual(self.ids(freeze_timeout="15s")["freeze-timeout"], "warning")
        self.assertNotIn("freeze-timeout", self.ids(freeze_timeout="16s"))
        self.assertEqual(self.ids()["no-retention"], "warning")
        self.assertNotIn("no-retention", self.ids(keep_weekly="1"))
        self.assertEqual(self.ids(metrics_directory=self.path("no"))["metrics-directory"],
                         "warning")
        self.assertEqual(self.ids(enabled="no")["not-enabled"], "warning")

    def test_programs_that_are_missing_or_old(self):
        self.finding("no-qemu-img", "problem", qemu_img="/no/such")
        self.finding("no-qemu-storage-daemon", "warning", qemu_storage_daemon="/no/such")
        old = self.qemu_img(("--version", "echo qemu-img version 1.0.0; exit"))
        self.assertIn("qemu-img 1.0.0 is older than the machine's QEMU ",
                      self.finding("old-qemu-img", "warning", qemu_img=old))

    def test_a_monitor_that_is_not_there_or_taken(self):
        self.finding("monitor", "problem", qmp=self.path("no.sock"))
        with self.occupied():
            found = [finding for finding in self.diagnosis(qmp_timeout="500ms")["findings"]
                     if finding["id"] == "monitor"]
            self.assertIn("serves one client", found[0]["hint"])

    @contextlib.contextmanager
    def occupied(self):
        """Another client at the monitor."""
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(self.machine.qmp)
            other.recv(1)
            yield

    def test_a_drive_whose_format_is_probed(self):
        self.assertNotIn("probed-format", self.ids())
        self.machine.stop()
        extra = self.path("vm/extra.raw")
        with open(extra, "wb") as image:
            image.truncate(MIB)
        self.machine.extra = ["-drive", f"file={extra},if=none,id=extra",
                              "-device", "virtio-blk-pci,drive=extra"]
        self.machine.start()
        self.assertIn(f"file={extra}", self.finding("probed-format", "warning"))

    def test_an_agent_that_is_missing_or_silent(self):
        self.finding("agent-socket", "problem", agent=self.path("no.sock"))
        self.agent.behaviours["guest-sync-delimited"] = lambda *_: None
        self.finding("agent-silent", "problem", agent_timeout="300ms")

    def test_an_agent_that_may_not_freeze_or_read(self):
        self.allow("guest-fsfreeze-status", *ALLOWED[3:])
        self.assertIn("guest-fsfreeze-freeze, guest-fsfreeze-thaw",
                      self.finding("fsfreeze-disabled", "problem"))
        self.allow(*ALLOWED[:3])
        self.finding("file-read-disabled", "warning")
        self.assertEqual(self.ids(require="application")["file-read-disabled"], "problem")

    def test_a_guest_that_is_frozen_already(self):
        self.agent.frozen = True
        self.finding("frozen", "problem")
        self.assertTrue(self.agent.frozen)
        self.agent.frozen = False

    def test_a_guest_without_holdfastd_or_where_it_does_not_run(self):
        self.daemon_runs = False
        self.finding("holdfastd-not-running", "warning")
        self.assertEqual(self.ids(require="application")["holdfastd-not-running"], "problem")
        del self.agent.files[DAEMON]
        self.finding("no-holdfastd", "warning")
        self.assertEqual(self.ids(require="application")["no-holdfastd"], "problem")

    def test_how_the_last_freeze_ended(self):
        self.back_up(prefer="filesystem")
        self.assertIn("1 resources at its last freeze", self.finding("holdfastd", "ok"))
        self.agent.verdict = {"code": "hold-lost", "status": 30, "text": "mysql:main:\x1b[2J gone"}
        self.run_host("backup", VM)
        text = self.finding("last-freeze", "warning")
        self.assertIn("hold-lost: mysql:main:", text)
        self.assertNotIn("\x1b", text)

    def test_disks_that_cannot_be_read_or_have_no_room(self):
        self.assertIn("'data' raw, 64 MiB", self.run_host("doctor", VM).stdout)
        ids = self.ids(overlay_directory=self.path("no"))
        self.assertEqual(ids["overlay-directory"], "problem")
        # Another method puts nothing there.
        self.assertNotIn("overlay-directory",
                         self.ids(method="backup", overlay_directory=self.path("no")))
        os.rename(self.machine.golden, self.machine.golden + ".away")
        self.assertEqual(self.ids()["unreadable-image"], "problem")
        os.rename(self.machine.golden + ".away", self.machine.golden)

    def test_room_is_judged_by_what_the_next_run_copies(self):
        said = self.run_host("doctor", VM).stdout
        self.assertIn("a full backup takes up to", said)
        self.assertNotIn("an increment", said)
        self.back_up()
        self.machine.write("data", 5, 0, 192 * KIB)
        self.assertIn(", the next one, an increment, now 192 KiB\n",
                      self.run_host("doctor", VM).stdout)
        # A bitmap counts what was discarded as changed; a copy of it costs nothing.
        self.machine.command("data", "discard 0 64M")
        self.assertRegex(self.run_host("doctor", VM).stdout,
                         r", the next one, an increment, now (0 B|\d+ KiB)\n")
        self.assertNotIn("an increment", self.run_host("doctor", VM, incremental="no").stdout)
        self.assertNotIn("an increment", self.run_host("doctor", VM, full_every="1").stdout)

    def test_an_image_format_that_cannot_be_backed_up(self):
        self.machine.stop()
        other = self.path("vm/extra.vdi")
        subprocess.run(["qemu-img", "create", "-q", "-f", "vdi", other, "1M"], check=True)
        self.machine.extra = ["-drive", f"file={other},format=vdi,if=none,id=extra",
                              "-device", "virtio-blk-pci,drive=extra"]
        self.machine.start()
        self.assertIn("'vdi' is neither raw nor qcow2", self.finding("unusable-disk", "problem"))

    def test_places_that_are_no_repository(self):
        os.mkdir(self.path("home"))
        with open(self.path("home/letter"), "w", encoding="utf-8"):
            pass
        self.finding("not-a-repository", "problem", repository=self.path("home"))
        os.unlink(self.path("home/letter"))
        self.assertIn("will be made a repository",
                      self.finding("new", "ok", repository=self.path("home"),
                                   state_directory=self.directory))
        self.finding("unusable", "problem", repository=self.path("x" * 300))

    def test_a_repository_that_is_not_mounted(self):
        self.back_up()
        shutil.rmtree(self.repository)
        self.assertIn("is gone: this host has published backups in it",
                      self.finding("gone", "problem"))
        self.assertFalse(os.path.exists(self.repository))

    def test_a_repository_on_the_disks_of_the_machine_itself(self):
        self.finding("same-filesystem", "warning")

    def test_a_repository_in_memory_on_another_filesystem(self):
        if not os.path.ismount("/dev/shm"):
            self.skipTest("/dev/shm is no filesystem of its own")
        place = f"/dev/shm/{os.path.basename(self.directory)}"
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        ids = self.ids(repository=place)
        self.assertEqual(ids["in-memory"], "warning")
        self.assertNotIn("same-filesystem", ids)
        self.assertFalse(os.path.exists(place))

    def test_what_is_wrong_in_the_repository(self):
        first = self.back_up()["id"]
        self.assertIn("1 backups, the last of ", self.finding("backups", "ok"))
        with open(f"{self.repository}/{VM}/{first}/manifest.json", "w", encoding="utf-8") as file:
            file.write("{")
        self.assertIn(first, self.finding("unusable-backup", "warning"))
        os.chmod(self.repository, 0o755)
        self.finding("open-to-others", "warning")

    def test_a_run_that_was_interrupted_and_one_at_work(self):
        gate = self.gate("copying")
        process = self.start_host("backup", VM, qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(process)
        ids = self.ids(qmp=self.path("no.sock"))
        self.assertEqual(ids["at-work"], "ok")
        self.assertNotIn("interrupted", ids)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        ids = self.ids()
        self.assertEqual((ids["interrupted"], ids["leftovers"]), ("warning", "warning"))
        self.assertEqual(self.run_host("recover", VM).returncode, 0)
        ids = self.ids()
        self.assertNotIn("leftovers", ids)
        self.assertEqual(ids["clean"], "ok")

    def test_asks_for_no_lock(self):
        os.mkdir(self.state)
        with open(f"{self.state}/{VM}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(self.ids()["at-work"], "ok")


if __name__ == "__main__":
    testing.main()
