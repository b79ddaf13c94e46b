# SPDX-License-Identifier: MIT
"""The completion scripts as bash runs them, against what the programs say of themselves."""

import os
import re
import subprocess
import tempfile
import unittest

import completion_case
from lab import testing

PROGRAMS = {"holdfastctl": "agent/ctl/holdfastctl", "holdfastd": "agent/daemon/holdfastd"}


def complete(program, *words):
    return completion_case.complete(f"agent/completion/{program}", *words)


def said(program):
    """(commands, options) of its --help."""
    text = subprocess.run([testing.built(PROGRAMS[program]), "--help"], capture_output=True,
                          text=True, timeout=20, check=True).stdout
    return (re.findall(r"^  ([a-z]+) ", text, re.MULTILINE),
            [option + ("=" if value else "")
             for option, value in re.findall(r"^  (--[a-z-]+)(=[A-Z]+)?", text, re.MULTILINE)])


class Completion(unittest.TestCase):
    def test_offers_every_option_that_the_program_has_and_no_other(self):
        for program in PROGRAMS:
            commands, options = said(program)
            self.assertGreater(len(options), 3)
            offered = set(complete(program, "--"))
            for command in commands:
                offered.update(complete(program, command, "--"))
            self.assertEqual(sorted(offered), sorted(options), program)

    def test_offers_every_command_until_there_is_one(self):
        commands, _ = said("holdfastctl")
        self.assertIn("doctor", commands)
        self.assertEqual(sorted(complete("holdfastctl", "")), sorted(commands))
        self.assertEqual(complete("holdfastctl", "--json", "dri"), ["drill"])
        self.assertEqual(complete("holdfastctl", "drill", ""), [])

    def test_offers_the_options_of_a_command_with_that_command_alone(self):
        self.assertIn("--remove", complete("holdfastctl", "setup", "--"))
        self.assertNotIn("--remove", complete("holdfastctl", "freeze", "--"))
        self.assertNotIn("--remove", complete("holdfastctl", "--"))

    def test_completes_paths_where_a_path_is_wanted(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "control.sock")
            with open(path, "w", encoding="utf-8"):
                pass
            for words in ((f"--socket={directory}/con",), ("--socket", f"{directory}/con")):
                self.assertEqual(complete("holdfastctl", *words), [path])
            self.assertEqual(complete("holdfastd", f"--config={directory}/"), [path])

    def test_does_nothing_when_it_is_read(self):
        for program in PROGRAMS:
            done = subprocess.run(["bash", "-eu", "-c", f". {testing.built(f'agent/completion/{program}')}; "
                                   f"complete -p {program}"], capture_output=True, text=True,
                                  timeout=20, check=True)
            self.assertEqual(done.stdout, f"complete -F _{program} {program}\n")


if __name__ == "__main__":
    testing.main()
