# SPDX-License-Identifier: MIT
"""Starts the servers that the plugins under the contract need, and runs the suite against them."""

import getpass
import os
import subprocess
import tempfile
import unittest

from lab import mysql_servers, redis_servers, servers, testing

PASSWORD = "correct horse # battery"


def postgresql_grants(server):
    """The statements that let a role, {}, do all that the plugin does."""
    if int(server.run("SHOW server_version_num")[0]) < 150000:
        return ["GRANT EXECUTE ON FUNCTION pg_start_backup, pg_stop_backup(boolean, boolean) TO {};"]
    return ["GRANT pg_checkpoint TO {};",
            "GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop TO {};"]


class PluginContract(unittest.TestCase):
    def test_every_plugin_keeps_the_contract(self):
        program = testing.built("tests/contract/plugin_contract")
        with mysql_servers.new_server() as mysql, servers.PostgreSql() as postgresql, \
                redis_servers.Redis() as aof, redis_servers.Redis(aof=False) as rdb, \
                tempfile.NamedTemporaryFile("w", prefix="hf-password-") as password_file:
            password_file.write(PASSWORD + "\n")
            password_file.flush()
            mysql.make_account("holdfast", PASSWORD)
            me = getpass.getuser()
            postgresql.run(f'CREATE ROLE "{me}" LOGIN;' + "".join(
                grant.format(f'"{me}"') for grant in postgresql_grants(postgresql)))
            # The suite is one process of one user: its administrator is a second role.
            postgresql.run("CREATE ROLE administrator SUPERUSER LOGIN")
            postgresql.allow("local all administrator trust")
            postgresql.restart()
            for redis in aof, rdb:
                redis.allow("holdfast", PASSWORD)
            environment = dict(
                os.environ,
                HOLDFAST_TEST_MYSQL_SOCKET=mysql.socket,
                HOLDFAST_TEST_MYSQL_PID=str(mysql.pid),
                HOLDFAST_TEST_MYSQL_LIGHT_LOCK=mysql.light_lock,
                HOLDFAST_TEST_MYSQL_PASSWORD_FILE=password_file.name,
                HOLDFAST_TEST_REDIS_AOF_SOCKET=aof.socket,
                HOLDFAST_TEST_REDIS_AOF_PID=str(aof.pid),
                HOLDFAST_TEST_REDIS_RDB_SOCKET=rdb.socket,
                HOLDFAST_TEST_REDIS_RDB_PID=str(rdb.pid),
                HOLDFAST_TEST_REDIS_PASSWORD_FILE=password_file.name,
                HOLDFAST_TEST_POSTGRESQL_SOCKET=postgresql.socket_directory,
                HOLDFAST_TEST_POSTGRESQL_PID=str(postgresql.pid),
                HOLDFAST_TEST_POSTGRESQL_USER=me,
                HOLDFAST_TEST_POSTGRESQL_ADMINISTRATOR="administrator")
            done = subprocess.run([program], env=environment, timeout=240, check=False)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    for server in (mysql_servers, servers.PostgreSql, redis_servers.Redis):
        if server.missing():
            testing.skip_all(server.missing())
    testing.main()
