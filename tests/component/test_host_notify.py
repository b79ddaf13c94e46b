# SPDX-License-Identifier: MIT
"""What is told of a run, by mail and by a command: to whom, when, in which words; and that nothing of
it changes what it tells of."""

import email
import email.policy
import json
import os
import re
import time

from lab import testing
from test_host_many import ManyCase


class Notify(ManyCase):
    NAMES = ("db1", "web1")

    def setUp(self):
        super().setUp()
        self.mails = self.path("mails")
        os.mkdir(self.mails)
        self.sendmail = self.script(
            "sendmail", f'mail=$(mktemp {self.mails}/XXXXXXXX)\n'
            'echo "$*" >$mail.arguments\ncat >$mail')
        with open(self.path("etc/host.conf"), "a", encoding="utf-8") as file:
            file.write(f"notify-mail = root, admin@example.org\nnotify-sendmail = {self.sendmail}\n")

    def script(self, name, lines):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\n{lines}\n")
        os.chmod(path, 0o755)
        return path

    def take_mails(self):
        """What was sent since the last call, read as a mail program reads it."""
        mails = []
        for name in sorted(os.listdir(self.mails)):
            path = os.path.join(self.mails, name)
            if name.endswith(".arguments"):
                with open(path, encoding="utf-8") as file:
                    self.assertEqual(file.read(), "-t -oi -i\n")
            else:
                with open(path, "rb") as file:
                    raw = file.read()
                self.assertTrue(all(len(line) <= 78 for line in raw.split(b"\n")), raw)
                self.assertTrue(raw.isascii())
                mail = email.message_from_bytes(raw, policy=email.policy.default)
                self.assertEqual(mail.defects, [])
                self.assertEqual(mail["Auto-Submitted"], "auto-generated")
                self.assertEqual(mail["To"], "root, admin@example.org")
                self.assertRegex(mail["Message-ID"], r"^<[\w.]+@[\w.-]+>$")
                self.assertIsNotNone(mail["Date"].datetime.tzinfo)
                mails.append(mail)
            os.unlink(path)
        return mails

    def take_mail(self):
        mails = self.take_mails()
        self.assertEqual(len(mails), 1)
        return mails[0]

    def test_a_good_night_is_told_to_nobody_unless_it_is_wanted(self):
        self.assertEqual(self.run_host("backup", "--all").returncode, 0)
        self.assertEqual(self.take_mails(), [])
        done = self.run_host("backup", "--all", notify_on="always")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        mail = self.take_mail()
        self.assertRegex(mail["Subject"], r"^\S+: backup done: 2 machines$")
        self.assertEqual(mail["X-Holdfast-Result"], "good")
        text = mail.get_content()
        self.assertRegex(text, r"\n\nDONE: web1\n    level application, guest paused for \d+ ms\n"
                               r"    increment of 2 disks, [0-9.]+ \w+ in [0-9.]+ s\n"
                               r"    backup \d{8}T\d{6}Z-[0-9a-f]{8}\n")

    def test_one_mail_tells_of_all_machines_what_failed_first_and_when_all_is_well_again(self):
        self.machines["web1"].stop()
        done = self.run_host("backup", "--all", "--quiet")
        self.assertEqual(done.returncode, 1)
        mail = self.take_mail()
        self.assertRegex(mail["Subject"],
                         r"^\S+: backup FAILED: web1: unable to reach the QEMU monitor .*\.\.\. "
                         r"\(of 2 machines\)$")
        text = mail.get_content()
        self.assertIn(": 1 of 2 machines FAILED.\n", text)
        self.assertLess(text.index("FAILED: web1\n    unable to reach"), text.index("DONE: db1\n"))
        self.assertIn("What to do: is the virtual machine running", " ".join(text.split()))
        self.machines["web1"].start()
        self.assertEqual(self.run_host("backup", "web1").returncode, 0)
        self.assertRegex(self.take_mail()["Subject"], r"^\S+: backup well again: web1$")
        self.assertEqual(self.run_host("backup", "--all").returncode, 0)
        self.assertEqual(self.take_mails(), [])

    def test_a_level_below_the_preferred_one_is_a_warning(self):
        self.agents["db1"].holdfast = False
        self.assertEqual(self.run_host("backup", "--all", notify_on="failure").returncode, 3)
        self.assertEqual(self.take_mails(), [])
        self.assertEqual(self.run_host("backup", "--all").returncode, 3)
        mail = self.take_mail()
        self.assertRegex(mail["Subject"], r": backup warning: db1: level 'filesystem', ")
        self.assertEqual(mail["X-Holdfast-Result"], "warning")

    def test_what_a_guest_says_stays_text(self):
        evil = "no\r\nBcc: eve@example.org\r\n\r\n.\r\nFrom eve \x1b[2J \u2028 größe \x85"

        def refuse(agent, request):
            return {"error": {"class": "GenericError", "desc": evil}}
        self.agents["web1"].behaviours["guest-fsfreeze-freeze"] = refuse
        self.assertEqual(self.run_host("backup", "web1").returncode, 1)
        mail = self.take_mail()
        self.assertIsNone(mail["Bcc"])
        self.assertIsNone(re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]",
                                    mail["Subject"] + mail.get_content()))
        said = " ".join(mail.get_content().split())
        self.assertIn(r"no\x0d\x0aBcc: eve@example.org\x0d\x0a\x0d\x0a.", said)
        self.assertIn("größe", said)

    def test_a_name_on_the_command_line_stays_text(self):
        self.assertEqual(self.run_host("backup", "web1\nBcc: eve@example.org").returncode, 2)
        mail = self.take_mail()
        self.assertIsNone(mail["Bcc"])
        self.assertIn(r"web1\x0aBcc: eve@example.org", mail["Subject"])

    def test_the_command_reads_json_and_knows_the_facts(self):
        told = self.script("tell", f'cat >{self.path("told.json")}\n'
                           f'env | grep ^HOLDFAST_ >{self.path("told.env")}; echo "$1" '
                           f'>{self.path("told.word")}')
        self.machines["web1"].stop()
        with open(self.path("etc/host.conf"), encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("notify-mail")]
        self.write("etc/host.conf", "".join(lines) + f"notify-command = {told} 'a b'\n")
        self.assertEqual(self.run_host("backup", "--all").returncode, 1)
        self.assertEqual(self.take_mails(), [])
        with open(self.path("told.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual((report["schema"], report["command"], report["status"],
                          report["outcome"]), (1, "backup", 1, "failed"))
        db1, web1 = report["machines"]
        self.assertEqual((db1["vm"], db1["outcome"], db1["detail"]["level"]),
                         ("db1", "good", "application"))
        self.assertEqual((web1["status"], web1["problems"][0]["code"], web1["detail"]),
                         (1, "unreachable", None))
        with open(self.path("told.env"), encoding="utf-8") as file:
            variables = dict(line.split("=", 1) for line in file.read().splitlines())
        self.assertEqual((variables["HOLDFAST_FAILED"], variables["HOLDFAST_GOOD"],
                          variables["HOLDFAST_RESULT"], variables["HOLDFAST_STATUS"],
                          variables["HOLDFAST_SUBJECT"]),
                         ("web1", "db1", "failed", "1", report["subject"]))
        with open(self.path("told.word"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "a b\n")

    def test_a_mailer_that_fails_hangs_or_is_missing_is_one_line_and_no_more(self):
        for program, said in (
                (self.script("fails", "cat >/dev/null; echo no queue >&2; exit 75"),
                 f"unable to run '{self.path('fails')}': exited with status 75: no queue"),
                (self.script("hangs", "exec sleep 1000"),
                 f"unable to run '{self.path('hangs')}': timed out"),
                (self.path("missing"), "not started: No such file or directory (install a mail "
                                       "transfer agent, or set notify-sendmail)")):
            begin = time.monotonic()
            done = self.run_host("backup", "db1", notify_on="always", notify_sendmail=program,
                                 notify_timeout="1s")
            self.assertLess(time.monotonic() - begin, 60)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertTrue(done.stderr.startswith("holdfast: unable to send the mail: "))
            self.assertIn(said, done.stderr)
        self.assert_clean("db1")

    def test_a_verification_and_a_pruning_are_told_as_well(self):
        self.assertEqual(self.run_host("backup", "web1").returncode, 0)
        self.assertEqual(self.run_host("verify", "web1", notify_on="always").returncode, 0)
        mail = self.take_mail()
        self.assertRegex(mail["Subject"], r": verify done: web1$")
        self.assertIn("1 of 1 backups are sound", mail.get_content())
        self.assertEqual(self.run_host("prune", "web1", keep_last="1", notify_on="always")
                         .returncode, 0)
        self.assertIn("0 backups removed (0 B), 1 kept", self.take_mail().get_content())
        backup = os.path.join(self.repository, "web1", self.backups("web1")[0])
        with open(os.path.join(backup, "data.qcow2"), "r+b") as image:
            image.seek(100)
            image.write(b"rot")
        self.assertEqual(self.run_host("verify", "web1").returncode, 1)
        mail = self.take_mail()
        self.assertRegex(mail["Subject"], r": verify FAILED: web1: web1/\d{8}T")
        self.assertIn("0 of 1 backups are sound", mail.get_content())

    def test_addresses_that_are_none_are_refused(self):
        for wrong in ("a b<c>", "root\nBcc: eve", "-f"):
            done = self.run_host("backup", "web1", notify_mail=wrong)
            self.assertEqual(done.returncode, 2)
            self.assertIn("is not a mail address", done.stderr)
        self.assertEqual(self.take_mails(), [])

    def test_the_doctor_looks_at_the_programs(self):
        said = self.run_host("doctor", "web1").stdout
        self.assertIn("on warning: mail to root, admin@example.org", said)
        said = self.run_host("doctor", "web1", notify_sendmail=self.path("missing"),
                             notify_command=self.path("etc/host.conf")).stdout
        self.assertIn("is no program that can be run: nobody is told by mail", said)
        self.assertIn("notify-command", said)


if __name__ == "__main__":
    testing.main()
