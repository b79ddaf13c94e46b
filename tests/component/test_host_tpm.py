# SPDX-License-Identifier: MIT
"""The state of an emulated TPM: found, copied after the thaw, restored; with a real swtpm."""

import hashlib
import json
import os
import shutil
import subprocess
import unittest

from host_case import VM
from support.waiting import until
from test_host_definition import DefinitionCase, sha256

STATE = "tpm2-00.permall"


class TpmCase(DefinitionCase):
    EXTRA = ("-chardev", "socket,id=chrtpm,path=@/tpm.sock",
             "-tpmdev", "emulator,id=tpm0,chardev=chrtpm", "-device", "tpm-tis,tpmdev=tpm0")
    SWTPM = ("--tpmstate", "dir=@/tpm")

    def make_machine(self):
        if shutil.which("swtpm") is None:
            self.skipTest("'swtpm' is not installed")
        os.mkdir(self.path("tpm"))
        socket = self.path("tpm.sock")
        self.swtpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", *(word.replace("@", self.directory)
                                            for word in self.SWTPM),
             "--ctrl", f"type=unixio,path={socket}"], cwd=self.directory,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_swtpm)
        until(lambda: os.path.exists(socket), "swtpm listens", process=self.swtpm)
        return super().make_machine()

    def end_swtpm(self):
        if self.swtpm.poll() is None:
            self.swtpm.kill()
        self.swtpm.wait(30)

    def lacking(self, **settings):
        """What a backup that works says it is without."""
        done = self.run_host("backup", VM, **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        line, = [line for line in done.stderr.splitlines() if "TPM" in line]
        return line


class Tpm(TpmCase):
    def test_the_doctor_knows_beforehand_whether_it_will_be_kept(self):
        def of_the_definition():
            done = self.run_host("doctor", VM, "--json")
            return {(finding["id"], finding["level"]): finding["text"]
                    for finding in json.loads(done.stdout)[0]["findings"]
                    if finding["area"] == "definition"}

        self.assertEqual(of_the_definition(),
                         {("kept", "ok"): "a backup keeps, beside the disks: definition, TPM state"})
        os.rename(self.path("tpm/" + STATE), self.path("away"))
        found = of_the_definition()
        self.assertIn("without the state of the TPM: ", found["lacking", "warning"])
        self.assertEqual(found["kept", "ok"], "a backup keeps, beside the disks: definition")

    def test_saves_the_state_after_the_instant_and_restores_it(self):
        real = self.path("tpm/" + STATE)
        before = sha256(real)
        manifest = self.back_up()
        entry = self.entry(manifest, STATE)
        self.assertEqual((entry["what"], entry["source"], entry["sha256"]),
                         ("TPM state", real, before))
        self.assertGreater(entry["after_instant_ms"], 0)
        self.assertEqual(manifest["definition"]["tpm_state"],
                         {"engine": "swtpm", "directory": self.path("tpm"),
                          "found_by": "the command line of swtpm", "encrypted": False})
        self.assertEqual(manifest["definition"]["lacking"], [])
        self.assertEqual(os.stat(self.stored(manifest, STATE)).st_mode & 0o777, 0o600)
        target, _ = self.restore(manifest)
        self.assertEqual(sha256(os.path.join(target, STATE)), before)
        self.assertEqual(os.stat(os.path.join(target, STATE)).st_mode & 0o777, 0o600)
        # A TPM starts from it, and from nothing less.
        self.machine.stop()
        self.end_swtpm()
        self.assertEqual(self.starts_on(target), 0)
        with open(os.path.join(target, STATE), "r+b") as file:
            file.truncate(100)
        self.assertNotEqual(self.starts_on(target), 0)

    def starts_on(self, directory):
        """Does a TPM take this state? What its initialisation answers (swtpm's control channel:
        CMD_INIT, with no flags)."""
        import socket
        path = self.path("again.sock")
        process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={directory}", "--ctrl",
             f"type=unixio,path={path}", "--server", f"type=unixio,path={path}.data",
             "--flags", "not-need-init"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with socket.socket(socket.AF_UNIX) as control:
                until(lambda: control.connect_ex(path) == 0 or process.poll() is not None,
                      "swtpm listens or refuses")
                if process.poll() is not None:
                    return process.returncode or -1
                control.settimeout(30)
                control.sendall(bytes([0, 0, 0, 2, 0, 0, 0, 0]))
                return int.from_bytes(control.recv(4), "big")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)
            for leftover in (path, path + ".data"):
                if os.path.exists(leftover):
                    os.unlink(leftover)

    def test_goes_by_what_the_administrator_says(self):
        os.mkdir(self.path("elsewhere"))
        with open(self.path("elsewhere/" + STATE), "wb") as file:
            file.write(b"state")
        manifest = self.back_up(tpm_state=self.path("elsewhere"))
        self.assertEqual(self.entry(manifest, STATE)["sha256"],
                         hashlib.sha256(b"state").hexdigest())
        self.assertEqual(manifest["definition"]["tpm_state"]["found_by"], "tpm-state")

    def test_says_what_it_cannot_find_or_read_and_goes_on(self):
        os.mkdir(self.path("empty"))
        self.assertIn("there is no state in", self.lacking(tpm_state=self.path("empty")))
        self.assertIn("No such file", self.lacking(tpm_state=self.path("nowhere")))
        os.symlink(self.path("tpm/" + STATE), self.path("empty/" + STATE))
        self.assertIn("unable to open", self.lacking(tpm_state=self.path("empty")))
        os.unlink(self.path("empty/" + STATE))
        os.mkfifo(self.path("empty/" + STATE))
        self.assertIn("not a regular file", self.lacking(tpm_state=self.path("empty")))
        os.unlink(self.path("empty/" + STATE))
        with open(self.path("empty/" + STATE), "wb") as file:
            file.truncate(5 << 20)
        self.assertIn("is larger than", self.lacking(tpm_state=self.path("empty")))
        self.assertIn("Lacking ", self.run_host("show", VM).stdout)

    def test_names_the_way_out_where_the_emulator_is_not_seen(self):
        self.end_swtpm()
        line = self.lacking()
        self.assertIn("no swtpm is to be seen at", line)
        self.assertIn("set tpm-state to the directory", line)


class RelativePaths(TpmCase):
    EXTRA = (TpmCase.EXTRA[0], "socket,path=../tpm.sock,id=chrtpm", *TpmCase.EXTRA[2:])
    SWTPM = ("--tpmstate", "dir=tpm")

    def test_means_what_the_processes_mean(self):
        manifest = self.back_up()
        self.assertEqual(self.entry(manifest, STATE)["source"], self.path("tpm/" + STATE))


if __name__ == "__main__":
    unittest.main(verbosity=2)
