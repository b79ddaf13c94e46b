# SPDX-License-Identifier: MIT
"""What holdfast-postgresql-setup makes is enough for the plugin, and no more."""

import os
import subprocess
import tempfile
import unittest

from driver import Driver
from lab import servers, testing
from postgresql_case import PostgresqlCase, main

SETUP = os.path.join(testing.SOURCE, "plugins/postgresql/holdfast-postgresql-setup")


class Setup(PostgresqlCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="hf-setup-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    @unittest.skipUnless(os.geteuid() == 0, "the script is for root")
    def test_the_setup_script_makes_a_role_that_can_do_the_job(self):
        config = os.path.join(self.directory, "resources.d", "postgresql.conf")
        command = [SETUP, f"--socket={self.pg.socket_directory}", "--user=nobody",
                   f"--config={config}"]
        grants = [f'  GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO "nobody";'
                  for function in (self.start_function(), self.stop_function())]
        if self.major >= 15:
            grants.insert(0, '  GRANT pg_checkpoint TO "nobody";')
        created = ['  CREATE ROLE "nobody" LOGIN;']
        for first, last in ((created, f"wrote '{config}'; to use it: systemctl restart holdfastd"),
                            ([], f"'{config}' exists and stays as it is")):
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.splitlines()[1:], first + grants + [last])
        with open(config, encoding="utf-8") as written:
            self.assertEqual(written.read().splitlines()[1:], [
                "plugin = postgresql", f"socket = {self.pg.socket_directory}", "port = 5432",
                "user = nobody"])
        for mode in ("checkpoint", "backup"):
            with Driver("postgresql", run_as="nobody", socket=self.pg.socket_directory,
                        user="nobody", mode=mode) as plugin:
                os.mkdir(plugin.state)
                os.chmod(plugin.state, 0o777)
                plugin.freeze()
                plugin.check()
                plugin.release()
        with self.assertRaisesRegex(servers.ServerError, "permission denied"):
            self.pg.run('SET ROLE nobody; SELECT * FROM t')


if __name__ == "__main__":
    main()
