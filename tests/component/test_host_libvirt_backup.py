# SPDX-License-Identifier: MIT
"""Method `backup` through a real libvirtd: checkpoints, increments, and what is left behind."""

import json
import os
import shutil
import signal
import subprocess

from host_case import MIB, VM
from lab import testing
from libvirt_case import LibvirtCase
from support.qemu_machine import same_content


class BackupCase(LibvirtCase):
    INCREMENTAL = "yes"

    def setUp(self):
        super().setUp()
        # of an earlier test's repository
        for name in getattr(self, "machine", None) and self.machine.checkpoints() or ():
            self.daemon.virsh("checkpoint-delete", VM, name)

    def command(self, verb, *arguments, **settings):
        return super().command(verb, *arguments, **({"method": "backup"} | settings))

    def recorded(self):
        """The disks that libvirt keeps track of: vda is raw."""
        return ["vdb"]

    def assert_nothing_left(self):
        self.assertFalse(self.agent.frozen)
        self.assertEqual(self.machine.leftovers(), [])
        self.assertFalse(os.path.exists(os.path.join(self.state, VM + ".json")))
        self.assertEqual([name for name in self.published() if name.startswith(".")], [])
        latest = [name for name in self.published() if not name.endswith(".failed")][-1:]
        checkpoints = self.machine.checkpoints()
        self.assertEqual([name.split("-", 2)[2] for name in checkpoints], latest)
        self.assertEqual(self.machine.bitmaps(), checkpoints * len(self.recorded()))

    def assert_holds(self, manifest, expected):
        """Each disk, over its chain, is what it was; the files are ours alone."""
        for disk, image in expected.items():
            path, kind = self.image_in_backup(manifest, disk)
            self.assertTrue(same_content((path, kind), image), disk)
            status = os.stat(path)
            self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o777),
                             (os.geteuid(), os.getegid(), 0o600))

    def contents(self):
        return {disk: self.frozen_copy(disk) for disk in ("vda", "vdb")}

    def kinds(self, manifest):
        """{disk: why it is a full copy, or None}"""
        return {disk["name"]: disk["full_because"] for disk in manifest["disks"]}

    def back_up_and_compare(self, **settings):
        expected = self.contents()
        manifest = self.back_up(**settings)
        self.assert_nothing_left()
        self.assert_holds(manifest, expected)
        return manifest


class Increments(BackupCase):
    def test_hold_what_the_disks_were_and_cost_what_has_changed(self):
        for disk in ("vda", "vdb"):
            self.machine.write(disk, 0x11, 0, 16 * MIB)
        first = self.back_up_and_compare()
        self.assertEqual(first["kind"], "full")
        self.assertEqual(first["level"], "application")
        ids = [first["id"]]
        for pattern in (0x21, 0x22):
            # beside, across and over what was written before; and zeroes
            self.machine.write("vda", pattern, 3 * MIB, MIB)
            self.machine.write("vdb", pattern, (pattern - 0x20) * MIB + 4096, 3 * 65536)
            self.machine.command("vdb", f"write -z {(pattern - 0x18) * MIB} 1M")
            manifest = self.back_up_and_compare()
            self.assertEqual(manifest["kind"], "increment", self.kinds(manifest))
            self.assertIn("its image is raw, and libvirt keeps track", self.kinds(manifest)["vda"])
            self.assertIsNone(self.kinds(manifest)["vdb"])
            vdb = manifest["disks"][1]
            self.assertEqual(vdb["backing"], {"id": ids[-1]})
            self.assertLess(vdb["bytes"], 2 * MIB)
            ids.append(manifest["id"])
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        expected = self.contents()
        done = self.run_host("restore", VM, "latest", "--to", self.path("restored"))
        self.assertEqual(done.returncode, 0, done.stderr)
        for disk, image in expected.items():
            self.assertTrue(same_content((self.path(f"restored/{disk}.qcow2"), "qcow2"), image))

    def test_go_on_after_a_failed_run(self):
        first = self.back_up()
        self.machine.write("vdb", 0x41, 2 * MIB, MIB)
        self.agent.behaviours["guest-fsfreeze-thaw"] = lambda agent, request: (
            agent.respond(request), agent.error("fsfreeze hook has failed with status 30"))[1]
        self.failing(self.run_host("backup", VM, require="application"))
        self.agent.behaviours.clear()
        self.assert_nothing_left()
        self.assertEqual(self.published(), [first["id"]])
        self.assertEqual(self.back_up_and_compare()["disks"][1]["backing"], {"id": first["id"]})

    def test_are_switched_off_with_their_checkpoint(self):
        self.back_up()
        self.assertEqual(len(self.machine.checkpoints()), 1)
        manifest = self.back_up(incremental="no")
        self.assertEqual(self.kinds(manifest)["vdb"], "'incremental' is switched off")
        self.assertEqual((self.machine.checkpoints(), self.machine.bitmaps()), ([], []))

    def test_are_no_more_when_another_method_came_between(self):
        self.back_up()
        done = self.run_host("backup", VM, "--json", method="overlay")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("increments are made with method = backup alone", done.stderr)
        self.assertEqual(self.machine.checkpoints(), [])
        manifest = self.back_up_and_compare()
        self.assertIn("libvirt has no checkpoint of", self.kinds(manifest)["vdb"])

    def test_leave_checkpoints_of_others_alone(self):
        path = self.path("checkpoint.xml")
        with open(path, "w", encoding="ascii") as file:
            file.write("<domaincheckpoint><name>theirs</name><disks><disk name='vda' "
                       "checkpoint='no'/><disk name='vdb'/></disks></domaincheckpoint>")
        self.daemon.virsh("checkpoint-create", VM, path)
        self.back_up()
        self.machine.write("vdb", 0x51, 2 * MIB, MIB)
        expected = self.contents()
        manifest = self.back_up()
        self.assertEqual(manifest["kind"], "increment", self.kinds(manifest))
        self.assert_holds(manifest, expected)
        self.assertIn("theirs", self.machine.checkpoints())


