# SPDX-License-Identifier: MIT
"""A real libvirtd that touches nothing of this machine.

It runs in namespaces of its own: of mounts, with empty directories wherever it keeps anything; of
processes, so that every machine it started ends with it; of the network, so that it finds none. What
it shares with the test is the test's directory, with its socket and the images.
"""

import ctypes
import os
import shutil
import signal
import subprocess

from support.waiting import until

PROGRAMS = ("libvirtd", "virsh", "unshare", "mount")
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"

# libvirtd is started again whenever it ends, as a service manager does, which pauses too.
SCRIPT = """\
set -e
for place in /run /var/lib /var/cache /var/log /etc/libvirt; do mount -t tmpfs tmpfs "$place"; done
cp "$1"/qemu.conf /etc/libvirt/
for file in passwd group; do mount --bind "$1/$file" "/etc/$file"; done
set +e
while :; do libvirtd -f "$1"/libvirtd.conf; echo "libvirtd ended with $?"; sleep 0.2; done
"""

LIBVIRTD_CONF = """\
unix_sock_dir = "{directory}"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "1:file:{directory}/libvirtd.log"
log_filters = "3:remote 4:event 3:util 1:qemu.qemu_agent 2:qemu"
"""

# The user that Debian's package makes; libvirtd wants it to exist, though it uses root here.
USERS = {"passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n",
         "group": "libvirt-qemu:x:64055:\nkvm:x:64056:\n"}

QEMU_CONF = """\
user = "{user}"
group = "{group}"
security_driver = "none"
dynamic_ownership = {dynamic}
remember_owner = {dynamic}
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""


def missing():
    """Why it cannot be had here; None if it can."""
    if os.geteuid() != 0:
        return "a libvirtd of its own needs root"
    for program in PROGRAMS:
        if shutil.which(program, path=PATH) is None:
            return f"'{program}' is not installed"
    return None


PR_SET_PDEATHSIG = 1


def _end_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class LibvirtDaemon:
    """`own_user`: QEMU runs as Debian's package has it, and libvirt gives it what it needs."""

    def __init__(self, directory, own_user=False):
        self.directory = directory
        values = {"directory": directory, "user": "libvirt-qemu" if own_user else "root",
                  "group": "kvm" if own_user else "root", "dynamic": int(own_user)}
        os.mkdir(directory)
        self.socket = os.path.join(directory, "libvirt-sock")
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        for name, text in (("libvirtd.conf", LIBVIRTD_CONF), ("qemu.conf", QEMU_CONF)):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text.format(**values))
        for name, line in USERS.items():
            with open(f"/etc/{name}", encoding="utf-8") as file:
                known = file.read()
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(known if "libvirt-qemu:" in known else known + line)
        self.output = open(os.path.join(directory, "output.log"), "wb")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
             "--propagation", "private", "sh", "-c", SCRIPT, "sh", directory],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
            env={**os.environ, "PATH": PATH}, preexec_fn=_end_with_parent)

    def wait(self, seconds=60):
        """Until it answers."""
        try:
            until(lambda: self.virsh("version", check=False).returncode == 0, "libvirtd answers",
                  seconds, self.process)
        except AssertionError as error:
            raise RuntimeError(f"{error}\n{self.log()}") from None
        return self

    def log(self):
        with open(self.output.name, encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]

    def virsh(self, *arguments, check=True, timeout=60):
        done = subprocess.run(["virsh", "-q", "-c", self.uri, *arguments], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"virsh {arguments[0]}: {done.stderr}")
        return done

    def pid(self):
        """Of libvirtd itself, as this machine counts."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as file:
            shell = file.read().split()[0]
        with open(f"/proc/{shell}/task/{shell}/children", encoding="ascii") as file:
            for child in file.read().split():
                with open(f"/proc/{child}/comm", encoding="ascii") as name:
                    if name.read().strip() == "libvirtd":
                        return int(child)
        raise RuntimeError("libvirtd does not run")

    def _pid_now(self):
        try:
            return self.pid()
        except (RuntimeError, OSError):
            return None

    def inside(self, script):
        """What a shell in the daemon's namespaces says."""
        return subprocess.run(["nsenter", "-m", "-p", "-t", str(self.pid()), "sh", "-c", script],
                              check=True, capture_output=True, text=True).stdout

    @staticmethod
    def wait_for(condition, seconds=60):
        """What libvirt does in its own time."""
        until(condition, "what libvirt is to do", seconds)

    def signal(self, number):
        os.kill(self.pid(), number)

    def restart(self):
        before = self.pid()
        os.kill(before, signal.SIGKILL)
        until(lambda: self._pid_now() not in (before, None), "libvirtd comes back")
        return self.wait()

    def stop(self):
        self.process.kill()
        self.process.wait(30)
        self.output.close()
