# SPDX-License-Identifier: MIT
"""The postgresql plugin over TCP on the loopback: what the TLS keys admit, and what they refuse."""

import os
import shutil
import subprocess
import tempfile

from lab import testing
from postgresql_case import PostgresqlCase, free_port, main


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.certificate = os.path.join(directory, f"{name}.crt")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                  "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self._path("key"),
                  "-out", self.certificate)

    def _path(self, ending, subject=None):
        return os.path.join(self.directory, f"{subject or self.name}.{ending}")

    @staticmethod
    def _run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, timeout=60, capture_output=True)

    def issue(self, subject, extension):
        """Paths of certificate and key (mode 0600) for a common name."""
        key, request = self._path("key", subject), self._path("csr", subject)
        certificate, extensions = self._path("crt", subject), self._path("ext", subject)
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-subj", f"/CN={subject}", "-keyout", key, "-out", request)
        with open(extensions, "w", encoding="ascii") as file:
            file.write(extension)
        self._run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey",
                  self._path("key"), "-CAcreateserial", "-days", "2", "-extfile", extensions,
                  "-out", certificate)
        os.chmod(key, 0o600)
        return certificate, key


class Tls(PostgresqlCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="hf-tls-")
        cls.addClassCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        cls.authority = Authority(directory.name, "ours")
        cls.stranger = Authority(directory.name, "theirs")
        super().setUpClass()
        certificate, key = cls.authority.issue("db.example", "subjectAltName = IP:127.0.0.1")
        for path in (certificate, key, cls.authority.certificate):
            cls.pg._give(shutil.copy(path, cls.pg.data))
        cls.pg.run("ALTER SYSTEM SET ssl = on; ALTER SYSTEM SET ssl_ca_file = 'ours.crt';"
                   "ALTER SYSTEM SET ssl_cert_file = 'db.example.crt';"
                   "ALTER SYSTEM SET ssl_key_file = 'db.example.key'")
        for role in ("knows", "shows"):
            cls.pg.run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
            cls.grant(role)
        cls.pg.allow("hostnossl all all 127.0.0.1/32 reject")
        cls.pg.allow("hostssl all knows 127.0.0.1/32 scram-sha-256")
        cls.pg.allow("hostssl all shows 127.0.0.1/32 cert")
        cls.pg.stop()
        cls.pg.port = free_port()
        cls.pg.options += ["-c", "listen_addresses=127.0.0.1"]
        cls.pg.start()

    def settings(self, **settings):
        values = {"host": "127.0.0.1", "port": self.pg.port, "user": "knows",
                  "password_file": self.file("pgpass", "*:*:*:*:right\n"),
                  "sslmode": "verify-full", "sslrootcert": self.authority.certificate}
        values.update(settings)
        return {key: value for key, value in values.items() if value is not None}

    def refused(self, **settings):
        code, line = self.refusal(**self.settings(**settings))
        self.assertNotIn("\n", line)
        host = settings.get("host", "127.0.0.1")
        heading = f"unable to connect to 'postgresql:test' at '{host}:{self.pg.port}': "
        self.assertTrue(line.startswith(heading), line)
        return code, line[len(heading):]

    def is_encrypted(self, number):
        return self.pg.run(f"SELECT ssl FROM pg_stat_ssl WHERE pid = {number}") == ["t"]

    def test_a_window_over_a_verified_connection(self):
        plugin = self.configured(**self.settings())
        number = plugin.freeze().identity["session_id"]
        self.assertTrue(self.is_encrypted(number))
        plugin.check()
        plugin.release()
        self.assertEqual(plugin.probe().warnings, [])
        plugin.freeze()
        self.assertFalse(plugin.watch(0))
        self.pg.run(f"SELECT pg_terminate_backend({number})")
        self.await_true(lambda: plugin.tell("watch 100").hang_up, "the hang-up")
        self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the server "
                            f"has ended session {number}", plugin.check)

    def test_a_server_that_another_authority_vouches_for_is_refused(self):
        code, line = self.refused(sslrootcert=self.stranger.certificate)
        self.assertEqual(code, "unreachable")
        self.assertIn("SSL error: certificate verify failed", line)
        self.assertTrue(line.endswith(
            " (do 'sslrootcert', 'sslcert' and 'sslkey' fit this server?)"), line)

    def test_a_server_of_another_name_is_refused(self):
        code, line = self.refused(host="localhost")
        self.assertEqual(code, "unreachable")
        self.assertRegex(line, 'server certificate for ".*" .*does not match host name "localhost"')

    def test_without_encryption_the_server_refuses(self):
        code, line = self.refused(sslmode="disable", sslrootcert=None)
        self.assertEqual(code, "permission")
        self.assertIn('pg_hba.conf rejects connection for host "127.0.0.1", user "knows"', line)

    def test_a_certificate_of_the_client_stands_for_a_password(self):
        certificate, key = self.authority.issue("shows", "extendedKeyUsage = clientAuth")
        settings = self.settings(user="shows", password_file=None, sslcert=certificate, sslkey=key)
        plugin = self.configured(**settings)
        self.assertTrue(self.is_encrypted(plugin.probe().identity["session_id"]))
        os.chmod(key, 0o644)
        code, line = self.refused(**settings)
        self.assertEqual(code, "permission")
        self.assertIn(f'private key file "{key}" has group or world access', line)

    def test_a_certificate_that_another_authority_issued_is_refused(self):
        certificate, key = self.stranger.issue("shows", "extendedKeyUsage = clientAuth")
        code, line = self.refused(user="shows", password_file=None, sslcert=certificate, sslkey=key)
        self.assertEqual(code, "unreachable")
        self.assertRegex(line, "SSL error: .*unknown ca")

    def test_a_file_that_is_missing_is_named(self):
        _, line = self.refused(sslrootcert="/nonexistent/ca.crt")
        self.assertIn('root certificate file "/nonexistent/ca.crt" does not exist', line)


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        testing.skip_all("'openssl' is not installed")
    main()
