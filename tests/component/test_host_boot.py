# SPDX-License-Identifier: MIT
"""verify --boot: what a backup comes to in a throwaway machine, and that nothing of it stays but the
proof. QEMU is real, the guest in it a fake."""

import hashlib
import json
import os
import select
import shutil
import signal
import time

from host_case import KIB, VM, HostCase
from lab import testing
from support.fake_guest import FakeGuest, answer
from support.waiting import until


class BootCase(HostCase):
    def setUp(self):
        super().setUp()
        self.guest = FakeGuest(self.directory)
        self.addCleanup(self.guest.stop)
        os.mkdir(self.path("boot"))

    def settings(self, **settings):
        return {"boot_qemu": self.guest.qemu, "boot_directory": self.path("boot"),
                "boot_accelerator": "tcg", "boot_memory": "64MiB", "boot_timeout": "20s",
                "agent": None, "qmp": None, **settings}

    def boot(self, *arguments, vm=VM, **settings):
        return self.run_host("verify", "--boot", vm, *arguments, **self.settings(**settings))

    def prove(self, *arguments, **settings):
        """One that must be proven; what --json says of it."""
        done = self.boot("--json", *arguments, **settings)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        result, = json.loads(done.stdout)
        self.assertEqual(result["result"], "proven")
        return result

    def record(self, manifest):
        return manifest["evidence"]["guest_record"]

    def content(self):
        """Every file of the repository but the proofs, with its sum and its time."""
        found = {}
        for place, _, names in os.walk(self.repository):
            for name in names:
                path = os.path.join(place, name)
                if name != "proof.json":
                    with open(path, "rb") as file:
                        found[path] = (hashlib.sha256(file.read()).hexdigest(),
                                       os.stat(path).st_mtime_ns)
        return found

    def proof(self, manifest):
        with open(os.path.join(manifest["directory"], "proof.json"), encoding="utf-8") as file:
            return json.load(file)

    def assert_machine_gone(self):
        self.assertFalse(os.path.exists(f"/proc/{self.guest.machine()['pid']}"))
        self.assertEqual(os.listdir(self.path("boot")), [])


