# SPDX-License-Identifier: MIT
"""holdfast-agent is installed, upgraded, reinstalled, removed and purged beside a real qemu-guest-
agent, in a chroot: whatever happens, the guest agent's hook comes back as it was."""

import glob
import os
import re
import stat
import subprocess
import tempfile
import unittest

from lab import chroot, loopfs, packages, testing

HOOK = "/etc/qemu/fsfreeze-hook"
ASIDE = HOOK + ".distrib"
OURS = "/usr/lib/holdfast/fsfreeze-hook"
DROP_IN = "/usr/lib/systemd/system/qemu-guest-agent.service.d/holdfast.conf"


class PackageCycle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.debs = packages.ours()
        cls.base = packages.base()
        cls.addClassCleanup(cls.base.close)

    def setUp(self):
        self.root = chroot.Chroot(self.base)
        self.addCleanup(self.root.close)
        self.agent = self.root.add_package(self.debs["holdfast-agent"])
        self.stock = self.root.read(HOOK)
        self.addCleanup(self.show_leftovers)

    def show_leftovers(self):
        """Nothing of dpkg's own half-done work may be left, in any test."""
        for leftover in glob.glob(self.root.path("/etc/qemu/*dpkg*")):
            self.fail(f"left over: {leftover}")

    def dpkg(self, *arguments):
        return self.root.run(["dpkg", *arguments])

    def diversions(self):
        return self.root.run(["dpkg-divert", "--list", HOOK]).splitlines()

    def assert_hook_is_ours(self):
        self.assertEqual(os.readlink(self.root.path(HOOK)), OURS)
        self.assertTrue(os.path.isfile(self.root.path(OURS)))
        self.assertEqual(self.diversions(),
                         [f"diversion of {HOOK} to {ASIDE} by holdfast-agent"])

    def assert_hook_is(self, content):
        self.assertFalse(os.path.islink(self.root.path(HOOK)))
        self.assertEqual(self.root.read(HOOK), content)
        self.assertFalse(os.path.lexists(self.root.path(ASIDE)))
        self.assertEqual(self.diversions(), [])

    def test_the_shim_stands_at_the_hooks_path_after_an_installation(self):
        output = self.dpkg("--install", self.agent)
        self.assert_hook_is_ours()
        self.assertEqual(self.root.read(ASIDE), self.stock)
        self.assertNotIn("your own", output)
        drop_in = self.root.read(DROP_IN)
        self.assertIn("ExecStart=\nExecStart=-/usr/sbin/qemu-ga -F/etc/qemu/fsfreeze-hook\n",
                      drop_in)
        for unit in ("holdfastd.service", "holdfast-exec.service"):
            self.assertTrue(os.path.lexists(self.root.path(
                f"/etc/systemd/system/multi-user.target.wants/{unit}")), unit)
        self.assertTrue(os.path.lexists(self.root.path(
            "/etc/systemd/system/sockets.target.wants/holdfast-fs.socket")))

    def test_the_user_and_the_directories_are_those_of_the_design(self):
        self.dpkg("--install", self.agent)
        passwd = self.root.run(["getent", "passwd", "holdfast"]).strip().split(":")
        self.assertLess(int(passwd[2]), 1000)
        self.assertEqual(passwd[5:], ["/var/lib/holdfast", "/usr/sbin/nologin"])
        self.assertEqual(self.root.run(["stat", "--format=%a %U:%G", "/etc/holdfast",
                                        "/etc/holdfast/resources.d",
                                        "/etc/holdfast/resources.d/fsfreeze-hook-d.conf"])
                         .split("\n"),
                         ["755 root:root", "750 root:holdfast", "644 root:root", ""])

    def test_the_installed_programs_run_with_what_the_package_depends_on(self):
        plugins = [self.root.add_package(self.debs[name])
                   for name in ("holdfast-plugin-mysql", "holdfast-plugin-postgresql",
                                "holdfast-plugin-redis")]
        self.dpkg("--install", self.agent, *plugins)
        for program in ("/usr/sbin/holdfastd", "/usr/sbin/holdfastctl",
                        "/usr/lib/holdfast/holdfast-fsd", "/usr/lib/holdfast/holdfast-execd"):
            self.assertIn("0.1.0", self.root.run([program, "--version"]), program)
        self.root.run(["/usr/sbin/holdfastd", "--check-config"])
        # What agent.conf shows as defaults is right, and is what they are.
        shown = self.root.read("/etc/holdfast/agent.conf")
        self.root.write("/tmp/all.conf", re.sub(r"^#(?=[a-z-]+ = )", "", shown, flags=re.MULTILINE))
        command = ["/usr/sbin/holdfastd", "--print-config", "--config"]
        by_file, by_default = (
            [line.partition("  # ")[0] for line in self.root.run([*command, path]).splitlines()]
            for path in ("/tmp/all.conf", "/etc/holdfast/agent.conf"))
        self.assertEqual(by_file, by_default)
        # No service: a thaw with nothing held is done, a freeze is refused.
        self.assertEqual(self.root.run([HOOK, "thaw"], check=False)[0], 0)
        status, output = self.root.run([HOOK, "freeze"], check=False)
        self.assertEqual(status, 20, output)

    def test_everything_is_put_back_by_a_removal(self):
        self.dpkg("--install", self.agent)
        self.dpkg("--remove", "holdfast-agent")
        self.assert_hook_is(self.stock)
        self.assertTrue(os.path.exists(
            self.root.path("/etc/holdfast/resources.d/fsfreeze-hook-d.conf")))
        self.assertFalse(os.path.exists(self.root.path(DROP_IN)))
        self.assertEqual(self.root.run(["dpkg", "--verify", "qemu-guest-agent"]), "")

    def test_a_purge_leaves_nothing_of_ours_behind(self):
        self.dpkg("--install", self.agent)
        os.makedirs(self.root.path("/var/lib/holdfast/records"))
        self.root.write("/var/lib/holdfast/records/x.json", "{}\n")
        self.root.write("/var/lib/holdfast/freeze.json", "{}\n")
        self.dpkg("--purge", "holdfast-agent")
        self.assert_hook_is(self.stock)
        for gone in ("/etc/holdfast", "/var/lib/holdfast", "/usr/lib/holdfast",
                     "/usr/share/holdfast",
                     "/etc/systemd/system/multi-user.target.wants/holdfastd.service"):
            self.assertFalse(os.path.lexists(self.root.path(gone)), gone)

    def test_a_purge_leaves_what_is_the_administrators(self):
        self.dpkg("--install", self.agent)
        os.makedirs(self.root.path("/var/lib/holdfast/records"))
        own = {"/etc/holdfast/resources.d/mysql.conf": "plugin = mysql\n",
               "/etc/holdfast/notes": "ours\n", "/var/lib/holdfast/notes": "ours\n",
               "/etc/qemu/fsfreeze-hook.d/local": "#!/bin/sh\n"}
        for path, text in own.items():
            self.root.write(path, text, 0o640)
        output = self.dpkg("--purge", "holdfast-agent")
        self.assertIn("/etc/holdfast/resources.d holds files of yours, which are left", output)
        for path, text in own.items():
            self.assertEqual(self.root.read(path), text)
        self.assertEqual(os.listdir(self.root.path("/etc/holdfast/resources.d")), ["mysql.conf"])
        self.assertEqual(os.listdir(self.root.path("/var/lib/holdfast")), ["notes"])

    def test_a_resource_that_the_administrator_removed_does_not_come_back(self):
        resource = "/etc/holdfast/resources.d/fsfreeze-hook-d.conf"
        self.dpkg("--install", self.agent)
        os.unlink(self.root.path(resource))
        self.dpkg("--install", self.agent)
        self.assertFalse(os.path.exists(self.root.path(resource)))
        self.dpkg("--remove", "holdfast-agent")
        self.dpkg("--install", self.agent)
        self.assertFalse(os.path.exists(self.root.path(resource)))

    def test_a_second_installation_and_an_upgrade_change_nothing(self):
        for _ in range(3):
            self.dpkg("--install", self.agent)
            self.assert_hook_is_ours()
            self.assertEqual(self.root.read(ASIDE), self.stock)
        self.dpkg("--remove", "holdfast-agent")
        self.assert_hook_is(self.stock)
        self.dpkg("--install", self.agent)
        self.assert_hook_is_ours()
        self.dpkg("--purge", "holdfast-agent")
        self.assert_hook_is(self.stock)

    def test_a_hook_put_in_place_of_ours_is_left_alone(self):
        self.dpkg("--install", self.agent)
        os.unlink(self.root.path(HOOK))
        own = "#!/bin/sh\nexit 0\n"
        self.root.write(HOOK, own, 0o755)
        output = self.dpkg("--install", self.agent)
        self.assertIn(f"{HOOK} is not ours and is left alone", output)
        self.assertEqual(self.root.read(HOOK), own)
        self.dpkg("--purge", "holdfast-agent")
        self.assertEqual(self.root.read(HOOK), own)
        self.assertEqual(self.diversions(), [])

    def guest_agent(self):
        """The guest agent's own package, outside the chroot."""
        path, = glob.glob(self.root.path("/packages/qemu-guest-agent_*.deb"))
        return path

    def newer_guest_agent(self, stock):
        """A later version of it, with another stock hook."""
        def edit(tree):
            with open(tree + HOOK, "w", encoding="utf-8") as file:
                file.write(stock)
        newer = packages.remade(self.guest_agent(), self.root.path("/packages"), "9:99.0", edit)
        return "/packages/" + os.path.basename(newer)

    def test_the_guest_agent_can_be_reinstalled_under_the_diversion(self):
        self.dpkg("--install", self.agent)
        self.dpkg("--install", "/packages/" + os.path.basename(self.guest_agent()))
        self.assert_hook_is_ours()
        self.assertEqual(self.root.read(ASIDE), self.stock)

    def test_an_upgrade_of_the_guest_agent_goes_to_the_hook_that_is_aside(self):
        self.dpkg("--install", self.agent)
        later = "#!/bin/sh\n# the stock hook of a later version\nexit 0\n"
        self.dpkg("--install", self.newer_guest_agent(later))
        self.assertIn("99.0", self.root.run(["dpkg-query", "-W", "qemu-guest-agent"]))
        self.assert_hook_is_ours()
        self.assertEqual(self.root.read(ASIDE), later)
        # The next one of ours sees nothing in it that would be somebody's own.
        self.assertNotIn("your own", self.dpkg("--install", self.agent))
        self.dpkg("--purge", "holdfast-agent")
        self.assert_hook_is(later)
        self.assertEqual(self.root.run(["dpkg", "--verify", "qemu-guest-agent"]), "")

    def test_an_upgrade_of_the_guest_agent_keeps_a_hook_of_ones_own(self):
        own = "#!/bin/sh\n# of our own\nexit 0\n"
        self.root.write(HOOK, own, 0o755)
        self.dpkg("--install", self.agent)
        self.dpkg("--force-confold", "--install", self.newer_guest_agent("#!/bin/sh\nexit 0\n"))
        self.assert_hook_is_ours()
        self.assertEqual(self.root.read(ASIDE), own)
        # dpkg's own way of showing the version that was not taken.
        os.unlink(self.root.path(ASIDE + ".dpkg-dist"))
        self.dpkg("--purge", "holdfast-agent")
        self.assert_hook_is(own)

    def test_both_packages_come_and_go_together_in_either_order(self):
        agent = self.agent
        theirs = "/packages/" + os.path.basename(self.guest_agent())
        for order in ([agent, theirs], [theirs, agent]):
            with self.subTest(order):
                there = ["holdfast-agent"] if self.is_there() else []
                self.dpkg("--purge", *there, "qemu-guest-agent")
                self.assertEqual(glob.glob(self.root.path("/etc/qemu/fsfreeze-hook*")), [])
                self.assertEqual(self.diversions(), [])
                self.dpkg("--install", *order)
                self.assert_hook_is_ours()
                self.assertEqual(self.root.read(ASIDE), self.stock)
                self.assertTrue(os.path.exists(
                    self.root.path("/etc/holdfast/resources.d/fsfreeze-hook-d.conf")))

    def test_the_guest_agent_can_come_after_ours_was_unpacked(self):
        self.dpkg("--purge", "qemu-guest-agent")
        self.root.run(["dpkg", "--unpack", self.agent])
        status, output = self.root.run(["dpkg", "--configure", "holdfast-agent"], check=False)
        self.assertNotEqual(status, 0, output)
        self.dpkg("--install", "/packages/" + os.path.basename(self.guest_agent()))
        self.dpkg("--configure", "--pending")
        self.assert_hook_is_ours()
        self.assertEqual(self.root.read(ASIDE), self.stock)
        self.dpkg("--purge", "holdfast-agent")
        self.assert_hook_is(self.stock)

    def is_there(self):
        return self.root.run(["dpkg-query", "-W", "holdfast-agent"], check=False)[0] == 0

    def test_an_installation_that_fails_puts_everything_back(self):
        # A package that owns a file of ours: dpkg unpacks, finds it, and undoes (abort-install).
        with tempfile.TemporaryDirectory() as staging:
            os.chmod(staging, 0o755)
            os.makedirs(os.path.join(staging, "DEBIAN"))
            os.makedirs(os.path.join(staging, "usr/sbin"))
            with open(os.path.join(staging, "usr/sbin/holdfastd"), "w", encoding="ascii") as file:
                file.write("not ours\n")
            with open(os.path.join(staging, "DEBIAN/control"), "w", encoding="ascii") as file:
                file.write("Package: in-the-way\nVersion: 1\nArchitecture: all\n"
                           "Maintainer: T <t@t.t>\n"
                           "Description: owns a file of holdfast-agent\n")
            deb = self.root.path("/packages/in-the-way.deb")
            subprocess.run(["dpkg-deb", "--root-owner-group", "--build", staging, deb], check=True,
                           stdout=subprocess.DEVNULL, timeout=30)
        self.dpkg("--install", "/packages/in-the-way.deb")
        status, output = self.root.run(["dpkg", "--install", self.agent], check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("trying to overwrite '/usr/sbin/holdfastd'", output)
        self.assert_hook_is(self.stock)

    def test_a_removal_that_fails_leaves_everything_as_it_was(self):
        self.dpkg("--install", self.agent)
        prerm = self.root.path("/var/lib/dpkg/info/holdfast-agent.prerm")
        with open(prerm, encoding="utf-8") as file:
            script = file.read()
        # It fails at its end, when the link is gone already; dpkg then runs the postinst (abort-
        # remove).
        with open(prerm, "w", encoding="utf-8") as file:
            file.write(script.replace("\nexit 0\n", "\nexit 1\n"))
        status, _ = self.root.run(["dpkg", "--remove", "holdfast-agent"], check=False)
        self.assertNotEqual(status, 0)
        self.assert_hook_is_ours()


if __name__ == "__main__":
    reason = chroot.missing()
    if reason:
        testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
