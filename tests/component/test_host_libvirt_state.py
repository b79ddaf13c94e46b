# SPDX-License-Identifier: MIT
"""What a machine of a real libvirtd is beside its disks: UEFI variables, and the state of a TPM,
which a real swtpm keeps."""

import json
import os
import shutil

from host_case import VM
from lab import testing
from libvirt_case import LibvirtCase, far_uri
from test_host_definition import sha256

KIB = 1 << 10
SEABIOS = "/usr/share/seabios/bios-256k.bin"
# As large as those of Debian's OVMF.
VARIABLES = 528 * KIB
STATE = "tpm2-00.permall"
SECRET = "3a0c1d8e-6f52-4f0b-9a41-0d5f2f7c6b11"


class StateCase(LibvirtCase):
    """The firmware in flash is SeaBIOS, which boots faster than OVMF and leaves the variables
    alone: what a guest would write there is written through the device."""

    FIRMWARE = ("<loader readonly='yes' type='pflash'>@/CODE.fd</loader>"
                "<nvram>@/web1_VARS.fd</nvram>")

    FEATURES = "<acpi/>"

    @classmethod
    def prepare(cls):
        shutil.copyfile(SEABIOS, os.path.join(cls.machine.directory, "CODE.fd"))
        cls.variables = os.path.join(cls.machine.directory, "web1_VARS.fd")
        with open(cls.variables, "wb") as file:
            file.write(bytes(range(256)) * (VARIABLES // 256))

    def write_variables(self, pattern, offset=4096):
        said = self.machine.monitor.execute(
            "human-monitor-command",
            **{"command-line": 'qemu-io -d /machine/system.flash1 '
                               f'"write -P {pattern} {offset} 512"'})
        self.assertEqual(said, "")

    def entry(self, manifest, name):
        return next(file for file in manifest["definition"]["files"] if file["file"] == name)

    def restore(self, manifest):
        target = self.path("restored-" + manifest["id"])
        done = self.run_host("restore", VM, manifest["id"], f"--to={target}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return target

    def assert_private(self, path):
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)


    def lacking(self, **settings):
        """What a backup that works says it is without: one line, in the manifest as well."""
        done = self.run_host("backup", VM, "--json", **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        line, = json.loads(done.stdout)["definition"]["lacking"]
        self.assertIn(f"holdfast: {VM}: {line}", done.stderr.splitlines())
        self.assertIn(line, self.run_host("show", VM).stdout)
        return line

    def inside(self):
        """`holdfast` with the eyes of libvirtd, which has directories of its own here."""
        path = self.path("inside")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\nexec nsenter -m -p -t {self.daemon.pid()} "
                       f"{self.program} \"$@\"\n")
        os.chmod(path, 0o755)
        self.program = path

    def start_again_with(self, old, new, before=lambda: None):
        """The machine, with something else in its definition; as it was after the test."""
        def define(text):
            self.machine.destroy()
            before()
            path = self.path("domain.xml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            self.daemon.virsh("define", path)
            self.machine.boot()
            self.machine.wait_for_agent()
        text = self.daemon.virsh("dumpxml", "--inactive", VM).stdout
        self.assertEqual(text.count(old), 1)
        self.addCleanup(define, text)
        define(text.replace(old, new))


class State(StateCase):
    PROGRAMS = ("swtpm", "swtpm_setup")
    MORE = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"

    def setUp(self):
        super().setUp()
        if not self.reason:
            self.tpm = ("/var/lib/libvirt/swtpm/" +
                        self.daemon.virsh("domuuid", VM).stdout.strip() + "/tpm2")

    def hash_there(self, name):
        return self.daemon.inside(f"sha256sum {self.tpm}/{name}").split()[0]

    def test_is_in_the_backup_and_restored_to_the_byte(self):
        self.inside()
        for number, method in enumerate(("overlay", "backup"), start=0x71):
            with self.subTest(method=method):
                self.write_variables(number)
                before = {"nvram.fd": sha256(self.variables), STATE: self.hash_there(STATE)}
                done = self.run_host("backup", VM, "--json", method=method)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("may have changed", done.stderr)
                manifest = json.loads(done.stdout)
                self.assert_nothing_left()
                about = manifest["definition"]
                self.assertEqual(about["lacking"], [])
                self.assertEqual(about["tpm_state"], {"engine": "swtpm", "directory": self.tpm,
                                                      "found_by": "libvirt", "encrypted": False})
                for name, what, source in (("nvram.fd", "UEFI variables", self.variables),
                                           (STATE, "TPM state", f"{self.tpm}/{STATE}")):
                    entry = self.entry(manifest, name)
                    self.assertEqual((entry["what"], entry["source"], entry["sha256"]),
                                     (what, source, before[name]))
                    self.assertGreater(entry["after_instant_ms"], 0)
                    self.assertFalse(entry["changed_since_instant"])
                    self.assert_private(os.path.join(manifest["directory"], name))
                self.assertEqual(self.entry(manifest, "nvram.fd")["bytes"], VARIABLES)
                # To libvirt flash is no disk.
                self.assertEqual([disk["name"] for disk in manifest["disks"]], ["vda", "vdb"])
                self.write_variables(0x7f)
                target = self.restore(manifest)
                for name, expected in before.items():
                    self.assertEqual(sha256(os.path.join(target, name)), expected)
                    self.assert_private(os.path.join(target, name))
        self.assertEqual(self.run_host("verify", VM).returncode, 0)
        self.start_from(target)

    def start_from(self, target):
        """A machine starts from what was restored, and from nothing less."""
        self.machine.destroy()
        self.daemon.inside(f"truncate -s 100 {self.tpm}/{STATE}")
        self.assertNotEqual(self.daemon.virsh("start", VM, check=False).returncode, 0)
        self.daemon.inside(f"install -m 0600 {target}/{STATE} {self.tpm}/{STATE}")
        shutil.copyfile(os.path.join(target, "nvram.fd"), self.variables)
        self.machine.boot()
        self.machine.wait_for_agent()

    def test_that_changes_after_the_instant_is_said_to(self):
        def thaw(agent, request):
            self.write_variables(0x66)
            return agent.respond(request)
        self.agent.behaviours["guest-fsfreeze-thaw"] = thaw
        done = self.run_host("backup", VM, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"holdfast: {VM}: the UEFI variables may have changed between the instant "
                      "and the copy", done.stderr)
        entry = self.entry(json.loads(done.stdout), "nvram.fd")
        self.assertEqual((entry["changed_since_instant"], entry["sha256"]),
                         (True, sha256(self.variables)))

    def test_of_the_tpm_that_is_encrypted_is_kept_and_its_key_is_not(self):
        path = self.path("secret.xml")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"<secret private='yes'><uuid>{SECRET}</uuid><usage type='vtpm'>"
                       "<name>web1</name></usage></secret>")
        self.daemon.virsh("secret-define", path)
        self.daemon.virsh("secret-set-value", SECRET, "--base64", "c2VzYW1l")
        # A state of its own: that of before is not encrypted.
        self.start_again_with("<backend type='emulator' version='2.0'/>",
                              "<backend type='emulator' version='2.0'>"
                              f"<encryption secret='{SECRET}'/></backend>",
                              lambda: self.daemon.inside(f"rm -r {os.path.dirname(self.tpm)}"))
        place = f"/proc/{self.daemon.pid()}/root{self.tpm}"
        self.assertEqual(self.lacking(tpm_state=place),
                         "without the key that the state of the TPM is encrypted with")
        self.inside()
        manifest = self.back_up()
        self.assertTrue(manifest["definition"]["tpm_state"]["encrypted"])
        self.assertEqual(self.entry(manifest, STATE)["sha256"], self.hash_there(STATE))

    def test_of_the_tpm_may_be_where_the_administrator_says(self):
        # libvirtd's own directories, seen from outside
        place = f"/proc/{self.daemon.pid()}/root{self.tpm}"
        manifest = self.back_up(tpm_state=place)
        self.assertEqual(self.entry(manifest, STATE)["sha256"], self.hash_there(STATE))
        self.assertEqual(manifest["definition"]["tpm_state"]["found_by"], "tpm-state")
        self.assertEqual(manifest["definition"]["lacking"], [])

    def test_that_cannot_be_read_is_said_and_fails_nothing(self):
        line = self.lacking()
        self.assertIn("without the state of the TPM: there is none below '/var/lib/libvirt", line)
        self.assertIn("set tpm-state to the directory", line)
        place = f"/proc/{self.daemon.pid()}/root{self.tpm}"
        os.rename(self.variables, self.variables + ".away")
        try:
            line = self.lacking(tpm_state=place)
        finally:
            os.rename(self.variables + ".away", self.variables)
        self.assertIn(f"without the UEFI variables: unable to find '{self.variables}'", line)

    def test_of_another_host_is_said_to_be_there(self):
        far = far_uri(self, self.daemon.socket)
        # The images' directory is seen from both, as the overlays in it show.
        self.assertIn("without the state of the TPM: it is on 'where the URI's command leads'",
                      self.lacking(uri=far))
        os.mkdir(os.path.join(self.machine.directory, "nvram"))
        shutil.copyfile(self.variables,
                        os.path.join(self.machine.directory, "nvram", "web1_VARS.fd"))
        self.start_again_with("/web1_VARS.fd", "/nvram/web1_VARS.fd")
        done = self.run_host("backup", VM, "--json", uri=far)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line.split(":")[0] for line in
                          json.loads(done.stdout)["definition"]["lacking"]],
                         ["without the UEFI variables", "without the state of the TPM"])


if __name__ == "__main__":
    testing.main()
