# SPDX-License-Identifier: MIT
"""A guest that boots in seconds, does one thing and ends: Debian's kernel for clouds with those
modules that are asked for, a root of extracted packages, and a directory of this machine's files. It has no
init system, no network and no agent; what it says is its console.

It is for what the kernel of this machine may lack.
"""

import inspect
import os
import re
import shlex
import subprocess

from . import cache, image, kernel, roots, vm

RELEASE = "bookworm"
# In the order in which they are loaded.
VIRTIO = [*kernel.MODULES[:-1], "virtio_blk"]
# Of the program that was run in there.
ENDED = "small guest: the program ended with "

_INIT = """\
#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
for module in {modules}; do $bb insmod "/modules/$module.ko" || echo "unable to load $module"; done
$bb mount -t ext4 /dev/vda /new
$bb mount -t ext4 -o ro /dev/vdb /new/mnt
for name in dev proc; do $bb mount -o move /$name /new/$name; done
$bb mount -t sysfs sysfs /new/sys
$bb mount -t tmpfs tmpfs /new/run
$bb ip link set lo up
$bb chroot /new /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp {environment} {command}
echo "{ended}$?"
$bb poweroff -f
"""


def missing_tools():
    return kernel.missing_tools() + image.missing_tools()


def _root_disk(packages):
    """A raw ext4 image of a root with these packages, with some room."""
    tree = roots.Root(RELEASE, ["busybox-static", *packages]).tree
    name = f"disk-{cache.key([os.path.basename(tree), inspect.getsource(_make_root_disk)])}"
    return tree, os.path.join(cache.made_once(
        name, lambda _, out: _make_root_disk(tree, os.path.join(out, "root.raw"))), "root.raw")


def _make_root_disk(tree, target):
    cache.run(["mkfs.ext4", "-q", "-F", "-d", tree, target, "1G"])
    # What is empty in it: mount points.
    cache.run(["debugfs", "-w", "-R", "mkdir /mnt", target])


def run(directory, packages, modules, files, command, environment, disks=(), memory=768,
        timeout=600):
    """What `command` said in the guest, where the directory `files` is /mnt, and its status.

    `disks` are sizes in MiB of further empty ones, /dev/vdc and so on. RuntimeError if the guest
    did not get so far."""
    os.makedirs(directory, exist_ok=True)
    tree, root = _root_disk(packages)
    order = [*VIRTIO, *modules]
    parts = kernel.kernel(order)
    init = os.path.join(directory, "init")
    with open(init, "w", encoding="ascii") as file:
        file.write(_INIT.format(
            modules=" ".join(order), ended=ENDED, command=shlex.join(command),
            environment=shlex.join(f"{name}={value}" for name, value in environment.items())))
    initramfs = kernel.initramfs(os.path.join(directory, "initramfs"), {
        **{name: None for name in ("bin", "dev", "proc", "new", "modules")},
        "init": init, "bin/busybox": os.path.join(tree, "bin/busybox"),
        **{"modules/" + os.path.basename(path): path for path in parts.modules}})
    overlay = os.path.join(directory, "root.qcow2")
    cache.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", root, overlay])
    tools = image.tool_disk(files, os.path.join(directory, "files.raw"))
    drives = [(overlay, "qcow2"), (tools, "raw")]
    for number, mebibytes in enumerate(disks):
        path = os.path.join(directory, f"disk{number}.raw")
        with open(path, "wb") as file:
            file.truncate(mebibytes << 20)
        drives.append((path, "raw"))
    console = os.path.join(directory, "console")
    accelerator = "kvm" if vm.accelerator(parts.image) == "kvm" else "tcg,thread=multi"
    # Without KVM, each further kind of instruction that the guest finds costs it time.
    processor = "max" if accelerator == "kvm" else "Nehalem"
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-accel",
            accelerator, "-cpu", processor, "-smp", "2", "-m", str(memory), "-kernel", parts.image,
            "-initrd", initramfs, "-append",
            # The kernel's check of its timer, against the clock, fails on a busy machine.
            "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check",
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
