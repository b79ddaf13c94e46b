# SPDX-License-Identifier: MIT
"""holdfast-fsd, and holdfastd with it: flushing, the dead-man's thaw, and who may ask for them.

Freezes nothing but a loop filesystem of its own (lab.loopfs).
"""

import contextlib
import errno
import os
import socket
import struct
import subprocess
import time
import unittest

from agent_case import FSD, PATIENCE, AgentCase
from lab import loopfs, testing

OPEN, SYNC, ARM, THAW, CLOSE, AWAIT_FREEZE = 1, 2, 3, 4, 5, 6
REQUEST = struct.Struct("=IIQ1024s")
REPLY = struct.Struct("=IiII")
NOBODY = 64


class FsdCase(AgentCase):
    def setUp(self):
        super().setUp()
        self.start_fsd()
        self.client = self.connect()

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(PATIENCE)
        client.connect(self.path("fs.sock"))
        self.addCleanup(client.close)
        return client

    def ask(self, op, value=0, path="", client=None):
        """(errno, count, which)"""
        client = client or self.client
        client.sendall(REQUEST.pack(1, op, value, path.encode()))
        _, error, count, which = REPLY.unpack(client.recv(64))
        return error, count, which


class TheProtocol(FsdCase):
    def test_opens_syncs_and_closes_directories(self):
        self.assertEqual(self.ask(OPEN, path=self.directory), (0, 1, NOBODY))
        self.assertEqual(self.ask(OPEN, path="/"), (0, 2, NOBODY))
        self.assertEqual(self.ask(SYNC), (0, 2, NOBODY))
        self.assertEqual(self.ask(CLOSE), (0, 0, NOBODY))
        self.assertEqual(self.ask(SYNC), (0, 0, NOBODY))

    def test_thaws_nothing_that_is_not_frozen(self):
        self.assertEqual(self.ask(OPEN, path=self.directory)[0], 0)
        self.assertEqual(self.ask(THAW), (0, 0, NOBODY))

    def test_refuses_paths_that_are_no_mount_points(self):
        for path, error in (("relative", errno.EINVAL), ("", errno.EINVAL),
                            ("/nonexistent", errno.ENOENT), ("/etc/passwd", errno.ENOTDIR),
                            ("/" + "x" * 1023, errno.EINVAL)):
            self.assertEqual(self.ask(OPEN, path=path)[0], error, path[:20])

    def test_refuses_more_filesystems_than_it_has_room_for(self):
        for count in range(1, 65):
            self.assertEqual(self.ask(OPEN, path="/"), (0, count, NOBODY))
        self.assertEqual(self.ask(OPEN, path="/")[0], errno.ENOSPC)

    def test_refuses_a_time_out_of_range(self):
        self.assertEqual(self.ask(ARM, value=3_600_001)[0], errno.EINVAL)

    def test_drops_a_client_that_speaks_another_protocol(self):
        for message in (b"short", REQUEST.pack(2, CLOSE, 0, b""), REQUEST.pack(1, 99, 0, b"")):
            client = self.connect()
            client.sendall(message)
            self.assertEqual(client.recv(64), b"")
        self.assertEqual(self.ask(CLOSE)[0], 0)

    def test_keeps_what_a_client_opened_when_it_goes_away(self):
        self.assertEqual(self.ask(OPEN, path="/")[0], 0)
        self.client.close()
        self.assertEqual(self.ask(OPEN, path="/", client=self.connect()), (0, 2, NOBODY))

    def test_keeps_no_capability_but_two(self):
        self.assertEqual(self.ask(CLOSE)[0], 0)  # it serves: what it drops, it has dropped
        with open(f"/proc/{self.fsd.pid}/status", encoding="utf-8") as file:
            status = dict(line.split(":", 1) for line in file)
        allowed = (1 << 21) | (1 << 2)  # CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH
        for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
            self.assertEqual(int(status[name], 16) & ~allowed, 0, name)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")

    def test_listens_for_its_owner_alone(self):
        self.assertEqual(os.stat(self.path("fs.sock")).st_mode & 0o777, 0o600)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_drops_a_client_of_another_user(self):
        os.chmod(self.directory, 0o755)
        os.chmod(self.path("fs.sock"), 0o666)  # as if the mode did not protect it
        code = ("import socket,sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
                "s.settimeout(10); s.connect(sys.argv[1]);\n"
                "try: s.sendall(bytes(1040)); sys.exit(len(s.recv(64)))\n"
                "except OSError: sys.exit(0)")
        done = subprocess.run(["/usr/bin/python3", "-c", code, self.path("fs.sock")], user=65534,
                              timeout=20, check=False)
        self.assertEqual(done.returncode, 0)

    @unittest.skipUnless(os.geteuid() == 0, "only root can give a socket away")
    def test_serves_the_owner_of_a_socket_that_systemd_made(self):
        path = self.path("passed.sock")
        os.chmod(self.directory, 0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(path)
            os.chown(path, 65534, 65534)
            listener.listen(4)

            def pass_on():
                os.dup2(listener.fileno(), 3)
                os.set_inheritable(3, True)

            fsd = subprocess.Popen(
                ["/bin/sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{FSD}"'], close_fds=False,
                preexec_fn=pass_on)
            self.addCleanup(fsd.wait, PATIENCE)
            self.addCleanup(fsd.terminate)
        code = ("import socket,sys,struct; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
                "s.settimeout(10); s.connect(sys.argv[1]);"
                "s.sendall(struct.pack('=IIQ1024s', 1, 5, 0, b'')); sys.exit(len(s.recv(64)))")
        done = subprocess.run(["/usr/bin/python3", "-c", code, path], user=65534, timeout=20,
                              check=False)
        self.assertEqual(done.returncode, 16)

    def test_says_what_is_wrong_with_its_arguments(self):
        done = subprocess.run([FSD, "--sokcet=/x"], stderr=subprocess.PIPE, timeout=20, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (64, "holdfast-fsd: unknown argument '--sokcet=/x'\n"))

    def test_refuses_a_socket_on_which_another_one_listens(self):
        done = subprocess.run([FSD, f"--socket={self.path('fs.sock')}"], stderr=subprocess.PIPE,
                              timeout=20, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another process listens there", done.stderr)


class FrozenCase(FsdCase):
    """With a filesystem that is really frozen."""

    def setUp(self):
        super().setUp()
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.fs = self.stack.enter_context(loopfs.LoopFilesystem(16))
        self.stack.enter_context(self.fs.lease(30))

    def freeze(self):
        subprocess.run(["fsfreeze", "-f", self.fs.mount_point], check=True, timeout=PATIENCE,
                       env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})

    def is_thawed(self):
        return not loopfs.thaw(self.fs.mount_point)


@unittest.skipIf(loopfs.missing(), loopfs.missing())
class TheThaw(FrozenCase):
    def test_is_done_when_asked_for(self):
        self.assertEqual(self.ask(OPEN, path=self.fs.mount_point)[0], 0)
        self.freeze()
        self.assertEqual(self.ask(THAW), (0, 1, NOBODY))
        self.assertTrue(self.is_thawed())

    def wait_thawed_by_itself(self):
        """Sees it by a write that ends: asking for a thaw would be one."""
        probe = subprocess.Popen(["/usr/bin/touch", os.path.join(self.fs.mount_point, "probe")])
        self.assertEqual(probe.wait(PATIENCE), 0)

    def test_is_done_by_the_timer_also_after_the_client_has_gone(self):
        self.assertEqual(self.ask(OPEN, path=self.fs.mount_point)[0], 0)
        self.assertEqual(self.ask(ARM, value=700)[0], 0)
        self.freeze()
        self.client.close()
        begin = time.monotonic()
        self.wait_thawed_by_itself()
        self.assertLess(time.monotonic() - begin, 5)

    def test_is_not_done_after_a_close(self):
        self.assertEqual(self.ask(OPEN, path=self.fs.mount_point)[0], 0)
        self.assertEqual(self.ask(ARM, value=300)[0], 0)
        self.assertEqual(self.ask(CLOSE)[0], 0)
        self.freeze()
        time.sleep(0.6)  # twice the time after which it would have happened
        self.assertFalse(self.is_thawed())

    def test_comes_from_the_dead_man_when_holdfastd_lives(self):
        self.resource("a")
        self.configure("freeze-timeout = 1s\nthaw-timeout = 1s\nmax-hold = 2s\n"
                       f"filesystems = {self.fs.mount_point}\n")
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.record()["filesystems"], [self.fs.mount_point])
        self.freeze()
        self.wait_thawed_by_itself()
        self.database.wait_unlocked()
        self.wait_for(lambda: self.status()["state"] == "expired")
        self.assertEqual(self.hook("thaw")[0], 31)

    def test_comes_from_the_dead_man_when_holdfastd_was_killed(self):
        self.resource("a")
        self.configure("freeze-timeout = 1s\nthaw-timeout = 1s\nmax-hold = 2s\n"
                       f"filesystems = {self.fs.mount_point}\n")
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.freeze()
        self.kill()
        self.wait_thawed_by_itself()
        self.assertEqual(self.hook("thaw")[0], 33)

    def test_is_disarmed_by_the_thaw_hook(self):
        self.resource("a")
        self.configure("freeze-timeout = 1s\nthaw-timeout = 1s\nmax-hold = 2s\n"
                       f"filesystems = {self.fs.mount_point}\n")
        self.start()
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.wait_for(lambda: self.record("state/freeze.json")["state"] == "done")
        self.freeze()
        time.sleep(2.5)  # beyond max-hold
        self.assertFalse(self.is_thawed())


@unittest.skipIf(loopfs.missing(), loopfs.missing())
class TheFreeze(FrozenCase):
    """kAwaitFreeze: answered once it is frozen, and not before."""

    def setUp(self):
        super().setUp()
        self.assertEqual(self.ask(OPEN, path=self.fs.mount_point)[0], 0)

    def begin_to_wait(self):
        client = self.connect()
        client.sendall(REQUEST.pack(1, AWAIT_FREEZE, 0, b""))
        # The others are served meanwhile, and nothing was frozen yet.
        self.assertEqual(self.ask(SYNC)[0], 0)
        client.setblocking(False)
        with self.assertRaises(BlockingIOError):
            client.recv(64)
        client.settimeout(PATIENCE)
        return client

    def answer(self, client):
        return REPLY.unpack(client.recv(64))[1]

    def test_is_seen_when_it_comes(self):
        client = self.begin_to_wait()
        self.freeze()
        self.assertEqual(self.answer(client), 0)
        self.assertFalse(self.is_thawed())

    def test_is_seen_when_it_is_there_already(self):
        self.freeze()
        self.assertEqual(self.ask(AWAIT_FREEZE)[0], 0)

    def test_is_seen_again_and_again(self):
        for _ in range(5):
            client = self.begin_to_wait()
            self.freeze()
            self.assertEqual(self.answer(client), 0)
            client.close()
            self.assertEqual(self.ask(THAW), (0, 1, NOBODY))

    def test_changes_nothing_where_it_is_waited_for(self):
        before = os.stat(self.fs.mount_point).st_mtime_ns
        client = self.begin_to_wait()
        self.freeze()
        self.assertEqual(self.answer(client), 0)
        self.assertFalse(self.is_thawed())
        self.assertEqual(os.stat(self.fs.mount_point).st_mtime_ns, before)
        self.assertEqual(os.listdir(self.fs.mount_point), ["lost+found"])

    def test_is_waited_for_by_one_client_the_last(self):
        first, second = self.begin_to_wait(), self.begin_to_wait()
        self.assertEqual(self.answer(first), errno.ECANCELED)
        self.freeze()
        self.assertEqual(self.answer(second), 0)

    def test_is_not_waited_for_beyond_a_close(self):
        client = self.begin_to_wait()
        self.assertEqual(self.ask(CLOSE)[0], 0)
        self.assertEqual(self.answer(client), errno.ECANCELED)
        self.assertEqual(self.ask(AWAIT_FREEZE)[0], errno.EBADF)

    def test_is_not_waited_for_when_the_client_has_gone(self):
        for _ in range(10):  # more than there is room for at once
            self.begin_to_wait().close()
        # Its thread has gone, too: nothing wakes up any more.
        self.wait_for(lambda: os.listdir(f"/proc/{self.fsd.pid}/task") == [str(self.fsd.pid)])


@unittest.skipIf(loopfs.missing(), loopfs.missing())
class TheRecordOnAFrozenDisk(FrozenCase):
    """The state directory is on it: whoever froze it, nobody is to wait for it for ever, or in vain."""

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.fs.mount_point, "state", "records"))
        os.symlink(os.path.join(self.fs.mount_point, "state"), self.path("state"))
        self.resource("a")

    def test_refuses_the_freeze_before_anything_is_locked(self):
        self.configure("freeze-timeout = 1s\nthaw-timeout = 1s\nfilesystems = none\n")
        self.start()
        self.freeze()
        status, text = self.hook("freeze")
        self.assertEqual(status, 22)
        self.assertRegex(text, r"^holdfast: unable to make room for the freeze record: unable to write "
                               r"'.*/state/freeze.json': the disk did not take it in time\n$")
        self.assertNotIn("fake:a hold", self.database.calls)
        self.assertFalse(self.is_thawed(), "it was still frozen")
        # What hung has been done by now, late; then all is as before, and nothing has stayed behind.
        self.wait_for(lambda: self.hook("freeze") == (0, ""))
        self.assertEqual(self.hook("thaw"), (0, ""))
        self.wait_for(lambda: self.record("state/freeze.json")["state"] == "done")

    def test_does_not_keep_a_service_from_its_start(self):
        leftover = os.path.join(self.fs.mount_point, "state", "freeze.json.a1B2c3")
        with open(leftover, "wb"):
            pass
        self.freeze()
        self.start()
        self.assertFalse(self.is_thawed(), "it was still frozen")
        self.wait_for(lambda: not os.path.exists(leftover))


class HoldfastdWithoutFsd(AgentCase):
    def test_refuses_to_freeze_when_nobody_could_thaw(self):
        self.resource("a")
        self.configure("freeze-timeout = 3s\nfilesystems = /\n")
        self.start()
        status, text = self.hook("freeze")
        self.assertEqual(status, 21)
        self.assertRegex(text, r"^holdfast: unable to arm the dead-man of the filesystems: unable to begin with "
                               r"the filesystems: unable to connect to '.*/fs.sock': No such file or directory "
                               r"\(is holdfast-fs running\?\)\n$")
        self.assertNotIn("fake:a hold", self.database.calls)


if __name__ == "__main__":
    if not loopfs.missing():
        loopfs.enter_namespace()
    testing.main()
