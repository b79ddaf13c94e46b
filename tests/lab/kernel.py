# SPDX-License-Identifier: MIT
"""A kernel for guests that have next to nothing: Debian's for clouds, with a few of its modules.

The package is fetched by this machine's own apt and unpacked, not installed; the result is cached
under the package's version. A guest from it is up within seconds, even without KVM.
"""

import glob
import os
import shutil
import stat
import subprocess

from . import cache

META_PACKAGE = "linux-image-cloud-amd64"
# In the order in which they are loaded.
MODULES = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "virtio_console"]


def missing_tools():
    return [tool for tool in ("apt-get", "apt-cache", "dpkg-deb") if not shutil.which(tool)]


def _package():
    """Name and version of the kernel that the archive has now."""
    text = _described()
    if not text:
        cache.run(["apt-get", "-qq", "update"])
        text = _described()
    for line in text.splitlines():
        if line.startswith("Depends:"):
            name, _, rest = line.removeprefix("Depends:").strip().partition(" ")
            return name, rest.strip("(=) ").split(")")[0]
    raise RuntimeError(f"apt knows no '{META_PACKAGE}'")


def _described():
    done = subprocess.run(["apt-cache", "show", "--no-all-versions", META_PACKAGE],
                          capture_output=True, text=True, check=False)
    return done.stdout


class Kernel:
    def __init__(self, directory, modules):
        self.image = os.path.join(directory, "vmlinuz")
        self.modules = [os.path.join(directory, name + ".ko") for name in modules]


def kernel(modules=MODULES):
    """The kernel with these modules, fetched first if the cache does not have it."""
    name, version = _package()
    return Kernel(cache.made_once(f"kernel-{cache.key([name, version, modules])}",
                                  lambda work, out: _build(name, modules, work, out), 1 << 30),
                  modules)


def _build(package, modules, work, out):
    cache.run(["apt-get", "-qq", "download", package], cwd=work)
    tree = os.path.join(work, "tree")
    cache.run(["dpkg-deb", "-x", *glob.glob(os.path.join(work, "*.deb")), tree])
    shutil.copyfile(*glob.glob(os.path.join(tree, "boot/vmlinuz-*")), os.path.join(out, "vmlinuz"))
    for name in modules:
        found = glob.glob(os.path.join(tree, "lib/modules/**", name + ".ko"), recursive=True)
        shutil.copyfile(found[0], os.path.join(out, name + ".ko"))


def initramfs(target, files):
    """A cpio archive (the kernel's "newc") of {path in the guest: file here, or None: a directory}."""
    with open(target, "wb") as archive:
        for number, (name, source) in enumerate([*files.items(), ("TRAILER!!!", "")], start=1):
            content, mode = b"", stat.S_IFDIR | 0o755
            if source:
                mode = stat.S_IFREG | 0o755
                with open(source, "rb") as file:
                    content = file.read()
            fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
            header = b"070701" + b"".join(b"%08X" % field for field in fields)
            for part in (header + name.encode() + b"\0", content):
                archive.write(part + b"\0" * (-len(part) % 4))
    return target
