# SPDX-License-Identifier: MIT
"""Runs a test file on a server of another release.

    matrix.py SERVER SCRIPT [ARGUMENT...]

SERVER is a name of SERVERS. The file learns by the environment which server it is to take
(lab/mysql_servers.py, lab/servers.py), and runs where that server's root can be used.
"""

import os
import subprocess
import sys

from lab import roots, testing

# Name: release that has it, program that tells its version and what it then says, and the
# environment that chooses it; {} stands for the root.
SERVERS = {
    "mariadb-11.8": ("trixie", "/usr/sbin/mariadbd", "Ver 11.8.",
                     "HOLDFAST_TEST_MYSQL", "mariadb:{}"),
    "mysql-9": ("sid", "/usr/sbin/mysqld", "Ver 9.", "HOLDFAST_TEST_MYSQL", "mysql:{}"),
    "postgresql-13": ("bullseye", "/usr/lib/postgresql/13/bin/postgres", "(PostgreSQL) 13.",
                      "HOLDFAST_TEST_POSTGRESQL", "{}"),
    "postgresql-17": ("trixie", "/usr/lib/postgresql/17/bin/postgres", "(PostgreSQL) 17.",
                      "HOLDFAST_TEST_POSTGRESQL", "{}"),
}


def require_version(root, program, expected):
    """What the tests are run on is what their names say: a release may have moved on."""
    told = subprocess.run(root.within(["chroot", root.tree, program, "--version"]), check=True,
                          capture_output=True, text=True, timeout=60).stdout.strip()
    print(f"server: {told}", flush=True)
    if expected not in told:
        sys.exit(f"'{program}' is not of the expected version '{expected}'")


def main():
    name, *command = sys.argv[1:]
    release, program, expected, variable, value = SERVERS[name]
    reason = roots.missing(release)
    if reason is not None:
        testing.skip_all(reason)
    root = roots.Root(release)
    require_version(root, program, expected)
    command = root.within([sys.executable, *command])
    os.execvpe(command[0], command, os.environ | {variable: value.format(root.tree)})


if __name__ == "__main__":
    main()
