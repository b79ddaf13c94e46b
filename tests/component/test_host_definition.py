# SPDX-License-Identifier: MIT
"""What the host driver keeps of a machine beside its disks: the definition of a plain QEMU."""

import hashlib
import json
import os
import subprocess
import unittest

from host_case import KIB, VM, HostCase
from support.qemu_machine import Machine
from support.qmp_proxy import QmpProxy

SECRET = "c0rrect-horse"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class DefinitionCase(HostCase):
    # Words of QEMU's command line; '@' is the test's directory.
    EXTRA = ()

    def make_machine(self):
        return Machine(self.path("vm"), extra=[word.replace("@", self.directory)
                                               for word in self.EXTRA])

    def stored(self, manifest, name):
        return os.path.join(manifest["directory"], name)

    def definition(self, manifest):
        with open(self.stored(manifest, "definition.json"), encoding="utf-8") as file:
            return json.load(file)

    def entry(self, manifest, name):
        return next(file for file in manifest["definition"]["files"] if file["file"] == name)

    def restore(self, manifest, *arguments):
        target = self.path("restored")
        done = self.run_host("restore", VM, manifest["id"], f"--to={target}", "--json", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return target, json.loads(done.stdout)


class PlainQemu(DefinitionCase):
    EXTRA = ("-object", f"secret,id=key0,data={SECRET}", "-name", "web one",
             "-fw_cfg", f"name=opt/org.example/a,string={SECRET}")

    def test_keeps_the_command_line_and_the_block_graph_without_secrets(self):
        manifest = self.back_up()
        path = self.stored(manifest, "definition.json")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(self.entry(manifest, "definition.json")["sha256"], sha256(path))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn(SECRET, text)
        definition = json.loads(text)
        with open(f"/proc/{self.machine.process.pid}/cmdline", "rb") as words:
            real = words.read().decode().split("\0")[:-1]
        self.assertIn(f"secret,id=key0,data={SECRET}", real)
        self.assertEqual(definition["command_line"],
                         [word.replace(SECRET, "<redacted>") for word in real])
        self.assertEqual([one["what"] for one in definition["redacted"]],
                         ["data of -object", "string of -fw_cfg"])
        self.assertEqual([real[one["word"]] for one in definition["redacted"]],
                         [word for word in real if SECRET in word])
        self.assertEqual(definition["working_directory"], self.path("vm"))
        self.assertRegex(definition["machine"]["type"], r"^pc-i440fx-[0-9.]+-machine$")
        self.assertEqual(definition["machine"]["name"], "web one")
        self.assertEqual(definition["machine"]["memory_bytes"], 32 << 20)
        self.assertEqual(definition["machine"]["cpus"], 1)
        self.assertEqual(manifest["definition"]["machine"], definition["machine"]["type"])
        self.assertEqual(manifest["definition"]["redacted"], 2)
        self.assertEqual(manifest["definition"]["lacking"], [])
        # As it stood: the disks, and nothing of the run's.
        self.assertEqual(sorted(node["node-name"] for node in definition["nodes"]),
                         sorted(self.machine.block_nodes()))
        self.assertNotIn("holdfast", json.dumps([node["node-name"]
                                                 for node in definition["nodes"]]))
        self.assertEqual([device["qdev"] for device in definition["devices"] if device["device"]],
                         ["/machine/peripheral/d0/virtio-backend"])

    def test_a_second_machine_is_told_at_once_that_it_wants_a_directory_of_its_own(self):
        target, _ = self.restore(self.back_up(), "--format=raw")
        restored = {name: sha256(os.path.join(target, name)) for name in os.listdir(target)}
        done = self.run_host("backup", "web2")
        self.assertEqual(done.returncode, 0, done.stderr)
        # No file of it is there but this one.
        called = self.path("called")
        tool = self.qemu_img(("*", f": > {called}"))
        line = self.failing(self.run_host("restore", "web2", "latest", f"--to={target}",
                                          qemu_img=tool))
        self.assertIn(f"unable to restore to '{target}/definition.json': it exists", line)
        self.assertIn("choose another one for --to", line)
        self.assertFalse(os.path.exists(called))
        self.assertEqual({name: sha256(os.path.join(target, name))
                          for name in os.listdir(target)}, restored)
        other = self.path("other")
        done = self.run_host("restore", "web2", "latest", f"--to={other}", qemu_img=tool)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.exists(called))
        self.assertEqual(sorted(os.listdir(other)),
                         ["data.qcow2", "definition.json", "sys.qcow2"])

    def test_verifies_shows_restores_and_prunes_the_definition(self):
        manifest = self.back_up()
        shown = self.run_host("show", VM)
        self.assertRegex(shown.stdout, r"definition\.json +definition ")
        target, answer = self.restore(manifest)
        restored = os.path.join(target, "definition.json")
        self.assertEqual(answer["files"], [{"what": "definition", "path": restored}])
        self.assertEqual(sha256(restored), sha256(self.stored(manifest, "definition.json")))
        self.assertEqual(os.stat(restored).st_mode & 0o777, 0o600)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)

        with open(self.stored(manifest, "definition.json"), "r+", encoding="utf-8") as file:
            file.write(" ")
        self.assertIn("the checksum of", self.failing(self.run_host("verify", VM)))
        again = self.path("again")
        line = self.failing(self.run_host("restore", VM, manifest["id"], f"--to={again}"))
        self.assertIn("unable to restore the definition", line)
        self.assertIn("--disk NAME", line)
        self.assertFalse(os.path.exists(again))
        done = self.run_host("restore", VM, manifest["id"], f"--to={again}", "--disk=sys")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.listdir(again), ["sys.qcow2"])

        second = self.back_up(incremental="no")
        pruned = self.run_host("prune", VM, keep_last="1")
        self.assertEqual(pruned.returncode, 0, pruned.stderr)
        self.assertEqual(self.published(), [second["id"]])

    def test_is_not_misled_by_a_program_that_only_passes_the_monitor_on(self):
        proxy = self.through_proxy()
        self.assertIsInstance(proxy, QmpProxy)
        done = self.run_host("backup", VM, "--json")
        self.assertEqual(done.returncode, 0)
        manifest = json.loads(done.stdout)
        self.assertIsNone(self.definition(manifest)["command_line"])
        self.assertIn("QEMU's command line", done.stderr)
        self.assertIn("listens at the monitor's socket, and no QEMU", done.stderr)
        self.assertEqual(len(manifest["definition"]["lacking"]), 1)
        self.assertIn("Lacking ", self.run_host("show", VM).stdout)


