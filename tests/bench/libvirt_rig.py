# SPDX-License-Identifier: MIT
"""The same guest run by libvirt, for the peers that need it: ours and the floor are measured in it too.

    libvirt --quiesce    `virsh snapshot-create-as --disk-only --quiesce`, a copy by qemu-img of what is then
                         read-only, and `virsh blockcommit --active --pivot`; its window is the first command
    virtnbdbackup        a copy (-l copy); it does not tell its window, which is then the whole run

Each is a backup that freezes the guest by whatever hook stands there.
"""

import os
import shutil
import subprocess
import time

from lab import cache
from support import libvirt_daemon
from support.libvirt_daemon import LibvirtDaemon

from .libvirt_guest import LibvirtGuest
from .stall_rig import StallRig

NAME = "shop"


class LibvirtRig(StallRig):
    def __init__(self, directory, claims):
        super().__init__(directory, claims)
        self.daemon = LibvirtDaemon(self.path("libvirt")).wait()

    def close(self):
        super().close()
        self.daemon.stop()

    def make_guest(self, disks, **options):
        return LibvirtGuest(self.daemon, self.directory, self.base, disks, NAME, options["memory"])

    def settings(self):
        program = self.path("host", "usr", "lib", "holdfast", "holdfast-libvirt")
        return f"uri = {self.daemon.uri}\nlibvirt-program = {program}\n"

    def _writable(self):
        return {target: disk for target, disk in self.guest.targets().items() if not disk.read_only}

    def quiesced_snapshot(self):
        """When its window began and ended, by this machine's wall clock."""
        disks = self._writable()
        specs = [f"--diskspec={target},file={self.path('overlays', target)}.qcow2"
                 for target in disks]
        specs += [f"--diskspec={target},snapshot=no" for target in self.guest.targets()
                  if target not in disks]
        begin = time.time_ns()
        self.daemon.virsh("snapshot-create-as", NAME, "--disk-only", "--quiesce", "--no-metadata",
                          "--atomic", *specs, timeout=120)
        end = time.time_ns()
        for target, disk in disks.items():
            copy = self.path(f"copy-{target}")
            cache.run(["qemu-img", "convert", "-c", "-W", "-f", "qcow2", "-O", "qcow2", "-o",
                       "compression_type=zstd", disk.path, copy])
            os.unlink(copy)
            # Without a base it goes down to the bottom of the chain, which is everybody's image.
            self.daemon.virsh("blockcommit", NAME, target, "--base", disk.path, "--active",
                              "--pivot", "--wait", timeout=300)
            os.unlink(self.path("overlays", f"{target}.qcow2"))
        return begin, end

    def virtnbdbackup(self):
        target = self.path("virtnbdbackup")
        begin = time.time_ns()
        done = subprocess.run(
            # It wants a user for any other URI than the usual ones; nobody asks who.
            ["virtnbdbackup", "-U", self.daemon.uri, "--user=none", "--password=none", "-d", NAME,
             "-l", "copy", "-o", target, "-n", "-S", self.directory,
             "-f", self.path("nbd.sock")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=600, check=False)
        end = time.time_ns()
        if done.returncode != 0:
            raise RuntimeError(f"virtnbdbackup ended with {done.returncode}: {done.stdout[-2000:]}")
        shutil.rmtree(target)
        return begin, end


def missing():
    """Why there is no such rig here; None if there is."""
    return libvirt_daemon.missing()
