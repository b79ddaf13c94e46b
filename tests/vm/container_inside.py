# SPDX-License-Identifier: MIT
"""Containers of systemd-nspawn and LXC that are really there, each with a MariaDB that is written to:
run by test_host_container_guest.py in a guest of its own, nowhere else."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

MACHINES = "/var/lib/machines"
ETC = "/etc/holdfast"
REPOSITORY = "/var/tmp/repository"
PATIENCE = 300
# A processor that is emulated has no hurry.
SETTINGS = f"""\
repository = {REPOSITORY}
agent-timeout = 60s
freeze-timeout = 60s
thaw-timeout = 60s
snapshot-timeout = 60s
compress = none
prefer = filesystem
"""
# Of holdfast(1), PRIVILEGES.
DROP_IN = "[Service]\nCapabilityBoundingSet=CAP_SYS_ADMIN\nProtectControlGroups=no\n"
GROUP = "vg0"
# Nobody else makes nodes and links in /dev here, and no change has to be told to anybody.
LVM_SETTINGS = """\
devices { scan = ["/dev"] }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
backup { backup = 0 archive = 0 }
"""
TABLE = "CREATE DATABASE shop; CREATE TABLE shop.t (n BIGINT PRIMARY KEY) ENGINE=InnoDB;"
# Each number is acknowledged when it is committed.
STATEMENTS = ("i=0; while :; do i=$((i+1)); echo \"INSERT INTO shop.t VALUES ($i); SELECT $i;\"; done | "
              "exec mariadb --socket=\"$1\" --unbuffered --skip-column-names")
# Large, and of no use here: every archive would have it.
UNUSED = ["usr/lib/x86_64-linux-gnu/libicu*", "usr/lib/x86_64-linux-gnu/liblvm2*",
          "usr/lib/libgalera*", "usr/bin/mariadbd-safe*", "usr/bin/mariadb-plugin",
          "usr/bin/resolveip", "usr/share/mysql/fill_help*", "usr/share/lxc", "usr/share/xfsprogs",
          "usr/share/python3"]
# A server that is all that runs in its container.
SERVER = ["/usr/sbin/mariadbd", "--user=mysql", "--skip-networking",
          "--socket=/var/lib/mysql/mysqld.sock", "--log-error=/var/lib/mysql/error.log",
          "--pid-file=/var/lib/mysql/mysqld.pid"]


def run(*argv, check=True, timeout=PATIENCE, **more):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout,
                          stdin=subprocess.DEVNULL, **more)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def until(condition, what, seconds=PATIENCE):
    """What nothing tells of: a database that starts in a machine in a machine."""
    limit = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > limit:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.2)
    return answer


def holdfast(verb, vm, *arguments, check=True, **settings):
    began = time.monotonic()
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    done = subprocess.run(["/usr/bin/holdfast", verb, vm, *words, *arguments],
                          capture_output=True, text=True, timeout=600, check=False,
                          stdin=subprocess.DEVNULL)
    print(f"{verb} {vm}: {time.monotonic() - began:.1f} s; {done.stderr}", flush=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{verb} ended with {done.returncode}: {done.stderr}")
    return done


class Container:
    """One whose root is `root`, known to Holdfast as `name` + "1"."""

    manager = ""
    socket = "/var/lib/mysql/mysqld.sock"

    def __init__(self, name, root):
        self.name, self.root = name, root
        write(f"{ETC}/vms.d/{name}1.conf", f"container = {self.manager}:{name}\n")

    def leader(self):
        raise NotImplementedError

    def path(self, path):
        """As its own processes see it."""
        return f"/proc/{self.leader()}/root{path}"

    def await_database(self):
        try:
            until(lambda: subprocess.run(
                ["mariadb-admin", f"--socket={self.path(self.socket)}", "ping"],
                capture_output=True, check=False).returncode == 0, f"MariaDB of {self.name} answers")
        except (AssertionError, RuntimeError):
            print(self.logs(), flush=True)
            raise

    def logs(self):
        return run("sh", "-c", f"(tail -n 20 /var/tmp/lxc.log {self.root}/var/lib/mysql/error.log; "
                               f"journalctl --no-pager -n 40) 2>&1", check=False)

    def sql(self, text):
        return run("mariadb", f"--socket={self.path(self.socket)}", "--skip-column-names", "--batch",
                   "-e", text).strip()

    def backup(self, *arguments, **settings):
        return json.loads(holdfast("backup", f"{self.name}1", "--json", *arguments, **settings).stdout)


class Nspawn(Container):
    """Started as machinectl(1) does it."""

    manager = "nspawn"

    def __init__(self, name, root, boot):
        super().__init__(name, root)
        if boot:
            self.socket = "/run/mysqld/mysqld.sock"
        how = "Boot=yes\nNotifyReady=yes" if boot else \
            f"Boot=no\nProcessTwo=yes\nParameters={' '.join(SERVER)}"
        write(f"/etc/systemd/nspawn/{name}.nspawn",
              f"[Exec]\nPrivateUsers=no\n{how}\n[Network]\nPrivate=yes\nVirtualEthernet=no\n")

    def start(self):
        began = time.monotonic()
        run("machinectl", "start", self.name)
        self.await_database()
        print(f"{self.name} is up after {time.monotonic() - began:.1f} s", flush=True)

    def leader(self):
        return run("machinectl", "show", self.name, "--property=Leader", "--value").strip()

    def inside(self, *argv, check=True):
        return run("systemd-run", f"--machine={self.name}", "--pipe", "--wait", "--quiet",
                   "--collect", "--", *argv, check=check)

    def end(self):
        run("systemctl", "kill", "--signal=KILL", f"systemd-nspawn@{self.name}.service", check=False)
        run("systemctl", "stop", f"systemd-nspawn@{self.name}.service", check=False)


class Lxc(Container):
    manager = "lxc"

    def __init__(self, name, root, command=None):
        super().__init__(name, root)
        write(f"/var/lib/lxc/{name}/config",
              f"lxc.rootfs.path = dir:{root}\nlxc.uts.name = {name}\nlxc.net.0.type = empty\n"
              f"lxc.apparmor.profile = unconfined\nlxc.init.cmd = {' '.join(command or SERVER)}\n"
              "lxc.mount.auto = proc:mixed sys:ro\n")

    def start(self):
        began = time.monotonic()
        run("lxc-start", f"--name={self.name}", "--logfile=/var/tmp/lxc.log")
        self.await_database()
        print(f"{self.name} is up after {time.monotonic() - began:.1f} s", flush=True)

    def leader(self):
        return run("lxc-info", f"--name={self.name}", "--no-humanize", "--pid").strip()

    def end(self):
        run("lxc-stop", f"--name={self.name}", "--kill", check=False)


class Load:
    """A client that writes one number after the other, and when each was acknowledged."""

    def __init__(self, case, container):
        container.sql(TABLE)
        self.times = []
        self.client = subprocess.Popen(["/bin/sh", "-c", STATEMENTS, "sh",
                                        container.path(container.socket)], stdout=subprocess.PIPE,
                                       start_new_session=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        case.addCleanup(self.end)
        self.await_more(50)

    def read(self):
        for number, line in enumerate(self.client.stdout, start=1):
            if int(line) != number:
                raise AssertionError(f"{number} was answered with {line}")
            self.times.append(time.time())

    def await_more(self, count):
        wanted = len(self.times) + count
        until(lambda: len(self.times) >= wanted, f"{wanted} rows are written")

    def acknowledged_before(self, moment):
        return sum(1 for one in self.times if one < moment)

    def end(self):
        if self.client.returncode is None:
            # The shell, what it writes with and the client.
            os.killpg(self.client.pid, signal.SIGKILL)
        self.reader.join()
        self.client.wait()
        self.client.stdout.close()


def make_root(name):
    """As its administrator would, from what the containers' tree has."""
    root = f"{MACHINES}/{name}"
    run("btrfs", "subvolume", "snapshot", MACHINES, root)
    os.chmod(root, 0o755)
    for pattern in UNUSED:
        run("rm", "-rf", *glob.glob(f"{root}/{pattern}"))
    write(f"{root}/etc/hostname", name + "\n")
    return root


