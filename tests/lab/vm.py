# SPDX-License-Identifier: MIT
"""A guest in QEMU: booted from overlays, reached through its agent and QMP, always ended.

The process belongs to the caller: it is ended by its pid when the Guest is closed, and by the
kernel (PR_SET_PDEATHSIG) if the caller dies first. Two monitors are opened, since a monitor has
one client: `qmp` is for the program under test, `control` for the lab.
"""

import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import time

from . import cache, qga

BOOT_TIMEOUT = 400.0
PROBE_TIMEOUT = 12.0
PR_SET_PDEATHSIG = 1


def end_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _qemu():
    return shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64"


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _probe_kvm(kernel):
    """Does a guest get as far as its first process under KVM? Some nested ones hang before."""
    argv = [_qemu(), "-accel", "kvm", "-cpu", "max", "-m", "256", "-nodefaults", "-display",
            "none", "-no-reboot", "-serial", "stdio", "-kernel", kernel,
            # without a root the kernel panics, and leaves by -no-reboot: proof that it ran
            "-append", "console=ttyS0 panic=-1"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
    try:
        out, _ = process.communicate(timeout=PROBE_TIMEOUT)
        return b"Kernel panic" in out
    except subprocess.TimeoutExpired:
        return False
    finally:
        end(process)
        process.stdout.close()


def accelerator(kernel):
    """"kvm" where a probe guest really boots, else "tcg"; HOLDFAST_ACCEL decides if it is set."""
    wanted = os.environ.get("HOLDFAST_ACCEL")
    if wanted:
        return wanted
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    # The answer holds for this kernel until this machine boots again.
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        key = hashlib.sha256((file.read() + kernel).encode()).hexdigest()[:16]
    note = os.path.join(cache.directory(), f"accel-{key}")
    with contextlib.suppress(FileNotFoundError), open(note, encoding="ascii") as file:
        return file.read().strip()
    answer = "kvm" if _probe_kvm(kernel) else "tcg"
    with open(note, "w", encoding="ascii") as file:
        file.write(answer + "\n")
    return answer


def overlay(base, target):
    """A qcow2 overlay that takes the writes meant for `base`."""
    cache.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
               os.path.abspath(base), target])
    return target


def kernel_arguments(root="rw", masked=()):
    # no_timer_check: on a machine with too much to do, a kernel may find that no tick of the timer has
    # come in time, and panics.
    return " ".join([f"root=LABEL=holdfast-root {root} console=ttyS0 quiet mitigations=off "
                     "no_timer_check", *(f"systemd.mask={unit}" for unit in masked)])


class Disk:
    """One virtio disk: its name is its id in the machine and its block node's name."""

    def __init__(self, name, path, format_name="qcow2", read_only=False):
        self.name, self.path = name, os.path.abspath(path)
        self.format_name, self.read_only = format_name, read_only

    def arguments(self):
        read_only = "on" if self.read_only else "off"
        return ["-blockdev", f"driver={self.format_name},node-name={self.name},"
                f"read-only={read_only},discard=unmap,file.driver=file,"
                f"file.filename={self.path}",
                "-device", f"virtio-blk-pci,drive={self.name},id={self.name}"]


