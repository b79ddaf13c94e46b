# SPDX-License-Identifier: MIT
"""Builds the mysql plugin with Oracle's client library: everywhere else it is MariaDB's.

Debian unstable has libmysqlclient, and a compiler that is years newer than the oldest supported
one; warnings are errors there, too. The build tree stays (build/oracle-client), and so does a
compiler cache: only the first build takes a minute.
"""

import os
import subprocess
import sys

from lab import cache, roots, testing

RELEASE = "sid"
BUILD = os.path.join(testing.SOURCE, "build", "oracle-client")
TARGETS = ["holdfast-mysql", "plugin_driver"]


def run(root, argv):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                   "CCACHE_DIR": os.path.join(cache.directory(), "ccache")}
    os.makedirs(environment["CCACHE_DIR"], exist_ok=True)
    command = root.within(["chroot", root.tree, *argv], [testing.SOURCE, cache.directory()])
    return subprocess.run(command, env=environment, check=True, timeout=900, text=True,
                          stdout=subprocess.PIPE).stdout


def main():
    reason = roots.missing(RELEASE)
    if reason is not None:
        testing.skip_all(reason)
    root = roots.Root(RELEASE)
    # The tree has no alternatives, and so no compiler of the name c++.
    steps = (["cmake", "-S", testing.SOURCE, "-B", BUILD, "-G", "Ninja",
              "-DCMAKE_CXX_COMPILER=g++", "-DHOLDFAST_HOST=OFF", "-DHOLDFAST_WERROR=ON"],
             ["cmake", "--build", BUILD, "--target", *TARGETS])
    for step in steps:
        try:
            run(root, step)
        except subprocess.CalledProcessError as error:
            sys.exit(f"'{' '.join(step[:2])} …' ended with {error.returncode}:\n{error.stdout}")
    module = os.path.join(BUILD, "plugins/mysql/holdfast-mysql.so")
    needed = run(root, ["objdump", "-p", module])
    libraries = [line.split()[1] for line in needed.splitlines() if "NEEDED" in line]
    print("needs:", " ".join(libraries))
    if not any(library.startswith("libmysqlclient.") for library in libraries):
        sys.exit("the plugin was not built with Oracle's library")


if __name__ == "__main__":
    main()
