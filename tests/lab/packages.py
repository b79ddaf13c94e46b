# SPDX-License-Identifier: MIT
"""Our packages: built, made again under another version, installed in a chroot, and run in it."""

import contextlib
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from lab import chroot, testing


def ours():
    """The .deb files by name, built if they are not current."""
    # Set for a run on packages from elsewhere, such as those of a pipeline's earlier step.
    directory = os.environ.get("HOLDFAST_PACKAGES")
    if directory is None:
        directory = os.path.join(testing.SOURCE, "build", "deb")
        done = subprocess.run([os.path.join(testing.SOURCE, "deb", "build")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError("deb/build failed:\n" +
                               done.stdout.decode("utf-8", "replace")[-3000:])
    found = {}
    for path in glob.glob(os.path.join(directory, "holdfast-*.deb")):
        found[os.path.basename(path).split("_")[0]] = path
    return found


def field(deb, name):
    return subprocess.run(["dpkg-deb", "--field", deb, name], check=True, timeout=30,
                          stdout=subprocess.PIPE).stdout.decode().strip()


def dependencies_of(debs):
    """What these need that is not of ours, the first of each group of alternatives."""
    needed = set()
    for deb in debs:
        for group in field(deb, "Depends").split(","):
            name = re.match(r"\s*([a-z0-9.+-]+)", group.split("|")[0])
            if name and not name.group(1).startswith("holdfast-"):
                needed.add(name.group(1))
    return needed


def base():
    """A root with all that ours depend on, and the guest agent's own package beside."""
    inside = [path for name, path in ours().items() if name != "holdfast-host"]
    return chroot.Base(chroot.base_tar(dependencies_of(inside), keep=["qemu-guest-agent"]))


def remade(deb, directory, version, edit=None):
    """The package as another version, its files changed by `edit(tree)`. The new file's path."""
    with tempfile.TemporaryDirectory(dir=directory) as work:
        tree = os.path.join(work, "tree")
        subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True, timeout=60)
        control = os.path.join(tree, "DEBIAN", "control")
        with open(control, encoding="utf-8") as file:
            text = file.read()
        # Ours depend on each other in the very same version.
        old = re.escape(field(deb, "Version"))
        text = re.sub(rf"^(Version: ){old}$", rf"\g<1>{version}", text, flags=re.MULTILINE)
        text = re.sub(rf"(holdfast-[a-z-]+ \(= ){old}\)", rf"\g<1>{version})", text)
        with open(control, "w", encoding="utf-8") as file:
            file.write(text)
        if edit is not None:
            edit(tree)
        # The sums are part of what dpkg --verify compares.
        sums = subprocess.run("find . -path ./DEBIAN -prune -o -type f -printf '%P\\0' | sort -z | "
                              "xargs -0 md5sum", shell=True, check=True, cwd=tree, timeout=60,
                              stdout=subprocess.PIPE).stdout
        with open(os.path.join(tree, "DEBIAN", "md5sums"), "wb") as file:
            file.write(sums)
        target = os.path.join(directory, f"{field(deb, 'Package')}_{version}.deb".replace(":", "."))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, target],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
    return target


