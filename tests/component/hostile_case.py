# SPDX-License-Identifier: MIT
"""What the tests against hostile guests and hostile images share: a run of the real program with
its time and memory measured, and a look at everything that it said and left."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

# A run that is not attacked takes about 30 MiB, nearly all of it qemu-img's.
MEMORY_LIMIT = 128 << 20
TIME_LIMIT = 30

# Starts a program and says how it ended. A process counts as its own what its parent had in memory
# when it was forked (getrusage(2)), so that the parent has to be a small one.
LAUNCHER = """
import os, sys
report, *words = sys.argv[1:]
child = os.posix_spawn(words[0], words, os.environ)
_, status, usage = os.wait4(child, 0)
os.write(int(report), b"%d %d" % (os.waitstatus_to_exitcode(status), usage.ru_maxrss))
"""


class Ended:
    """How a process ended, what it said, and what it took."""

    def __init__(self, status, output, errors, seconds, memory):
        self.returncode = status
        self.output = output
        self.errors = errors
        self.seconds = seconds
        self.memory = memory


def run_measured(words, environment=None):
    """Runs it to its end; killed, and so failed, beyond the limit of time."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, \
            tempfile.TemporaryFile() as report:
        begin = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-ISc", LAUNCHER, str(report.fileno()), *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment,
            start_new_session=True, pass_fds=[report.fileno()])
        watchdog = threading.Timer(TIME_LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            process.wait()
        finally:
            watchdog.cancel()
        seconds = time.monotonic() - begin
        for file in (output, errors, report):
            file.seek(0)
        status, memory = report.read().split() or (process.returncode, 0)
        return Ended(int(status), output.read(), errors.read(), seconds, int(memory) * 1024)


def harm_in(said, lines=True):
    """What in these bytes could end a line early or move a cursor; None if nothing could."""
    try:
        text = said.decode("utf-8")
    except UnicodeDecodeError as problem:
        return f"not UTF-8: {problem}"
    if lines:
        if text and not text.endswith("\n"):
            return "the last line has no end"
        text = text.replace("\n", "")
    for character in text:
        if ord(character) < 0x20 or 0x7f <= ord(character) < 0xa0:
            return f"the control character {ord(character):#x}"
    return None


def tree(directory, without=()):
    """Every path below with what it is and holds, as far as a stranger could change it."""
    found = {}
    for path, directories, files in os.walk(directory):
        directories[:] = [name for name in directories
                          if os.path.join(path, name) not in without]
        for name in directories + files:
            full = os.path.join(path, name)
            status = os.lstat(full)
            link = os.readlink(full) if os.path.islink(full) else None
            found[os.path.relpath(full, directory)] = (status.st_mode, status.st_uid, link)
    return found


class Harmless:
    """Mixed into a test case: the judgement over an ended run."""

    def assert_harmless(self, ended):
        self.assertIsNone(harm_in(ended.output), ended.output[:400])
        self.assertIsNone(harm_in(ended.errors), ended.errors[:400])
        self.assertLess(ended.memory, MEMORY_LIMIT)
        self.assertLess(ended.seconds, TIME_LIMIT)

    def assert_ended(self, ended, statuses):
        """With one of these statuses, and one line for any but 0; the line."""
        self.assertIn(ended.returncode, statuses, ended.errors[:400])
        self.assert_harmless(ended)
        lines = ended.errors.decode().splitlines()
        self.assertEqual(len(lines), 0 if ended.returncode == 0 else 1, lines)
        for line in lines:
            self.assertTrue(line.startswith("holdfast: "), line)
            self.assertLess(len(line), 2000)
        return lines[0] if lines else ""
