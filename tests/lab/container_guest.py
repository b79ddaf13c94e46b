# SPDX-License-Identifier: MIT
"""A guest that runs containers: Debian's systemd with machined, LXC, LVM and MariaDB, without whatever
else a machine has (no udev, no network, no login), so that it is up within seconds. It runs one
program and ends; what it says is its console.

    /dev/vda    its root, ext4
    /dev/vdb    this machine's files, mounted read-only at /mnt
    /dev/vdc    btrfs, on whose top lies the tree that containers begin as, with systemd and MariaDB
    /dev/vdd    empty
"""

import glob
import inspect
import os
import re
import shlex
import shutil
import subprocess

from . import archive, cache, image, kernel, small_guest, vm

PACKAGES = [
    "systemd-sysv", "dbus", "kmod", "linux-image-cloud-amd64", "systemd-container", "busybox-static",
    "btrfs-progs", "xfsprogs", "e2fsprogs", "lvm2", "thin-provisioning-tools", "zstd", "lxc",
    "mariadb-server", "python3-minimal", "python3", "adduser", "procps",
    # what our programs need at run time
    "libmariadb3", "libpq5", "libboost-program-options1.74.0", "libspdlog1.10", "libfmt9",
    "libsystemd0", "libstdc++6", "libssl3",
]
# A log of 8 MiB and not of 96: each archive has it.
MARIADB_SETTINGS = image.MARIADB_SETTINGS + "innodb-log-file-size = 8M\n"
# It is all that is started: what it needs of systemd and D-Bus comes with it.
UNIT = """\
[Unit]
Requires=dbus.socket
[Service]
Type=simple
ExecStart=/bin/sh -c 'exec >/dev/ttyS0 2>&1; . /mnt/run; echo "container guest: the program ended with $?"; systemctl poweroff --force --force'
"""
ENDED = "container guest: the program ended with "
MASKED = [*image.MASKED_UNITS, "mariadb.service", "lxc-net.service", "lxc.service",
          "systemd-networkd.service", "systemd-udevd.service", "systemd-udevd-control.socket",
          "systemd-udevd-kernel.socket", "systemd-udev-trigger.service", "apparmor.service",
          "systemd-journal-flush.service", "systemd-binfmt.service", "systemd-modules-load.service",
          "lvm2-monitor.service", "lvm2-lvmpolld.socket", "dm-event.socket",
          "systemd-random-seed.service", "systemd-network-generator.service",
          "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "e2scrub_all.service", "getty.target", "console-getty.service", "systemd-logind.service",
          "lxc-monitord.service", "systemd-timesyncd.service", "mariadb-extra.socket"]
# What no container here needs. An archive of the rest takes seconds, even without KVM.
UNUSED = ["boot/*", "var/cache/*", "var/lib/apt/*", "var/lib/dpkg/*", "usr/lib/modules", "usr/lib/udev",
          "usr/lib/python3*", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl5",
          "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/gconv",
          "usr/lib/x86_64-linux-gnu/libperl*", "usr/lib/apt", "usr/lib/x86_64-linux-gnu/libapt*",
          "usr/share/perl*", "usr/share/zoneinfo", "usr/share/zsh", "usr/share/bash-completion",
          "usr/share/mysql/[a-df-z]*/", "usr/share/doc*", "usr/share/info", "usr/bin/aria*",
          "usr/bin/my*", "usr/bin/mariadb-[bdhis-z]*", "usr/bin/mariadb-con*", "usr/bin/perror",
          "usr/bin/innochecksum", "usr/bin/python*", "usr/bin/perl*", "usr/bin/lxc*",
          "usr/bin/btrfs*", "usr/bin/apt*", "usr/bin/dpkg*", "usr/bin/resolve_stack_dump",
          "usr/bin/replace", "usr/libexec/lxc", "usr/sbin/dnsmasq", "usr/sbin/tc",
          "usr/sbin/*fs*", "usr/sbin/lv*", "usr/sbin/xfs*", "usr/sbin/pdata_tools",
          "var/lib/systemd/catalog"]
VIRTIO = [name.replace("_", "[-_]") for name in small_guest.VIRTIO]

_INIT = """\
#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
for module in {modules}; do $bb insmod "/modules/$module"; done
$bb mount -t ext4 /dev/vda /new
$bb mount -t ext4 -o ro /dev/vdb /new/mnt
$bb mount -o move /dev /new/dev
exec $bb switch_root /new /lib/systemd/systemd
"""


