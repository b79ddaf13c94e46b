# SPDX-License-Identifier: MIT
"""What bash offers, asked of the scripts as an interactive one would."""

import re
import subprocess

from lab import testing


def complete(script, *words):
    """What bash offers for the last of these words; it splits at '=' as an interactive one does."""
    program = script.rsplit("/", 1)[-1]
    split = [program]
    for word in words:
        split += [part for part in re.split("(=)", word) if part] or [""]
    # compopt works within a completion alone.
    done = subprocess.run(
        ["bash", "--norc", "-c",
         f'compopt() {{ :; }}; . {testing.built(script)}; COMP_WORDS=("$@"); '
         f'COMP_CWORD=$(($# - 1)); _{program}; printf "%s\\n" "${{COMPREPLY[@]}}"', "bash", *split],
        capture_output=True, text=True, timeout=20, check=True)
    if done.stderr:
        raise AssertionError(done.stderr)
    return done.stdout.split()
