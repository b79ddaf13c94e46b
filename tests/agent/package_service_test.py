# SPDX-License-Identifier: MIT
"""The installed packages at work, in a chroot: a hook of the administrator's own goes on running,
and no maintainer script ends a window that is open."""

import os
import unittest

from lab import chroot, loopfs, packages, testing

HOOK = "/etc/qemu/fsfreeze-hook"
ASIDE = HOOK + ".distrib"
LOG = "/tmp/hooks.log"
OWN_RESOURCE = "/etc/holdfast/resources.d/own-hook.conf"
STOCK_RESOURCE = "/etc/holdfast/resources.d/fsfreeze-hook-d.conf"


class ServiceCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.debs = packages.ours()
        cls.base = packages.base()
        cls.addClassCleanup(cls.base.close)

    def setUp(self):
        self.root = chroot.Chroot(self.base)
        self.addCleanup(self.root.close)
        self.agent = self.root.add_package(self.debs["holdfast-agent"])
        self.service = packages.Service(self.root)
        self.addCleanup(self.service.close)

    def install(self, package=None):
        return self.root.run(["dpkg", "--install", package or self.agent])

    def hook(self, verb):
        return self.root.run([HOOK, verb], check=False)

    def another(self, version):
        made = packages.remade(self.debs["holdfast-agent"], self.root.path("/packages"), version)
        return "/packages/" + os.path.basename(made)


class OwnHook(ServiceCase):
    """A hook that stood at the guest agent's path before the installation."""

    def own_hook(self, text):
        self.root.write(HOOK, text, 0o755)
        os.makedirs(self.root.path(HOOK + ".d"), exist_ok=True)
        self.root.write(HOOK + ".d/10-script", f"#!/bin/sh\necho script $1 >>{LOG}\n", 0o755)
        return text

    def ran(self):
        try:
            return self.root.read(LOG).splitlines()
        except FileNotFoundError:
            return []

    def test_it_is_kept_and_runs_and_its_status_counts(self):
        own = self.own_hook(f"#!/bin/sh\necho own $1 >>{LOG}\n[ ! -e /tmp/no ] || exit 3\n")
        output = self.install()
        self.assertIn(f"your own {HOOK} is kept as {ASIDE}, and still run", output)
        self.assertEqual(self.root.read(ASIDE), own)
        self.service.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(sorted(self.ran()), ["own freeze", "script freeze"])
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(sorted(self.ran()[2:]), ["own thaw", "script thaw"])
        self.root.write("/tmp/no", "")
        status, output = self.hook("freeze")
        self.assertEqual(status, 21, output)
        self.assertIn("own-hook", output)

    def test_it_comes_back_when_the_package_goes(self):
        own = self.own_hook("#!/bin/sh\nexit 0\n")
        self.install()
        self.root.run(["dpkg", "--purge", "holdfast-agent"])
        self.assertEqual(self.root.read(HOOK), own)
        self.assertFalse(os.path.lexists(self.root.path(ASIDE)))
        self.assertTrue(os.access(self.root.path(HOOK), os.X_OK))
        self.assertFalse(os.path.exists(self.root.path(OWN_RESOURCE)))

    def test_one_made_out_of_the_stock_hook_runs_the_scripts_and_we_do_not(self):
        self.own_hook(self.root.read(HOOK).replace(
            "LOGFILE=", f"echo own $1 >>{LOG}\nLOGFILE=", 1))
        output = self.install()
        self.assertIn(f"it runs what stands in {HOOK}.d", output)
        self.assertFalse(os.path.exists(self.root.path(STOCK_RESOURCE)))
        self.service.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.assertEqual(self.ran(), ["own freeze", "script freeze", "own thaw", "script thaw"])

    def test_one_made_between_two_installations_is_run_too(self):
        self.install()
        self.root.run(["dpkg", "--remove", "holdfast-agent"])
        self.own_hook("#!/bin/sh\nexit 0\n")
        self.assertIn("still run", self.install())
        self.assertTrue(os.path.exists(self.root.path(OWN_RESOURCE)))
        os.unlink(self.root.path(OWN_RESOURCE))
        self.install()
        self.assertFalse(os.path.exists(self.root.path(OWN_RESOURCE)),
                         "an upgrade brought back what the administrator removed")

    def test_the_stock_hook_is_nobodys_own(self):
        self.assertNotIn("own", self.install())
        self.assertFalse(os.path.exists(self.root.path(OWN_RESOURCE)))