class Guest:
    """A running machine. `directory` takes its sockets and its console's log."""

    def __init__(self, directory, base, disks, name="guest", memory=1024, boot=True, ports=(),
                 reboots=False, masked=(), root="rw"):
        """`ports` are names of further virtio-serial ports, each on a socket of port_path();
        `masked` are units that are not started. One that does not reboot ends instead. `root` is
        "ro" where that disk is read-only."""
        os.makedirs(directory, exist_ok=True)
        self.name = name
        self.disks = disks
        self._directory = directory
        self.qmp_path = os.path.join(directory, f"{name}.qmp")
        self.control_path = os.path.join(directory, f"{name}.control")
        self.agent_path = os.path.join(directory, f"{name}.agent")
        self.console_path = os.path.join(directory, f"{name}.console")
        for path in (self.qmp_path, self.control_path, self.agent_path, self.console_path):
            if len(path) > 100:
                raise ValueError(f"'{path}' is too long for a socket")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.accelerator = accelerator(base.kernel)
        accel = "kvm" if self.accelerator == "kvm" else "tcg,thread=multi"
        argv = [_qemu(), "-name", name, "-accel", accel, "-cpu", "max", "-m", str(memory),
                "-smp", "2", "-nodefaults", "-display", "none",
                *([] if reboots else ["-no-reboot"]),
                "-kernel", base.kernel, "-initrd", base.initrd,
                "-append", kernel_arguments(root, masked),
                "-serial", f"file:{self.console_path}",
                "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                "-qmp", f"unix:{self.control_path},server=on,wait=off",
                "-device", "virtio-serial-pci", "-device", "virtio-rng-pci",
                "-chardev", f"socket,id=agent,path={self.agent_path},server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        for number, port in enumerate(ports):
            argv += ["-chardev", f"socket,id=port{number},path={self.port_path(port)},server=on,"
                     "wait=off",
                     "-device", f"virtserialport,chardev=port{number},name={port}"]
        for disk in disks:
            argv += disk.arguments()
        self._errors = open(os.path.join(directory, f"{name}.stderr"), "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._errors,
                                        stderr=self._errors, preexec_fn=end_with_parent)
        try:
            self.boot_seconds = self._wait_until_up() if boot else None
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _wait_until_up(self):
        begin = time.monotonic()
        try:
            qga.wait_for_agent(self.agent_path, BOOT_TIMEOUT, self.alive).close()
        except (qga.AgentTimeout, OSError) as error:
            raise RuntimeError(f"guest '{self.name}' did not come up: {error}\n"
                               f"{self.console_tail()}") from error
        return time.monotonic() - begin

    def port_path(self, port):
        return os.path.join(self._directory, f"{self.name}.{port}")

    def alive(self):
        return self.process.poll() is None

    def agent(self, timeout=30.0):
        """A new connection; close it before the program under test wants the channel."""
        return qga.wait_for_agent(self.agent_path, timeout, self.alive)

    def control(self):
        return qga.Qmp(self.control_path)

    def run(self, argv, timeout=60.0, check=True, **more):
        with self.agent() as agent:
            return agent.run(argv, timeout, check=check, **more)

    def shell(self, script, timeout=60.0, check=True):
        with self.agent() as agent:
            return agent.shell(script, timeout, check)

    def agent_pid(self):
        return int(self.run(["/bin/systemctl", "show", "--property=MainPID", "--value",
                             "qemu-guest-agent.service"]).out)

    def detached(self, script, timeout=120.0):
        """Runs a script that may restart qemu-ga itself, which guest-exec's children outlive badly.

        Answers (status, output). The script runs as a unit of its own; its end is seen by the file
        with its status, through whichever qemu-ga answers by then.
        """
        deadline = time.monotonic() + timeout
        with self.agent() as agent:
            agent.shell("rm -f /run/detached.*")
            agent.write_file("/run/detached.sh", script.encode() + b"\n")
            agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", "--unit=detached", "/bin/sh",
                       "-c", "/bin/sh -e /run/detached.sh >/run/detached.out 2>&1; "
                       "echo $? >/run/detached.new; mv /run/detached.new /run/detached.status"])
        while time.monotonic() < deadline:
            with contextlib.suppress(qga.AgentError, qga.AgentTimeout, OSError):
                with self.agent(timeout=5.0) as agent:
                    agent.shell("until [ -e /run/detached.status ]; do sleep 0.1; done",
                                deadline - time.monotonic())
                    status = int(agent.read_file("/run/detached.status"))
                    return status, agent.read_file("/run/detached.out").decode(errors="replace")
        raise qga.AgentTimeout(f"'{script[:60]}' runs longer than {timeout} s")

    def console_tail(self, size=4000):
        with contextlib.suppress(FileNotFoundError), open(self.console_path, "rb") as file:
            return file.read()[-size:].decode(errors="replace")
        return ""

    def power_down(self, timeout=60.0):
        """An orderly end; the process is gone afterwards."""
        with self.control() as control:
            control.call("system_powerdown")
        try:
            self.process.wait(timeout)
        finally:
            self.close()

    def close(self):
        """The end of a power cut, for whatever state the guest is in."""
        end(self.process)
        self._errors.close()
        for path in (self.qmp_path, self.control_path, self.agent_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
