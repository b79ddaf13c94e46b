# SPDX-License-Identifier: MIT
"""Parts of a domain's definition that every machine of libvirt's in the tests has."""

from xml.sax.saxutils import quoteattr


def disk(path, target, kind="qcow2", caching=None, read_only=False):
    """A file as a disk; `caching` as libvirt's manual calls the modes, None for its default."""
    cache = f" cache='{caching}'" if caching else ""
    return (f"<disk type='file' device='disk'>"
            f"<driver name='qemu' type='{kind}' discard='unmap'{cache}/>"
            f"<source file={quoteattr(path)}/><target dev='{target}' bus='virtio'/>"
            f"{'<readonly/>' if read_only else ''}</disk>")


def monitor(path):
    """A monitor beside libvirt's own; the domain declares the namespace `qemu`."""
    return ("<qemu:commandline><qemu:arg value='-qmp'/>"
            f"<qemu:arg value={quoteattr(f'unix:{path},server=on,wait=off')}/></qemu:commandline>")