class Daemonized(DefinitionCase):
    def test_finds_a_qemu_that_has_left_its_parent(self):
        pidfile, monitor = self.path("qemu.pid"), self.path("own.sock")
        self.machine.stop()
        raw = self.machine.images["data"][0]
        subprocess.run(
            ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-S", "-daemonize",
             "-machine", "pc,accel=tcg", "-m", "32", "-pidfile", pidfile,
             "-drive", f"file={raw},format=raw,if=none,id=data",
             "-device", "virtio-blk-pci,drive=data", "-qmp",
             f"unix:{monitor},server=on,wait=off"], check=True, cwd=self.directory)
        with open(pidfile, encoding="utf-8") as file:
            pid = int(file.read())
        try:
            manifest = self.back_up(qmp=monitor, incremental="no")
        finally:
            os.kill(pid, 9)
        self.assertIn(pidfile, self.definition(manifest)["command_line"])
        self.assertEqual(manifest["definition"]["lacking"], [])


class Flash(DefinitionCase):
    """Pairs of flash as UEFI has them: the code, which is only read, and the variables."""

    SIZE = 528 * KIB  # OVMF_VARS.fd's: no whole number of clusters
    EXTRA = ("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=@/code.fd",
             "-drive", "if=pflash,unit=1,format=raw,file=@/vars.fd")

    def make_machine(self):
        for name, size in (("code.real", 3568 * KIB), ("vars.fd", self.SIZE)):
            with open(self.path(name), "wb") as file:
                file.write(os.urandom(size))
        os.symlink("code.real", self.path("code.fd"))
        return super().make_machine()

    def test_restores_the_variables_as_they_were_at_the_instant(self):
        self.check()

    def test_restores_them_from_a_backup_job(self):
        self.check(method="backup")

    def check(self, **settings):
        before = sha256(self.path("vars.fd"))
        manifest = self.back_up(**settings)
        disk = next(disk for disk in manifest["disks"] if disk["name"] == "pflash1")
        self.assertEqual((disk["pflash"], disk["virtual_size"]), (1, self.SIZE))
        self.assertEqual(len(manifest["disks"]), 3)
        self.assertEqual(os.path.getsize(self.path("vars.fd")), self.SIZE)
        self.assertEqual(sha256(self.path("vars.fd")), before)
        firmware = self.definition(manifest)["firmware"]
        self.assertEqual([(one["sha256"], one["bytes"]) for one in firmware],
                         [(sha256(self.path("code.fd")), 3568 * KIB)])
        target, answer = self.restore(manifest)
        image = next(image for image in answer["images"] if image["disk"] == "pflash1")
        self.assertEqual((image["format"], image["pflash"]), ("raw", 1))
        self.assertEqual(image["path"], os.path.join(target, "pflash1.fd"))
        self.assertEqual(sha256(image["path"]), before)
        self.assertEqual(os.path.getsize(image["path"]), self.SIZE)

        # What is written to them later is in the increment.
        self.machine.monitor.execute("human-monitor-command", **{
            "command-line": 'qemu-io -d /machine/system.flash1 "write -P 65 4096 8192"'})
        self.machine.monitor.execute("human-monitor-command", **{
            "command-line": 'qemu-io -d /machine/system.flash1 "flush"'})
        later = sha256(self.path("vars.fd"))
        self.assertNotEqual(later, before)
        second = self.back_up(**settings)
        disk = next(disk for disk in second["disks"] if disk["name"] == "pflash1")
        self.assertEqual(disk["backing"], {"id": manifest["id"]})
        done = self.run_host("restore", VM, second["id"], f"--to={self.path('second')}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(",format=raw,if=pflash,unit=1\n", done.stdout)
        self.assertEqual(sha256(self.path("second/pflash1.fd")), later)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)


class FlashByNode(Flash):
    EXTRA = ("-blockdev", "driver=raw,node-name=code,read-only=on,file.driver=file,"
             "file.filename=@/code.fd", "-blockdev",
             "driver=raw,node-name=vars,file.driver=file,file.filename=@/vars.fd",
             "-machine", "pflash0=code,pflash1=vars")


if __name__ == "__main__":
    unittest.main(verbosity=2)
