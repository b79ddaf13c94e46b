# SPDX-License-Identifier: MIT
"""A Debian root to install packages in, made once with mmdebstrap and unpacked for each test.

    loopfs.enter_namespace()
    base = chroot.Base(chroot.base_tar(["qemu-guest-agent"], keep=["qemu-guest-agent"]))
    with chroot.Chroot(base) as root:
        root.run(["dpkg", "--install", "/packages/x.deb"])

No service starts in it: there is no init, and policy-rc.d says no besides.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile

from lab import testing

SUITE = "bookworm"
_POLICY = "#!/bin/sh\nexit 101\n"


def missing():
    if os.geteuid() != 0:
        return "only root can make a chroot"
    if shutil.which("mmdebstrap") is None:
        return "'mmdebstrap' is not installed"
    return None


def base_tar(packages, keep=(), timeout=600):
    """A tar file of a minimal Debian with these packages, cached by what went in. The .deb files of
    `keep` lie in it under /packages."""
    packages = sorted(set(packages))
    key = "\n".join([SUITE, *packages, "keep", *sorted(keep)])
    name = "chroot-" + hashlib.sha256(key.encode()).hexdigest()[:16] + ".tar"
    cache = os.path.join(testing.SOURCE, "build", "cache")
    os.makedirs(cache, exist_ok=True)
    path = os.path.join(cache, name)
    if os.path.exists(path):
        return path
    # Under a name of its own: two makers at once must not write one file. mmdebstrap takes the
    # format
    # from the suffix.
    unfinished = os.path.join(cache, f"making-{os.getpid()}-{name}")
    download = " ".join(keep)
    argv = ["mmdebstrap", "--variant=minbase", "--quiet", "--include=" + ",".join(packages),
            "--dpkgopt=force-unsafe-io",
            f'--customize-hook=chroot "$1" sh -c "mkdir /packages && cd /packages && '
            f'apt-get --quiet=2 download {download}"' if keep else "--customize-hook=:",
            SUITE, unfinished]
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, check=False)
        if done.returncode != 0:
            raise RuntimeError("mmdebstrap failed:\n" +
                               done.stdout.decode("utf-8", "replace")[-3000:])
        os.rename(unfinished, path)
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
    return path


class Base:
    """The unpacked tar file, in memory: many small files, and dpkg syncs each. Needs
    loopfs.enter_namespace(), so that its mounts end with this process whatever happens."""

    def __init__(self, tar):
        self.home = tempfile.mkdtemp(prefix="hf-chroot-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=2G", "holdfast-test",
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
            os.mknod(self.path("/dev/null"), 0o020666, os.makedev(1, 3))
            os.chmod(self.path("/dev/null"), 0o666)
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
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                       "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["chroot", self.root, *argv], env=environment, timeout=timeout,
                              check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        output = done.stdout.decode("utf-8", "replace")
        if not check:
            return done.returncode, output
        if done.returncode != 0:
            raise RuntimeError(f"'{' '.join(argv)}' ended with {done.returncode}:\n{output}")
        return output

    def read(self, inside):
        with open(self.path(inside), encoding="utf-8") as file:
            return file.read()

    def write(self, inside, text, mode=0o644):
        with open(self.path(inside), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(inside), mode)

    def close(self):
        subprocess.run(["umount", "--lazy", self.root], check=False, timeout=30)
        shutil.rmtree(self.home, ignore_errors=True)