def add_agent(root):
    """What the packages holdfast-agent and holdfast-plugin-mysql have, and their accounts."""
    run("cp", "-a", "/mnt/agent/.", root)
    run("chown", "-R", "root:root", f"{root}/usr/sbin/holdfastd", f"{root}/usr/sbin/holdfastctl",
        f"{root}/usr/lib/holdfast", f"{root}/etc/holdfast")
    run("systemd-sysusers", f"--root={root}")
    run("systemctl", f"--root={root}", "enable", "holdfast-fs.socket", "holdfastd.service")
    for path in ("etc/holdfast/resources.d", "etc/qemu/fsfreeze-hook.d"):
        os.makedirs(f"{root}/{path}", exist_ok=True)


def moment_of(text):
    """2026-11-22T12:15:41.339Z"""
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float(text[19:-1])


class ContainerCase(unittest.TestCase):
    def assert_sound(self, restored, manifest, load):
        """Everything that was acknowledged before the window began is there, and the log of the
        server's recovery has no complaint."""
        rows, last = restored.sql("SELECT COUNT(*), MAX(n) FROM shop.t").split()
        needed = load.acknowledged_before(moment_of(manifest["window"]["begin"]))
        print(f"{restored.name}: {rows} rows, the last {last}; acknowledged before: {needed}",
              flush=True)
        self.assertEqual(rows, last)
        self.assertGreaterEqual(int(last), needed)
        self.assertGreaterEqual(needed, 50)
        checked = run("mariadb-check", f"--socket={restored.path(restored.socket)}", "shop", "mysql")
        self.assertEqual([line for line in checked.splitlines() if not line.endswith("OK")], [])

    def assert_nothing_left(self):
        for place in (MACHINES, *(f"{MACHINES}/{name}" for name in os.listdir(MACHINES))):
            if os.path.isdir(place):
                self.assertEqual([name for name in os.listdir(place)
                                  if name.startswith(".holdfast")], [], place)


