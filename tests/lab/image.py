# SPDX-License-Identifier: MIT
"""The guest's disk images: a Debian 12 with MariaDB, PostgreSQL and qemu-guest-agent.

The archive, its mirror and its keys are those of this machine's own apt (archive.py). An image is
made once and kept under the hash of all that went into it (cache.py); it is never booted itself: a
guest writes to overlays (see vm.py).

The guest has no network, so everything that the packages under test depend on is in the image:
`apt-get install ./*.deb` then finds all it needs.
"""

import contextlib
import inspect
import os
import shutil

from . import archive, cache
from .cache import run

PACKAGES = [
    "systemd-sysv", "udev", "dbus", "kmod", "zstd", "procps", "adduser", "linux-image-cloud-amd64",
    "qemu-guest-agent", "mariadb-server", "postgresql",
    # what the packages under test need at run time
    "libmariadb3", "libpq5", "libboost-program-options1.74.0", "libspdlog1.10", "libfmt9",
    "libsystemd0", "libstdc++6",
]

MARIADB_SETTINGS = """\
[mariadbd]
server-id = 1
log-bin = /var/lib/mysql/binlog
sync-binlog = 1
innodb-flush-log-at-trx-commit = 1
innodb-buffer-pool-size = 64M
"""

FSTAB = """\
LABEL=holdfast-root   /                ext4  defaults  0 1
LABEL=holdfast-mysql  /var/lib/mysql   ext4  defaults  0 2
"""

# Timers of the distribution that would work on the disks just while something is measured.
MASKED_UNITS = [
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "fstrim.timer", "e2scrub_reap.service", "systemd-pstore.service", "getty@tty1.service",
]

# Disks of the guest: label, directory of the tree, size. The second one is empty in the first.
DISKS = [("root", "", "3G"), ("mysql", "var/lib/mysql", "1G")]

MINIMUM_FREE = 6 << 30


def missing_tools():
    """Programs that building and running a guest needs and that are not here."""
    tools = ["mmdebstrap", "mkfs.ext4", "qemu-img", "qemu-system-x86_64"]
    return [tool for tool in tools if not shutil.which(tool, path=os.defpath + ":/usr/sbin:/sbin")
            and not shutil.which(tool)]


def _key():
    recipe = [PACKAGES, MARIADB_SETTINGS, FSTAB, MASKED_UNITS, DISKS, archive.sources()]
    recipe += [inspect.getsource(step) for step in (_bootstrap, _configure, _make_disk)]
    return cache.key(recipe)


class Image:
    """A finished image: its kernel, its initrd, and one base file per disk, all read-only."""

    def __init__(self, directory):
        self.directory = directory
        self.kernel = os.path.join(directory, "vmlinuz")
        self.initrd = os.path.join(directory, "initrd.img")
        self.disks = {name: os.path.join(directory, f"{name}.qcow2") for name, _, _ in DISKS}


def image(say=print):
    """The image of this recipe, made first if the cache does not have it."""
    def build(work, out):
        say("building the guest image (a minute or two; cached from then on)")
        _build(work, out)

    return Image(cache.made_once(f"guest-{_key()}", build, MINIMUM_FREE))


def _build(work, out):
    tree = os.path.join(work, "tree")
    _bootstrap(work, tree)
    _configure(tree)
    shutil.copyfile(os.path.join(tree, "vmlinuz"), os.path.join(out, "vmlinuz"))
    shutil.copyfile(os.path.join(tree, "initrd.img"), os.path.join(out, "initrd.img"))
    with open(os.path.join(out, "packages.txt"), "w", encoding="utf-8") as file:
        file.write(run(["dpkg-query", f"--admindir={tree}/var/lib/dpkg", "-W"]))
    for name, place, size in reversed(DISKS):
        _make_disk(os.path.join(tree, place), f"holdfast-{name}", size, work,
                   os.path.join(out, f"{name}.qcow2"))
        if place:
            # its content belongs to this disk alone; the mount point stays
            for entry in os.scandir(os.path.join(tree, place)):
                is_directory = entry.is_dir(follow_symlinks=False)
                (shutil.rmtree if is_directory else os.unlink)(entry.path)


def _bootstrap(work, tree):
    # Documentation and translations would only make every backup of the guest larger.
    options = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "locale", "man")]
    archive.mmdebstrap(work, tree, PACKAGES, ["--variant=minbase", *options])


def _configure(tree):
    def write(path, text):
        with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
            file.write(text)

    write("etc/fstab", FSTAB)
    write("etc/hostname", "guest\n")
    write("etc/hosts", "127.0.0.1 localhost guest\n")
    write("etc/mysql/mariadb.conf.d/70-binlog.cnf", MARIADB_SETTINGS)
    # A journal on disk is the harder case: journald must not drag anybody along when it blocks.
    os.makedirs(os.path.join(tree, "var/log/journal"), exist_ok=True)
    # The image is a machine without a network; what mmdebstrap used to make it goes.
    write("etc/apt/sources.list", "")
    for path in ("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(tree, path))
    units = os.path.join(tree, "etc/systemd/system")
    for unit in MASKED_UNITS:
        link = os.path.join(units, unit)
        if not os.path.lexists(link):
            os.symlink("/dev/null", link)


def _make_disk(source, label, size, work, target):
    raw = os.path.join(work, "disk.raw")
    # Nothing is left to the kernel's lazy initialisation: it would write while we measure.
    owner = os.stat(source)  # mkfs gives the top directory to root otherwise
    run(["mkfs.ext4", "-q", "-F", "-L", label, "-d", source, "-E",
         f"lazy_itable_init=0,lazy_journal_init=0,root_owner={owner.st_uid}:{owner.st_gid}",
         raw, size])
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target])
    os.unlink(raw)


def tool_disk(directory, target, label="holdfast-tools"):
    """A raw ext4 image of a directory: how packages and test programs get into a guest."""
    size = sum(os.path.getsize(os.path.join(root, name))
               for root, _, names in os.walk(directory) for name in names)
    if os.path.exists(target):
        os.unlink(target)
    # room for the metadata, and mkfs wants a few MiB in any case
    run(["mkfs.ext4", "-q", "-F", "-L", label, "-O", "^has_journal", "-m", "0", "-d", directory,
         target, f"{(size * 5 // 4 >> 20) + 16}M"])
    return target