class Problems(BackupCase):
    def test_a_backup_of_somebody_else_is_left_alone(self):
        path = self.path("theirs.xml")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"<domainbackup mode='pull'><server transport='unix' "
                       f"socket='{self.path('nbd')}'/><disks><disk name='vdb' backup='yes' "
                       f"type='file'><scratch file='{self.path('scratch')}'/></disk></disks>"
                       "</domainbackup>")
        self.daemon.virsh("backup-begin", VM, path)
        self.addCleanup(self.daemon.virsh, "domjobabort", VM, check=False)
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("libvirt is at work on the machine: a backup of somebody else's", line)
        self.assertIn("Unbounded", self.daemon.virsh("domjobinfo", VM).stdout)
        self.assertEqual(self.published(), [])

    def test_a_target_that_cannot_be_written_fails_the_run_and_no_write_of_the_guest(self):
        """The copy's filesystem is full."""
        small = self.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        self.machine.write("vda", 0x62, 0, 40 * MIB)
        line = self.failing(self.run_host("backup", VM, repository=os.path.join(small, "r")))
        self.assertIn("unable to back up into", line)
        self.assertEqual(self.machine.leftovers(), [])
        self.assertEqual(self.machine.checkpoints(), [])


class Killed(BackupCase):
    STEPS = [("guest-fsfreeze-freeze", "before"), ("guest-fsfreeze-freeze", "during"),
             ("guest-fsfreeze-freeze", "after"), ("begin-backup", "before"),
             ("begin-backup", "during"), ("begin-backup", "after"),
             ("guest-fsfreeze-thaw", "before"), ("guest-fsfreeze-thaw", "after"),
             ("remove-checkpoint", "before"), ("remove-checkpoint", "during"),
             ("remove-checkpoint", "after")]

    def test_at_any_step_is_made_good_and_the_increments_go_on(self):
        latest = self.back_up()["id"]
        for number, (command, when) in enumerate(self.STEPS, start=1):
            with self.subTest(command=command, when=when):
                self.machine.write("vdb", number, 7 * MIB, MIB)
                self.killed_at(command, when)
                self.assertTrue(self.agent.wait_until(lambda: not self.agent.frozen, 20))
                self.machine.write("vdb", number + 0x80, 8 * MIB, MIB)
                done = self.run_host("recover", VM)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_nothing_left()
                # One that was killed after it had published has published.
                latest = self.published()[-1]
                manifest = self.back_up_and_compare()
                self.assertEqual(manifest["disks"][1]["backing"], {"id": latest})


class AnotherUser(BackupCase):
    """QEMU runs as a user of its own, as Debian's package has it."""

    OWN_USER = True

    def test_is_let_through_and_lent_the_files(self):
        os.mkdir(self.repository, 0o700)
        # mkdtemp's own directory lets nobody through
        line = self.failing(self.run_host("backup", VM))
        self.assertRegex(line, r"the machine's QEMU, user \d+, cannot get to")
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assertEqual(self.machine.checkpoints(), [])
        os.chmod(self.directory, 0o711)
        os.chmod(self.repository, 0o711)
        first = self.back_up_and_compare()
        self.machine.write("vdb", 0x91, MIB, MIB)
        manifest = self.back_up_and_compare()
        self.assertEqual(manifest["disks"][1]["backing"], {"id": first["id"]})