class OfNspawn(ContainerCase):
    def test_with_an_agent_its_database_comes_back_at_the_recorded_position(self):
        web = Nspawn("web", make_root("web"), boot=True)
        add_agent(web.root)
        self.addCleanup(web.end)
        web.start()
        web.inside("/usr/lib/holdfast/holdfast-mysql-setup")
        web.inside("/bin/systemctl", "restart", "holdfastd.service")
        until(lambda: self.is_ready(web), "the agent is ready")
        load = Load(self, web)
        write(f"{web.root}/etc/marker", "of then\n")
        manifest = web.backup("--require=application")
        self.assertEqual((manifest["level"], manifest["evidence"]["reasons"]), ("application", []))
        resource, = (entry for entry in manifest["evidence"]["guest_record"]["resources"]
                     if entry["name"].startswith("mysql"))
        position = resource["position"]["gtid"]
        load.await_more(20)
        load.end()
        # As another one, beside the first.
        holdfast("restore", "web1", "latest", "--to", f"{MACHINES}/again")
        again = Nspawn("again", f"{MACHINES}/again", boot=True)
        self.addCleanup(again.end)
        again.start()
        self.assertEqual(again.sql("SELECT @@gtid_binlog_pos"), position)
        self.assert_sound(again, manifest, load)
        proof = again.inside("/usr/sbin/holdfastctl", "prove")
        print(proof, flush=True)
        again.end()
        # Into the one that runs: its database is stopped for it, and nothing else is.
        self.assertNotEqual(web.sql("SELECT @@gtid_binlog_pos"), position)
        write(f"{web.root}/etc/marker", "of now\n")
        web.inside("/bin/systemctl", "stop", "mariadb.service")
        holdfast("restore", "web1", "latest", "--into-running", "--path=/var/lib/mysql",
                 "--path=/etc/marker")
        self.assertEqual(web.inside("/bin/cat", "/etc/marker"), "of then\n")
        web.inside("/bin/systemctl", "start", "mariadb.service")
        self.assertEqual(web.sql("SELECT @@gtid_binlog_pos"), position)
        self.assert_sound(web, manifest, load)
        self.assert_nothing_left()

    @staticmethod
    def is_ready(container):
        said = container.inside("/usr/sbin/holdfastctl", "status", "--json", check=False)
        return said and [one["state"] for one in json.loads(said)["resources"]] == ["ready"]

    def test_without_one_its_processes_stand_still(self):
        plain = Nspawn("plain", make_root("plain"), boot=False)
        self.addCleanup(plain.end)
        plain.start()
        load = Load(self, plain)
        # As the timer does it.
        write("/etc/systemd/system/holdfast-backup@.service.d/container.conf", DROP_IN)
        shutil.copy("/mnt/units/holdfast-backup@.service", "/etc/systemd/system")
        run("systemctl", "daemon-reload")
        try:
            run("systemctl", "start", "holdfast-backup@plain1.service")
        finally:
            print(run("journalctl", "--no-pager", "--unit=holdfast-backup@plain1"), flush=True)
        manifest = json.loads(holdfast("show", "plain1", "latest", "--json").stdout)
        self.assertEqual((manifest["method"], manifest["level"]), ("btrfs", "filesystem"))
        self.assertTrue(manifest["evidence"]["frozen_after_snapshot"])
        load.await_more(20)
        load.end()
        plain.end()
        holdfast("restore", "plain1", "latest", "--to", f"{MACHINES}/plainer")
        plainer = Nspawn("plainer", f"{MACHINES}/plainer", boot=False)
        self.addCleanup(plainer.end)
        plainer.start()
        self.assert_sound(plainer, manifest, load)
        self.assert_nothing_left()