class Proven(BootCase):
    def test_a_good_backup_is_proven_in_a_confined_machine_and_left_as_it_was(self):
        self.back_up()
        self.machine.write("sys", 7, 64 * KIB, 64 * KIB)
        manifest = self.back_up()
        self.assertEqual(manifest["kind"], "increment")
        self.guest.proof = answer(self.record(manifest))
        before, seen = self.content(), {}

        def look():
            self.guest.await_images(self.repository, 4)
            seen.update(self.look_at_machine())

        self.guest.on_exec = look
        result = self.prove()
        self.assertEqual(self.content(), before)
        self.assert_machine_gone()
        # It had all images of both chains open, and none of them to write to.
        self.assertEqual(seen["written"], set())
        self.assertEqual(len(seen["overlays"]), 2, seen)
        self.assertGreaterEqual(seen["nice"], 10)
        self.assertEqual(seen["oom"], 1000)
        words = self.guest.machine()["words"]
        self.assertEqual(words[words.index("-nic") + 1], "none")
        self.assertEqual(words[words.index("-m") + 1], "32M")
        self.assertIn("elevateprivileges=deny", words[words.index("-sandbox") + 1])
        self.assertNotIn("-qmp", words)
        self.assertNotIn("-netdev", words)
        self.assertRegex(words[words.index("-machine") + 1], r"^pc-i440fx-[0-9.]+$")
        self.assertEqual([word.split(",")[0] for word in words if "drive=disk" in word],
                         ["virtio-blk-pci"] * 2)
        asked, = self.guest.asked
        self.assertEqual(asked[:2], ["/usr/sbin/holdfastctl", "--json"])
        self.assertEqual(asked[-1], "prove")
        self.assert_told(manifest, result)

    def look_at_machine(self):
        pid = self.guest.machine()["pid"]
        with open(f"/proc/{pid}/oom_score_adj", encoding="utf-8") as file:
            oom = int(file.read())
        return {"oom": oom, "nice": os.getpriority(os.PRIO_PROCESS, pid),
                "written": self.guest.opened(self.repository)[1],
                "overlays": self.guest.opened(self.path("boot"))[1]}

    def assert_told(self, manifest, result):
        """By its file, show and list."""
        proof = self.proof(manifest)
        self.assertEqual((proof["schema"], proof["result"], proof["reasons"]), (1, "proven", []))
        self.assertEqual(proof["guest"]["resources"][0]["name"], "mysql:main")
        self.assertEqual(proof["accelerator"], "tcg")
        self.assertRegex(proof["qemu"], r"^\d+\.\d+")
        self.assertEqual(result["guest"], proof["guest"])
        shown = self.run_host("show", VM)
        self.assertRegex(shown.stdout, r"\nProof +2\S+Z: proven: its agent answered after \d+\.\d s; "
                         r"1 of 1 resources up and sound; QEMU \S+, tcg\n")
        self.assertEqual(json.loads(self.run_host("show", VM, "--json").stdout)["proof"], proof)
        rows = [line.split() for line in self.run_host("list", VM).stdout.splitlines()]
        self.assertEqual([row[-1] for row in rows], ["PROOF", "-", "proven"])
        listed = json.loads(self.run_host("list", VM, "--json").stdout)["backups"]
        self.assertEqual([one["proof"] and one["proof"]["result"] for one in listed],
                         [None, "proven"])

    def test_a_guest_without_holdfast_proves_that_it_boots_and_the_grade_says_so(self):
        self.agent.holdfast = False
        manifest = self.back_up(prefer="filesystem")
        done = self.boot()
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stdout, "^web1: \\S+: booted, and no more: its agent answered after ")
        self.assertIn("the guest has no Holdfast", self.failing(done, 3))
        self.assertEqual(self.proof(manifest)["result"], "booted")
        # Who does not prefer what only Holdfast gives has what he wants.
        done = self.boot(prefer="filesystem")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Found(BootCase):
    """What speaks against a backup: status 1, one line, and the reason beside the manifest."""

    def found(self, manifest, reason, **settings):
        done = self.boot(metrics_directory=self.directory, **settings)
        self.assertIn(reason, self.failing(done))
        self.assertIn(": NOT PROVEN", done.stdout)
        proof = self.proof(manifest)
        self.assertEqual(proof["result"], "failed")
        self.assertIn(reason, " ".join(proof["reasons"]))
        with open(self.path("holdfast-proof_web1.prom"), encoding="utf-8") as file:
            metrics = file.read()
        self.assertIn('holdfast_proof_last_run_success{vm="web1"} 0\n', metrics)
        self.assertIn('holdfast_proof_last_run_result{vm="web1"} 0\n', metrics)
        self.assert_machine_gone()
        return proof

    def test_a_database_that_did_not_come_up_whole_or_not_there_at_all(self):
        manifest = self.back_up()
        good = answer(self.record(manifest))
        for check, words in (("up", "not up"), ("sound", "not sound"),
                             ("position", "before its backup")):
            with self.subTest(check):
                bad = json.loads(json.dumps(good))
                bad["resources"][0][check] = {"verdict": "bad", "text": "broken\x1b[2J here"}
                bad["status"] = 1
                self.guest.proof = bad
                self.found(manifest, f"mysql:main: {words}: broken\\x1b[2J here")
        self.guest.proof = {**good, "resources": []}
        self.found(manifest, "the guest that booted has no such resource")
        self.guest.proof = None
        self.found(manifest, "were held by the guest's Holdfast, and now the guest has no Holdfast")
        # One that comes up again is told as such.
        self.guest.proof = good
        self.prove(metrics_directory=self.directory)
        with open(self.path("holdfast-proof_web1.prom"), encoding="utf-8") as file:
            self.assertIn('holdfast_proof_last_run_result{vm="web1"} 2\n', file.read())

    def test_disks_of_another_window(self):
        manifest = self.back_up()
        self.guest.proof = answer({**self.record(manifest), "window": "of another day"})
        self.found(manifest, "the freeze record on the guest's disk is of window 'of another day'")

    def test_a_guest_that_never_answers_or_whose_holdfast_does_not_within_the_limit(self):
        manifest = self.back_up()
        self.guest.behaviours["guest-sync-delimited"] = lambda *_: None
        begin = time.monotonic()
        proof = self.found(manifest, "it did not come up within 2s", boot_timeout="2s")
        self.assertLess(time.monotonic() - begin, 15)
        # What the BIOS says on a serial console is nothing; what it says is kept all the same.
        self.assertIsInstance(proof["console"], str)
        self.guest.behaviours.clear()
        self.guest.running, self.guest.proof = True, {}
        self.found(manifest, "it booted, and its Holdfast gave no answer", boot_timeout="2s")

    def test_answers_that_are_none_or_too_large(self):
        manifest = self.back_up()
        self.guest.proof = b"Segmentation fault"
        self.found(manifest, "'holdfastctl prove' in the guest gives no answer")
        self.guest.proof = b"[" * 100_000
        self.found(manifest, "'holdfastctl prove' in the guest gives no answer")
        self.guest.proof = {"schema": 7}
        self.found(manifest, "the guest's answer is none that can be understood")
        # The last: the fake keeps for its next client what this one does not read.
        self.guest.proof = b"x" * (2 << 20)
        self.found(manifest, "its Holdfast gave no answer: ")

    def test_a_notification_tells_of_it_and_of_the_first_good_one_after_it(self):
        manifest = self.back_up()
        program, told = self.path("tell"), self.path("told")
        with open(program, "w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\ncat >{told}\n")
        os.chmod(program, 0o755)
        self.found(manifest, "now the guest has no Holdfast", notify_command=program)
        with open(told, encoding="utf-8") as file:
            notice = json.load(file)
        self.assertEqual((notice["command"], notice["outcome"]), ("verify --boot", "failed"))
        self.assertRegex(notice["subject"], ": verify --boot FAILED: web1: web1/")
        self.assertEqual(notice["machines"][0]["detail"]["result"], "failed")
        # Of the other 'verify' nothing was told, and nothing is remembered.
        self.assertEqual(os.listdir(os.path.join(self.state, "outcomes")), ["verify+boot-web1"])
        self.guest.proof = answer(self.record(manifest))
        self.prove(notify_command=program)
        with open(told, encoding="utf-8") as file:
            self.assertIn("verify --boot well again: web1", json.load(file)["subject"])

    def test_an_image_that_cannot_be_used(self):
        manifest = self.back_up()
        with open(os.path.join(manifest["directory"], manifest["disks"][0]["file"]), "r+b") as file:
            file.write(b"XXXX")
        done = self.boot()
        self.assertIn("qcow2", self.failing(done))
        self.assertEqual(self.proof(manifest)["result"], "failed")


