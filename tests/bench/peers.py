# SPDX-License-Identifier: MIT
"""Others that do the same: libvirt itself, and virtnbdbackup, on a libvirtd of our own that touches
nothing of this machine. They are Debian's packages, installed when they are wanted."""

import os
import subprocess
import time
from xml.sax.saxutils import quoteattr

from lab import testing
from support import libvirt_daemon, libvirt_xml
from support.libvirt_daemon import LibvirtDaemon
from support.qemu_machine import Monitor, qemu_io
from support.waiting import until

from .machine import flushed, seconds_of

PACKAGES = ("virtnbdbackup", "python3-libvirt")

DOMAIN = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    {disks}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
  {monitor}
</domain>
"""
def missing(packages=PACKAGES):
    """Why they cannot be had here; None once they are there."""
    setup = os.path.join(testing.SOURCE, "tests", "setup.sh")
    done = subprocess.run(["bash", "-c", '. "$0"; ensure_packages "$@"', setup, *packages],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["the packages could not be installed"])[-1]
    return libvirt_daemon.missing()


class Host:
    """A libvirtd with a connection to it."""

    def __init__(self, directory):
        self._daemon = LibvirtDaemon(directory)
        self.uri = self._daemon.uri
        self.connection = None

    def __enter__(self):
        import libvirt  # pylint: disable=import-outside-toplevel
        self._daemon.wait()
        libvirt.registerErrorHandler(lambda *_: None, None)  # an error is raised; once is enough
        self.connection = libvirt.open(self.uri)
        return self

    def __exit__(self, *_):
        if self.connection is not None:
            self.connection.close()
        self._daemon.stop()

    def domain(self, name, directory, images, caching=None):
        return Domain(self, name, directory, images, caching)


class Domain:
    """Disks vda, vdb, ... of a machine that does not run, since it has no guest: images in qcow2."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, host, name, directory, images, caching):
        self.host, self.name, self.directory = host, name, directory
        self.images = {f"vd{chr(ord('a') + number)}": path for number, path in enumerate(images)}
        self._caching = caching
        self._own = os.path.join(directory, "own.sock")
        self.domain = self.monitor = None

    def __enter__(self):
        import libvirt  # pylint: disable=import-outside-toplevel
        disks = "".join(libvirt_xml.disk(path, target, caching=self._caching)
                        for target, path in self.images.items())
        self.domain = self.host.connection.defineXML(DOMAIN.format(
            name=self.name, disks=disks, monitor=libvirt_xml.monitor(self._own)))
        self.domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        self.monitor = Monitor(self._own)
        return self

    def __exit__(self, *_):
        if self.monitor is not None:
            self.monitor.close()
        if self.domain is not None:
            import libvirt  # pylint: disable=import-outside-toplevel
            if self.domain.isActive():
                self.domain.destroy()
            self.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)

    def qemu_io(self, disk, *commands):
        qemu_io(self.monitor, f"virtio-disk{ord(disk[-1]) - ord('a')}", *commands)

    # -- libvirt itself

    def timed_snapshot(self):
        """Seconds of the call for an external snapshot of all disks; it is undone afterwards."""
        import libvirt  # pylint: disable=import-outside-toplevel
        overlays = {target: os.path.join(self.directory, f"overlay-{target}.qcow2")
                    for target in self.images}
        disks = "".join(f"<disk name='{target}' snapshot='external'><source file={quoteattr(path)}/>"
                        "</disk>" for target, path in overlays.items())
        begin = time.monotonic()
        self.domain.snapshotCreateXML(
            f"<domainsnapshot><disks>{disks}</disks></domainsnapshot>",
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC |
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)
        seconds = time.monotonic() - begin
        for target, path in overlays.items():
            self.domain.blockCommit(target, None, None, 0,
                                    libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
            until(lambda: self._pivot(target), "the commit ends")  # pylint: disable=cell-var-from-loop
            os.unlink(path)
        return seconds

    def timed_push(self, target):
        """Seconds of libvirt's own backup of the first disk into an image in qcow2."""
        import libvirt  # pylint: disable=import-outside-toplevel
        begin = time.monotonic()
        self.domain.backupBegin(
            "<domainbackup mode='push'><disks><disk name='vda' type='file' backup='yes'>"
            f"<target file={quoteattr(target)}/><driver type='qcow2'/></disk></disks>"
            "</domainbackup>", None, 0)
        until(lambda: self.domain.jobStats()["type"] == libvirt.VIR_DOMAIN_JOB_NONE,
              "the backup ends", 600)
        flushed(target)
        return time.monotonic() - begin

    # -- virtnbdbackup

    def timed_nbdbackup(self, level, target, *words):
        """Seconds of one backup of the domain into a directory, flushed as ours is."""
        return seconds_of(["virtnbdbackup", *self._reached(), "-d", self.name, "-l", level,
                           "-o", target, "-n", "-S", self.directory,
                           "-f", os.path.join(self.directory, "nbd.sock"), *words], flush=target,
                          env=self._environment())

    def timed_nbdrestore(self, source, target):
        return seconds_of(["virtnbdrestore", *self._reached(), "-i", source, "-o", target,
                           "-n", "-f", os.path.join(self.directory, "restore.sock")], flush=target,
                          env=self._environment())

    def _environment(self):
        # It leaves the logs of what it starts there.
        return {**os.environ, "TMPDIR": self.directory}

    def _reached(self):
        # It wants a user for any other URI than the usual ones; nobody asks who.
        return ["-U", self.host.uri, "--user=none", "--password=none"]

    def forget_checkpoints(self):
        """And the bitmaps that come with them."""
        for checkpoint in self.domain.listAllCheckpoints():
            checkpoint.delete()

    def _pivot(self, target):
        import libvirt  # pylint: disable=import-outside-toplevel
        try:
            self.domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        except libvirt.libvirtError:
            return False  # not in step yet
        return True