class Slow(BackupCase):
    """A disk with enough in it that the copy, limited just after it has begun, still runs."""

    SIZE = 704 * MIB

    def setUp(self):
        super().setUp()
        if not self.reason:
            self.machine.write("vda", 0x31, 0, 672 * MIB)

    def start_slowly(self):
        """A backup in its copy, which takes an hour; the guest is thawed, the record read. Libvirt
        takes a limit for nothing but what it has begun: where that comes too late, once more."""
        for _ in range(5):
            run = self.start_host("backup", VM, "--json", rate_limit="64KiB", require="crash",
                                  prefer="crash")
            self.agent.wait_until(lambda: self.is_in_the_copy() or run.poll() is not None, 60)
            if "Unbounded" in self.daemon.virsh("domjobinfo", VM).stdout:
                return run
            _, err = run.communicate(timeout=120)
            self.assertEqual(run.returncode, 0, err)
            self.start_over()
        return self.fail("no copy was slow enough to be limited")

    def start_over(self):
        shutil.rmtree(self.repository)
        for checkpoint in self.machine.checkpoints():
            self.daemon.virsh("checkpoint-delete", VM, checkpoint)
        self.agent.commands.clear()

    def is_in_the_copy(self):
        names = self.agent.names()
        thawed = [i for i, name in enumerate(names) if name == "guest-fsfreeze-thaw"]
        return bool(thawed) and "guest-file-close" in names[thawed[-1]:]

    def quicken(self):
        for disk in ("vda", "vdb"):
            self.daemon.virsh("blockjob", VM, disk, "--bandwidth", "0", check=False)

    def kill_in_the_copy(self):
        run = self.start_slowly()
        run.kill()
        self.assertEqual(run.wait(60), -signal.SIGKILL)

    def test_what_the_guest_writes_during_the_copy_is_in_the_next_increment(self):
        expected = self.contents()
        run = self.start_slowly()
        self.machine.write("vda", 0x32, 64 * MIB, 128 * MIB)
        self.machine.write("vdb", 0x33, 9 * MIB, MIB)
        self.quicken()
        out, err = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, err)
        self.assert_nothing_left()
        manifest = json.loads(out)
        self.assert_holds(manifest, expected)
        following = self.back_up_and_compare()
        self.assertEqual(following["disks"][1]["backing"], {"id": manifest["id"]})

    def test_a_signal_leaves_nothing(self):
        run = self.start_slowly()
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 1, err)
        self.assert_nothing_left()
        self.assertEqual(self.published(), [])

    def test_somebody_else_may_end_it_and_the_run_says_so(self):
        run = self.start_slowly()
        self.daemon.virsh("domjobabort", VM)
        _, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 1, err)
        self.assertIn("libvirt's backup has failed: it was ended by somebody else", err)
        self.assert_nothing_left()

    def test_killed_it_is_made_good_by_recover(self):
        self.kill_in_the_copy()
        self.assertEqual(len(self.machine.checkpoints()), 1)
        done = self.run_host("recover", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ended libvirt's backup of an interrupted run", done.stdout)
        self.assert_nothing_left()

    def test_killed_and_its_journal_lost_it_is_made_good_by_the_next_backup(self):
        self.kill_in_the_copy()
        shutil.rmtree(self.state)
        self.back_up_and_compare()

    def test_libvirtd_may_be_restarted(self):
        expected = self.contents()
        run = self.start_slowly()
        self.daemon.restart()
        self.quicken()
        out, err = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, err)
        self.machine.wait_for_agent()
        self.assert_nothing_left()
        self.assert_holds(json.loads(out), expected)


class PowerCut(BackupCase):
    def test_of_the_machine_makes_the_next_backup_a_full_one(self):
        self.back_up()
        self.machine.kill()
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("the machine does not run: it is shut off", line)
        self.machine.boot()
        self.machine.wait_for_agent()
        manifest = self.back_up_and_compare()
        self.assertIn("its dirty bitmap is gone or inconsistent", self.kinds(manifest)["vdb"])
        self.machine.write("vdb", 0x82, MIB, MIB)
        self.assertIsNone(self.kinds(self.back_up_and_compare())["vdb"])

    def test_that_was_none_goes_on_with_increments(self):
        first = self.back_up()
        self.machine.write("vdb", 0x83, MIB, MIB)
        self.machine.destroy()
        self.machine.boot()
        self.machine.wait_for_agent()
        manifest = self.back_up_and_compare()
        self.assertEqual(manifest["disks"][1]["backing"], {"id": first["id"]})

    def test_after_which_a_disk_has_another_image_makes_a_full_backup(self):
        self.back_up()
        self.machine.destroy()
        path = self.machine.images["vdb"][0]
        shutil.copyfile(path, path + ".copy")
        os.rename(path + ".copy", path)
        self.machine.boot()
        self.machine.wait_for_agent()
        manifest = self.back_up_and_compare()
        self.assertIn("its image is another file than it was for", self.kinds(manifest)["vdb"])

    def test_after_which_a_disk_is_larger_makes_a_full_backup(self):
        self.back_up()
        self.daemon.virsh("blockresize", VM, "vdb", "80M")
        manifest = self.back_up_and_compare()
        self.assertIn("its size has changed from", self.kinds(manifest)["vdb"])


if __name__ == "__main__":
    testing.main()
