# SPDX-License-Identifier: MIT
"""A consistency group of two guests with a database each: what one was told first is never missing
beside what the other was told after it.

A client here has the database of the guest `cause` commit a number, and when it has, that of the
guest `effect` the same one. So at any one instant all that `effect` has, `cause` has. The databases'
disks are restored, and servers on them are asked, recovered as after a crash. The guests have the
distribution's agent and nothing of ours. Their root is read-only and shared: a backup is then of the
database's disk alone, which is all that is judged.
"""

import concurrent.futures
import json
import os
import shutil
import socket
import subprocess
import threading
import unittest

from lab import claims, ext4, image, servers, testing, vm

WORK = os.path.join(testing.BUILD, "vm-group")
NAMES = ("cause", "effect")
GROUP = "pair"
PORT = "org.holdfast.lab.sql"
SETTLED = 25
GROUPS = 2
ANSWER_S = 90.0  # of a database, on a busy machine and through a window
SINGLE = ("--prefer=filesystem", "--require=filesystem", "--json")

# One session on the port, for whoever is at its other end.
SESSION = f"exec mariadb -N --unbuffered lab 0<>/dev/virtio-ports/{PORT} 1>&0"
DATABASE = """\
mount -t tmpfs none /tmp
install -d -o mysql -g mysql /run/mysqld
systemd-run --quiet --unit=database mariadbd --user=mysql
mariadb-admin --wait=90 --silent ping
mariadb -e 'CREATE DATABASE lab; CREATE TABLE lab.said (n INT PRIMARY KEY) ENGINE = InnoDB'
"""

SAY = claims.Claims().say


class Database:
    """A guest, and a session in it."""

    def __init__(self, name, base):
        self.name = name
        disks = [vm.Disk("root", base.disks["root"], read_only=True),
                 vm.Disk("mysql", vm.overlay(base.disks["mysql"],
                                             os.path.join(WORK, f"{name}.qcow2")))]
        self.guest = vm.Guest(WORK, base, disks, name=name, memory=512, boot=False, ports=[PORT],
                              masked=("postgresql.service", "mariadb.service"), root="ro")
        self._file = None

    def begin(self):
        with self.guest.agent(vm.BOOT_TIMEOUT) as agent:
            agent.shell(DATABASE, 180)
            agent.run(["/usr/bin/systemd-run", "--quiet", "--unit=session", "/bin/sh", "-c",
                       SESSION])
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_S)
        connection.connect(self.guest.port_path(PORT))
        self._file = connection.makefile("rwb", buffering=0)
        connection.close()

    def commit(self, number):
        """Returns when the database has answered."""
        self._file.write(f"INSERT INTO said VALUES ({number}); SELECT {number};\n".encode())
        answer = self._file.readline().decode()
        if answer != f"{number}\n":
            raise RuntimeError(f"'{self.name}' answers {answer!r} to {number}")

    def close(self):
        if self._file is not None:
            self._file.close()
        self.guest.close()


class Client(threading.Thread):
    """Every number to the one database and then to the other."""

    def __init__(self, databases):
        super().__init__(daemon=True)
        self._databases = databases
        self._stopping = False
        self._changed = threading.Condition()
        self.last = 0
        self.failure = None

    def run(self):
        try:
            while not self._stopping:
                for database in self._databases:
                    database.commit(self.last + 1)
                with self._changed:
                    self.last += 1
                    self._changed.notify_all()
        except (OSError, RuntimeError) as failure:
            with self._changed:
                self.failure = failure
                self._changed.notify_all()

    def wait_for_more(self, count=SETTLED):
        with self._changed:
            wanted = self.last + count
            self._changed.wait_for(lambda: self.failure or self.last >= wanted, ANSWER_S)
            if self.failure or self.last < wanted:
                raise RuntimeError(f"the client came to {self.last}: {self.failure}")

    def stop(self):
        self._stopping = True
        self.join(ANSWER_S)


