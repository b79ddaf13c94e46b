# SPDX-License-Identifier: MIT
"""The mysql plugin over TCP: what it asks of the server's certificate, and what it shows of its own."""

import os
import socket
import subprocess
import tempfile

import mysql_case
from mysql_case import MysqlCase

PASSWORD = "correct horse"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """Makes certificates in a directory that the server may read."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.certificate = self.path("ca.pem")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                f"/CN={name} authority", "-keyout", self.path("ca.key"), "-out", self.certificate)

    def path(self, suffix):
        return os.path.join(self.directory, f"{self.name}-{suffix}")

    def issue(self, name, subject):
        """(certificate, key) that name the host or client `subject`."""
        certificate, key, request = (self.path(f"{name}.{kind}") for kind in ("pem", "key", "csr"))
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", key,
                "-out", request)
        with open(self.path(name + ".ext"), "w", encoding="ascii") as extension:
            extension.write(f"subjectAltName=DNS:{subject}\n")
        openssl("x509", "-req", "-days", "2", "-in", request, "-CA", self.certificate, "-CAkey",
                self.path("ca.key"), "-CAcreateserial", "-extfile", extension.name, "-out",
                certificate)
        return certificate, key


class Tls(MysqlCase):
    subject = "localhost"

    @classmethod
    def setUpClass(cls):
        directory = cls.directory_for_class()
        cls.ours, cls.strange = Authority(directory, "ours"), Authority(directory, "strange")
        certificate, key = cls.ours.issue("server", cls.subject)
        cls.client_files = cls.ours.issue("client", "holdfast")
        for name in os.listdir(directory):
            os.chmod(os.path.join(directory, name), 0o644)
        os.chmod(cls.client_files[1], 0o600)
        cls.port = free_port()
        cls.server_options = (f"--port={cls.port}", "--bind-address=127.0.0.1",
                              f"--ssl-ca={cls.ours.certificate}", f"--ssl-cert={certificate}",
                              f"--ssl-key={key}")
        super().setUpClass()
        for name, condition in (("encrypted", "SSL"), ("certified", "X509")):
            cls.db.run(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE "
                       f"{condition}; GRANT {', '.join(cls.db.grants)} ON *.* TO {name}@'127.0.0.1'")

    @classmethod
    def directory_for_class(cls):
        directory = tempfile.TemporaryDirectory(prefix="hf-tls-")
        cls.addClassCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        return directory.name

    def settings(self, **settings):
        return {"host": "localhost", "port": self.port, "user": "encrypted",
                "password_file": self.file("password", PASSWORD + "\n"), **settings}

    def assert_works(self, **settings):
        plugin = self.configured(**self.settings(**settings))
        plugin.freeze()
        plugin.check()
        plugin.release()

    def refused_with(self, **settings):
        code, line = self.refusal(**self.settings(**settings))
        self.assertRegex(line, f"^unable to connect to 'mysql:test' at 'localhost:{self.port}': ")
        return code, line


class Named(Tls):
    def test_required_is_encrypted_and_off_is_not(self):
        self.assert_works(tls="required")
        code, line = self.refused_with(tls="off")
        self.assertEqual(code, "permission")
        self.assertIn("(1045)", line)

    def test_a_server_that_our_authority_signed_is_accepted(self):
        self.assert_works(tls="verify-ca", tls_ca=self.ours.certificate)
        self.assert_works(tls="verify-identity", tls_ca=self.ours.certificate)

    def test_a_server_that_another_authority_signed_is_refused(self):
        for mode in ("verify-ca", "verify-identity"):
            with self.subTest(mode):
                code, line = self.refused_with(tls=mode, tls_ca=self.strange.certificate)
                self.assertEqual(code, "unreachable")
                self.assertRegex(line, r"\(2026\) \(see tls, tls-ca and tls-cert, and which "
                                 r"certificate the server shows\)$")

    def test_an_account_that_wants_a_certificate_gets_ours(self):
        certificate, key = self.client_files
        self.assert_works(user="certified", tls="required", tls_cert=certificate, tls_key=key)
        code, line = self.refused_with(user="certified", tls="required")
        self.assertEqual(code, "permission")
        self.assertIn("(1045)", line)

    def test_a_name_of_this_machine_is_reached_by_tcp(self):
        # Both client libraries take 'localhost' for the unix socket, unless told.
        plugin = self.configured(**self.settings(tls="required"))
        number = plugin.probe().identity["session_id"]
        self.assertRegex(self.db.run("SELECT HOST FROM information_schema.processlist WHERE ID = "
                                     f"{number}")[0], r"^(localhost|127\.0\.0\.1):\d+$")


class OtherwiseNamed(Tls):
    subject = "db.example"

    def test_the_name_counts_for_verify_identity_only(self):
        self.assert_works(tls="verify-ca", tls_ca=self.ours.certificate)
        code, line = self.refused_with(tls="verify-identity", tls_ca=self.ours.certificate)
        self.assertEqual(code, "unreachable")
        self.assertIn("(2026)", line)


class Unencrypted(MysqlCase):
    def test_a_server_without_tls_is_refused_by_required(self):
        port = free_port()
        off = ("--skip-ssl",) if self.db.mariadb else ("--tls-version=",)
        db = self.begin(mysql_case.new_server(options=(f"--port={port}", "--bind-address=127.0.0.1",
                                                       *off)))
        db.run(f"CREATE USER holdfast@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        for settings in ({"tls": "required"}, {"tls": "verify-ca", "tls_ca": __file__}):
            code, line = self.refusal(host="127.0.0.1", port=port,
                                      password_file=self.file("password", PASSWORD + "\n"), **settings)
            # MySQL's own way to authenticate already fails without encryption.
            self.assertIn(code, ("unreachable",) if self.db.mariadb else ("unreachable", "permission"))
            self.assertRegex(line, r"\((2026|1045)\)|the server does not encrypt the connection")


if __name__ == "__main__":
    mysql_case.main()
