# SPDX-License-Identifier: MIT
"""Runs clang-tidy over sources, and remembers which were clean.

    python3 -m lab.tidy COMPILE_COMMANDS_DIRECTORY SOURCE...

A source takes clang-tidy ten seconds, most of them in the headers of others: so several are looked at
as one, and each by itself where that finds anything. What it says depends on the source, on every
header of the project that this may include, on how it is compiled, on the checks, and on the packages
that it is built with: a source that was clean with all of these is not looked at again.

Exit status 1 if one is not clean; what is wrong goes to standard output.
"""

import concurrent.futures
import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

from . import cache, testing

_AT_ONCE = 8
_OURS = r"(/include/holdfast_.*\.h|\.cpp)$"
_OWN_FILES = re.compile(r" -o \S+ -c \S+$")
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
    """{source: how it is compiled, as words, without itself and its output}."""
    with open(os.path.join(directory, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    return {os.path.relpath(entry["file"], testing.SOURCE):
            shlex.split(_OWN_FILES.sub("", entry["command"]))[1:] for entry in entries}


class Tidy:
    """Looks at those sources that were not clean before."""

    def __init__(self, directory):
        self._directory = directory
        self._clean = os.path.join(cache.directory(), "tidy")
        os.makedirs(self._clean, exist_ok=True)
        self._commands, self._surroundings = _commands(directory), _surroundings()

    def _marker(self, source):
        words = [word.replace(testing.SOURCE, "") for word in self._commands.get(source, [])]
        return os.path.join(self._clean, cache.key([self._surroundings, words, _texts(source)]))

    def was_clean(self, source):
        marker = self._marker(source)
        if os.path.exists(marker):
            os.utime(marker)
            return True
        return False

    def groups(self, sources):
        """Sources that are compiled alike, some at a time."""
        alike = {}
        for source in sources:
            alike.setdefault(tuple(self._commands.get(source, [source])), []).append(source)
        return [same[first:first + _AT_ONCE] for same in alike.values()
                for first in range(0, len(same), _AT_ONCE)]

    def judge(self, group):
        """Are all of them clean? Says what is wrong."""
        if len(group) == 1:
            done = self._run("-p", self._directory, group[0])
            if done.returncode != 0:
                print(done.stdout, "\n".join(line for line in done.stderr.splitlines()
                                             if "error:" in line), sep="", flush=True)
        else:
            done = self._run_together(group)
        if done.returncode == 0:
            for source in group:
                with open(self._marker(source), "w", encoding="utf-8") as file:
                    file.write(source + "\n")
            return True
        half = len(group) // 2
        # Both halves, whatever the first one says.
        return half > 0 and all([self.judge(group[:half]), self.judge(group[half:])])

    def _run_together(self, group):
        """As one source, whose headers, which cost most, are read once. What is wrong then may be
        two names that only stand beside each other here."""
        with tempfile.NamedTemporaryFile("w", suffix=".cpp", encoding="utf-8") as file:
            for source in group:
                file.write(f'#include "{os.path.join(testing.SOURCE, source)}"\n')
            file.flush()
            return self._run("--config-file=.clang-tidy", "--checks=-bugprone-suspicious-include",
                             f"--header-filter={_OURS}", file.name, "--", *self._commands[group[0]])

    @staticmethod
    def _run(*arguments):
        return subprocess.run(["clang-tidy", "--quiet", *arguments], cwd=testing.SOURCE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def forget(self):
        for marker in os.scandir(self._clean):
            if marker.stat().st_mtime < time.time() - _UNUSED_AFTER:
                os.unlink(marker)


def main(directory, *sources):
    tidy = Tidy(directory)
    ahead = [source for source in sources if not tidy.was_clean(source)]
    print(f"{len(sources) - len(ahead)} were clean before, {len(ahead)} to look at", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(tidy.judge, tidy.groups(ahead)))
    tidy.forget()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
