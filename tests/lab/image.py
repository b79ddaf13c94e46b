# SPDX-License-Identifier: MIT
"""The guest's disk images: a Debian 12 with MariaDB, PostgreSQL and qemu-guest-agent.

The archive, its mirror and its keys are those of this machine's own apt. An image is made once
and kept in the cache directory (HOLDFAST_CACHE, default build/cache) under the hash of all that
went into it; it is never booted itself: a guest writes to overlays (see vm.py).

The guest has no network, so everything that the packages under test depend on is in the image:
`apt-get install ./*.deb` then finds all it needs.
"""

import contextlib
import fcntl
import glob
import hashlib
import inspect
import os
import re
import shutil
import subprocess
import tempfile

from . import testing

PACKAGES = [
    "systemd-sysv", "udev", "dbus", "kmod", "zstd", "procps", "adduser", "linux-image-cloud-amd64",
    "qemu-guest-agent", "mariadb-server", "postgresql",
    # what the packages under test need at run time
    "libmariadb3", "libpq5", "libboost-program-options1.74.0", "libspdlog1.10", "libfmt9",
    "libsystemd0", "libstdc++6",
]

SUITE = "bookworm"

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


def cache_directory():
    path = os.environ.get("HOLDFAST_CACHE") or os.path.join(testing.SOURCE, "build", "cache")
    os.makedirs(path, exist_ok=True)
    return os.path.abspath(path)


def run(argv, **options):
    """Runs a program; its output is part of the error if it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=900, check=False, **options)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"'{' '.join(argv[:3])} …' ended with {done.returncode}:\n"
                           f"{text[-4000:]}")
    return text


def missing_tools():
    """Programs that building and running a guest needs and that are not here."""
    tools = ["mmdebstrap", "mkfs.ext4", "qemu-img", "qemu-system-x86_64"]
    return [tool for tool in tools if not shutil.which(tool, path=os.defpath + ":/usr/sbin:/sbin")
            and not shutil.which(tool)]


def _one_line_sources(text):
    for line in text.splitlines():
        match = re.match(r"deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.strip())
        if match:
            options, uri, suite, components = match.groups()
            yield (options or "").strip(), uri, suite, components.split("#")[0].strip()


def _deb822_sources(text):
    for stanza in re.split(r"\n\s*\n", text):
        fields, key = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        options = ""
        if fields.get("signed-by", "").startswith("/"):
            options = f"[signed-by={fields['signed-by']}]"
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield options, uri, suite, fields.get("components", "")


def apt_sources():
    """The lines of this machine's apt sources that give the guest's release, sorted by archive."""
    found = []
    for path in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*")):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            parse = _deb822_sources if path.endswith(".sources") else _one_line_sources
            found += list(parse(file.read()))
    wanted = [SUITE, f"{SUITE}-updates", f"{SUITE}-security"]
    lines = [f"deb {options} {uri} {suite} {components}".replace("  ", " ")
             for options, uri, suite, components in found if suite in wanted]
    if not lines:
        raise RuntimeError(f"no apt source of this machine gives '{SUITE}'")
    return lines


def _apt_options():
    """How this machine's apt reaches its mirror: what a proxy or an archive of old days needs."""
    kept = []
    for line in run(["apt-config", "dump"]).splitlines():
        if re.match(r"Acquire::(http|https|Check-Valid-Until|Check-Date|Retries)\b", line):
            kept.append(line)
    return kept


def _key():
    recipe = [PACKAGES, SUITE, MARIADB_SETTINGS, FSTAB, MASKED_UNITS, DISKS, apt_sources()]
    recipe += [inspect.getsource(step) for step in (_bootstrap, _configure, _make_disk)]
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


class Image:
    """A finished image: its kernel, its initrd, and one base file per disk, all read-only."""

    def __init__(self, directory):
        self.directory = directory
        self.kernel = os.path.join(directory, "vmlinuz")
        self.initrd = os.path.join(directory, "initrd.img")
        self.disks = {name: os.path.join(directory, f"{name}.qcow2") for name, _, _ in DISKS}


def image(say=print):
    """The image of this recipe, made first if the cache does not have it."""
    directory = os.path.join(cache_directory(), f"guest-{_key()}")
    with open(os.path.join(cache_directory(), "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(directory):
            say("building the guest image (a minute or two; cached from then on)")
            _build(directory)
    return Image(directory)


def _build(directory):
    free = shutil.disk_usage(cache_directory()).free
    if free < MINIMUM_FREE:
        raise RuntimeError(f"'{cache_directory()}' has {free >> 20} MiB free, needs "
                           f"{MINIMUM_FREE >> 20}")
    work = tempfile.mkdtemp(prefix="making-", dir=cache_directory())
    try:
        tree = os.path.join(work, "tree")
        _bootstrap(work, tree)
        _configure(tree)
        out = os.path.join(work, "out")
        os.mkdir(out)
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
        os.rename(out, directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bootstrap(work, tree):
    options = os.path.join(work, "apt.conf")
    with open(options, "w", encoding="utf-8") as file:
        file.write("\n".join(_apt_options()) + "\n")
    sources = os.path.join(work, "sources.list")
    with open(sources, "w", encoding="utf-8") as file:
        file.write("\n".join(apt_sources()) + "\n")
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            f"--aptopt={options}"]
    # Documentation and translations would only make every backup of the guest larger.
    argv += [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "locale", "man")]
    run(argv + [SUITE, tree, sources])


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
