# SPDX-License-Identifier: MIT
"""A guest that boots in seconds: Debian's kernel for clouds with those modules that are asked for, and
a root of extracted packages. It has no init system and no network.

run() has one do one thing and end, with a directory of this machine's files; what it says is its
console. It is for what the kernel of this machine may lack.

AgentGuest stays, and has qemu-ga and nothing else in it. It is for what must be seen on a booted
guest, whichever.
"""

import contextlib
import inspect
import os
import re
import shlex
import subprocess

from . import cache, image, kernel, qga, roots, vm

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
for name in dev proc; do $bb mount -o move /$name /new/$name; done
$bb mount -t sysfs sysfs /new/sys
$bb mount -t tmpfs tmpfs /new/run
$bb ip link set lo up
"""
_ENTER = "$bb chroot /new /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp"
_RUN = f"""\
$bb mount -t ext4 -o ro /new/dev/vdb /new/mnt
{_ENTER} {{environment}} {{command}}
echo "{{ended}}$?"
$bb poweroff -f
"""
# The first port; without udev it has no other name.
_AGENT = f"exec {_ENTER} qemu-ga -m virtio-serial -p /dev/vport0p1 -t /run\n"


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


def _machine(directory, tree, modules, last, memory):
    """The command line of a machine with no disk yet; `last` is what its first process does then."""
    order = [*VIRTIO, *modules]
    parts = kernel.kernel(order)
    init = os.path.join(directory, "init")
    with open(init, "w", encoding="ascii") as file:
        file.write(_INIT.format(modules=" ".join(order)) + last)
    initramfs = kernel.initramfs(os.path.join(directory, "initramfs"), {
        **{name: None for name in ("bin", "dev", "proc", "new", "modules")},
        "init": init, "bin/busybox": os.path.join(tree, "bin/busybox"),
        **{"modules/" + os.path.basename(path): path for path in parts.modules}})
    accelerator = "kvm" if vm.accelerator(parts.image) == "kvm" else "tcg,thread=multi"
    # Without KVM, each further kind of instruction that the guest finds costs it time.
    processor = "max" if accelerator == "kvm" else "Nehalem"
    return ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-accel",
            accelerator, "-cpu", processor, "-smp", "2", "-m", str(memory), "-kernel", parts.image,
            "-initrd", initramfs, "-append",
            # The kernel's check of its timer, against the clock, fails on a busy machine.
            "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check",
            "-serial", f"file:{os.path.join(directory, 'console')}"]


def _overlay(root, directory):
    path = os.path.join(directory, "root.qcow2")
    cache.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", root, path])
    return path


def _drive(path, kind):
    return ["-drive", f"file={path},format={kind},if=virtio,cache=unsafe,discard=unmap"]


def _console(directory):
    with open(os.path.join(directory, "console"), encoding="utf-8", errors="replace") as file:
        return file.read().replace("\r\n", "\n")


def run(directory, packages, modules, files, command, environment, disks=(), memory=768,
        timeout=600):
    """What `command` said in the guest, where the directory `files` is /mnt, and its status.

    `disks` are sizes in MiB of further empty ones, /dev/vdc and so on. RuntimeError if the guest
    did not get so far."""
    os.makedirs(directory, exist_ok=True)
    tree, root = _root_disk(packages)
    last = _RUN.format(
        ended=ENDED, command=shlex.join(command),
        environment=shlex.join(f"{name}={value}" for name, value in environment.items()))
    argv = _machine(directory, tree, modules, last, memory)
    tools = image.tool_disk(files, os.path.join(directory, "files.raw"))
    argv += _drive(_overlay(root, directory), "qcow2") + _drive(tools, "raw")
    for number, mebibytes in enumerate(disks):
        path = os.path.join(directory, f"disk{number}.raw")
        with open(path, "wb") as file:
            file.truncate(mebibytes << 20)
        argv += _drive(path, "raw")
    subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=timeout, check=True)
    said = _console(directory)
    ended = re.search(re.escape(ENDED) + r"(\d+)", said)
    if not ended:
        raise RuntimeError(f"the guest did not get to the end of it:\n{said[-4000:]}")
    return said[:ended.start()], int(ended.group(1))


class AgentGuest:
    """One whose only process is qemu-ga, until that starts others; its root is an overlay.

    `disk` is another image to start from, in qcow2. The process is the caller's, as vm.Guest's."""

    def __init__(self, directory, disk=None, memory=256):
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self.qmp_path = os.path.join(directory, "qmp")
        self.agent_path = os.path.join(directory, "agent")
        tree, root = _root_disk(["qemu-guest-agent", "util-linux", "util-linux-extra", "mount"])
        argv = _machine(directory, tree, ["virtio_console"], _AGENT, memory)
        argv += _drive(disk or _overlay(root, directory), "qcow2")
        argv += ["-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                 "-device", "virtio-serial-pci",
                 "-chardev", f"socket,id=agent,path={self.agent_path},server=on,wait=off",
                 "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        preexec_fn=vm.end_with_parent)
        try:
            qga.wait_for_agent(self.agent_path, vm.BOOT_TIMEOUT,
                               lambda: self.process.poll() is None).close()
        except BaseException as error:
            self.close()
            raise RuntimeError(f"the guest did not come up: {_console(directory)[-4000:]}") from error

    def agent(self):
        """A new connection, whoever has started the machine that listens there now; close it before
        the program under test wants the channel."""
        return qga.wait_for_agent(self.agent_path, 60)

    def close(self):
        """The end of a power cut."""
        vm.end(self.process)
        for path in (self.qmp_path, self.agent_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
