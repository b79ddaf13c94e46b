# SPDX-License-Identifier: MIT
"""Runs a test file on servers of other releases.

    matrix.py [--own-client] SERVER[,SERVER...] SCRIPT [ARGUMENT...]

SERVER is a name of SERVERS. The file learns by the environment which servers it is to take
(lab/mysql_servers.py, lab/servers.py), and runs where their roots can be used. With --own-client
the plugins are those that oracle_client_build.py made, and run in that root, too.
"""

import os
import subprocess
import sys

import oracle_client_build
from lab import roots, testing

# Name: release that has it, program that tells its version and what it then says, and the
# environment that chooses it; {} stands for the root.
SERVERS = {
    "mariadb-11.8": ("trixie", "/usr/sbin/mariadbd", "Ver 11.8.",
                     "HOLDFAST_TEST_MYSQL", "mariadb:{}"),
    "mysql-9": ("sid", "/usr/sbin/mysqld", "Ver 9.", "HOLDFAST_TEST_MYSQL", "mysql:{}"),
    "postgresql-13": ("bullseye", "/usr/lib/postgresql/13/bin/postgres", "(PostgreSQL) 13.",
                      "HOLDFAST_TEST_POSTGRESQL", "{}"),
    "postgresql-14": ("jammy", "/usr/lib/postgresql/14/bin/postgres", "(PostgreSQL) 14.",
                      "HOLDFAST_TEST_POSTGRESQL", "{}"),
    "postgresql-16": ("noble", "/usr/lib/postgresql/16/bin/postgres", "(PostgreSQL) 16.",
                      "HOLDFAST_TEST_POSTGRESQL", "{}"),
    "postgresql-17": ("trixie", "/usr/lib/postgresql/17/bin/postgres", "(PostgreSQL) 17.",
                      "HOLDFAST_TEST_POSTGRESQL", "{}"),
    "valkey-8.1": ("trixie", "/usr/bin/valkey-server", "v=8.1.", "HOLDFAST_TEST_REDIS", "{}"),
}


def root_of(release):
    reason = roots.missing(release)
    if reason is not None:
        testing.skip_all(reason)
    return roots.Root(release)


def require_version(root, program, expected):
    """What the tests are run on is what their names say: a release may have moved on."""
    told = subprocess.run(root.within(["chroot", root.tree, program, "--version"]), check=True,
                          capture_output=True, text=True, timeout=60).stdout.strip()
    print(f"server: {told}", flush=True)
    if expected not in told:
        sys.exit(f"'{program}' is not of the expected version '{expected}'")


def main():
    arguments = sys.argv[1:]
    own_client = arguments[0] == "--own-client"
    names, *command = arguments[1:] if own_client else arguments
    environment = dict(os.environ)
    command = [sys.executable, *command]
    for name in names.split(","):
        release, program, expected, variable, value = SERVERS[name]
        root = root_of(release)
        require_version(root, program, expected)
        environment[variable] = value.format(root.tree)
        shared = []
        if own_client and release == oracle_client_build.RELEASE:
            shared = [testing.SOURCE]
            environment["HOLDFAST_TEST_DRIVER_ROOT"] = root.tree
            environment["HOLDFAST_BUILD"] = oracle_client_build.BUILD
        command = root.within(command, shared)
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main()
