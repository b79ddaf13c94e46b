# SPDX-License-Identifier: MIT
"""What the service and its helpers do while filesystems are frozen, by their system calls and page
faults: nothing that writes to a disk, waits for one, asks a database or logs. The last class does
all of these on purpose: what watches here has to notice."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

from lab import agent_rig, loopfs, qga, redis_servers, servers, syscalls, testing

WATCHDOG_S = 0.4


class SilenceCase(unittest.TestCase):
    def new_rig(self, filesystem, **settings):
        rig = agent_rig.Rig(filesystem, **settings)
        self.addCleanup(rig.close)
        self.addCleanup(self.show, rig)
        self.addCleanup(filesystem.thaw)
        return rig

    def show(self, rig):
        """The service's log goes with a failure."""
        outcome = self._outcome
        if not outcome.success:
            print(rig.log("holdfastd.log"), flush=True)

    def sins(self, rig, trace):
        """Every forbidden call of the window, with its reason; and how many calls there were."""
        control = rig.path("run/control.sock")
        calls = syscalls.window(trace.calls(), control)
        found = []
        for call in calls:
            reason = syscalls.sin(call, control, rig.path("notify.sock"), rig.path("fs.sock"))
            if reason:
                found.append(f"{reason}: {call.text.strip()}")
        return found, len(calls)


class Databases(SilenceCase):
    @classmethod
    def setUpClass(cls):
        cls.filesystem = loopfs.LoopFilesystem(768)
        cls.addClassCleanup(cls.filesystem.close)
        cls.mariadb = servers.MariaDb(parent=cls.filesystem.mount_point)
        cls.addClassCleanup(cls.mariadb.close)
        cls.mariadb.start()
        cls.postgresql = servers.PostgreSql(parent=cls.filesystem.mount_point)
        cls.addClassCleanup(cls.postgresql.close)
        cls.postgresql.start()
        cls.postgresql.allow("local all all peer map=test")
        cls.postgresql.reload()
        cls.postgresql.run("CREATE ROLE root SUPERUSER LOGIN")
        cls.redis = redis_servers.Redis(parent=cls.filesystem.mount_point)
        cls.addClassCleanup(cls.redis.close)
        cls.redis.start()
        cls.addClassCleanup(cls.filesystem.thaw)

    def rig(self, **settings):
        rig = self.new_rig(self.filesystem, **settings)
        rig.resource("main", f"plugin = mysql\nsocket = {self.mariadb.socket}\nuser = root\n")
        rig.resource("cluster", "plugin = postgresql\nuser = root\n"
                                f"socket = {self.postgresql.socket_directory}\n")
        rig.resource("cache", f"plugin = redis\nsocket = {self.redis.socket}\n")
        rig.resource("hooks", f"plugin = exec\ndirectory = {rig.path('hooks.d')}\nas-root = yes\n"
                              f"exec-socket = {rig.path('exec.sock')}\n")
        rig.hook_script("10-first", "exit 0")
        rig.daemon_environment["WATCHDOG_USEC"] = str(int(WATCHDOG_S * 1e6))
        return rig

    def started(self, **settings):
        rig = self.rig(**settings)
        rig.start()
        rig.await_ready()
        return rig

    def trace(self, rig):
        pids = [process.pid for process in (rig.daemon, rig.fsd, rig.execd)]
        trace = syscalls.Trace(pids, rig.path("trace"))
        self.addCleanup(trace.stop)
        return trace

    def processes(self, rig):
        return {"holdfastd": rig.daemon.pid, "holdfast-fsd": rig.fsd.pid}

    def session_of(self, rig, name):
        return next(resource["session_id"] for resource in rig.record_inside()["resources"]
                    if resource["name"] == name)

    def end_session(self, rig):
        """PostgreSQL's session ends in the window, and the service notices."""
        os.kill(int(self.session_of(rig, "postgresql:cluster")), 15)
        agent_rig.await_true(
            lambda: "lost" in [one["state"] for one in rig.ctl("status")["resources"]], "the loss")

    def test_a_window_writes_nothing_asks_nothing_and_logs_nothing(self):
        rig = self.started()
        with self.trace(rig) as trace:
            self.assertEqual(rig.freeze(), 1)
            for _ in range(5):
                self.assertEqual(rig.ctl("status")["state"], "held")
            self.assertIn("a window is open", rig.ctl("check", check=False)["text"])
            # Long enough for the watchdog to be fed.
            time.sleep(2 * WATCHDOG_S)
            self.assertEqual(rig.thaw(), 1)
        self.assertEqual(rig.record()["verdict"]["code"], "ok")
        sins, calls = self.sins(rig, trace)
        self.assertEqual(sins, [])
        self.assertGreater(calls, 20, "the trace is empty")

    def test_a_hold_that_is_lost_is_noticed_in_silence_and_logged_after_the_thaw(self):
        rig = self.started()
        with self.trace(rig) as trace:
            rig.freeze()
            self.end_session(rig)
            logged = rig.log("holdfastd.log")
            with self.assertRaises(qga.AgentError) as caught:
                rig.thaw()
        self.assertIn("status 30", str(caught.exception))
        sins, _ = self.sins(rig, trace)
        self.assertEqual(sins, [])
        self.assertNotIn("held after", logged, "a line of the window was written in it")
        # In order, and with nothing between them that was dropped.
        agent_rig.await_true(lambda: "the session of" in rig.log("holdfastd.log"), "the log")
        lines = rig.log("holdfastd.log")[len(logged):]
        self.assertRegex(lines, r"(?s)^[^\n]* freeze: 4 resources\n.*held after \d+ ms\n.*"
                                r"the session of 'postgresql:cluster' closed")
        self.assertNotIn("dropped", lines)

    def test_the_memory_of_both_parts_is_locked(self):
        rig = self.started()
        for name, pid in self.processes(rig).items():
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                sizes = dict(re.findall(r"^(Vm\w+):\s+(\d+) kB", file.read(), re.MULTILINE))
            # All but what the kernel itself maps into it (vdso and the like).
            self.assertGreater(int(sizes["VmLck"]), int(sizes["VmSize"]) - 64, name)

    def test_no_page_has_to_be_read_from_the_disk_not_even_by_the_dead_man(self):
        rig = self.rig(freeze_timeout="3s", max_hold="5s")
        files = self.use_copies(rig)
        rig.start()
        rig.await_ready()
        rig.freeze()
        # Whatever nobody has touched yet would have to come from the disk again.
        for path in files:
            drop_from_cache(path)
        self.assertLess(cached(files), 0.9, "most of the libraries is still in memory")
        before = {name: syscalls.major_faults(pid) for name, pid in self.processes(rig).items()}
        rig.ctl("status")
        self.end_session(rig)
        # Nobody thaws: the first window of its life ends by the dead-man, on frozen filesystems.
        agent_rig.await_true(lambda: rig.record()["state"] == "done", "the end of the window")
        after = {name: syscalls.major_faults(pid) for name, pid in self.processes(rig).items()}
        self.assertEqual(after, before)
        self.assertFalse(self.filesystem.thaw(), "the filesystem was still frozen")
        with self.assertRaises(qga.AgentError) as caught:
            rig.thaw()
        self.assertIn("status 3", str(caught.exception))

    def use_copies(self, rig):
        """Gives the service a program, plugins and libraries that no other process uses, on the
        filesystem that is frozen. Their paths."""
        home = os.path.join(self.filesystem.mount_point, "copies")
        shutil.rmtree(home, ignore_errors=True)
        os.mkdir(home)
        modules = [rig.path(f"plugins/holdfast-{name}.so") for name in ("exec", "mysql",
                                                                       "postgresql", "redis")]
        listed = subprocess.run(["ldd", rig.daemon_program, *modules], check=True, timeout=30,
                                stdout=subprocess.PIPE, encoding="utf-8").stdout
        for library in set(re.findall(r"=> (/\S+)", listed)):
            shutil.copy(library, home)
        rig.daemon_program = shutil.copy(rig.daemon_program, home)
        for module in modules:
            copy = shutil.copy(os.path.realpath(module), home)
            os.unlink(module)
            os.symlink(copy, module)
        rig.daemon_environment["LD_LIBRARY_PATH"] = home
        # Dirty pages cannot be dropped.
        subprocess.run(["sync", "--file-system", home], check=True, timeout=60)
        return [os.path.join(home, name) for name in os.listdir(home)]


