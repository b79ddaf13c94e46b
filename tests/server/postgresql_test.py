# SPDX-License-Identifier: MIT
"""The postgresql plugin on a real server: both modes, what it proves, and what it says."""

import getpass
import os
import signal
import stat
import subprocess
import tempfile
import time
import unittest

from driver import Driver, Refused
from lab import servers, testing

SETUP = os.path.join(testing.SOURCE, "plugins/postgresql/holdfast-postgresql-setup")
SLACK = 300  # milliseconds, for a busy machine
ME = getpass.getuser()


def lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class PostgresqlPlugin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pg = servers.PostgreSql()
        cls.addClassCleanup(cls.pg.close)
        cls.pg.start()
        cls.pg.run(f'CREATE ROLE "{ME}" LOGIN; GRANT pg_checkpoint TO "{ME}";'
                   f'GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop TO "{ME}";'
                   "CREATE TABLE t (a INT)")

    def plugin(self, **settings):
        settings.setdefault("user", ME)
        driver = Driver("postgresql", socket=self.pg.socket_directory, **settings)
        self.addCleanup(driver.close)
        driver.configure()
        return driver

    def refusal(self, **settings):
        """(code, line) of a refusal to be configured or probed."""
        driver = Driver("postgresql", **settings)
        self.addCleanup(driver.close)
        with self.assertRaises(Refused) as refused:
            driver.configure()
            driver.probe()
        return refused.exception.code, str(refused.exception)

    def assert_refused(self, code, line, call):
        with self.assertRaises(Refused) as refused:
            call()
        self.assertEqual((refused.exception.code, str(refused.exception)), (code, line))


