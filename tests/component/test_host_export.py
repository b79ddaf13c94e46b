# SPDX-License-Identifier: MIT
"""One backup served over NBD: what is there, who may do what, and that nothing stays behind."""

import fcntl
import json
import os
import select
import signal
import stat
import subprocess

from chain_case import KIB, MIB, SIZE, VM, ChainCase, backup_id
from lab import testing
from support import nbd_client


class Export(ChainCase):
    NEEDS = ("qemu-storage-daemon",)

    def setUp(self):
        super().setUp()
        self.runtime = self.path("run")
        os.mkdir(self.runtime)
        self.ids = [self.repository.add(backup_id(1), None,
                                        {"vda": [(0, MIB, 1)], "data": [(0, KIB * 64, 5)]})]
        for number in (2, 3):
            self.ids.append(self.repository.add(
                backup_id(number), self.ids[-1],
                {"vda": [(number * 64 * KIB, 64 * KIB, number)], "data": [(MIB, 64 * KIB, number)]}))

    def command(self, verb, *arguments):
        return ["env", f"XDG_RUNTIME_DIR={self.runtime}", *super().command(verb, *arguments)]

    def export(self, *arguments):
        """(the process, what it says once it serves)."""
        process = subprocess.Popen(self.command("export", VM, *arguments, "--json"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   stdin=subprocess.DEVNULL)
        self.addCleanup(self.finish, process)
        text = ""
        while True:
            line = process.stdout.readline()
            if not line:
                self.fail(process.stderr.read())
            text += line
            if line == "}\n":
                return process, json.loads(text)

    @staticmethod
    def finish(process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)

    @staticmethod
    def children(process):
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def client(self, said):
        client = nbd_client.Client(said["socket"])
        self.addCleanup(client.close)
        return client

    def ended(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        self.assertEqual((process.communicate(timeout=30)[1], process.returncode), ("", 0))
        self.assertEqual(os.listdir(self.runtime), [])

    def test_every_disk_reads_as_the_restored_one(self):
        self.succeeding("restore", VM, "latest", "--to", self.path("out"))
        process, said = self.export("latest")
        self.assertEqual((said["vm"], said["id"]), (VM, self.ids[2]))
        self.assertEqual([(entry["disk"], entry["size"]) for entry in said["exports"]],
                         [("vda", SIZE), ("data", SIZE)])
        for entry in said["exports"]:
            subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", entry["uri"],
                            self.path(f"out/{entry['disk']}.qcow2")], check=True, timeout=60)
        client = self.client(said)
        self.assertEqual(client.names(), ["data", "vda"])
        client.close()
        self.ended(process)

    def test_an_older_backup_reads_as_it_was(self):
        process, said = self.export(self.ids[0], "--disk", "vda")
        client = self.client(said)
        self.assertEqual(client.names(), ["vda"])
        client.open("vda")
        self.assertEqual(client.request(nbd_client.READ, 2 * 64 * KIB, 4), (0, b"\1\1\1\1"))
        client.close()
        self.ended(process, signal.SIGINT)

    def test_nobody_writes(self):
        before = self.succeeding("verify", VM)
        process, said = self.export("latest")
        refused = subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 64k",
                                  said["exports"][0]["uri"]], capture_output=True, text=True,
                                 check=False, timeout=60)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("Permission denied", refused.stderr)
        # A client that does not ask first.
        client = self.client(said)
        _, flags = client.open("vda")
        self.assertTrue(flags & nbd_client.READ_ONLY)
        # Which error it is depends on QEMU's version.
        self.assertIn(client.request(nbd_client.WRITE, 0, 512, b"x" * 512)[0],
                      (nbd_client.EPERM, nbd_client.EINVAL))
        self.assertEqual(client.request(nbd_client.READ, 0, 4), (0, b"\1\1\1\1"))
        client.close()
        self.ended(process)
        self.assertEqual(self.succeeding("verify", VM), before)

    def test_the_socket_is_for_its_owner_alone(self):
        process, said = self.export("latest")
        self.assertEqual(stat.S_IMODE(os.stat(said["socket"]).st_mode), 0o600)
        directory = os.path.dirname(said["socket"])
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)
        self.assertEqual(os.path.dirname(directory), self.runtime)
        self.ended(process)

    def test_a_client_at_work_does_not_keep_it_from_ending(self):
        process, said = self.export("latest")
        server, = self.children(process)
        client = self.client(said)
        client.open("vda")
        self.ended(process)
        with self.assertRaises((EOFError, ConnectionError)):
            client.request(nbd_client.READ, 0, 4)
        client.close()
        self.assertFalse(os.path.exists(f"/proc/{server}"))

    def test_what_is_exported_is_not_pruned_nor_what_it_stands_on(self):
        other = self.repository.add(backup_id(9), None)
        process, _ = self.export(self.ids[1])
        plan = json.loads(self.succeeding("prune", VM, "--keep-last", "1", "--json"))
        self.assertEqual([entry["removed"] for entry in plan[0]["backups"]],
                         [False, False, True, False])
        self.assertEqual([entry["reasons"] for entry in plan[0]["backups"]],
                         [[f"{self.ids[1]} stands on it", "in use"], ["in use"], [],
                          ["newest", "last"]])
        self.ended(process)
        self.succeeding("prune", VM, "--keep-last", "1")
        self.assertEqual(sorted(os.listdir(f"{self.repository.path}/{VM}")), [".lock", other])

    def test_one_that_is_being_removed_is_not_exported(self):
        manifest = f"{self.repository.directory(self.ids[0])}/manifest.json"
        with open(manifest, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for words in (("export", VM, "latest"),
                          ("restore", VM, "latest", "--to", self.path("out"))):
                self.assertEqual(self.failing(*words, status=4),
                                 f"unable to use the backup '{os.path.dirname(manifest)}': it is "
                                 "being removed")

    def test_two_are_served_side_by_side(self):
        first, one = self.export("latest")
        second, two = self.export(self.ids[0])
        self.assertNotEqual(one["socket"], two["socket"])
        self.assertEqual(len(os.listdir(self.runtime)), 2)
        first.send_signal(signal.SIGTERM)
        self.assertEqual(first.wait(30), 0)
        self.ended(second)

    def test_what_a_killed_one_leaves_goes_with_the_next(self):
        process, said = self.export("latest")
        server, = self.children(process)
        gone = os.pidfd_open(server)
        process.kill()
        process.wait(30)
        # It dies with its parent.
        self.assertEqual(select.select([gone], [], [], 20)[0], [gone])
        os.close(gone)
        self.assertTrue(os.path.exists(said["socket"]))
        # And its backups are free again.
        self.succeeding("prune", VM, "--keep-last", "1")
        following, _ = self.export("latest")
        self.assertEqual(len(os.listdir(self.runtime)), 1)
        self.ended(following)

    def test_a_server_that_dies_is_an_error(self):
        process, _ = self.export("latest")
        server, = self.children(process)
        os.kill(server, signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
        self.assertEqual((process.returncode, errors),
                         (1, "holdfast: unable to run 'qemu-storage-daemon': killed by signal 9\n"))
        self.assertEqual(os.listdir(self.runtime), [])

    def test_a_server_that_is_missing_or_does_not_start_is_one_clear_line(self):
        self.assertEqual(self.failing("export", VM, "latest", "--qemu-storage-daemon=/no/such"),
                         "unable to run '/no/such': not started: No such file or directory "
                         "(install the package qemu-system-common)")
        broken = self.path("broken")
        with open(broken, "w", encoding="utf-8") as script:
            script.write("#!/bin/sh\necho 'no room' >&2\nexit 3\n")
        os.chmod(broken, 0o755)
        self.assertEqual(self.failing("export", VM, "latest", f"--qemu-storage-daemon={broken}"),
                         f"unable to run '{broken}': exited with status 3: no room")
        self.assertEqual(os.listdir(self.runtime), [])

    def test_a_hostile_image_is_not_opened(self):
        image = self.repository.image(self.ids[2])
        os.unlink(image)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o",
                        f"data_file={self.path('secret')},data_file_raw=on", image, str(SIZE)],
                       check=True)
        self.repository.record_again(self.ids[2], "vda")
        self.assertIn("refers to another file", self.failing("export", VM, "latest"))
        os.unlink(image)
        os.symlink("/etc/passwd", image)
        self.assertIn("not a regular file", self.failing("export", VM, "latest"))
        self.assertEqual(os.listdir(self.runtime), [])

    def test_says_how_to_use_it(self):
        process = subprocess.Popen(self.command("export", VM, self.ids[0]), text=True,
                                   stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(self.finish, process)
        lines = [process.stdout.readline() for _ in range(7)]
        self.assertEqual(lines[0],
                         f"{VM}: {self.ids[0]}: served read-only until Ctrl-C or SIGTERM\n")
        self.assertRegex(lines[1], r"^  vda \(4 MiB\): 'nbd\+unix:///vda\?socket=.*/nbd'\n$")
        # The printed line works as it stands there.
        convert = next(line for line in lines if "qemu-img convert" in line).strip()
        subprocess.run(["sh", "-c", convert], cwd=self.root, check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2",
                        self.path("vda.qcow2"), self.repository.image(self.ids[0])], check=True)
        process.terminate()
        self.assertEqual(process.wait(30), 0)


if __name__ == "__main__":
    testing.main()
