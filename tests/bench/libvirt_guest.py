# SPDX-License-Identifier: MIT
"""The guest of the tests as a machine of libvirt's, in a libvirtd that touches nothing of this one.

libvirt has the guest agent's channel for itself. The lab talks to a second agent in the guest, on a port
of its own; nothing freezes by that one.
"""

import json
import os
import time
from xml.sax.saxutils import escape, quoteattr

from lab import qga, vm
from support import libvirt_xml
from support.waiting import until

LAB_PORT = "org.holdfast.lab.agent"
AGENT_PORT = "org.qemu.guest_agent.0"

DOMAIN = """\
<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <on_reboot>destroy</on_reboot>
  <devices>
    {disks}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <serial type='file'><source path={console}/></serial>
    <channel type='unix'><target type='virtio' name='{agent_port}'/></channel>
    <channel type='unix'>
      <source mode='bind' path={lab}/><target type='virtio' name='{lab_port}'/>
    </channel>
  </devices>
</domain>
"""

class LibvirtGuest(vm.Guest):
    """`daemon` is a LibvirtDaemon, which ends after it. The disks become vda, vdb and so on."""

    # pylint: disable-next=super-init-not-called,too-many-arguments
    def __init__(self, daemon, directory, base, disks, name, memory):
        self.name, self.disks, self._daemon = name, disks, daemon
        self.agent_path = os.path.join(directory, f"{name}.lab")
        self.console_path = os.path.join(directory, f"{name}.console")
        self.accelerator = vm.accelerator(base.kernel)
        path = os.path.join(directory, f"{name}.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._definition(base, memory))
        daemon.virsh("define", path)
        begin = time.monotonic()
        daemon.virsh("start", name)
        until(self._agent_connected, "the guest's agent", vm.BOOT_TIMEOUT)
        self._start_second_agent()
        self.boot_seconds = time.monotonic() - begin

    def _definition(self, base, memory):
        disks = "".join(libvirt_xml.disk(disk.path, target, disk.format_name,
                                         read_only=disk.read_only)
                        for target, disk in self.targets().items())
        return DOMAIN.format(
            kind="kvm" if self.accelerator == "kvm" else "qemu", name=self.name, memory=memory,
            kernel=escape(base.kernel), initrd=escape(base.initrd), cmdline=escape(vm.kernel_arguments()),
            disks=disks, console=quoteattr(self.console_path), agent_port=AGENT_PORT,
            lab=quoteattr(self.agent_path), lab_port=LAB_PORT)

    def targets(self):
        """{what libvirt calls it: Disk}."""
        return {f"vd{chr(ord('a') + number)}": disk for number, disk in enumerate(self.disks)}

    def _agent_connected(self):
        return self._daemon.virsh("qemu-agent-command", self.name, '{"execute":"guest-ping"}',
                                  check=False).returncode == 0

    def _start_second_agent(self):
        arguments = ["--quiet", "--collect", "--unit=lab-agent", "--property=RuntimeDirectory=lab-agent",
                     "/usr/sbin/qemu-ga", "-p", f"/dev/virtio-ports/{LAB_PORT}",
                     "-t", "/run/lab-agent", "-f", "/run/lab-agent/pid"]
        self._daemon.virsh("qemu-agent-command", self.name, json.dumps(
            {"execute": "guest-exec",
             "arguments": {"path": "/usr/bin/systemd-run", "arg": arguments}}))
        qga.wait_for_agent(self.agent_path, 60).close()

    def alive(self):
        return True

    def close(self):
        """The end of a power cut."""
        self._daemon.virsh("destroy", self.name, check=False)