class Window(PostgresqlPlugin):
    def test_a_checkpoint_precedes_the_position(self):
        self.pg.run("INSERT INTO t SELECT generate_series(1, 1000)")
        written = self.pg.run("SELECT pg_current_wal_lsn()")[0]
        position = self.plugin().freeze().position
        redo = self.pg.run("SELECT redo_lsn FROM pg_control_checkpoint()")[0]
        self.assertGreaterEqual(lsn(redo), lsn(written))
        self.assertGreaterEqual(lsn(position["lsn"]), lsn(redo))
        self.assertEqual(position["timeline"], "1")

    def test_writers_go_on_and_the_positions_are_bounds(self):
        plugin = self.plugin()
        before = plugin.freeze().position
        self.pg.run("INSERT INTO t VALUES (1)")
        after = plugin.check().position
        self.assertGreater(lsn(after["lsn"]), lsn(before["lsn"]))
        self.assertEqual(after["timeline"], before["timeline"])
        plugin.release()

    def test_a_checkpoint_that_takes_too_long_is_given_up_and_the_freeze_goes_on(self):
        plugin = self.plugin(checkpoint_timeout="200ms")
        session = plugin.probe().identity["session_id"]
        checkpointer = int(self.pg.run(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")[0])
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            prepared = plugin.prepare()
        finally:
            os.kill(checkpointer, signal.SIGCONT)
        self.assertGreater(prepared.ms, 190)
        self.assertLess(prepared.ms, 200 + SLACK)
        plugin.hold()
        plugin.check()
        plugin.release()
        report = plugin.probe()
        self.assertRegex(report.warnings[0], "^the last snapshot has no fresh checkpoint and takes "
                         r"longer to start: unable to run CHECKPOINT: timed out after \d+ ms$")
        self.assertEqual(report.identity["session_id"], session, "the statement was not cancelled")
        plugin.prepare()
        self.assertEqual(plugin.probe().warnings, [])

    def test_every_acknowledged_commit_is_in_a_restored_snapshot(self):
        with self.pg.session() as writer:
            for step in range(100):
                writer.run(f"INSERT INTO t VALUES (100000 + {step})")
        plugin = self.plugin()
        plugin.freeze()
        restored = servers.PostgreSql()
        self.addCleanup(restored.close)
        # Stopped processes write nothing: their files are a snapshot.
        self.pg.pause()
        try:
            restored.adopt(self.pg.data)
        finally:
            self.pg.resume()
        plugin.check()
        plugin.release()
        os.chmod(restored.data, 0o700)
        os.unlink(os.path.join(restored.data, "postmaster.pid"))
        restored.start()
        self.assertEqual(restored.run("SELECT count(*) FROM t WHERE a >= 100000"), ["100"])


class Backup(PostgresqlPlugin):
    def test_the_label_is_kept_outside_the_data_directory(self):
        plugin = self.plugin(mode="backup")
        self.assertEqual(plugin.probe().warnings, [
            "archive_mode is off: mode 'backup' is of use only with archived WAL"])
        position = plugin.freeze().position
        self.assertEqual(set(position), {"lsn", "timeline", "backup-start-lsn"})
        self.pg.run("INSERT INTO t VALUES (1)")
        plugin.check()
        plugin.release()
        window, = os.listdir(plugin.state)
        directory = os.path.join(plugin.state, window)
        self.assertEqual(sorted(os.listdir(directory)), ["backup_label", "backup_stop_lsn"])
        for name in os.listdir(directory):
            mode = os.stat(os.path.join(directory, name)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)
        with open(os.path.join(directory, "backup_label"), encoding="utf-8") as label:
            content = label.read()
        self.assertTrue(content.startswith(f"START WAL LOCATION: {position['backup-start-lsn']} "))
        self.assertIn(f"LABEL: holdfast {window}\n", content)
        with open(os.path.join(directory, "backup_stop_lsn"), encoding="utf-8") as stop:
            self.assertGreater(lsn(stop.read()), lsn(position["lsn"]))
        self.assertFalse(os.path.exists(os.path.join(self.pg.data, "backup_label")))

    def test_a_tablespace_map_is_kept_where_there_are_tablespaces(self):
        place = os.path.join(self.pg.run_directory, "space")
        os.mkdir(place)
        self.pg._give(place)
        self.pg.run(f"CREATE TABLESPACE space LOCATION '{place}'")
        self.addCleanup(self.pg.run, "DROP TABLESPACE space")
        plugin = self.plugin(mode="backup")
        plugin.freeze()
        plugin.release()
        window, = os.listdir(plugin.state)
        with open(os.path.join(plugin.state, window, "tablespace_map"), encoding="utf-8") as kept:
            self.assertIn(place, kept.read())

    def test_a_rollback_ends_the_backup_and_keeps_nothing(self):
        plugin = self.plugin(mode="backup")
        session = plugin.probe().identity["session_id"]
        plugin.prepare()
        plugin.rollback()
        self.assertFalse(os.path.exists(plugin.state))
        # In a session with a backup, a second one would be refused.
        plugin.freeze()
        self.assertEqual(plugin.check().position.keys(), {"lsn", "timeline", "backup-start-lsn"})
        plugin.release()
        self.assertEqual(plugin.probe().identity["session_id"], session)

    def test_a_label_that_cannot_be_written_is_an_error_and_the_backup_has_ended(self):
        plugin = self.plugin(mode="backup")
        plugin.freeze()
        with open(plugin.state, "w", encoding="utf-8"):
            pass  # a file where the directory should be
        with self.assertRaisesRegex(
                Refused, "^unable to keep the backup label of 'postgresql:test': unable to make "
                f"directory '{plugin.state}/.*': Not a directory "):
            plugin.release()
        plugin.release()
        os.unlink(plugin.state)
        plugin.freeze()
        plugin.release()

    def test_only_the_newest_labels_are_kept(self):
        plugin = self.plugin(mode="backup")
        for number in range(25):
            directory = os.path.join(plugin.state, f"window-{number}")
            os.makedirs(directory)
            with open(os.path.join(directory, "backup_label"), "w", encoding="utf-8"):
                os.utime(directory, (1000 + number, 1000 + number))
        os.makedirs(os.path.join(plugin.state, "something-else"))
        plugin.freeze()
        plugin.release()
        left = os.listdir(plugin.state)
        self.assertEqual(len(left), 21)
        self.assertIn("something-else", left)
        self.assertIn("window-24", left)
        self.assertNotIn("window-5", left)


class Loss(PostgresqlPlugin):
    def test_a_terminated_session_is_seen_at_once_and_at_the_check(self):
        for mode in ("checkpoint", "backup"):
            with self.subTest(mode):
                plugin = self.plugin(mode=mode)
                number = plugin.freeze().identity["session_id"]
                self.assertFalse(plugin.watch(0))
                self.pg.run(f"SELECT pg_terminate_backend({number})")
                self.assertTrue(plugin.watch(2000))
                self.wait_for_hang_up(plugin)
                self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the "
                                    f"server has ended session {number}", plugin.check)
                plugin.release()
                self.assertFalse(os.path.exists(plugin.state))

    def wait_for_hang_up(self, plugin):
        deadline = time.monotonic() + 5
        while not plugin.tell("watch 100").hang_up:
            self.assertLess(time.monotonic(), deadline)

    def test_a_server_that_was_restarted_is_another_one(self):
        plugin = self.plugin()
        held = plugin.freeze().identity
        self.pg.restart()
        self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the server has "
                            f"ended session {held['session_id']}", plugin.check)
        plugin.release()
        self.assertNotEqual(plugin.probe().identity["server_uuid"], held["server_uuid"])
        plugin.freeze()
        plugin.release()

    def test_a_server_that_crashed_is_seen(self):
        plugin = self.plugin()
        plugin.freeze()
        self.pg.kill()
        try:
            self.assertTrue(plugin.watch(1000))
            with self.assertRaisesRegex(Refused, "^the session on 'postgresql:test' was lost: "):
                plugin.check()
            plugin.release()
        finally:
            self.pg.start()
        plugin.probe()

    def test_a_reload_of_the_configuration_is_no_loss(self):
        plugin = self.plugin()
        plugin.freeze()
        self.pg.run("ALTER SYSTEM SET log_min_messages = 'error'")
        self.addCleanup(self.pg.run, "ALTER SYSTEM RESET log_min_messages")
        self.pg.run("SELECT pg_reload_conf()")
        self.assertFalse(plugin.watch(300))
        plugin.check()
        plugin.release()


