# SPDX-License-Identifier: MIT
"""A whole backup and restore against a real QEMU block layer and a fake agent."""

import hashlib
import json
import os
import subprocess

from host_case import MIB, VM, HostCase
from lab import testing
from support.qemu_machine import pattern_at, same_content
from support.waiting import until


class HostBackup(HostCase):
    def test_a_restored_backup_holds_what_stood_there_at_the_freeze(self):
        self.machine.write("data", 1, 0, MIB)
        self.machine.write("sys", 2, 0, MIB)
        # The guest writes on while the disks are copied: none of it may be in the backup, and none
        # of it may be lost.
        gate = self.gate("copying")
        process = self.start_host("backup", VM, "--json",
                                  qemu_img=self.qemu_img(("convert", gate.stop)))
        gate.reached(process)
        self.machine.write("data", 3, 0, MIB)
        self.machine.write("sys", 4, 2 * MIB, MIB)
        gate.open()
        output, errors = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 0, errors)
        manifest = json.loads(output)
        self.assertEqual(manifest["level"], "application")
        self.assertEqual([disk["format"] for disk in manifest["disks"]], ["raw", "qcow2"])
        self.assert_nothing_left()

        out = self.path("out")
        done = self.run_host("restore", VM, "latest", "--to", out, "--format", "raw")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(pattern_at(f"{out}/data.raw", "raw", 0, MIB, 1))
        self.assertTrue(pattern_at(f"{out}/sys.raw", "raw", 0, MIB, 2))
        self.assertTrue(pattern_at(f"{out}/sys.raw", "raw", 2 * MIB, MIB, 0))
        self.machine.monitor.execute("quit")
        self.machine.process.wait(30)
        self.assertTrue(pattern_at(*self.machine.images["data"], 0, MIB, 3))
        self.assertTrue(pattern_at(*self.machine.images["sys"], 2 * MIB, MIB, 4))

    def test_between_freeze_and_thaw_stand_one_transaction_and_one_question(self):
        proxy = self.through_proxy()
        at_freeze = []
        self.agent.on_freeze = lambda: at_freeze.append(len(proxy.commands))
        at_thaw = []

        def thaw(agent, request):
            at_thaw.append(len(proxy.commands))
            return agent.respond(request)
        self.agent.behaviours["guest-fsfreeze-thaw"] = thaw
        self.back_up()
        self.assertEqual(proxy.commands[at_freeze[0]:at_thaw[0]], ["transaction"])
        names = self.agent.names()
        first, last = names.index("guest-fsfreeze-freeze"), names.index("guest-fsfreeze-thaw")
        self.assertEqual(names[first + 1:last], ["guest-fsfreeze-status"])
        self.assertEqual(names.count("guest-fsfreeze-freeze"), 1)
        self.assertEqual(names.count("guest-fsfreeze-thaw"), 1)

    def test_qemu_has_read_all_of_the_transaction_but_its_name_before_the_freeze(self):
        proxy = self.through_proxy()
        words = {"overlay": (b'"blockdev-snapshot"', 2), "backup": (b'"blockdev-backup"', 2)}
        for method, (word, count) in words.items():
            begun = []

            def frozen():
                until(lambda: proxy.begun.endswith(b'"execute":'), "it has come")
                begun.append(proxy.begun)  # pylint: disable=cell-var-from-loop
            self.agent.on_freeze = frozen
            self.back_up(method=method)
            self.assertEqual(begun[0].count(word), count, method)
        self.agent.on_freeze = None
        # A freeze that fails takes it back, and what QEMU has of it does nothing.
        self.agent.behaviours["guest-fsfreeze-freeze"] = lambda agent, request: agent.error("no")
        for method in words:
            proxy.commands.clear()
            self.failing(self.run_host("backup", VM, method=method))
            self.assertIn("holdfast-taken-back", proxy.commands)
            self.assertNotIn("transaction", proxy.commands)
            self.assert_nothing_left()

    def test_two_backups_follow_each_other_and_are_listed(self):
        first, second = self.back_up(), self.back_up()
        listing = json.loads(self.run_host("list", VM, "--json").stdout)
        self.assertEqual([entry["id"] for entry in listing["backups"]],
                         [first["id"], second["id"]])
        shown = json.loads(self.run_host("show", VM, first["id"], "--json").stdout)
        self.assertEqual(shown["id"], first["id"])
        text = self.run_host("show", VM).stdout
        for word in ("application", "mysql:main", "binlog-position=42", "data.qcow2"):
            self.assertIn(word, text)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)

    def test_files_are_for_their_owner_alone(self):
        manifest = self.back_up()
        for directory, _, names in os.walk(self.repository):
            self.assertEqual(os.stat(directory).st_mode & 0o777, 0o700, directory)
            for name in names:
                path = os.path.join(directory, name)
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600, path)
        self.assertTrue(os.path.isdir(manifest["directory"]))

    def test_a_raw_disk_that_looks_like_a_qcow2_image_stays_raw(self):
        # What a hostile guest would do: a qcow2 header, with a backing file of the host, in sector 0.
        trap = self.path("trap.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F",
                        "raw", trap, "1M"], check=True)
        with open(trap, "rb") as image:
            header = image.read(65536)
        self.machine.stop()
        with open(self.machine.images["data"][0], "r+b") as image:
            image.write(header)
        self.machine.start()
        self.back_up()
        out = self.path("out")
        self.assertEqual(self.run_host("restore", VM, "latest", "--to", out).returncode, 0)
        self.assertTrue(same_content((f"{out}/data.qcow2", "qcow2"), self.machine.images["data"]))

    def test_one_line_per_machine_and_nothing_else_without_a_terminal(self):
        done = self.run_host("backup", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertRegex(done.stdout, rf"^{VM}: \d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}: application, "
                                      r"window \d+ ms, 2 disks, [0-9.]+ [KM]iB in [0-9.]+ s\n$")

    def test_lines_in_the_journal_say_how_grave_they_are(self):
        def run(stream, **settings):
            with open(self.path("stderr"), "w+", encoding="utf-8") as errors:
                status = os.fstat(errors.fileno())
                named = f"{status.st_dev}:{status.st_ino + (0 if stream else 1)}"
                done = subprocess.run(self.command("backup", VM, **settings), text=True,
                                      stdout=subprocess.PIPE, stderr=errors, timeout=90,
                                      env={**os.environ, "JOURNAL_STREAM": named}, check=False)
                errors.seek(0)
                return done.returncode, done.stdout, errors.read()
        status, output, errors = run(True, metrics_directory=self.path("none"))
        self.assertEqual(status, 0)
        self.assertRegex(errors, f"^<5>holdfast: {VM}: unable .*, continuing without metrics\n$")
        # Summaries are what the journal takes for information anyway.
        self.assertTrue(output.startswith(f"{VM}: "))
        self.agent.holdfast = False
        self.agent.files.clear()
        status, _, errors = run(True)
        self.assertEqual(status, 3)
        self.assertTrue(errors.startswith(f"<4>holdfast: {VM}: level 'filesystem'"), errors)
        status, _, errors = run(True, require="application")
        self.assertTrue(errors.startswith("<3>holdfast: the level would be"), errors)
        # Something else, though a variable of an outer unit speaks of a journal.
        self.assertTrue(run(False, require="application")[2].startswith("holdfast: the level"))

    def test_configuration_files_do_what_options_do(self):
        os.makedirs(self.path("etc/vms.d"))
        with open(self.path("etc/host.conf"), "w", encoding="utf-8") as file:
            file.write(f"repository = {self.repository}\nstate-directory = {self.state}\n"
                       "overlay-reserve = 0\n")
        with open(self.path(f"etc/vms.d/{VM}.conf"), "w", encoding="utf-8") as file:
            file.write(f"qmp = {self.machine.qmp}\nagent = {self.agent.path}\n")
        self.back_up(qmp=None, agent=None, repository=None, state_directory=None,
                     overlay_reserve=None)
        with open(self.path(f"etc/vms.d/{VM}.conf"), "a", encoding="utf-8") as file:
            file.write("freez-timeout = 5s\n")
        line = self.failing(self.run_host("backup", VM, qmp=None), 2)
        self.assertIn(f"vms.d/{VM}.conf:3: unknown key 'freez-timeout'", line)


    def test_a_disk_on_a_backing_file_is_copied_whole_and_its_backing_file_left_alone(self):
        def content():
            with open(self.machine.golden, "rb") as image:
                return hashlib.sha256(image.read()).hexdigest()
        before = content()
        self.machine.write("sys", 2, 0, MIB)
        manifest = self.back_up()
        self.assertEqual(len(manifest["disks"][1]["source"]), 2)
        self.machine.write("sys", 3, MIB, MIB)
        self.back_up()
        self.assertEqual(content(), before)
        out = self.path("out")
        done = self.run_host("restore", VM, manifest["id"], "--to", out, "--disk", "sys")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(pattern_at(f"{out}/sys.qcow2", "qcow2", 0, MIB, 2))
        self.assertTrue(pattern_at(f"{out}/sys.qcow2", "qcow2", 32 * MIB, MIB, 9))
        info = subprocess.run(["qemu-img", "info", "-f", "qcow2", f"{out}/sys.qcow2"], check=True,
                              capture_output=True, text=True).stdout
        self.assertNotIn("backing file", info)


class HostRestore(HostCase):
    def setUp(self):
        super().setUp()
        self.machine.write("data", 1, 0, MIB)
        self.manifest = self.back_up()
        self.image = os.path.join(self.manifest["directory"], "data.qcow2")

    def restore(self, *arguments):
        return self.run_host("restore", VM, "latest", "--to", self.path("out"), *arguments)

    def test_nothing_is_ever_overwritten(self):
        self.assertEqual(self.restore().returncode, 0)
        before = os.stat(self.path("out/data.qcow2")).st_mtime_ns
        line = self.failing(self.restore())
        self.assertIn("it exists", line)
        self.assertEqual(os.stat(self.path("out/data.qcow2")).st_mtime_ns, before)

    def test_what_another_restore_has_begun_is_left_to_it(self):
        os.mkdir(self.path("out"))
        begun = self.path("out/data.qcow2.partial")
        with open(begun, "w", encoding="utf-8") as file:
            file.write("theirs")
        line = self.failing(self.restore())
        self.assertIn(f"unable to restore to '{begun.removesuffix('.partial')}': "
                      f"there is '{begun}'", line)
        self.assertIn("or was killed", line)
        self.assertEqual(os.listdir(self.path("out")), ["data.qcow2.partial"])
        with open(begun, encoding="utf-8") as file:
            self.assertEqual(file.read(), "theirs")

    def test_one_disk_alone(self):
        self.assertEqual(self.restore("--disk", "sys").returncode, 0)
        self.assertEqual(os.listdir(self.path("out")), ["sys.qcow2"])
        self.assertIn("has no disk 'nope'", self.failing(self.restore("--disk", "nope")))

    def test_a_damaged_image_is_noticed_and_not_restored(self):
        with open(self.image, "r+b") as image:
            image.seek(-10, os.SEEK_END)
            image.write(b"damage")
        line = self.failing(self.run_host("verify", VM))
        self.assertIn("checksum", line)
        self.assertIn("checksum", self.failing(self.restore()))
        self.assertFalse(os.path.exists(self.path("out")))

    def test_one_that_fails_takes_away_what_it_has_made_and_nothing_else(self):
        script = self.qemu_img(("convert", 'case "$*" in *sys.qcow2*) echo "no luck" >&2; exit 1;; '
                                           'esac; touch "$0.written"'))

        def failing(directory):
            said = self.failing(self.run_host("restore", VM, "latest", "--to", self.path(directory),
                                              qemu_img=script))
            self.assertIn("no luck", said)
            # The first disk had been written.
            os.unlink(f"{script}.written")
        failing("new/and/newer")
        self.assertFalse(os.path.exists(self.path("new")))
        os.mkdir(self.path("old"))
        failing("old")
        self.assertEqual(os.listdir(self.path("old")), [])
        with open(self.path("old/notes"), "w", encoding="utf-8"):
            pass
        failing("old")
        self.assertEqual(os.listdir(self.path("old")), ["notes"])
        failing("old/new")
        self.assertEqual(os.listdir(self.path("old")), ["notes"])
        # What came to stand there meanwhile is somebody else's.
        script = self.qemu_img(("convert", 'case "$*" in *sys.qcow2*) d=$(dirname "$0")/newest; '
                                           'echo mine >"$d/data.qcow2"; '
                                           'echo "no luck" >&2; exit 1;; esac; touch "$0.written"'))
        failing("newest")
        self.assertEqual(os.listdir(self.path("newest")), ["data.qcow2"])
        with open(self.path("newest/data.qcow2"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine\n")

    def test_an_image_that_refers_to_a_file_of_the_host_is_refused(self):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F",
                        "raw", self.image, "64M"], check=True)
        path = os.path.join(self.manifest["directory"], "manifest.json")
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        digest = subprocess.run(["sha256sum", self.image], check=True, capture_output=True,
                                text=True).stdout.split()[0]
        manifest["disks"][0].update(sha256=digest, bytes=os.stat(self.image).st_size)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        self.assertIn("refers to another file", self.failing(self.restore("--disk", "data")))
        self.assertIn("refers to another file", self.failing(self.run_host("verify", VM)))

    def test_a_manifest_that_names_a_file_elsewhere_is_refused(self):
        path = os.path.join(self.manifest["directory"], "manifest.json")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace('"data.qcow2"', '"../../../../etc/passwd"'))
        self.assertIn("is not the file of disk", self.failing(self.restore()))
        done = self.run_host("list", VM)
        self.assertEqual(done.returncode, 1)
        self.assertIn("unusable", done.stdout)


