# SPDX-License-Identifier: MIT
"""The entry of every Python test file: `testing.main()` runs it and speaks ctest's exit statuses.

0: all passed; 1: something failed; 77: nothing ran, for the reason printed. A file in which one
test was skipped and others passed counts as skipped too, so that a skip is never mistaken for a pass.
"""

import os
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ.get("HOLDFAST_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("HOLDFAST_BUILD") or os.path.join(SOURCE, "build", "dev")

SKIPPED = 77


def built(relative_path):
    """The path of a built program; a missing one is an error, not a skip."""
    path = os.path.join(BUILD, relative_path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"'{path}' is not built")
    return path


def under_strace():
    """The environment of a program that strace(1) looks at: there it cannot look for leaks itself,
    and where it is built with AddressSanitizer it would fail for that."""
    options = [os.environ.get("ASAN_OPTIONS", ""), "detect_leaks=0"]
    return dict(os.environ, ASAN_OPTIONS=":".join(filter(None, options)))


def skip_all(reason):
    """Ends the file as skipped."""
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(SKIPPED)


def in_order(loader, order, *cases):
    """For load_tests(): a suite of these tests, which are all that the cases have."""
    named = {test.id().split(".")[-1] for test in order}
    for case in cases:
        missed = set(loader.getTestCaseNames(case)) - named
        if missed:
            raise AssertionError(f"not in the order of the tests: {sorted(missed)}")
    return unittest.TestSuite(order)


def main():
    program = unittest.main(module="__main__", verbosity=2, exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped or result.testsRun == 0:
        for test, reason in result.skipped:
            print(f"SKIPPED: {test}: {reason}", flush=True)
        sys.exit(SKIPPED)
    sys.exit(0)


def main_at_once():
    """The same with a process of its own for each test, and all of them at once: for tests that
    mostly wait, and share nothing but what a class makes for itself. With names on the command line,
    as main()."""
    if len(sys.argv) > 1:
        main()
    names = [test.id().removeprefix("__main__.")
             for test in _flat(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))]
    runs = []
    for name in names:
        output = tempfile.TemporaryFile()
        runs.append((subprocess.Popen([sys.executable, sys.argv[0], name], stdin=subprocess.DEVNULL,
                                      stdout=output, stderr=subprocess.STDOUT), output))
    statuses = set()
    for process, output in runs:
        statuses.add(process.wait())
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
        sys.stdout.flush()
    sys.exit(1 if not runs or statuses - {0, SKIPPED} else max(statuses))


def _flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test
