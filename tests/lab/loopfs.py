# SPDX-License-Identifier: MIT
"""A filesystem that may be frozen: an image file of our own, loop-mounted in a private mount
namespace.

    loopfs.enter_namespace()                 # once, in the main thread, before anything is started
    with loopfs.LoopFilesystem(512) as fs:
        ...                                  # data directories under fs.mount_point
        with fs.lease(60):                   # whoever freezes says how long it may last
            agent.call("guest-fsfreeze-freeze-list", {"mountpoints": [fs.mount_point]})

A process that writes to a frozen filesystem sleeps uninterruptibly: no signal ends it, and no
timeout of ctest does. So a watchdog process, a child of nobody, thaws and unmounts everything as
soon as the test has ended in whatever way, and thaws when a lease runs out. It is the only thing
here that must not fail, and so it does nothing but read a pipe and make two system calls.

NEVER freeze anything but a LoopFilesystem's own mount point.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import subprocess
import tempfile
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x00020000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
_FITHAW = 0xC0045878  # _IOWR('X', 120, int), linux/fs.h

_watchdog = None


def missing(*kinds):
    """Why filesystems of these kinds (by default ext4) can't be used here, or None."""
    if os.geteuid() != 0:
        return "only root can mount"
    for program in (*(f"mkfs.{kind}" for kind in kinds or ("ext4",)), "mount", "losetup"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"'{program}' is not installed"
    if not os.path.exists("/dev/loop-control"):
        return "there are no loop devices"
    return None


def thaw(mount_point):
    """FITHAW; True if it was frozen. Opening for reading works on a frozen filesystem."""
    fd = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _FITHAW, 0)
        return True
    except OSError:
        return False  # EINVAL: it was not frozen
    finally:
        os.close(fd)


def _thaw_completely(mount_point):
    # Freezes do not nest for FIFREEZE, but one of another process may come in between.
    with contextlib.suppress(OSError):
        while thaw(mount_point):
            pass


class _Watchdog:
    """Lines over a pipe: `mount PATH`, `gone PATH`, `lease SECONDS` (0 ends it)."""

    def __init__(self):
        read_end, self._write_end = os.pipe()
        os.set_inheritable(self._write_end, False)
        first = os.fork()
        if first == 0:
            os.close(self._write_end)
            # A child of init's, in a session of its own: what ends the test's processes doesn't
            # reach it.
            os.setsid()
            if os.fork() == 0:
                with contextlib.suppress(BaseException):
                    self._run(read_end)
            os._exit(0)
        os.close(read_end)
        os.waitpid(first, 0)

    def say(self, line):
        os.write(self._write_end, line.encode() + b"\n")

    @staticmethod
    def _run(read_end):
        # Nothing of the test's may be held open: pipes, or a directory on the filesystem.
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.closerange(3, read_end)
        os.closerange(read_end + 1, 4096)
        mounts, buffer, lease_end = [], b"", None
        while True:
            wait = None if lease_end is None else max(0.0, lease_end - time.monotonic())
            readable, _, _ = select.select([read_end], [], [], wait)
            if not readable:
                lease_end = None
                for mount_point in mounts:
                    _thaw_completely(mount_point)
                continue
            data = os.read(read_end, 4096)
            if not data:
                break
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                word, _, rest = line.decode().partition(" ")
                if word == "mount":
                    mounts.append(rest)
                elif word == "gone":
                    mounts.remove(rest)
                elif word == "lease":
                    lease_end = time.monotonic() + float(rest) if float(rest) > 0 else None
        for mount_point in reversed(mounts):
            _thaw_completely(mount_point)
            _LIBC.umount2(mount_point.encode(), _MNT_DETACH)
            shutil.rmtree(os.path.dirname(mount_point), ignore_errors=True)


def enter_namespace():
    """Gives this process, and all that it starts from now on, a mount namespace of its own."""
    global _watchdog
    if _watchdog is not None:
        return
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unable to make a mount namespace")
    if _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "unable to make the mount namespace private")
    _watchdog = _Watchdog()


class LoopFilesystem:
    """An ext4 (or another) filesystem in a file. `mount_point` and `image` are its paths."""

    def __init__(self, megabytes=512, kind="ext4"):
        if _watchdog is None:
            raise RuntimeError("enter_namespace() first")
        self.home = tempfile.mkdtemp(prefix="hf-loop-")
        os.chmod(self.home, 0o755)
        self.mount_point = os.path.join(self.home, "mnt")
        os.mkdir(self.mount_point)
        self.image = os.path.join(self.home, "image")
        self._mounted = False
        try:
            with open(self.image, "wb") as file:
                file.truncate(megabytes << 20)
            subprocess.run([f"mkfs.{kind}", "-q", self.image], check=True, timeout=60,
                           stdout=subprocess.DEVNULL)
            _watchdog.say("mount " + self.mount_point)
            self._mount()
            os.chmod(self.mount_point, 0o755)
        except BaseException:
            self.close()
            raise

    def _mount(self):
        # A loop device made by mount(8) goes by itself when it is no longer mounted.
        subprocess.run(["mount", "-o", "loop", self.image, self.mount_point], check=True,
                       timeout=60)
        self._mounted = True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @contextlib.contextmanager
    def lease(self, seconds):
        """Within it the filesystem may be frozen; thawed at its end, and after `seconds` anyway."""
        _watchdog.say(f"lease {seconds}")
        try:
            yield self
        finally:
            self.thaw()
            _watchdog.say("lease 0")

    def thaw(self):
        """True if it was frozen."""
        was_frozen = thaw(self.mount_point)
        _thaw_completely(self.mount_point)
        return was_frozen

    def copy_image(self, path):
        """The image as it is now, holes kept; what a snapshot of the disk would hold."""
        subprocess.run(["cp", "--sparse=always", self.image, path], check=True, timeout=120)

    def replace_image(self, image):
        """Mounts a copy in place of the original, as in a restored machine. Nothing may be open."""
        subprocess.run(["umount", self.mount_point], check=True, timeout=60)
        self._mounted = False
        self.image = image
        self._mount()

    def close(self):
        if self._mounted:
            self.thaw()
            done = subprocess.run(["umount", self.mount_point], timeout=60, check=False,
                                  stderr=subprocess.DEVNULL)
            if done.returncode != 0:
                _LIBC.umount2(self.mount_point.encode(), _MNT_DETACH)
            self._mounted = False
            _watchdog.say("gone " + self.mount_point)
        shutil.rmtree(self.home, ignore_errors=True)
