# SPDX-License-Identifier: MIT
"""Runs clang-tidy over sources, and remembers which were clean.

    python3 -m lab.tidy COMPILE_COMMANDS_DIRECTORY SOURCE...

A source takes clang-tidy ten seconds, most of them in the headers of others. What it says depends on
the source, on every header of the project that this may include, on how it is compiled, on the
checks, and on the packages that it is built with: a source that was clean with all of these is not
looked at again. Exit status 1 if one is not clean; what is wrong goes to standard output.
"""

import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time

from . import cache, testing

_UNUSED_AFTER = 30 * 24 * 3600  # seconds
_INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def _output_of(argv):
    return subprocess.run(argv, cwd=testing.SOURCE, stdout=subprocess.PIPE, check=True).stdout


@functools.lru_cache(maxsize=None)
def _headers():
    """The project's headers by every name that an include may give them: "c.h", "b/c.h", ..."""
    by_name = {}
    for header in _output_of(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                              "*.h"]).decode().split("\0"):
        parts = header.split("/")
        for first in range(len(parts) if header else 0):
            by_name.setdefault("/".join(parts[first:]), []).append(header)
    return by_name


@functools.lru_cache(maxsize=None)
def _look_into(path):
    """(hash of the file, every header of the project that its includes may mean)."""
    with open(os.path.join(testing.SOURCE, path), "rb") as file:
        text = file.read()
    meant = {header for name in _INCLUDE.findall(text)
             for header in _headers().get(os.path.normpath(name.decode()).lstrip("./"), [])}
    return hashlib.sha256(text).hexdigest(), frozenset(meant)


def _texts(source):
    """The hashes of the source and of all that it may include, at any depth."""
    seen, ahead = {}, [source]
    while ahead:
        path = ahead.pop()
        if path not in seen:
            seen[path], meant = _look_into(path)
            ahead.extend(meant)
    return sorted(seen.items())


def _surroundings():
    """What holds for all sources: the checks, the program, the packages with the other headers."""
    with open(os.path.join(testing.SOURCE, ".clang-tidy"), "rb") as file:
        checks = hashlib.sha256(file.read()).hexdigest()
    packages = _output_of(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "*-dev", "clang-tidy*",
                           "libclang*"])
    return [checks, hashlib.sha256(packages).hexdigest()]


def _commands(directory):
    with open(os.path.join(directory, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    return {os.path.relpath(entry["file"], testing.SOURCE):
            entry["command"].replace(testing.SOURCE, "") for entry in entries}


def main(directory, *sources):
    clean = os.path.join(cache.directory(), "tidy")
    os.makedirs(clean, exist_ok=True)
    commands, surroundings = _commands(directory), _surroundings()

    def is_clean(source):
        marker = os.path.join(clean, cache.key([surroundings, commands.get(source), _texts(source)]))
        if os.path.exists(marker):
            os.utime(marker)
            return True
        done = subprocess.run(["clang-tidy", "--quiet", "-p", directory, source], cwd=testing.SOURCE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        looked_at.append(source)
        if done.returncode != 0:
            print(done.stdout, "\n".join(line for line in done.stderr.splitlines() if "error:" in line),
                  sep="", flush=True)
            return False
        with open(marker, "w", encoding="utf-8") as file:
            file.write(source + "\n")
        return True

    looked_at = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(is_clean, sources))
    for marker in os.scandir(clean):
        if marker.stat().st_mtime < time.time() - _UNUSED_AFTER:
            os.unlink(marker)
    print(f"{len(looked_at)} looked at, {len(sources) - len(looked_at)} clean before")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