class OfLxc(ContainerCase):
    def test_it_is_backed_up_and_restored_beside_and_into_itself(self):
        root = make_root("lx")
        # What is not needed: this archive is a compressed one.
        for path in ("usr/lib/systemd", "usr/lib/x86_64-linux-gnu/systemd", "usr/lib/locale"):
            shutil.rmtree(f"{root}/{path}", ignore_errors=True)
        for name in os.listdir(f"{root}/usr/bin"):
            if name not in ("sh", "dash", "cat"):
                os.unlink(f"{root}/usr/bin/{name}")
        write(f"{root}/etc/marker", "of then\n")
        lx = Lxc("lx", root)
        self.addCleanup(lx.end)
        lx.start()
        load = Load(self, lx)
        manifest = lx.backup(compress="zstd")
        self.assertEqual((manifest["level"], manifest["evidence"]["reasons"]), (
            "filesystem", ["the guest's record could not be read: there is no /usr/sbin/holdfastctl "
                           "in the container"]))
        load.await_more(20)
        write(f"{root}/etc/marker", "of now\n")
        holdfast("restore", "lx1", "latest", "--into-running", "--path=/etc/marker")
        self.assertEqual(run("lxc-attach", "--name=lx", "--", "/bin/cat", "/etc/marker"), "of then\n")
        load.await_more(20)
        load.end()
        lx.end()
        holdfast("restore", "lx1", "latest", "--to", f"{MACHINES}/lx2")
        restored = Lxc("lx2", f"{MACHINES}/lx2")
        self.addCleanup(restored.end)
        restored.start()
        self.assert_sound(restored, manifest, load)
        self.assert_nothing_left()


