# SPDX-License-Identifier: MIT
"""How exposed our units are, as systemd-analyze sees it (10 is a unit with no protection at all), and
whether each protection that is not on has its reason in the unit."""

import json
import os
import re
import shutil
import subprocess
import unittest

from lab import testing

UNITS = os.path.join(testing.SOURCE, "deb", "units")


def assessed(unit):
    """systemd-analyze's judgement: a list of what it looked at."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--json=short",
                           os.path.join(UNITS, unit)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=True, encoding="utf-8")
    return json.loads(done.stdout)


def exposure(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                           os.path.join(UNITS, unit)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=True, encoding="utf-8")
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout).group(1))


def comments(unit):
    with open(os.path.join(UNITS, unit), encoding="utf-8") as file:
        return "".join(line for line in file if line.startswith("#"))


class Units(unittest.TestCase):
    def assert_reasons_are_given(self, unit):
        text = comments(unit)
        for item in assessed(unit):
            if not item["exposure"] or float(item["exposure"]) == 0:
                continue
            # "User=/DynamicUser=" and "RestrictAddressFamilies=~AF_UNIX": one of the names will do.
            names = re.findall(r"(\w+=)", item["name"])
            with self.subTest(f"{unit}: {item['name']}"):
                self.assertTrue([name for name in names if name in text],
                                "relaxed, and the unit does not say why")

    def test_the_service_that_talks_to_databases_is_confined(self):
        self.assertLessEqual(exposure("holdfastd.service"), 2.0)
        self.assert_reasons_are_given("holdfastd.service")

    def test_the_part_that_thaws_can_do_little_else(self):
        self.assertLessEqual(exposure("holdfast-fs.service"), 4.0)
        self.assert_reasons_are_given("holdfast-fs.service")

    def test_the_part_that_runs_the_administrators_programs_says_why_nothing_is_on(self):
        # Whatever were on would be on for hooks too, which may do anything.
        self.assertIn("The administrator's programs run in here, as root",
                      comments("holdfast-exec.service"))

    def test_the_measure_tells_units_apart(self):
        """A unit with one protection less counts as more exposed, and its reason is missed."""
        with open(os.path.join(UNITS, "holdfastd.service"), encoding="utf-8") as file:
            text = file.read()
        loose = os.path.join(testing.BUILD, "tests", "loose.service")
        with open(loose, "w", encoding="utf-8") as file:
            file.write(text.replace("NoNewPrivileges=yes\n", "").replace("User=holdfast\n", ""))
        self.assertGreater(exposure(loose), exposure("holdfastd.service"))
        self.assertIn("NoNewPrivileges", [item["json_field"] for item in assessed(loose)
                                          if item["exposure"] and float(item["exposure"]) > 0])


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        testing.skip_all("'systemd-analyze' is not installed")
    testing.main()