def missing_tools():
    return image.missing_tools() + [name for name in ("mkfs.btrfs",)
                                    if not shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin")]


def _make(work, out):
    tree = os.path.join(work, "tree")
    options = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "locale", "man")]
    archive.mmdebstrap(work, tree, PACKAGES, ["--variant=minbase", *options])

    def write(path, text):
        with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
            file.write(text)
    write("etc/mysql/mariadb.conf.d/70-binlog.cnf", MARIADB_SETTINGS)
    write("etc/hosts", "127.0.0.1 localhost\n")
    write("etc/apt/sources.list", "")
    write("etc/fstab", "")
    write("etc/machine-id", "")
    units = os.path.join(tree, "etc/systemd/system")
    for unit in MASKED:
        if os.path.lexists(os.path.join(units, unit)):
            os.unlink(os.path.join(units, unit))
        os.symlink("/dev/null", os.path.join(units, unit))
    base = os.path.join(work, "base")
    cache.run(["cp", "-a", "--reflink=auto", tree, base])
    os.unlink(os.path.join(base, "etc/systemd/system/mariadb.service"))
    for pattern in UNUSED:
        for path in glob.glob(os.path.join(base, pattern)):
            cache.run(["rm", "-rf", path.rstrip("/")])
    cache.run(["mkfs.btrfs", "-q", "-L", "machines", "--rootdir", base,
               os.path.join(work, "machines.raw"), "--byte-count", "3G"])
    write("etc/hostname", "guest\n")
    write("etc/systemd/system/container-test.service", UNIT)
    for path in glob.glob(os.path.join(tree, "usr/share/perl*")):
        cache.run(["rm", "-rf", path])
    for path in (os.path.join(tree, "vmlinuz"), os.path.join(tree, "bin/busybox")):
        shutil.copyfile(path, os.path.join(out, os.path.basename(path)))
    for name in VIRTIO:
        found, = glob.glob(os.path.join(tree, "lib/modules/**", name + ".ko"), recursive=True)
        shutil.copyfile(found, os.path.join(out, os.path.basename(found)))
    cache.run(["mkfs.ext4", "-q", "-F", "-L", "holdfast-root", "-d", tree,
               os.path.join(work, "root.raw"), "2G"])
    for name in ("root", "machines"):
        cache.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2",
                   os.path.join(work, f"{name}.raw"), os.path.join(out, f"{name}.qcow2")])


def run(directory, files, command, environment, empty=512, memory=1280, timeout=900):
    """What `command` said in the guest, where the directory `files` is /mnt, and its status. `empty`:
    of the empty disk, in MiB."""
    os.makedirs(directory, exist_ok=True)
    recipe = [PACKAGES, MARIADB_SETTINGS, UNIT, MASKED, UNUSED, VIRTIO, archive.sources(),
              inspect.getsource(_make)]
    base = cache.made_once(f"containers-{cache.key(recipe)}", _make, 8 << 30)
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    with open(os.path.join(files, "run"), "w", encoding="utf-8") as file:
        file.write(f"{words} {shlex.join(command)}\n")
    drives = [(vm.overlay(os.path.join(base, "root.qcow2"), os.path.join(directory, "root.qcow2")),
               "qcow2"),
              (image.tool_disk(files, os.path.join(directory, "files.raw")), "raw"),
              (vm.overlay(os.path.join(base, "machines.qcow2"),
                          os.path.join(directory, "machines.qcow2")), "qcow2"),
              (os.path.join(directory, "empty.raw"), "raw")]
    with open(drives[-1][0], "wb") as file:
        file.truncate(empty << 20)
    # In the order in which they are loaded.
    modules = [os.path.basename(glob.glob(os.path.join(base, name + ".ko"))[0]) for name in VIRTIO]
    init = os.path.join(directory, "init")
    with open(init, "w", encoding="ascii") as file:
        file.write(_INIT.format(modules=" ".join(modules)))
    initramfs = kernel.initramfs(os.path.join(directory, "initramfs"), {
        **{name: None for name in ("bin", "dev", "new", "modules")}, "init": init,
        "bin/busybox": os.path.join(base, "busybox"),
        **{f"modules/{name}": os.path.join(base, name) for name in modules}})
    kernel_image = os.path.join(base, "vmlinuz")
    console = os.path.join(directory, "console")
    accelerator = "kvm" if vm.accelerator(kernel_image) == "kvm" else "tcg,thread=multi"
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-accel",
            accelerator, "-cpu", "max" if accelerator == "kvm" else "Nehalem", "-smp", "2", "-m",
            str(memory), "-kernel", kernel_image, "-initrd", initramfs, "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check systemd.show_status=no "
            "systemd.unit=container-test.service",
            "-serial", f"file:{console}"]
    for path, kind in drives:
        argv += ["-drive", f"file={path},format={kind},if=virtio,cache=unsafe,discard=unmap"]
    subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=timeout, check=True)
    with open(console, encoding="utf-8", errors="replace") as file:
        said = file.read().replace("\r\n", "\n")
    ended = re.search(re.escape(ENDED) + r"(\d+)", said)
    if not ended:
        raise RuntimeError(f"the guest did not get to the end of it:\n{said[-4000:]}")
    return said[:ended.start()], int(ended.group(1))
