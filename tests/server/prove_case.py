# SPDX-License-Identifier: MIT
"""What the tests of the plugins' prove programs share: a resource file, and their answers."""

import json
import os
import subprocess

from lab import testing
from plugin_case import PluginCase


class ProveCase(PluginCase):
    def resource_file(self, **settings):
        return self.file("main.conf", f"plugin = {self.plugin_name}\n" + "".join(
            f"{key} = {value}   # a remark\n" for key, value in settings.items()))

    def prove(self, config, **recorded):
        """{check: (verdict, text)}"""
        program = os.path.join(testing.SOURCE, "plugins", self.plugin_name,
                               f"holdfast-{self.plugin_name}-prove")
        done = subprocess.run(
            [program, f"--config={config}", *(f"--recorded={key.replace('_', '-')}={value}"
                                              for key, value in recorded.items())],
            capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return {answer["check"]: (answer["verdict"], answer["text"]) for answer in answers}

    def assert_verdicts(self, answers, **wanted):
        self.assertEqual({check: verdict for check, (verdict, _) in answers.items()}, wanted,
                         answers)