def drop_from_cache(path):
    """Pages that no process maps; an executable that runs keeps those that it has touched."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached(paths):
    """Which part of these files is in memory."""
    shown = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES,SIZE", *paths],
                           check=True, timeout=30, stdout=subprocess.PIPE, encoding="utf-8").stdout
    sizes = [int(word) for word in shown.split()]
    return sum(sizes[0::2]) / sum(sizes[1::2])


class Sinner(SilenceCase):
    """The watchers of this file, watching a plugin that does what it must not."""

    SINS = {"write": "sends to '", "open": "calls openat", "remove": "calls unlink",
            "log": "sends to '", "ask": "sends to '"}

    @classmethod
    def setUpClass(cls):
        cls.filesystem = loopfs.LoopFilesystem(64)
        cls.addClassCleanup(cls.filesystem.close)

    def sinner(self, sin, path):
        rig = self.new_rig(self.filesystem)
        os.symlink(testing.built("tests/plugins/holdfast-sinner.so"),
                   rig.path("plugins/holdfast-sinner.so"))
        rig.resource("main", f"plugin = sinner\nsin = {sin}\npath = {path}\n")
        rig.start()
        rig.await_ready()
        return rig

    def server(self):
        """A socket that swallows all that it is told."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = os.path.join(self.filesystem.home, "server.sock")
        listener.bind(path)
        self.addCleanup(os.unlink, path)
        listener.listen()

        def swallow():
            connection, _ = listener.accept()
            with connection:
                while connection.recv(4096):
                    pass
        threading.Thread(target=swallow, daemon=True).start()
        return path

    def watched(self, rig):
        with syscalls.Trace([rig.daemon.pid], rig.path("trace")) as trace:
            rig.freeze()
            time.sleep(0.3)
            rig.thaw()
        return self.sins(rig, trace)[0]

    def test_each_sin_is_noticed(self):
        for sin, reason in self.SINS.items():
            with self.subTest(sin):
                path = self.server() if sin == "ask" else os.path.join(self.filesystem.home, "sin")
                found = self.watched(self.sinner(sin, path))
                self.assertNotEqual(found, [])
                self.assertEqual([one for one in found if not one.startswith(reason)], [])

    def test_a_plugin_that_does_nothing_of_the_kind_is_not_accused(self):
        self.assertEqual(self.watched(self.sinner("none", "/nowhere")), [])

    def test_a_page_that_comes_from_the_disk_is_noticed(self):
        path = os.path.join(self.filesystem.mount_point, "pages")
        with open(path, "wb") as file:
            file.write(os.urandom(8 << 20))
            file.flush()
            os.fsync(file.fileno())
        rig = self.sinner("fault", path)
        drop_from_cache(path)
        before = syscalls.major_faults(rig.daemon.pid)
        rig.freeze()
        agent_rig.await_true(lambda: syscalls.major_faults(rig.daemon.pid) > before, "the faults")
        rig.thaw()


if __name__ == "__main__":
    for module in (loopfs, agent_rig, servers.MariaDb, servers.PostgreSql,
                   redis_servers.Redis, syscalls):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
