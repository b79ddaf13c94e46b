# SPDX-License-Identifier: MIT
"""The completion script of holdfast(1) as bash runs it, against what the program says of itself."""

import os
import re
import subprocess
import tempfile
import unittest

from completion_case import complete
from lab import testing

SCRIPT = "host-driver/completion/holdfast"


def offered(*words):
    return complete(SCRIPT, *words)


def said():
    """(commands, options) of its --help."""
    text = subprocess.run([testing.built("host-driver/holdfast"), "--help"], capture_output=True,
                          text=True, timeout=20, check=True).stdout
    return (re.findall(r"^  ([a-z]+) ", text.split("\nOptions")[0], re.MULTILINE),
            [option + ("=" if value else "") for option, value in
             re.findall(r"^  (?:-[a-z] \[ )?(--[a-z-]+)(?: \])?( arg)?", text, re.MULTILINE)])


class Completion(unittest.TestCase):
    def test_offers_every_option_that_the_program_has_and_no_other(self):
        commands, options = said()
        self.assertGreater(len(options), 30)
        found = set(offered("--"))
        for command in commands:
            found.update(offered(command, "--"))
        self.assertEqual(sorted(found), sorted(options))

    def test_offers_every_command_until_there_is_one(self):
        commands, _ = said()
        self.assertIn("doctor", commands)
        self.assertEqual(sorted(offered("")), sorted(commands))
        self.assertEqual(offered("--json", "rest"), ["restore"])

    def test_offers_an_option_with_its_commands_alone(self):
        self.assertIn("--disk=", offered("restore", "--"))
        self.assertIn("--disk=", offered("export", "--"))
        self.assertNotIn("--disk=", offered("backup", "--"))
        self.assertIn("--to=", offered("restore", "--"))
        self.assertNotIn("--to=", offered("export", "--"))
        self.assertIn("--repository=", offered("export", "--"))

    def test_knows_the_values_of_an_option(self):
        self.assertEqual(offered("restore", "--format", ""), ["qcow2", "raw"])
        self.assertEqual(offered("backup", "--require=fil"), ["filesystem"])

    def test_offers_the_machines_that_are_configured(self):
        with tempfile.TemporaryDirectory() as directory:
            os.mkdir(f"{directory}/vms.d")
            for name in ("web1.conf", "db-1.conf", "db-2.conf", "db-3.conf.dpkg-old"):
                with open(f"{directory}/vms.d/{name}", "w", encoding="utf-8"):
                    pass
            for option in ([f"--config-directory={directory}"], ["--config-directory", directory]):
                self.assertEqual(offered(*option, "backup", "db"), ["db-1", "db-2"])
                self.assertEqual(sorted(offered(*option, "verify", "")), ["db-1", "db-2", "web1"])
            self.assertEqual(offered("--config-directory", f"{directory}/none", "backup", ""), [])

    def test_does_nothing_when_it_is_read(self):
        done = subprocess.run(["bash", "-eu", "-c",
                               f". {testing.built(SCRIPT)}; complete -p holdfast"],
                              capture_output=True, text=True, timeout=20, check=True)
        self.assertEqual(done.stdout, "complete -F _holdfast holdfast\n")


if __name__ == "__main__":
    testing.main()
