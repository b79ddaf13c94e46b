# SPDX-License-Identifier: MIT
"""How exposed the guest's units are, and that they say why wherever a protection is not on."""

import os
import unittest

from lab import testing, units

DAEMON, FS, EXEC = (f"agent/{name}.service" for name in ("holdfastd", "holdfast-fs",
                                                         "holdfast-exec"))


class Units(unittest.TestCase):
    def test_the_service_that_talks_to_databases_is_confined(self):
        self.assertLessEqual(units.exposure(DAEMON), 2.0)
        self.assertEqual(units.without_a_reason(DAEMON), [])

    def test_the_part_that_thaws_can_do_little_else(self):
        self.assertLessEqual(units.exposure(FS), 4.0)
        self.assertEqual(units.without_a_reason(FS), [])

    def test_the_part_that_runs_the_administrators_programs_says_why_nothing_is_on(self):
        # Whatever were on would be on for hooks too, which may do anything.
        self.assertIn("The administrator's programs run in here, as root",
                      units.comments(EXEC))

    def test_the_measure_tells_units_apart(self):
        """A unit with one protection less counts as more exposed, and its reason is missed."""
        with open(units.path(DAEMON), encoding="utf-8") as file:
            text = file.read()
        loose = os.path.join(testing.BUILD, "tests", "loose.service")
        with open(loose, "w", encoding="utf-8") as file:
            file.write(text.replace("NoNewPrivileges=yes\n", "").replace("User=holdfast\n", ""))
        self.assertGreater(units.exposure(loose), units.exposure(DAEMON))
        self.assertIn("NoNewPrivileges", [item["json_field"] for item in units.assessed(loose)
                                          if item["exposure"] and float(item["exposure"]) > 0])


if __name__ == "__main__":
    reason = units.missing()
    if reason:
        testing.skip_all(reason)
    testing.main()
