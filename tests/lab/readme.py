# SPDX-License-Identifier: MIT
"""The README as instructions: the blocks of one of its chapters, to be followed word by word."""

import os
import re

from lab import testing

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (/\S+)\n")


class Chapter:
    """`## heading`, up to the next one."""

    def __init__(self, heading):
        with open(os.path.join(testing.SOURCE, "README.md"), encoding="utf-8") as file:
            chapters = dict(chapter.split("\n", 1)
                            for chapter in file.read().split("\n## ")[1:])
        self._blocks = _BLOCK.findall(chapters[heading])

    def commands(self):
        """The commands of its shell blocks, in order, without what a comment says of them."""
        text = "".join(block for language, block in self._blocks if language == "sh")
        joined = text.replace("\\\n", " ")
        return [command for command in (line.split(" # ")[0].strip()
                                        for line in joined.splitlines()) if command]

    def command(self, begin):
        """The first of them that begins so."""
        return next(command for command in self.commands() if command.startswith(begin))

    def files(self):
        """Text by path, of the blocks whose first line is a path in a comment."""
        return {found.group(1): block for language, block in self._blocks if not language
                for found in [_FILE.match(block)] if found}