class OpenWindow(ServiceCase):
    """Maintainer scripts while a host takes its snapshot."""

    def setUp(self):
        super().setUp()
        self.install()
        self.service.start()
        self.ctl("freeze")
        self.assertEqual(self.service.restarts(), [], "the service is the test's own")

    def ctl(self, verb):
        return self.root.run(["holdfastctl", verb])

    def assert_window_is_whole(self):
        self.assertIn(": held,", self.ctl("status"))
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_an_upgrade_waits_for_its_end_and_restarts_then(self):
        dpkg = self.root.spawn(["dpkg", "--install", self.another("0.9")])
        output = b""
        while b"waiting for the snapshot" not in output:
            line = dpkg.stdout.readline()
            self.assertTrue(line, f"dpkg has ended: {output}")
            output += line
        self.assertEqual(self.service.restarts(), [])
        self.assert_window_is_whole()
        output += dpkg.stdout.read()
        dpkg.stdout.close()
        self.assertEqual(dpkg.wait(60), 0, output)
        self.assertEqual(len(self.service.restarts()), 1)
        self.assertNotIn(b"still open", output)

    def test_an_upgrade_leaves_the_service_alone_if_the_window_stays_open(self):
        packages.no_sleep(self.root)
        output = self.install(self.another("0.9"))
        self.assertIn("a window is still open, so the running service stays", output)
        self.assertEqual(self.service.restarts(), [])
        self.assert_window_is_whole()

    def test_a_plugin_waits_in_the_same_way(self):
        packages.no_sleep(self.root)
        plugin = self.root.add_package(self.debs["holdfast-plugin-mysql"])
        output = self.install(plugin)
        self.assertIn("holdfast-plugin-mysql: a window is still open", output)
        self.assertNotIn("try-restart holdfastd.service", self.service.calls())
        self.assert_window_is_whole()
        self.install(plugin)
        self.assertIn("try-restart holdfastd.service", self.service.calls())

    def test_a_removal_is_refused_and_nothing_has_changed(self):
        packages.no_sleep(self.root)
        status, output = self.root.run(["dpkg", "--remove", "holdfast-agent"], check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("unable to remove: a snapshot is being taken", output)
        self.assertNotIn("stop holdfastd.service", self.service.calls())
        self.assertEqual(self.service.restarts(), [])
        self.assertIn("install ok installed", self.root.run(["dpkg", "-s", "holdfast-agent"]))
        self.assert_window_is_whole()
        self.root.run(["dpkg", "--remove", "holdfast-agent"])
        self.assertFalse(os.path.islink(self.root.path(HOOK)))

    def test_a_service_that_is_not_there_keeps_nobody_waiting(self):
        self.service.close()
        self.assertTrue(os.path.exists(self.root.path("/run/holdfast/window.json")))
        self.assertNotIn("waiting", self.install(self.another("0.9")))
        self.assertEqual(len(self.service.restarts()), 1)


class Versions(ServiceCase):
    def test_going_back_to_an_earlier_version_says_what_may_be_wrong_then(self):
        self.install(self.another("0.9"))
        output = self.install()
        self.assertIn("going back from 0.9 to 0.1.0", output)
        self.assertNotIn("going back", self.install(self.another("0.9")))

    def test_settings_that_the_new_version_does_not_know_are_told_at_once(self):
        self.install()
        self.root.write("/etc/holdfast/agent.conf", "of-a-later-version = yes\n")
        output = self.install()
        self.assertIn("the service will not start with these settings", output)
        self.assertIn("of-a-later-version", output)

    def test_a_password_that_belongs_to_the_service_is_no_reason_to_warn(self):
        self.install()
        directory = "/etc/holdfast/resources.d/"
        self.root.write(directory + "redis.password", "secret\n", 0o600)
        self.root.run(["chown", "holdfast", directory + "redis.password"])
        plugin = self.root.add_package(self.debs["holdfast-plugin-redis"])
        self.install(plugin)
        self.root.write(directory + "redis.conf", "plugin = redis\nuser = holdfast\n"
                        f"password-file = {directory}redis.password\n")
        self.assertNotIn("will not start", self.install())


if __name__ == "__main__":
    reason = chroot.missing()
    if reason:
        testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