class HostLevels(HostCase):
    def test_a_lost_hold_is_filesystem_with_exit_status_3(self):
        self.agent.hook_status = 30
        self.agent.verdict = {"code": "hold-lost", "status": 30, "text": "session \x1b[31m killed"}
        done = self.run_host("backup", VM)
        line = self.failing(done, 3)
        self.assertIn("a hold was lost during the window", line)
        self.assertIn("\\x1b[31m", line)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assert_nothing_left()
        shown = self.run_host("show", VM).stdout
        self.assertIn("filesystem", shown)
        self.assertNotIn("\x1b", shown)

    def test_below_the_required_level_nothing_is_published(self):
        self.agent.hook_status = 33
        line = self.failing(self.run_host("backup", VM, require="application"))
        self.assertIn("the level would be 'filesystem', 'application' is required", line)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        # Nor is anything copied that nobody asked for.
        self.failing(self.run_host("backup", VM, "--keep-failed", require="application"))
        self.assertEqual(len(self.published()), 1)
        self.assertTrue(self.published()[0].endswith(".failed"))
        listing = json.loads(self.run_host("list", VM, "--json").stdout)
        self.assertEqual(listing["backups"], [])
        self.assert_nothing_left()

    def test_a_guest_without_holdfast_is_filesystem(self):
        self.agent.holdfast = False
        line = self.failing(self.run_host("backup", VM), 3)
        self.assertIn("the guest's record could not be read", line)
        self.assert_nothing_left()

    def test_a_record_of_an_earlier_window_never_counts(self):
        self.back_up()
        self.agent.holdfast = False   # the hook does not run any more; its last record still lies there
        line = self.failing(self.run_host("backup", VM), 3)
        self.assertIn("the guest's record is not of this window: number 1 after 1", line)

    def test_unequal_counts_are_a_crash_level(self):
        def thaw(agent, request):
            agent.respond(request)
            return {"return": 0}
        self.agent.behaviours["guest-fsfreeze-thaw"] = thaw
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("the guest froze 3 filesystems and thawed 0", line)
        self.failing(self.run_host("backup", VM, require="crash"), 3)
        self.assert_nothing_left()

    def test_a_refused_freeze_fails_the_run_unless_an_instant_is_enough(self):
        self.agent.behaviours["guest-fsfreeze-freeze"] = lambda agent, request: agent.error(
            "fsfreeze hook has failed with status 21")
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("a required resource could not be held", line)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        self.failing(self.run_host("backup", VM, require="crash"), 3)
        self.assertEqual(len(self.published()), 1)
        self.assert_nothing_left()

    def test_without_an_agent_only_the_crash_level_is_possible(self):
        line = self.failing(self.run_host("backup", VM, agent=None), 2)
        self.assertIn("no agent socket is configured", line)
        done = self.run_host("backup", VM, agent=None, require="crash", prefer="crash")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_nothing_left()


if __name__ == "__main__":
    testing.main()