class OnVolumes(ContainerCase):
    """A volume's filesystem is a container's root, or has it in a directory."""

    @classmethod
    def setUpClass(cls):
        write("/etc/lvm/lvm.conf", LVM_SETTINGS)
        os.environ["LVM_SUPPRESS_FD_WARNINGS"] = "1"
        run("vgcreate", GROUP, "/dev/vdd")

    def make(self, name, kind, *options):
        run("lvcreate", "--yes", "--name", name, *options)
        run(f"mkfs.{kind}", "-q", f"/dev/{GROUP}/{name}")
        os.mkdir(f"/srv/{name}")
        run("mount", f"/dev/{GROUP}/{name}", f"/srv/{name}")

    @staticmethod
    def in_place_of_tar(*lines):
        """While the archive is written."""
        path = "/usr/local/bin/tar"
        if not lines:
            os.unlink(path)
            return
        write(path, "\n".join(["#!/bin/sh", 'case "$*" in *--create*)', *lines, ";; esac",
                               'exec /bin/tar "$@"', ""]))
        os.chmod(path, 0o755)

    def assert_no_snapshot(self):
        self.assertNotIn("holdfast-", run("lvs", "--noheadings", "-o", "lv_name", GROUP))

    def test_a_thick_one_is_backed_up_with_its_database(self):
        self.make("thick", "ext4", "--size", "400m", GROUP)
        run("cp", "-a", f"{MACHINES}/usr", f"{MACHINES}/etc", f"{MACHINES}/var", f"{MACHINES}/lib",
            f"{MACHINES}/lib64", f"{MACHINES}/bin", f"{MACHINES}/sbin", "/srv/thick")
        for path in ("dev", "proc", "sys", "run", "tmp"):
            os.mkdir(f"/srv/thick/{path}")
        os.chmod("/srv/thick/tmp", 0o1777)
        thick = Lxc("thick", "/srv/thick")
        self.addCleanup(thick.end)
        thick.start()
        load = Load(self, thick)
        manifest = thick.backup(overlay_reserve="50")
        self.assertEqual((manifest["method"], manifest["level"]), ("lvm", "filesystem"))
        self.assert_no_snapshot()
        load.await_more(20)
        load.end()
        # It fills up while it is read: more is overwritten than the least that is kept for it.
        self.in_place_of_tar("dd if=/dev/urandom of=/srv/thick/filler bs=1M count=48 oflag=direct")
        done = holdfast("backup", "thick1", check=False, overlay_reserve="0")
        self.assertRegex(done.stderr, r"the snapshot 'vg0/holdfast-thick1-\w+-0' of 'vg0/thick' has "
                                      r"filled up, and is worth nothing")
        self.assertEqual(done.returncode, 1)
        self.assert_no_snapshot()
        # Killed while it is read.
        self.in_place_of_tar("kill -9 $PPID")
        self.assertEqual(holdfast("backup", "thick1", check=False).returncode, -signal.SIGKILL)
        self.assertIn("holdfast-", run("lvs", "--noheadings", "-o", "lv_name", GROUP))
        self.in_place_of_tar()
        holdfast("recover", "thick1")
        self.assert_no_snapshot()
        thick.end()
        holdfast("restore", "thick1", "latest", "--to", f"{MACHINES}/thicker")
        restored = Lxc("thicker", f"{MACHINES}/thicker")
        self.addCleanup(restored.end)
        restored.start()
        self.assert_sound(restored, manifest, load)

    def test_a_thin_one_with_xfs_is_backed_up_while_its_original_is_mounted(self):
        run("lvcreate", "--yes", "--type", "thin-pool", "--name", "pool", "--size", "340m", GROUP)
        self.make("thin", "xfs", "--thin", "--virtualsize", "320m", f"{GROUP}/pool")
        root = "/srv/thin/small"
        for path in ("bin", "dev", "proc", "sys", "etc"):
            os.makedirs(f"{root}/{path}")
        shutil.copy("/bin/busybox", f"{root}/bin/busybox")
        small = Lxc("small", root, ["/bin/busybox", "sleep", "100000"])
        self.addCleanup(small.end)
        run("lxc-start", "--name=small")
        until(lambda: "RUNNING" in run("lxc-info", "--name=small", "--state"), "it runs")
        # Not on disk when the backup begins, and gone when it is read.
        self.in_place_of_tar(f"echo later >{root}/etc/marker")
        write(f"{root}/etc/marker", "of then\n")
        manifest = small.backup()
        self.in_place_of_tar()
        self.assertEqual((manifest["method"], manifest["level"]), ("lvm", "filesystem"))
        self.assert_no_snapshot()
        self.assertEqual(read(f"{root}/etc/marker"), "later\n")
        holdfast("restore", "small1", "latest", "--into-running", "--path=/etc/marker")
        self.assertEqual(read(f"{root}/etc/marker"), "of then\n")
        self.assertEqual([name for name in os.listdir("/srv/thin") if name != "small"], [])


def set_up():
    write(f"{ETC}/host.conf", SETTINGS)
    write("/etc/systemd/system/systemd-nspawn@.service.d/patience.conf",
          f"[Service]\nTimeoutStartSec={PATIENCE}\n")
    run("systemctl", "daemon-reload")
    os.environ["TZ"] = "UTC"
    time.tzset()
    run("mount", "-t", "btrfs", "/dev/vdc", MACHINES)
    # As it is where systemd-container made it.
    os.chmod(MACHINES, 0o700)
    shutil.copy("/mnt/build/holdfast", "/usr/bin/holdfast")


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"  ({time.monotonic() - self.began:.1f} s)")


if __name__ == "__main__":
    set_up()
    unittest.main(testRunner=unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=Result))
