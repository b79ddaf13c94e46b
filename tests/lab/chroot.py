# SPDX-License-Identifier: MIT
"""A Debian root to install packages in, made once with mmdebstrap and unpacked for each test.

    loopfs.enter_namespace()
    base = chroot.Base(chroot.base_tar(["qemu-guest-agent"], keep=["qemu-guest-agent"]))
    with chroot.Chroot(base) as root:
        root.run(["dpkg", "--install", "/packages/x.deb"])

No service starts in it: there is no init, and policy-rc.d says no besides.
"""

import inspect
import os
import shutil
import subprocess
import tempfile

from lab import archive, cache

_POLICY = "#!/bin/sh\nexit 101\n"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
               "DEBIAN_FRONTEND": "noninteractive"}


def missing():
    if os.geteuid() != 0:
        return "only root can make a chroot"
    if shutil.which("mmdebstrap") is None:
        return "'mmdebstrap' is not installed"
    return None


def base_tar(packages, keep=(), suite=archive.SUITE):
    """A tar file of a minimal Debian with these packages, cached by what went in. The .deb files of
    `keep` lie in it under /packages."""
    packages = sorted(set(packages))
    keep = sorted(keep)
    key = cache.key([packages, keep, inspect.getsource(_make), archive.sources(suite)])
    made = cache.made_once(f"chroot-{suite}-{key}",
                           lambda work, out: _make(work, out, packages, keep, suite))
    return os.path.join(made, "root.tar")


def _make(work, out, packages, keep, suite):
    options = ["--variant=minbase", "--dpkgopt=force-unsafe-io"]
    if keep:
        options.append('--customize-hook=chroot "$1" sh -c "mkdir /packages && cd /packages && '
                       'apt-get --quiet=2 download ' + " ".join(keep) + '"')
    archive.mmdebstrap(work, os.path.join(out, "root.tar"), packages, options, suite)


class Base:
    """The unpacked tar file, in memory: many small files, and dpkg syncs each. Needs
    loopfs.enter_namespace(), so that its mounts end with this process whatever happens."""

    def __init__(self, tar):
        self.home = tempfile.mkdtemp(prefix="hf-chroot-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=4G", "holdfast-test",
                        self.home], check=True, timeout=30)
        self.root = os.path.join(self.home, "base")
        os.mkdir(self.root)
        subprocess.run(["tar", "--extract", "--file", tar, "--directory", self.root,
                        "--exclude=./dev/*"], check=True, timeout=300)

    def close(self):
        subprocess.run(["umount", "--lazy", self.home], check=False, timeout=30)
        os.rmdir(self.home)


class Chroot:
    """A root of one's own over a Base. `path(x)` is where its file x is outside."""

    def __init__(self, base):
        self.home = tempfile.mkdtemp(dir=base.home)
        self.root = os.path.join(self.home, "root")
        for name in ("root", "upper", "work"):
            os.mkdir(os.path.join(self.home, name))
        subprocess.run(["mount", "-t", "overlay", "holdfast-test", self.root, "-o",
                        f"lowerdir={base.root},upperdir={self.home}/upper,"
                        f"workdir={self.home}/work"],
                       check=True, timeout=30)
        try:
            os.makedirs(self.path("/packages"), exist_ok=True)
            with open(self.path("/usr/sbin/policy-rc.d"), "w", encoding="ascii") as policy:
                policy.write(_POLICY)
            os.chmod(self.path("/usr/sbin/policy-rc.d"), 0o755)
            # Maintainer scripts write there; without it a plain file of that name would come to be.
            for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
                os.mknod(self.path("/dev/" + name), 0o020666, os.makedev(1, minor))
                os.chmod(self.path("/dev/" + name), 0o666)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def path(self, inside):
        return os.path.join(self.root, inside.lstrip("/"))

    def add_package(self, deb):
        shutil.copy(deb, self.path("/packages"))
        return "/packages/" + os.path.basename(deb)

    def run(self, argv, check=True, timeout=120):
        """Output and error together; RuntimeError unless it succeeds. Without `check`, a pair of
        status and output."""
        done = subprocess.run(["chroot", self.root, *argv], env=ENVIRONMENT, timeout=timeout,
                              check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        output = done.stdout.decode("utf-8", "replace")
        if not check:
            return done.returncode, output
        if done.returncode != 0:
            raise RuntimeError(f"'{' '.join(argv)}' ended with {done.returncode}:\n{output}")
        return output

    def spawn(self, argv, user=None):
        """A process in here that goes on; its output and error come from its `stdout`."""
        # Asked for last, since a change of user clears it: nothing outlives the test.
        identity = [] if user is None else [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return subprocess.Popen(["chroot", self.root, "setpriv", *identity, "--pdeathsig=KILL",
                                 "--", *argv], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def mount_kernel(self):
        """/proc, for programs that look at themselves or the kernel, and memory to share."""
        if os.path.exists(self.path("/proc/self")):
            return
        os.makedirs(self.path("/dev/shm"), exist_ok=True)
        for argv in (["--bind", "/proc", self.path("/proc")],
                     ["-t", "tmpfs", "-o", "mode=1777", "holdfast-test", self.path("/dev/shm")]):
            subprocess.run(["mount", *argv], check=True, timeout=30)

    def read(self, inside):
        with open(self.path(inside), encoding="utf-8") as file:
            return file.read()

    def write(self, inside, text, mode=0o644):
        with open(self.path(inside), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(inside), mode)

    def close(self):
        # With all that is mounted below it.
        subprocess.run(["umount", "--lazy", self.root], check=False, timeout=30)
        if os.path.ismount(self.root):
            raise RuntimeError(f"'{self.root}' is still mounted")
        shutil.rmtree(self.home, ignore_errors=True)
