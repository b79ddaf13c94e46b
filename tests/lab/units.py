# SPDX-License-Identifier: MIT
"""Our units, as systemd-analyze sees them: how exposed they are (10 is a unit with no protection at
all), whether each protection that is not on has its reason in the unit, and which system calls they
leave."""

import json
import os
import re
import shutil
import subprocess

from lab import testing

UNITS = os.path.join(testing.SOURCE, "deb", "units")


def missing():
    return None if shutil.which("systemd-analyze") else "'systemd-analyze' is not installed"


def _analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=True,
                          encoding="utf-8").stdout


def path(unit):
    """Of "agent/holdfastd.service"; an absolute path stays what it is."""
    return os.path.join(UNITS, unit)


def assessed(unit):
    """systemd-analyze's judgement: a list of what it looked at."""
    return json.loads(_analyze("security", "--offline=true", "--json=short", path(unit)))


def exposure(unit):
    judged = _analyze("security", "--offline=true", path(unit))
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", judged).group(1))


def _lines(unit):
    with open(path(unit), encoding="utf-8") as file:
        return file.read().splitlines()


def comments(unit):
    return "\n".join(line for line in _lines(unit) if line.startswith("#"))


def values(unit, key):
    """What stands behind each `key=` of the unit, in words."""
    return [word for line in _lines(unit) if line.startswith(key + "=")
            for word in line.split("=", 1)[1].split()]


def without_a_reason(unit):
    """The protections that are not on and that no comment of the unit names."""
    text = comments(unit)
    # "User=/DynamicUser=" and "RestrictAddressFamilies=~AF_UNIX": one of the names will do.
    return [item["name"] for item in assessed(unit)
            if item["exposure"] and float(item["exposure"]) > 0 and
            not any(name in text for name in re.findall(r"(\w+=)", item["name"]))]


def calls_of(group):
    """The names of the system calls of "@system-service" and the groups in it."""
    names, pending = set(), [group]
    while pending:
        for line in _analyze("syscall-filter", pending.pop()).splitlines():
            word = line.strip()
            if not line.startswith(" ") or word.startswith("#"):
                continue
            if word.startswith("@"):
                pending.append(word)
            else:
                names.add(word)
    return names
