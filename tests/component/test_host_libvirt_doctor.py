# SPDX-License-Identifier: MIT
"""`holdfast doctor` and far URIs, with the machine of a real libvirtd."""

import json
import os
import xml.etree.ElementTree

from host_case import VM
from lab import testing
from libvirt_case import LibvirtCase, far_uri
from support.qemu_machine import same_content

ALLOWED = ("guest-fsfreeze-freeze", "guest-fsfreeze-status", "guest-fsfreeze-thaw",
           "guest-file-open", "guest-file-read", "guest-file-close")


class Doctor(LibvirtCase):
    INCREMENTAL = "yes"

    def setUp(self):
        super().setUp()
        if self.reason:
            return
        commands = [{"name": name, "enabled": True, "success-response": True} for name in ALLOWED]
        self.agent.behaviours["guest-info"] = (
            lambda *_: {"return": {"version": "7.2.22", "supported_commands": commands}})

    def ids(self, vm=VM, **settings):
        """{id: level}, and the findings of them."""
        done = self.run_host("doctor", vm, "--json", **settings)
        self.assertEqual(done.stderr, "")
        found, = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if found["problems"] else 0, found)
        self.texts = {finding["id"]: finding["text"] for finding in found["findings"]}
        for finding in found["findings"]:
            self.assertEqual(bool(finding["hint"]), finding["level"] in ("warning", "problem"))
        return {finding["id"]: finding["level"] for finding in found["findings"]}

    def another(self, name, change):
        """A domain like ours that does not run."""
        root = xml.etree.ElementTree.fromstring(
            self.daemon.virsh("dumpxml", "--inactive", VM).stdout)
        root.find("name").text = name
        root.remove(root.find("uuid"))
        change(root)
        path = self.path(name + ".xml")
        xml.etree.ElementTree.ElementTree(root).write(path)
        return path

    def test_a_healthy_machine_has_no_problem_and_nothing_is_touched(self):
        ids = self.ids(method="backup")
        self.assertEqual([name for name, level in ids.items() if level == "problem"], [],
                         self.texts)
        self.assertEqual(ids["running"], "ok")
        self.assertRegex(self.texts["running"], r"^libvirt \d+\.\d+")
        self.assertEqual(ids["answers"], "ok")
        self.assertEqual(ids["disk"], "ok")
        self.assertEqual(ids["no-increments"], "warning")
        self.assertIn("disk 'vda' is copied in full each time", self.texts["no-increments"])
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        self.assert_nothing_left()

    def test_a_method_without_increments_is_said(self):
        self.assertEqual(self.ids()["no-increments"], "warning")
        self.assertNotIn("no-increments", self.ids(incremental="no"))

    def test_what_keeps_it_from_the_machine_is_named(self):
        self.assertEqual(self.ids(domain="nobody")["no-domain"], "problem")
        far = f"qemu+unix:///system?socket={self.path('none')}"
        self.assertEqual(self.ids(uri=far)["unreachable"], "problem")
        self.assertEqual(self.ids(libvirt_program=self.path("none"))["no-libvirt-program"],
                         "problem")

    def test_a_machine_that_is_shut_off(self):
        self.daemon.virsh("define", self.another("off", lambda root: None))
        self.addCleanup(self.daemon.virsh, "undefine", "off")
        self.assertEqual(self.ids("off")["shut-off"], "problem")
        line = self.failing(self.run_host("backup", "off"))
        self.assertIn("the machine does not run: it is shut off", line)

    def test_a_machine_without_a_channel_for_the_agent(self):
        def without(root):
            devices = root.find("devices")
            for channel in devices.findall("channel"):
                devices.remove(channel)
            for disk in devices.findall("disk"):
                devices.remove(disk)
            spare = root.find("{http://libvirt.org/schemas/domain/qemu/1.0}commandline")
            root.remove(spare)
            devices.find("serial").find("source").set("path", self.path("console"))

        self.daemon.virsh("create", self.another("bare", without))
        self.addCleanup(self.daemon.virsh, "destroy", "bare")
        ids = self.ids("bare")
        self.assertEqual((ids["no-channel"], ids["transient"]), ("problem", "warning"))
        self.assertEqual(ids["no-disks"], "problem")
        self.failing(self.run_host("backup", "bare"))

    def test_a_machine_that_is_paused(self):
        self.daemon.virsh("suspend", VM)
        self.addCleanup(self.daemon.virsh, "resume", VM)
        self.assertEqual(self.ids(agent_timeout="1s")["not-running"], "warning")
        line = self.failing(self.run_host("backup", VM, agent_timeout="1s"))
        self.assertIn("the machine is paused", line)
        done = self.run_host("backup", VM, "--json", agent_timeout="1s", require="crash",
                             prefer="crash", method="backup")
        self.assertEqual(done.returncode, 0, done.stderr)
        manifest = json.loads(done.stdout)
        self.assertEqual(manifest["level"], "crash")
        self.assertEqual(self.machine.leftovers(), [])
        for disk in ("vda", "vdb"):
            self.assertTrue(same_content(self.image_in_backup(manifest, disk),
                                         self.frozen_copy(disk)), disk)


class Far(LibvirtCase):
    """A URI whose command leads to libvirtd's socket, as ssh would from another host."""

    def setUp(self):
        super().setUp()
        if self.reason:
            return
        self.far = far_uri(self, self.daemon.socket)

    def test_overlays_beside_images_that_both_see_are_fine(self):
        expected = {disk: self.frozen_copy(disk) for disk in ("vda", "vdb")}
        manifest = self.back_up(uri=self.far)
        self.assert_nothing_left()
        for disk, image in expected.items():
            self.assertTrue(same_content(self.image_in_backup(manifest, disk), image), disk)

    def test_copies_that_qemu_would_write_there_are_refused(self):
        line = self.failing(self.run_host("backup", VM, uri=self.far, method="backup"))
        self.assertIn("unable to use the method 'backup' with where the URI's command leads", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)
        done = self.run_host("doctor", VM, "--json", uri=self.far, method="backup")
        self.assertIn("remote", [finding["id"] for finding in
                                 json.loads(done.stdout)[0]["findings"]])

    def test_images_that_are_not_here_are_named(self):
        path = self.machine.images["vdb"][0]
        os.rename(path, path + ".away")
        self.addCleanup(os.rename, path + ".away", path)
        line = self.failing(self.run_host("backup", VM, uri=self.far))
        self.assertIn(f"unable to back up the disk 'vdb': its image '{path}' is on the host", line)
        self.assertEqual(self.agent.count("guest-fsfreeze-freeze"), 0)

    def test_overlays_elsewhere_are_refused(self):
        line = self.failing(self.run_host("backup", VM, uri=self.far,
                                          overlay_directory=self.directory), status=2)
        self.assertIn("unable to use overlay-directory with the host", line)


if __name__ == "__main__":
    testing.main()