class Undecided(BootCase):
    """What says nothing of a backup: an error, and another try another time."""

    def undecided(self, manifest, reason, **settings):
        done = self.boot(**settings)
        self.assertIn(reason, self.failing(done))
        self.assertEqual(self.proof(manifest)["result"], "undecided")
        self.assertEqual(os.listdir(self.path("boot")), [])

    def test_without_a_qemu_or_room_or_with_a_qemu_that_ends_at_once(self):
        manifest = self.back_up()
        self.guest.proof = answer(self.record(manifest))
        self.prove()
        self.undecided(manifest, "install the package qemu-system-x86",
                       boot_qemu=self.path("no-qemu"))
        self.assertEqual(self.proof(manifest)["before"]["result"], "proven")
        ending = self.path("ending-qemu")
        with open(ending, "w", encoding="utf-8") as script:
            script.write('#!/bin/sh\ncase $* in *help|--version) exec qemu-system-x86_64 "$@" ;; esac\n'
                         "echo 'no such machine today' >&2\nexit 1\n")
        os.chmod(ending, 0o755)
        self.undecided(manifest, "exited with status 1: no such machine today", boot_qemu=ending)
        self.assertEqual(self.proof(manifest)["before"]["result"], "proven")

    def test_a_file_of_the_host_that_is_no_kernel_is_not_given_to_a_guest(self):
        manifest = self.back_up()
        path = os.path.join(manifest["directory"], "definition.json")
        with open(path, encoding="utf-8") as file:
            definition = json.load(file)
        secret = self.path("secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("c0rrect-horse\n" * 100)
        definition["command_line"] = ["qemu-system-x86_64", "-kernel", secret]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(definition, file)
        # The manifest says its size.
        manifest_path = os.path.join(manifest["directory"], "manifest.json")
        with open(manifest_path, encoding="utf-8") as file:
            changed = json.load(file)
        for entry in changed["definition"]["files"]:
            if entry["file"] == "definition.json":
                entry["bytes"] = os.stat(path).st_size
        with open(manifest_path, "w", encoding="utf-8") as file:
            json.dump(changed, file)
        self.undecided(manifest, f"'{secret}' is not a kernel")

    def test_two_at_once_and_a_signal(self):
        manifest = self.back_up()
        self.guest.running, self.guest.proof = True, {}
        first = self.start_host("verify", "--boot", VM, **self.settings())
        self.assertTrue(self.guest.wait_until(lambda: self.guest.asked, 20))
        self.assertIn("is being tried already", self.failing(self.boot(), 4))
        first.send_signal(signal.SIGTERM)
        _, errors = first.communicate(timeout=30)
        self.assertEqual(first.returncode, 1, errors)
        self.assertIn("cancelled", errors)
        self.assertFalse(os.path.exists(os.path.join(manifest["directory"], "proof.json")))
        self.assert_machine_gone()


class Schedule(BootCase):
    """web1 has backups of a real machine; db1 and mail1 have copies of them."""

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("etc/vms.d"))
        for name in ("db1", "mail1", VM):
            self.configure(name, "")
        manifest = self.back_up()
        self.guest.proof = answer(self.record(manifest))
        for name in ("db1", "mail1"):
            self.copy(manifest, name)

    def configure(self, name, text):
        with open(self.path(f"etc/vms.d/{name}.conf"), "w", encoding="utf-8") as file:
            file.write(text)

    def copy(self, manifest, name):
        target = os.path.join(self.repository, name, manifest["id"])
        shutil.copytree(manifest["directory"], target)
        path = os.path.join(target, "manifest.json")
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**document, "vm": name}, file)

    def schedule(self, *arguments, **settings):
        return self.run_host("verify", "--boot", "--schedule", *arguments,
                             **self.settings(**settings))

    def next_one(self):
        done = self.schedule()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split(":")[0]

    def test_takes_the_one_that_waits_longest_and_nothing_twice(self):
        self.assertEqual([self.next_one() for _ in range(3)], ["db1", "mail1", VM])
        self.assertEqual(self.schedule().stdout, "no latest backup waits\n")
        # New backups of two: db1's was tried before web1's.
        manifest = self.back_up(full_every="1")
        self.guest.proof = answer(self.record(manifest))
        self.copy(manifest, "db1")
        self.assertEqual([self.next_one() for _ in range(2)], ["db1", VM])
        self.assertEqual(self.schedule().stdout, "no latest backup waits\n")

    def test_an_undecided_one_waits_on_behind_the_others_and_a_disabled_one_does_not(self):
        self.configure("mail1", "enabled = no\n")
        self.failing(self.schedule(boot_qemu=self.path("no-qemu")))
        self.assertEqual([self.next_one() for _ in range(2)], [VM, "db1"])
        self.assertEqual(self.schedule().stdout, "no latest backup waits\n")

    def test_one_that_cannot_be_looked_at_keeps_the_others_from_nothing(self):
        self.configure("db1", "repository = /nowhere\n")
        with open(self.path("etc/host.conf"), "w", encoding="utf-8") as file:
            file.write(f"repository = {self.repository}\n")
        done = self.schedule(repository=None)
        self.assertIn("db1: unable to open the repository '/nowhere'", self.failing(done))
        self.assertRegex(done.stdout, "^mail1: .*: proven: ")


class Killed(BootCase):
    def test_a_killed_driver_leaves_no_machine_and_the_next_run_clears_up(self):
        manifest = self.back_up()
        before = self.content()
        self.guest.running, self.guest.proof = True, {}
        driver = self.start_host("verify", "--boot", VM, **self.settings())
        self.assertTrue(self.guest.wait_until(lambda: self.guest.asked, 20))
        machine = os.pidfd_open(self.guest.machine()["pid"])
        self.addCleanup(os.close, machine)
        driver.kill()
        driver.wait(30)
        gone, _, _ = select.select([machine], [], [], 10)
        self.assertEqual(gone, [machine], "QEMU goes on")
        self.assertEqual(len(os.listdir(self.path("boot"))), 1)
        self.assertFalse(os.path.exists(os.path.join(manifest["directory"], "proof.json")))
        self.assertEqual(self.content(), before)
        self.guest.running, self.guest.proof = False, answer(self.record(manifest))
        until(lambda: self.boot().returncode == 0, "the next run proves it")
        self.assert_machine_gone()


if __name__ == "__main__":
    testing.main()
