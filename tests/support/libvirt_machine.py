# SPDX-License-Identifier: MIT
"""A domain of a real libvirtd, with a real QEMU and next to no guest in it.

The guest is a kernel and one program, which passes what libvirt sends to the guest agent's port to
the agent of the test (FakeQga): libvirt believes in an agent only when the guest has opened that
port. The disks are those of Machine; what a guest would write is written through a monitor of the
test's own.
"""

import os
import shutil
import xml.etree.ElementTree
from xml.sax.saxutils import escape, quoteattr

from lab import kernel, testing
from support import libvirt_xml
from support.qemu_machine import MIB, Machine, Monitor, qemu_io
from support.waiting import until

DOMAIN = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>112</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 rdinit=/init mitigations=off</cmdline>
    {firmware}
  </os>
  <features>{features}</features>
  <cpu mode='maximum'/>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    {disks}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path={console}/></serial>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
    </channel>
    <channel type='unix'>
      <source mode='connect' path={agent}><reconnect enabled='yes' timeout='1'/></source>
      <target type='virtio' name='holdfast.test'/>
    </channel>
    {more}
  </devices>
  {monitor}
</domain>
"""

class LibvirtMachine(Machine):
    """Two disks: 'vda' raw; 'vdb' qcow2 on a backing file."""

    def __init__(self, directory, daemon, agent_path, name="web1", more="", firmware="",
                 features="", size=64 * MIB):
        super().__init__(directory, size)
        self.daemon = daemon
        self.agent_path = agent_path
        self.name = name
        self.more = more
        self.firmware = firmware
        self.features = features
        self.images = {"vda": self.images["data"], "vdb": self.images["sys"]}
        self.own = os.path.join(directory, "own.sock")
        self.kernel = os.path.join(directory, "vmlinuz")
        self.initrd = os.path.join(directory, "initramfs")

    def definition(self):
        parts = kernel.kernel()
        # What is kept for all tests is in its owner's home, and QEMU may be another user.
        shutil.copyfile(parts.image, self.kernel)
        files = {name: None for name in ("dev", "sys", "modules")}
        files["init"] = testing.built("tests/tools/relay")
        files |= {"modules/" + os.path.basename(path): path for path in parts.modules}
        kernel.initramfs(self.initrd, files)
        disks = "".join(libvirt_xml.disk(path, target, kind)
                        for target, (path, kind) in self.images.items())
        return DOMAIN.format(
            name=self.name, kernel=escape(self.kernel), initrd=escape(self.initrd), disks=disks,
            console=quoteattr(os.path.join(self.directory, "console")),
            agent=quoteattr(self.agent_path), more=self.more, firmware=self.firmware,
            features=self.features, monitor=libvirt_xml.monitor(self.own))

    def define(self):
        path = os.path.join(self.directory, "domain.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.definition())
        self.daemon.virsh("define", path)

    def start(self):
        self.define()
        self.boot()
        return self

    def boot(self):
        self.daemon.virsh("start", self.name)
        self.monitor = Monitor(self.own)

    def destroy(self):
        """As a power cut."""
        if self.monitor is not None:
            self.monitor.close()
            self.monitor = None
        self.daemon.virsh("destroy", self.name)

    def kill(self):
        """QEMU ends without a chance to write anything, and libvirt has noticed."""
        self.monitor.close()
        self.monitor = None
        pid = int(self.daemon.inside(f"cat /run/libvirt/qemu/{self.name}.pid"))
        self.daemon.inside(f"kill -9 {pid}")
        until(lambda: self.daemon.virsh("domstate", self.name).stdout.strip() == "shut off",
              "libvirt notices")

    def checkpoints(self):
        return self.daemon.virsh("checkpoint-list", self.name, "--name").stdout.split()

    def stop(self):
        if self.monitor is not None:
            self.monitor.close()
            self.monitor = None
        self.daemon.virsh("destroy", self.name, check=False)

    def wait_for_agent(self, seconds=60):
        """Until libvirt knows that the guest has an agent: an event, so none is missed."""
        if self.agent_connected():
            return
        self.daemon.virsh("event", self.name, "agent-lifecycle", "--timeout", str(seconds),
                          check=False, timeout=seconds + 10)
        if not self.agent_connected():
            raise RuntimeError("the guest's agent did not come up")

    def agent_connected(self):
        for channel in self.live().iter("channel"):
            target = channel.find("target")
            if target.get("name") == "org.qemu.guest_agent.0":
                return target.get("state") == "connected"
        return False

    def live(self):
        return xml.etree.ElementTree.fromstring(self.daemon.virsh("dumpxml", self.name).stdout)

    def sources(self, *flags):
        """Which file each disk has on top; with --inactive at the next start."""
        text = self.daemon.virsh("dumpxml", self.name, *flags).stdout
        return {disk.find("target").get("dev"): disk.find("source").get("file")
                for disk in xml.etree.ElementTree.fromstring(text).iter("disk")}

    def write(self, disk, pattern, offset, length):
        self.command(disk, f"write -P {pattern} {offset} {length}")

    def command(self, disk, *commands):
        qemu_io(self.monitor, f"virtio-disk{ord(disk[-1]) - ord('a')}", *commands)

    def leftovers(self):
        found = [name for name in os.listdir(self.directory) if ".holdfast-" in name]
        expected = {target: path for target, (path, _) in self.images.items()}
        for flags in ((), ("--inactive",)):
            if self.sources(*flags) != expected:
                found.append(f"disks {' '.join(flags)}: {self.sources(*flags)}")
        for target in self.images:
            job = self.daemon.virsh("blockjob", self.name, target).stdout.strip()
            if job and not job.startswith("No current block job"):
                found.append(f"job on {target}: {job}")
        job = self.daemon.virsh("domjobinfo", self.name).stdout.split()
        if job != ["Job", "type:", "None"]:
            found.append(f"job: {job}")
        if self.monitor is not None:
            found += [job["id"] for job in self.monitor.execute("query-jobs")]
        return found
