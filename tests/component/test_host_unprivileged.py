# SPDX-License-Identifier: MIT
"""Nothing that the driver does needs root where the machine belongs to the user who runs it."""

import os
import shutil
import unittest

from host_case import VM, HostCase
from lab import testing
from support.qemu_machine import same_content

NOBODY = 65534


class Unprivileged(HostCase):
    def setUp(self):
        super().setUp()
        # A machine of the user's own, started anew as theirs; the built program may stand where
        # they must not look.
        self.machine.stop()
        program = self.path("holdfast")
        shutil.copy(self.program, program)
        self.program = program
        os.mkdir(self.path("state"))
        for directory, _, names in os.walk(self.directory):
            for name in (".", *names):
                os.chown(os.path.join(directory, name), NOBODY, NOBODY, follow_symlinks=False)
        self.machine.user = NOBODY
        self.machine.start()

    def command(self, verb, *arguments, **settings):
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                "--inh-caps=-all", "--", *super().command(verb, *arguments, **settings)]

    def everything(self, **settings):
        self.machine.write("data", 1, 0, 65536)
        self.back_up(**settings)
        self.machine.write("data", 2, 131072, 65536)
        manifest = self.back_up(**settings)
        self.assertEqual(manifest["level"], "application")
        self.assertEqual(manifest["kind"], "increment")
        self.assert_nothing_left()
        for verb, *arguments in (("list", VM), ("show", VM), ("verify", VM), ("status", VM),
                                 ("recover", VM), ("protect", VM, "latest"),
                                 ("unprotect", VM, "latest"),
                                 ("restore", VM, "latest", f"--to={self.path('restored')}")):
            done = self.run_host(verb, *arguments)
            self.assertEqual(done.returncode, 0, f"{verb}: {done.stderr}")
        self.assertTrue(same_content((self.path("restored/data.qcow2"), "qcow2"),
                                     self.machine.images["data"]))
        self.assertEqual(os.stat(self.path("restored/data.qcow2")).st_uid, NOBODY)

    def test_overlay(self):
        self.everything(method="overlay")

    def test_backup(self):
        self.everything(method="backup")


if __name__ == "__main__":
    if os.geteuid() != 0:
        testing.skip_all("only root can run QEMU and the driver as somebody else")
    testing.main()
