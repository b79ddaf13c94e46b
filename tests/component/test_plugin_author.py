# SPDX-License-Identifier: MIT
"""A plugin author's way: the installed headers and libraries, the example's own CMakeLists.txt, the
module in the service. And the guide, which quotes nothing that is not in the example."""

import fcntl
import os
import subprocess
import tempfile
import unittest

from lab import testing

GUIDE = os.path.join(testing.SOURCE, "plugins/holdfast-plugin.pod")
EXAMPLE = os.path.join(testing.SOURCE, "plugins/example")


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class PluginAuthor(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="hf-author-")
        self.addCleanup(directory.cleanup)
        self.home = directory.name

    def run_program(self, *argv, **environment):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=200, check=False, env=dict(os.environ, **environment))
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_the_guide_quotes_the_example_to_the_letter(self):
        source = "\n".join(line.strip() for name in sorted(os.listdir(EXAMPLE))
                           for line in lines_of(os.path.join(EXAMPLE, name)))
        headers = "\n".join(lines_of(os.path.join(testing.SOURCE, "agent/api/plugin.h")))
        quoted = [line.strip() for line in lines_of(GUIDE) if line.startswith(" ")]
        self.assertGreater(len(quoted), 20)
        for line in quoted:
            self.assertIn(line, source, "the guide quotes what is not there")
        # What it names, there is.
        for name in ("option_table", "probe", "prepare", "hold", "rollback", "interrupt", "run_file",
                     "state_directory", "kApiVersion"):
            self.assertIn(name, headers)

    def test_the_example_builds_out_of_tree_and_holds_in_the_driver(self):
        prefix, build = self.home + "/usr", self.home + "/build"
        self.run_program("cmake", "--install", testing.BUILD, "--component", "dev", "--prefix",
                         prefix)
        package_config = self.run_program("find", prefix, "-name", "holdfast-plugin.pc").strip()
        # Nothing of the source tree can be reached from a copy.
        self.run_program("cp", "-r", EXAMPLE, self.home + "/example")
        self.run_program("cmake", "-S", self.home + "/example", "-B", build,
                         "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror",
                         PKG_CONFIG_PATH=os.path.dirname(package_config))
        self.run_program("cmake", "--build", build)
        module = build + "/holdfast-flock.so"
        lock = self.home + "/lock"
        with open(lock, "w", encoding="ascii"):
            pass
        with subprocess.Popen([testing.built("tests/server/plugin_driver"), module, "flock:test", "",
                               ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              bufsize=1) as driver:
            def tell(line):
                driver.stdin.write(line + "\n")
                return driver.stdout.readline()

            driver.stdout.readline()
            for line in (f"set file {lock}", "finish test.conf", "probe 1000", "prepare 1000",
                         "hold 1000"):
                self.assertIn('"ok":true', tell(line))
            with open(lock, encoding="ascii") as other:
                with self.assertRaises(BlockingIOError):
                    fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
                self.assertIn('"ok":true', tell("check 1000"))
                self.assertIn('"ok":true', tell("release 1000"))
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.assertIn('"line":"unable to lock \'flock:test\': timed out (fuser -v',
                              tell("hold 200"))
            # A lock that is cheated of its file is a lost one.
            self.assertIn('"ok":true', tell("hold 1000"))
            os.rename(lock, lock + ".old")
            with open(lock, "w", encoding="ascii"):
                pass
            self.assertIn("another file stands in its place", tell("check 1000"))
            tell("release 1000")
            driver.stdin.write("quit\n")


if __name__ == "__main__":
    testing.main()