class Service:
    """holdfastd and holdfast-execd of the installed package, running in the chroot as their units
    run them, without filesystems to freeze. A systemctl that notes what it is told stands in for
    systemd's: `calls()`."""

    CALLS = "/tmp/systemctl.calls"

    def __init__(self, root):
        self.root = root
        self._processes = []
        for name in ("systemctl", "deb-systemd-invoke"):
            path = "/usr/bin/" + name
            with contextlib.suppress(FileNotFoundError):
                os.unlink(root.path(path))
            root.write(path, f"#!/bin/sh\necho \"$*\" >>{self.CALLS}\n", 0o755)
        os.makedirs(root.path("/run/systemd/system"), exist_ok=True)
        root.write(self.CALLS, "")

    def start(self):
        """With the systemd of the installation forgotten."""
        root = self.root
        root.write(self.CALLS, "")
        root.mount_kernel()
        root.write("/etc/holdfast/agent.conf", "filesystems = none\n")
        root.run(["install", "-d", "-o", "holdfast", "-g", "holdfast", "/run/holdfast",
                  "/var/lib/holdfast"])
        root.run(["install", "-d", "/run/holdfast-exec"])
        self._spawn(["/usr/lib/holdfast/holdfast-execd"], None)
        self._await(lambda: os.path.exists(root.path("/run/holdfast-exec/exec.sock")))
        self._spawn(["/usr/sbin/holdfastd"], "holdfast")
        self._await(lambda: "exec:" in root.run(["holdfastctl", "status"], check=False)[1]
                    and " ready " in root.run(["holdfastctl", "status"])
                    and "connecting" not in root.run(["holdfastctl", "status"]))
        return self

    def _spawn(self, argv, user):
        self._processes.append(self.root.spawn(argv, user))

    def _await(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [process for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"the service does not start: {[one.args for one in ended]} "
                                   f"{self.root.run(['holdfastctl', 'status'], check=False)}")
            time.sleep(0.05)

    def calls(self):
        return self.root.read(self.CALLS).splitlines()

    def restarts(self):
        return [call for call in self.calls() if call == "restart holdfastd.service"]

    def close(self):
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(10)
            process.stdout.close()
        self._processes.clear()


def no_sleep(root):
    """`sleep` returns at once: a time-out of a maintainer script passes as fast as it can."""
    os.unlink(root.path("/usr/bin/sleep"))
    root.write("/usr/bin/sleep", "#!/bin/sh\n", 0o755)




def built_in(release):
    """The packages as another Debian release builds them, by name: made in a root with what
    deb/control wants for a build, kept in build/deb-RELEASE as long as the sources stay the same."""
    output = os.path.join(testing.SOURCE, "build", f"deb-{release}")
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
                            cwd=testing.SOURCE, check=True, timeout=60, stdout=subprocess.PIPE)
    files = sorted(name for name in listed.stdout.decode().split("\0")
                   if name and not name.startswith("tests/")
                   and os.path.exists(os.path.join(testing.SOURCE, name)))
    stamp = _digest(files)
    stamp_file = os.path.join(output, "stamp")
    with contextlib.suppress(FileNotFoundError), open(stamp_file, encoding="ascii") as file:
        if file.read() == stamp:
            return _by_name(output)
    shutil.rmtree(output, ignore_errors=True)
    base_ = chroot.Base(chroot.base_tar(_build_dependencies(), suite=release))
    try:
        with chroot.Chroot(base_) as root:
            root.mount_kernel()
            _build(root, files)
            os.makedirs(output)
            for path in glob.glob(root.path("/build/*.deb")):
                shutil.copy(path, output)
    finally:
        base_.close()
    with open(stamp_file, "w", encoding="ascii") as file:
        file.write(stamp)
    return _by_name(output)


def _by_name(directory):
    return {os.path.basename(path).split("_")[0]: path
            for path in glob.glob(os.path.join(directory, "holdfast-*.deb"))}


def _digest(files):
    digest = hashlib.sha256()
    for name in files:
        with open(os.path.join(testing.SOURCE, name), "rb") as file:
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def _build_dependencies():
    with open(os.path.join(testing.SOURCE, "deb", "control"), encoding="utf-8") as file:
        field_text = re.search(r"^Build-Depends:(.*?)^\S", file.read(),
                               re.MULTILINE | re.DOTALL).group(1)
    needed = {"build-essential", "ccache", "debhelper", "fakeroot", "lintian"}
    for group in field_text.split(","):
        name = re.match(r"\s*([a-z0-9.+-]+)", group.split("|")[0])
        # A virtual package of debhelper's.
        if name and name.group(1) != "debhelper-compat":
            needed.add(name.group(1))
    return needed


def _build(root, files):
    """dpkg-buildpackage over the sources, and lintian over the packages."""
    tree = root.path("/build/tree")
    for name in files:
        target = os.path.join(tree, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.join(testing.SOURCE, name), target)
    shutil.copytree(os.path.join(tree, "deb"), os.path.join(tree, "debian"))
    # This machine's own compiler cache: only the first build takes long.
    cache = os.environ.get("CCACHE_DIR") or os.path.expanduser("~/.cache/ccache")
    os.makedirs(cache, exist_ok=True)
    os.makedirs(root.path("/ccache"))
    subprocess.run(["mount", "--bind", cache, root.path("/ccache")], check=True, timeout=30)
    root.run(["sh", "-ec", "cd /build/tree; export CCACHE_DIR=/ccache "
              "DEB_BUILD_OPTIONS='parallel=2 noautodbgsym nocheck'; "
              "dpkg-buildpackage --build=binary --no-sign"], timeout=2700)
    root.run(["sh", "-ec", "cd /build; lintian --allow-root --fail-on=error,warning "
              "--no-tag-display-limit *.changes"], timeout=300)