class Standby(PostgresqlPlugin):
    def test_a_standby_is_held_and_its_promotion_is_seen(self):
        standby = servers.PostgreSql()
        self.addCleanup(standby.close)
        self.pg.allow("local replication postgres peer")
        self.pg.reload()
        os.rmdir(standby.data)
        os.mkdir(standby.data, 0o700)
        standby._give(standby.data)
        standby._tool([self.pg.binaries() + "/pg_basebackup", "-h", self.pg.socket_directory, "-U",
                       "postgres", "-D", standby.data, "-R", "-X", "stream", "--checkpoint=fast"])
        standby._initialised = True
        standby.start()
        plugin = Driver("postgresql", socket=standby.socket_directory, user=ME)
        self.addCleanup(plugin.close)
        plugin.configure()
        before = plugin.freeze().position
        plugin.check()
        plugin.release()
        plugin.freeze()
        standby.run("SELECT pg_promote()")
        self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the server was "
                            "promoted", plugin.check)
        plugin.release()
        self.assertIn("lsn", before)


class Account(PostgresqlPlugin):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="hf-account-")
        self.addCleanup(self.directory.cleanup)

    def file(self, name, content, mode=0o600):
        path = os.path.join(self.directory.name, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content)
        os.chmod(path, mode)
        return path

    def test_no_server_is_said_with_where_it_was_looked_for(self):
        self.assertEqual(self.refusal(socket=self.directory.name), (
            "unreachable", f"unable to connect to 'postgresql:test' at '{self.directory.name}': "
            f'connection to server on socket "{self.directory.name}/.s.PGSQL.5432" failed: No such '
            "file or directory (is the server running, and is this where it listens?)"))

    def test_a_role_that_is_missing_is_said(self):
        self.assertEqual(self.refusal(socket=self.pg.socket_directory, user="nobody-here"), (
            "permission", f"unable to connect to 'postgresql:test' at '{self.pg.socket_directory}': "
            f'connection to server on socket "{self.pg.socket_directory}/.s.PGSQL.5432" failed: '
            'FATAL:  Peer authentication failed for user "nobody-here" (does the role exist? '
            "/usr/lib/holdfast/holdfast-postgresql-setup makes it)"))

    def test_a_missing_privilege_is_named_with_the_grant_to_run(self):
        self.pg.run("CREATE ROLE bare LOGIN")
        self.pg.allow("local all bare trust")
        self.pg.reload()
        self.addCleanup(self.pg.run, "DROP ROLE bare")
        settings = {"socket": self.pg.socket_directory, "user": "bare"}
        self.wait_for_login("bare")
        self.assertEqual(self.refusal(**settings), (
            "permission", "unable to use 'postgresql:test': role \"bare\" lacks pg_checkpoint "
            '(GRANT pg_checkpoint TO "bare")'))
        self.assertEqual(self.refusal(mode="backup", **settings), (
            "permission", "unable to use 'postgresql:test': role \"bare\" lacks EXECUTE on "
            "pg_backup_start and pg_backup_stop (GRANT EXECUTE ON FUNCTION pg_backup_start, "
            'pg_backup_stop TO "bare")'))

    def wait_for_login(self, role):
        deadline = time.monotonic() + 10
        command = ["psql", "-X", "-h", self.pg.socket_directory, "-U", role, "-d", "postgres", "-c",
                   "SELECT 1"]
        while subprocess.run(command, capture_output=True, timeout=10, check=False).returncode:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_a_password_file_is_used_and_a_wrong_password_is_said(self):
        self.pg.run("CREATE ROLE secret LOGIN PASSWORD 'right'; GRANT pg_checkpoint TO secret")
        self.addCleanup(self.pg.run, "DROP ROLE secret")
        self.pg.allow("local all secret scram-sha-256")
        self.pg.restart()
        settings = {"socket": self.pg.socket_directory, "user": "secret"}
        right = self.file("right", "*:*:*:*:right\n")
        with Driver("postgresql", password_file=right, **settings) as plugin:
            plugin.probe()
        code, line = self.refusal(password_file=self.file("wrong", "*:*:*:*:wrong\n"), **settings)
        self.assertEqual(code, "permission")
        self.assertIn('password authentication failed for user "secret"', line)
        self.assertNotIn("\n", line)

    def test_a_password_file_that_others_may_read_is_refused(self):
        path = self.file("pgpass", "*:*:*:*:right\n", 0o644)
        self.assertEqual(self.refusal(socket=self.pg.socket_directory, password_file=path), (
            "permission", "unable to use the settings of 'postgresql:test': unable to use key "
            f"'password-file': unable to use '{path}': others than its owner may read or write it "
            f"(it holds a password: chmod 600 {path})"))

    def test_settings_that_are_wrong_are_refused(self):
        self.assertEqual(self.refusal(socket="/s", host="h"), (
            "configuration", "unable to use the settings of 'postgresql:test': keys 'socket' and "
            "'host' exclude each other"))
        for settings in ({"mode": "lock"}, {"port": 0}, {"checkpoint_timeout": "1ms"}):
            with self.subTest(settings):
                code, line = self.refusal(**settings)
                self.assertEqual(code, "configuration")
                self.assertTrue(line.startswith("driver:1: "), line)

    @unittest.skipUnless(os.geteuid() == 0, "the script is for root")
    def test_the_setup_script_makes_a_role_that_can_do_the_job(self):
        config = os.path.join(self.directory.name, "resources.d", "postgresql.conf")
        command = [SETUP, f"--socket={self.pg.socket_directory}", "--user=nobody",
                   f"--config={config}"]
        created = ['  CREATE ROLE "nobody" LOGIN;']
        for first, last in ((created, f"wrote '{config}'; to use it: systemctl restart holdfastd"),
                            ([], f"'{config}' exists and stays as it is")):
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.splitlines()[1:], first + [
                '  GRANT pg_checkpoint TO "nobody";',
                '  GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start(text, boolean) TO "nobody";',
                '  GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_stop(boolean) TO "nobody";', last])
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

    def test_failed_attempts_cost_no_descriptors(self):
        with Driver("postgresql", socket=self.pg.socket_directory, user=ME) as plugin:
            def attempt():
                with self.assertRaises(Refused):
                    plugin.probe(30)
            self.pg.pause()
            try:
                attempt()
                before = os.listdir(f"/proc/{plugin.pid}/fd")
                for _ in range(20):
                    attempt()
                self.assertEqual(os.listdir(f"/proc/{plugin.pid}/fd"), before)
            finally:
                self.pg.resume()
            plugin.probe()

    def test_the_client_library_adds_little_memory(self):
        plugin = self.plugin()
        plugin.freeze()
        plugin.check()
        plugin.release()
        added = plugin.memory() - plugin.kib_at_start
        print(f"resident memory added by the postgresql plugin: {added} KiB")
        self.assertLess(added, 8 * 1024)


if __name__ == "__main__":
    if servers.PostgreSql.missing():
        testing.skip_all(servers.PostgreSql.missing())
    testing.main()
