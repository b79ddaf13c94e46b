# SPDX-License-Identifier: MIT
"""Containers: their instant, what an archive of one holds, and that nothing of a run stays behind."""

import hashlib
import io
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import tarfile

from container_case import NAME, Container, ContainerCase
from host_case import MIB, VM
from lab import loopfs, testing
from support.waiting import until

# linux/posix_acl_xattr.h: version 2; user::rw-, user:1234:r--, group::r--, mask::r--, other::---
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, who) for tag, permissions, who in
    ((1, 6, 0xffffffff), (2, 4, 1234), (4, 4, 0xffffffff), (16, 4, 0xffffffff),
     (32, 0, 0xffffffff)))
# linux/capability.h: VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE, permitted and effective.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
RESUMED_WITHIN = 3


def setUpModule():
    if loopfs.missing("btrfs") is None:
        loopfs.enter_namespace()


def fill(root):
    """Of everything that a filesystem can hold, one."""
    def at(*names):
        return os.path.join(root.encode(), *(n if isinstance(n, bytes) else n.encode()
                                             for n in names))

    def write(name, content=b"x"):
        with open(at(name), "wb") as file:
            file.write(content)
        return at(name)
    os.mkdir(at("etc"), 0o700)
    os.chown(write("etc/owned"), 1234, 5678)
    os.chown(write("program"), 4321, 0)
    os.chmod(at("program"), 0o6755)
    os.mkdir(at("tmp"))
    os.chmod(at("tmp"), 0o1777)
    os.setxattr(write("capable"), "security.capability", CAPABILITY)
    os.setxattr(write("listed"), "system.posix_acl_access", ACL)
    os.setxattr(at("etc"), "system.posix_acl_default", ACL)
    os.setxattr(write("named"), "user.note", b"\0binary\xff")
    os.setxattr(at("named"), "trusted.note", b"t")
    os.link(write("linked", b"once"), at("etc/link"))
    os.symlink("/etc/shadow", at("absolute"))
    os.symlink("../../../../etc", at("upwards"))
    os.symlink("nowhere", at("dangling"))
    os.mkfifo(at("fifo"))
    os.mknod(at("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(at("disk"), stat.S_IFBLK | 0o600, os.makedev(259, 70000))
    write("empty", b"")
    write(b"line\nbreak \xff\x1b[2J")
    write("-rf")
    write("n" * 255)
    deep = at(*["d" * 200] * 8)
    os.makedirs(deep)
    with open(os.path.join(deep, b"file"), "wb") as file:
        file.write(b"deep")
    with open(at("sparse"), "wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
    os.utime(write("old"), ns=(1, 987654321012345678))


def picture(root):
    """{path: all that is known of it}, but for what the writer changes, and sockets."""
    found, links = {}, {}

    def look(path, name):
        status = os.lstat(path)
        if stat.S_ISSOCK(status.st_mode):
            return
        is_file = stat.S_ISREG(status.st_mode)
        content = None
        if is_file and status.st_size < MIB:
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        links.setdefault(status.st_ino, []).append(name)
        found[name] = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev,
                       status.st_size if is_file else None,
                       status.st_blocks < 4096 if is_file else None, content,
                       None if name in (b".", b"a", b"b") else status.st_mtime_ns,
                       {key: os.getxattr(path, key, follow_symlinks=False)
                        for key in os.listxattr(path, follow_symlinks=False)},
                       links[status.st_ino])
        if stat.S_ISDIR(status.st_mode):
            for inner in sorted(os.listdir(path)):
                look(os.path.join(path, inner), inner if name == b"." else name + b"/" + inner)
    look(root.encode(), b".")
    for name in (b"a", b"b"):
        found.pop(name, None)
    return found


class Whole(ContainerCase):
    def assert_one_instant(self, tree):
        """The writer was between two writes, at most."""
        numbers = []
        for name in "ab":
            with open(os.path.join(tree, name), "rb") as file:
                numbers.append(int(file.read()))
        self.assertIn(numbers[0] - numbers[1], (0, 1))

    def test_a_restored_tree_is_what_the_container_had_when_it_stood_still(self):
        fill(self.container.root)
        # Nobody can back up a socket, and nobody has to.
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.join(self.container.root, "socket"))
        self.container.add_agent()
        manifest = self.back_up(require="application")
        self.assertEqual((manifest["level"], manifest["kind"], manifest["method"],
                          manifest["evidence"]["reasons"], manifest["disks"]),
                         ("application", "archive", "btrfs", [], []))
        self.assertEqual(self.container.calls(), ["freeze", "thaw"])
        # It went on.
        until(lambda: not self.container.frozen(), "it goes on", 5)
        self.assert_nothing_left()
        out = self.restore()
        self.maxDiff = None
        before, after = picture(self.container.root), picture(out)
        self.assertEqual(sorted(before), sorted(after))
        for name, entry in before.items():
            self.assertEqual(entry, after[name], name)
        self.assert_one_instant(out)
        # A subvolume, so that a container that is started from it can be backed up.
        self.assertEqual(os.lstat(out).st_ino, 256)
        line = self.failing(self.run_host("restore", VM, "latest", "--to", out))
        self.assertIn("it exists", line)
        # And on a filesystem that has none.
        other = self.path("elsewhere/restored")
        done = self.run_host("restore", VM, "latest", "--to", other, "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["directory"]), (0, other))
        self.assertEqual(sorted(picture(other)), sorted(before))

    def test_without_an_agent_its_processes_stand_still(self):
        gate = self.gate("archiving")
        self.in_place_of("tar", f'case "$*" in *--create*) {gate.stop};; esac')
        process = self.start_host("backup", VM, "--json", compress="none", prefer="application")
        gate.reached(process)
        # While its archive is to be written, it has gone on.
        self.assertFalse(self.container.frozen())
        self.assertEqual(len(self.snapshots()), 1)
        gate.open()
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3, errors)
        self.assertIn("level 'filesystem', 'application' is preferred: the guest's record could not "
                      "be read: there is no /usr/sbin/holdfastctl in the container", errors)
        manifest = json.loads(output)
        self.assertEqual((manifest["level"], manifest["archive"]["file"],
                          manifest["evidence"]["frozen_after_snapshot"]),
                         ("filesystem", "root.tar", True))
        self.assert_nothing_left()
        self.assert_one_instant(self.restore())

    def test_the_other_commands_know_an_archive(self):
        first = self.back_up()["id"]
        done = self.run_host("list", VM)
        self.assertRegex(done.stdout, rf"{first} .* filesystem  archive +1 +- +- ")
        done = self.run_host("show", VM)
        self.assertRegex(done.stdout, r"Container  nspawn:web, at /\S+/web\n")
        self.assertRegex(done.stdout, r"root\.tar\.zst +\d+ ")
        self.assertEqual(self.run_host("verify", VM).stdout, f"{VM}: {first}: sound\n")
        line = self.failing(self.run_host("export", VM, "latest"))
        self.assertIn("is the archive of a container, and has no disks", line)
        line = self.failing(self.run_host("snapshot", "create", VM))
        self.assertIn("is a container", line)
        line = self.failing(self.run_host("restore", VM, "latest", "--disk=sys",
                                          f"--to={self.path('x')}"))
        self.assertIn("has no disk 'sys'", line)
        self.assertEqual(self.run_host("protect", VM, first).returncode, 0)
        second = self.back_up(keep_last="1")
        self.assertEqual((second["removed"], len(self.published())), ([], 2))
        self.assertEqual(self.run_host("unprotect", VM, first).returncode, 0)
        self.assertEqual(self.back_up(keep_last="1")["removed"], sorted([first, second["id"]]))
        # One byte of it.
        path = os.path.join(self.repository, VM, self.published()[0], "root.tar.zst")
        with open(path, "r+b") as file:
            file.seek(-9, os.SEEK_END)
            byte = file.read(1)
            file.seek(-9, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))
        self.assertEqual(self.run_host("verify", VM).returncode, 1)
        line = self.failing(self.run_host("restore", VM, "latest", "--to", self.path("out")))
        self.assertIn("is not that of the manifest", line)
        self.assertFalse(os.path.exists(self.path("out")))
        done = self.run_host("status", VM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nspawn:web, running", done.stdout)
        done = self.run_host("doctor", VM)
        self.assertRegex(done.stdout, r"(?s)nspawn:web runs.*is in the subvolume.*no-agent|"
                                      r"no backup of it is of level 'application'")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_what_the_archive_lacks_is_said(self):
        subprocess.run(["btrfs", "-q", "subvolume", "create", f"{self.container.root}/volume"],
                       check=True)
        done = self.run_host("backup", VM, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"leaving out the subvolume '\S+/web/volume' in the container")
        skipped = json.loads(done.stdout)["skipped"]
        self.assertTrue(any(entry["device"].endswith("/web/volume") for entry in skipped))
        subprocess.run(["btrfs", "-q", "subvolume", "delete", f"{self.container.root}/volume"],
                       check=True)

    def test_archives_are_written_one_after_the_other(self):
        other = Container(self, "db")
        log = self.path("log")
        for vm, container in ((VM, NAME), ("db1", other.name)):
            os.makedirs(self.path("etc/vms.d"), exist_ok=True)
            with open(self.path(f"etc/vms.d/{vm}.conf"), "w", encoding="ascii") as file:
                file.write(f"container = nspawn:{container}\n")
        self.in_place_of("tar", 'case "$*" in *--create*)', f"echo begin >>{log}",
                         '$real "$@"; status=$?', f"echo end >>{log}", "exit $status;; esac")
        for places, wanted in (("1", ["begin", "end"] * 2), ("2", None)):
            done = self.run_host("backup", "--all", container=None, parallel="2",
                                 parallel_archives=places)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(log, encoding="ascii") as file:
                said = file.read().split()
            os.unlink(log)
            self.assertEqual(sorted(said), ["begin"] * 2 + ["end"] * 2)
            if wanted:
                self.assertEqual(said, wanted)


class Refused(ContainerCase):
    def test_what_a_backup_cannot_rest_on(self):
        self.container.add_agent()
        for line, status, said in (
                # Fail closed: what the databases do not stand still for, is not taken.
                ("sys.stderr.write('mysql:main: no lock\\n'); sys.exit(21)", 1,
                 "'holdfastctl freeze' in the container ended with status 21: mysql:main: no lock"),
                # A flood of output, and one that could move a cursor.
                ("sys.stderr.write('\\x1b[2J' + 'x' * (8 << 20)); sys.exit(21)", 1, r"\x1b[2Jxxx"),
                ("import time; time.sleep(1000)", 1, "timed out")):
            self.container.say("freeze", line)
            with self.subTest(freeze=line):
                done = self.run_host("backup", VM, freeze_timeout="2s", thaw_timeout="2s")
                self.assertIn(said, self.failing(done, status))
                self.assertLess(len(done.stderr), 4000)
                self.assertEqual(self.container.calls()[-1], "thaw")
                self.assert_nothing_left()
                self.assertEqual(self.published(), [])
        # Asked for no more than an instant, one gets that.
        self.container.say("freeze", "sys.exit(21)")
        manifest = self.back_up(require="crash", prefer="crash")
        self.assertEqual(manifest["level"], "crash")
        os.unlink(f"{self.container.inside}/say.freeze")
        # The verdict of the thaw, and records that prove nothing.
        for line, said in (
                ("os.unlink(inside + '/held'); sys.stderr.write('lost'); sys.exit(30)", "status 30"),
                ("os.unlink(inside + '/held'); sys.exit(0)", "is not complete: 'open'"),
                ("os.unlink(inside + '/held'); os.truncate(record, 100); sys.exit(0)", "JSON"),
                ("os.unlink(inside + '/held'); open(record, 'w').write('[' * (3 << 20)); sys.exit(0)",
                 "is larger than")):
            self.container.say("thaw", line)
            with self.subTest(thaw=line):
                done = self.run_host("backup", VM, "--json", prefer="application")
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertEqual(json.loads(done.stdout)["level"], "filesystem")
                self.assertIn(said, done.stderr)
                os.unlink(f"{self.container.inside}/run/holdfast/last.json")
                self.assert_nothing_left()
        os.unlink(f"{self.container.inside}/say.thaw")
        self.assertEqual(self.back_up(require="application")["level"], "application")

    def test_a_container_that_is_not_as_it_should_be(self):
        self.container.ask_to_freeze(True)
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("the container is frozen already, and not by a run of ours", line)
        self.assertEqual(self.run_host("thaw", VM).returncode, 0)
        self.assertFalse(self.container.frozen())
        for other, said in (
                ({"root": "/"}, "is no directory of its own"),
                ({"root": self.directory}, "it is not on btrfs"),
                ({"root": self.filesystem.mount_point}, "is on another filesystem"),
                ({"unit": "machine-other.scope"}, "no control group of version 2 of their own"),
                ({"leader": 0}, "it does not run"), ({"unit": ""}, "no unit of its own")):
            with self.subTest(other=other):
                self.container.announce(**other)
                self.assertIn(said, self.failing(self.run_host("backup", VM)))
        self.container.announce()
        line = self.failing(self.run_host("backup", VM, container="nspawn:gone"))
        self.assertIn("it does not run: machinectl knows no such machine", line)
        for settings, said in (({"container": "docker:web"}, "'docker:web' is no container"),
                               ({"container": "nspawn:../web"}, "is no container"),
                               ({"qmp": "/x"}, "so is what only a machine has")):
            self.assertIn(said, self.failing(self.run_host("backup", VM, **settings), 2))
        self.assert_nothing_left()

    def test_a_full_repository_takes_nothing_and_leaves_nothing(self):
        with open(os.path.join(self.container.root, "big"), "wb") as file:
            file.write(os.urandom(90 * MIB))
        self.small_repository(70)
        line = self.failing(self.run_host("backup", VM))
        self.assertIn("No space left on device", line)
        self.assertEqual(self.published(), [])
        self.assert_nothing_left()
        os.unlink(os.path.join(self.container.root, "big"))
        self.back_up()
        self.assert_nothing_left()


class Forged(ContainerCase):
    """The archive is somebody else's work, and its manifest fits it."""

    def setUp(self):
        super().setUp()
        self.outside = self.path("outside")
        os.mkdir(self.outside)
        self.write_kept()

    def write_kept(self):
        with open(f"{self.outside}/kept", "w", encoding="ascii") as file:
            file.write("of the host")

    def forge(self, *entries):
        """The published backup's archive has these, each a name and what makes it something else than
        a file that says 'evil'."""
        manifest = self.back_up(compress="none")
        directory = os.path.join(self.repository, VM, manifest["id"])
        path = os.path.join(directory, "root.tar")
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
            for name, more in (("./", {"type": tarfile.DIRTYPE, "mode": 0o755}), *entries):
                entry = tarfile.TarInfo(name)
                content = b"" if "type" in more else b"evil"
                entry.size = len(content)
                for key, value in more.items():
                    setattr(entry, key, value)
                archive.addfile(entry, io.BytesIO(content))
        with open(path, "rb") as file:
            manifest["archive"].update(bytes=os.stat(path).st_size, entries=len(entries) + 1,
                                       sha256=hashlib.file_digest(file, "sha256").hexdigest())
        with open(os.path.join(directory, "manifest.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        self.assertEqual(self.run_host("verify", VM).returncode, 0)

    def assert_no_damage(self, beside):
        with open(f"{self.outside}/kept", encoding="ascii") as file:
            self.assertEqual((os.listdir(self.outside), file.read()), (["kept"], "of the host"))
        self.assertEqual(sorted(os.listdir(self.machines)), beside)
        self.assert_nothing_left()

    def test_nothing_outside_is_made_written_to_or_linked(self):
        up = "../" * 20 + self.outside.lstrip("/")
        link = {"type": tarfile.SYMTYPE}
        hard = {"type": tarfile.LNKTYPE}
        for entries in (
                [(f"{up}/evil", {})], [(f"{self.outside}/evil", {})], [("./a/../../evil", {})],
                [("./link", {**link, "linkname": self.outside}), ("./link/evil", {})],
                [("./link", {**link, "linkname": up}), ("./link/evil", {})],
                [("./link", {**link, "linkname": self.outside + "/kept"}), ("./link", {})],
                [("./one", {**link, "linkname": "."}), ("./one/two", {**link, "linkname": ".."}),
                 ("./one/two/evil", {})],
                [("./hard", {**hard, "linkname": f"{self.outside}/kept"}), ("./hard", {})],
                [("./hard", {**hard, "linkname": f"{up}/kept"}), ("./hard", {})],
                [("./link", {**link, "linkname": self.outside}),
                 ("./hard", {**hard, "linkname": "./link/kept"}), ("./hard", {})],
                # The tree itself, and its mode, as a link.
                [("./", {**link, "linkname": self.outside}), ("./evil", {})]):
            with self.subTest(entries=entries):
                self.forge(*entries)
                out = os.path.join(self.machines, "restored")
                done = self.run_host("restore", VM, "latest", "--to", out)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                if done.returncode == 1:
                    self.failing(done)
                    self.assert_no_damage([NAME])
                    continue
                self.assert_no_damage(["restored", NAME])
                self.assertFalse(os.path.islink(out))
                for directory, _, files in os.walk(out):
                    for name in files:
                        self.assertEqual(os.lstat(os.path.join(directory, name)).st_nlink, 1)
                subprocess.run(["btrfs", "-q", "subvolume", "delete", out], check=True)

    def test_nothing_of_the_host_gets_into_the_running_one(self):
        link = {"type": tarfile.SYMTYPE, "linkname": self.outside}
        for entries, paths in (
                ([("./data", link)], ["/data/kept"]),
                ([("./data", link), ("./data/kept", {})], ["/data", "/data/kept"]),
                ([("./data", link), ("./data/kept", {})], ["/data/kept"]),
                ([("./other", {"type": tarfile.LNKTYPE, "linkname": f"{self.outside}/kept"})],
                 ["/other"])):
            with self.subTest(entries=entries, paths=paths):
                self.forge(*entries)
                done = self.run_host("restore", VM, "latest", "--into-running",
                                     *(f"--path={path}" for path in paths))
                self.assertIn(done.returncode, (0, 1), done.stderr)
                found = subprocess.run(["grep", "-r", "of the host", self.container.root],
                                       capture_output=True, text=True, check=False)
                self.assertEqual(found.stdout, "")
                self.assert_no_damage([NAME])

    def test_devices_and_privileged_programs_are_told_of_where_others_may_come(self):
        self.forge(("./disk", {"type": tarfile.BLKTYPE, "devmajor": 7, "devminor": 250,
                               "mode": 0o666}), ("./program", {"mode": 0o4755}))
        os.chmod(self.directory, 0o755)
        done = self.run_host("restore", VM, "latest", "--to", self.path("open"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"every user of this host may enter '/\S+/open', and use what "
                                      r"devices and set-user-ID programs are in it")
        os.chmod(self.directory, 0o700)
        self.restore()


class Killed(ContainerCase):
    def test_at_each_step_it_goes_on_and_the_next_run_clears_up(self):
        self.container.add_agent()
        kill = "kill -9 $PPID"

        def of(program, pattern, after):
            lines = f'$real "$@"; {kill}; exit 1' if after else f"{kill}; exit 1"
            return program, f'case "$*" in *{pattern}*) {lines};; esac'
        steps = [("freeze", "os.kill(os.getppid(), 9)"),
                 ("freeze", "write('open', number + 1); open(inside + '/held', 'w').close(); "
                            "os.kill(os.getppid(), 9)"),
                 of("btrfs", "snapshot", False), of("btrfs", "snapshot", True),
                 ("thaw", "os.kill(os.getppid(), 9)"),
                 of("tar", "--create", False), of("tar", "--create", True), of("tar", "--list", False),
                 of("btrfs", "delete", False), of("btrfs", "delete", True)]
        for number, (what, how) in enumerate(steps):
            with self.subTest(step=(what, how)):
                inside = what in ("freeze", "thaw")
                if inside:
                    # Once: the guardian's comes after it.
                    self.container.say(what, f"os.unlink(inside + '/say.{what}'); {how}")
                else:
                    self.in_place_of(what, how)
                process = self.start_host("backup", VM)
                self.assertEqual(process.wait(60), -signal.SIGKILL)
                until(lambda: not self.container.frozen(), "it goes on", RESUMED_WITHIN)
                until(lambda: not self.container.held(), "nothing is held", RESUMED_WITHIN)
                if not inside:
                    self.in_place_of(what)
                if number % 2:
                    self.assertEqual(self.back_up()["level"], "application")
                else:
                    done = self.run_host("recover", VM)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_nothing_left()
        self.restore()

    def test_a_driver_that_stands_still_is_killed_and_the_container_goes_on(self):
        self.in_place_of("btrfs", 'case "$*" in *snapshot*) kill -STOP $PPID; exit 1;; esac')
        process = self.start_host("backup", VM, freeze_timeout="1s", thaw_timeout="1s",
                                  snapshot_timeout="1s")
        until(self.container.frozen, "it stands still", 20)
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        until(lambda: not self.container.frozen(), "it goes on", RESUMED_WITHIN)
        self.in_place_of("btrfs")
        self.back_up()
        self.assert_nothing_left()


class IntoRunning(ContainerCase):
    def setUp(self):
        super().setUp()
        self.root = self.container.root
        for name, content in (("config", "good"), ("data/kept", "kept"), ("other", "of then")):
            os.makedirs(os.path.dirname(os.path.join(self.root, name)), exist_ok=True)
            self.write(name, content)
        os.setxattr(os.path.join(self.root, "data"), "user.note", b"n")
        os.chown(os.path.join(self.root, "data/kept"), 1234, 5678)
        self.back_up()

    def write(self, name, content):
        with open(os.path.join(self.root, name), "w", encoding="ascii") as file:
            file.write(content)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="ascii") as file:
            return file.read()

    def spoil(self):
        for name in ("config", "other", "data/kept", "data/added"):
            self.write(name, "of now")

    def put_back(self, *paths, **settings):
        return self.run_host("restore", VM, "latest", "--into-running",
                             *(f"--path={path}" for path in paths), **settings)

    def assert_nothing_left(self):
        super().assert_nothing_left()
        self.assertEqual([n for n in os.listdir(self.root) if n.startswith(".holdfast")], [])

    def test_paths_are_exchanged_while_it_stands_still(self):
        log = self.path("log")
        for program in ("tar", "cp"):
            self.in_place_of(program, f"grep frozen {self.container.cgroup}/cgroup.events >>{log}")
        self.spoil()
        done = self.put_back("/config", "data//")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("  /config\n  /data\n", done.stdout)
        # Verified and unpacked while it ran; what is copied in its root, it cannot reach.
        with open(log, encoding="ascii") as file:
            self.assertEqual(file.read().split()[1::2], ["0"] * 2 + ["1"] * 2)
        self.assertEqual((self.read("config"), self.read("other"), os.listdir(f"{self.root}/data")),
                         ("good", "of now", ["kept"]))
        status = os.stat(f"{self.root}/data/kept")
        self.assertEqual((status.st_uid, status.st_gid), (1234, 5678))
        self.assertEqual(os.getxattr(f"{self.root}/data", "user.note"), b"n")
        self.assert_nothing_left()
        # One that is gone comes back.
        os.unlink(f"{self.root}/config")
        self.assertEqual(self.put_back("/config").returncode, 0)
        self.assertEqual(self.read("config"), "good")
        # All of it, but what is a mount point in the container.
        self.spoil()
        done = self.put_back()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.read("config"), self.read("other")), ("good", "of then"))
        self.assert_nothing_left()

    def test_no_link_leads_out_of_the_root(self):
        outside = self.path("outside")
        os.mkdir(outside)
        with open(f"{outside}/kept", "w", encoding="ascii") as file:
            file.write("of the host")
        for target in (outside, "../" * 20 + outside):
            os.rename(f"{self.root}/data", f"{self.root}/moved")
            os.symlink(target, f"{self.root}/data")
            self.spoil_config()
            line = self.failing(self.put_back("/config", "/data/kept"))
            self.assertIn("the way to it leads over a symbolic link", line)
            # None, if not all.
            self.assertEqual(self.read("config"), "of now")
            self.assert_nothing_left()
            # The link itself is what is exchanged.
            done = self.put_back("/data")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertFalse(os.path.islink(f"{self.root}/data"))
            self.assertEqual(self.read("data/kept"), "kept")
            with open(f"{outside}/kept", encoding="ascii") as file:
                self.assertEqual((file.read(), os.listdir(outside)), ("of the host", ["kept"]))
            self.assertEqual(self.read("moved/kept"), "kept")
            subprocess.run(["rm", "-r", f"{self.root}/moved"], check=True)
        for path, said, status in (("/../etc/passwd", "is no path of a file in a container", 2),
                                   ("/", "is no path of a file in a container", 2),
                                   ("/proc", "has something mounted at", 1),
                                   ("/missing", "Not found in archive", 1)):
            self.assertIn(said, self.failing(self.put_back(path), status))
        line = self.failing(self.run_host("restore", VM, "latest", "--into-running", "--to=/x"), 2)
        self.assertIn("without --to", line)
        self.assert_nothing_left()

    def spoil_config(self):
        self.write("config", "of now")

    def test_killed_it_goes_on_and_the_next_one_is_whole(self):
        kill = "kill -9 $PPID; exit 1"
        for number, (program, how) in enumerate((
                ("tar", f'case "$*" in *--extract*) $real "$@"; {kill};; esac'), ("cp", kill),
                ("cp", f'$real "$@"; {kill}'), ("sync", kill))):
            with self.subTest(step=(program, how)):
                self.spoil()
                self.in_place_of(program, how)
                process = self.start_host("restore", VM, "latest", "--into-running", "--path=/data")
                self.assertEqual(process.wait(60), -signal.SIGKILL)
                until(lambda: not self.container.frozen(), "it goes on", RESUMED_WITHIN)
                self.in_place_of(program)
                self.assertEqual(self.read("data/kept"), "of now")
                if number % 2:
                    self.assertEqual(self.run_host("recover", VM).returncode, 0)
                    self.assert_nothing_left()
                self.assertEqual(self.put_back("/data").returncode, 0)
                self.assertEqual(self.read("data/kept"), "kept")
                self.assert_nothing_left()


if __name__ == "__main__":
    testing.main()
