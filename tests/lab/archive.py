# SPDX-License-Identifier: MIT
"""Debian's archive as this machine's own apt reaches it: its mirrors, its keys, its options.

Another release is looked for where this machine's own comes from, under the other name.
"""

import contextlib
import glob
import os
import re

from . import cache

SUITE = "bookworm"

# Debian's unstable has neither.
_WITHOUT_UPDATES = ("sid",)

# Ubuntu has servers that no release of Debian has.
UBUNTU = ("jammy", "noble")
_UBUNTU_ARCHIVE = "http://archive.ubuntu.com/ubuntu"


def _one_line_sources(text):
    for line in text.splitlines():
        match = re.match(r"deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.strip())
        if match:
            options, uri, suite, components = match.groups()
            yield (options or "").strip(), uri, suite, components.split("#")[0].strip()


def _deb822_sources(text):
    for stanza in re.split(r"\n\s*\n", text):
        fields, key = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        options = ""
        if fields.get("signed-by", "").startswith("/"):
            options = f"[signed-by={fields['signed-by']}]"
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield options, uri, suite, fields.get("components", "")


def sources(suite=SUITE):
    """The lines of apt sources that give a release, in the order of this machine's."""
    found = []
    for path in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*")):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            parse = _deb822_sources if path.endswith(".sources") else _one_line_sources
            found += list(parse(file.read()))
    wanted = {SUITE: suite}
    if suite not in _WITHOUT_UPDATES:
        wanted |= {SUITE + part: suite + part for part in ("-updates", "-security")}
    lines = [f"deb {options} {uri} {wanted[name]} {components}".replace("  ", " ")
             for options, uri, name, components in found if name in wanted]
    if not lines:
        raise RuntimeError(f"no apt source of this machine gives '{SUITE}'")
    return lines


def ubuntu_sources(suite, keyring):
    """The same for a release of Ubuntu; `keyring` is the file with its archive's keys."""
    return [f"deb [signed-by={keyring}] {_UBUNTU_ARCHIVE} {suite}{part} main"
            for part in ("", "-updates")]


def _apt_options():
    """How this machine's apt reaches its mirror: what a proxy or an archive of old days needs."""
    kept = []
    for line in cache.run(["apt-config", "dump"]).splitlines():
        if re.match(r"Acquire::(http|https|Check-Valid-Until|Check-Date|Retries)\b", line):
            kept.append(line)
    return kept


def mmdebstrap(work, tree, packages, options, suite=SUITE, lines=None):
    """Makes a tree of these packages; `work` is a directory for the files that say from where:
    `lines` of apt sources, or what sources() says of the suite."""
    apt_options = os.path.join(work, "apt.conf")
    with open(apt_options, "w", encoding="utf-8") as file:
        file.write("\n".join(_apt_options()) + "\n")
    source_list = os.path.join(work, "sources.list")
    with open(source_list, "w", encoding="utf-8") as file:
        file.write("\n".join(lines or sources(suite)) + "\n")
    return cache.run(["mmdebstrap", "--mode=root", f"--include={','.join(packages)}",
                      f"--aptopt={apt_options}", *options, suite, tree, source_list])