class GroupOfGuests(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(WORK, ignore_errors=True)
        os.makedirs(os.path.join(WORK, "etc", "vms.d"))
        base = image.image(SAY)
        self.databases = {}
        for name in NAMES:
            self.databases[name] = Database(name, base)
            self.addCleanup(self.databases[name].close)
            guest = self.databases[name].guest
            self.write(f"etc/vms.d/{name}.conf", f"qmp = {guest.qmp_path}\n"
                       f"agent = {guest.agent_path}\ngroup = {GROUP}\n")
        self.write("etc/host.conf", f"repository = {WORK}/repository\nparallel = 2\n"
                   f"state-directory = {WORK}/state\n")
        with concurrent.futures.ThreadPoolExecutor() as threads:
            list(threads.map(Database.begin, self.databases.values()))
        SAY("both databases are up")
        self.client = Client(list(self.databases.values()))
        self.addCleanup(self.client.stop)
        self.client.start()
        self.client.wait_for_more()

    def write(self, name, text):
        with open(os.path.join(WORK, name), "w", encoding="utf-8") as file:
            file.write(text)

    def host(self, *arguments):
        done = subprocess.run(
            [testing.built("host-driver/holdfast"), f"--config-directory={WORK}/etc", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def numbers_in(self, name, backup):
        """What the database on a restored disk has, once it has recovered."""
        target = os.path.join(WORK, "restored", name)
        shutil.rmtree(target, ignore_errors=True)
        self.host("restore", name, backup, f"--to={target}", "--disk=mysql", "--format=raw")
        disk = os.path.join(target, "mysql.raw")
        self.assertFalse(ext4.needs_recovery(disk))
        self.assertEqual(ext4.problems(disk), "")
        data = os.path.join(target, "data")
        os.mkdir(data)
        subprocess.run(["debugfs", "-R", f"rdump / {data}", disk], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        os.unlink(disk)
        # What was under way between binary log and engine is decided by the log, where it is now.
        with open(os.path.join(data, "binlog.index"), "r+", encoding="utf-8") as index:
            names = index.read().replace("/var/lib/mysql/", "./")
            index.seek(0)
            index.write(names)
            index.truncate()
        server = servers.MariaDb()
        self.addCleanup(server.close)
        server.adopt(data)
        with server:
            numbers = [int(line) for line in server.run("SELECT n FROM lab.said ORDER BY n")]
        shutil.rmtree(target)
        return numbers

    def last_in(self, name, backup):
        numbers = self.numbers_in(name, backup)
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), name)
        return len(numbers)

    def test_no_effect_is_without_its_cause(self):
        groups, windows = [], {}
        for _ in range(GROUPS):
            report = json.loads(self.host("backup", f"--group={GROUP}", "--prefer=filesystem",
                                          "--json"))
            groups.append(report["group"])
            windows.setdefault("in the group", []).extend(
                one["backup"]["window"]["total_ms"] for one in report["machines"])
            self.assertEqual([one["backup"]["level"] for one in report["machines"]],
                             ["filesystem"] * len(NAMES))
            self.client.wait_for_more()
        # The same without a group, to see what there would be to see.
        single = {}
        for name in NAMES:
            single[name] = json.loads(self.host("backup", name, *SINGLE))
            windows.setdefault("alone", []).append(single[name]["window"]["total_ms"])
            self.client.wait_for_more()
        self.client.stop()
        self.assertIsNone(self.client.failure)
        SAY(f"backed up, {self.client.last} numbers said")
        for database in self.databases.values():
            database.close()
        for group in groups:
            cause, effect = (self.last_in(name, group["id"]) for name in NAMES)
            SAY(f"group: {cause} causes, {effect} effects; all stood still together for "
                f"{group['window']['together_ms']:.0f} ms")
            self.assertGreaterEqual(effect, SETTLED)
            self.assertIn(cause - effect, (0, 1))
        cause, effect = (self.last_in(name, single[name]["id"]) for name in NAMES)
        SAY(f"no group: {cause} causes, {effect} effects")
        self.assertGreater(effect, cause)
        for what, spans in windows.items():
            SAY(f"windows {what}: " + ", ".join(f"{span:.0f}" for span in sorted(spans)) + " ms")


if __name__ == "__main__":
    absent = image.missing_tools()
    if absent:
        testing.skip_all(f"'{', '.join(absent)}' missing")
    if os.geteuid() != 0:
        testing.skip_all("making the guest's image needs root")
    if servers.MariaDb.missing():
        testing.skip_all(servers.MariaDb.missing())
    testing.main()
