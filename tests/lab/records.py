# SPDX-License-Identifier: MIT
"""Numbered writes to two filesystems of a guest in turn, and the judgement of a copy by them.

Write n + 1 begins when write n is on its disk (fsync). So a copy of both disks at one instant holds
the first so many of them and none of the others. The guest says each number through a port of its
own as soon as the write is done: whoever listens knows at any time, without asking the agent, that
it writes, that it stands still, and that it has been started anew.
"""

import contextlib
import os
import socket
import struct
import threading
import time

PORT = "org.holdfast.lab.records"
PLACES = {"root": "/root", "mysql": "/var/lib/mysql"}  # disk: where its filesystem is mounted
INSIDE = {"root": "/root/records", "mysql": "/records"}  # disk: the file, within its filesystem
SIZE = 4096
SLOTS = 512  # writes that a file has room for; then it is written over from its beginning

_SCRIPT = "/usr/local/lib/records.pl"
_PROGRAM = r"""
use strict;
use warnings;
use Fcntl qw(:DEFAULT :seek);
use IO::Handle;

my ($port, $size, $slots, @paths) = @ARGV;
sysopen(my $host, $port, O_WRONLY) or die "$port: $!\n";
sub give_up { syswrite $host, "unable to @_: $!\n"; exit 1 }

my $last = 0;
my @files = map {
  sysopen(my $file, $_, O_RDWR | O_CREAT) or give_up("open $_");
  while (sysread $file, my $block, $size) {
    my $number = unpack 'Q', $block;
    $last = $number if $number > $last;
  }
  $file
} @paths;
syswrite $host, "begin\n";
for (my $number = $last + 1; ; $number++) {
  my $file = $files[$number % @files];
  sysseek($file, int($number / @files) % $slots * $size, SEEK_SET) or give_up('seek');
  my $done = syswrite $file, pack('Q', $number) x ($size / 8);
  $done and $done == $size or give_up('write');
  $file->sync or give_up('sync');
  syswrite $host, "$number\n";
}
"""
# The port's own unit: the writer begins with every boot, as soon as there is somebody to tell.
_DEVICE = f"dev-virtio\\x2dports-{PORT}.device"
_UNIT = f"""\
[Unit]
BindsTo={_DEVICE}
After={_DEVICE}
RequiresMountsFor={PLACES["mysql"]}
[Service]
ExecStart=/usr/bin/perl {_SCRIPT} /dev/virtio-ports/{PORT} {SIZE} {SLOTS} \
{" ".join(f"{place}/records" for place in PLACES.values())}
[Install]
WantedBy=multi-user.target
"""


def install(agent):
    """The writer becomes a service of the guest, and is started."""
    agent.write_file(_SCRIPT, _PROGRAM.encode())
    agent.write_file("/etc/systemd/system/records.service", _UNIT.encode())
    agent.shell("systemctl daemon-reload && systemctl enable --now records.service && sync")


class Port:
    """The host's end: how far the guest has come."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._changed = threading.Condition()
        self.heard = [(0, 0.0)]  # every number, and when it came, by time.monotonic()
        self.begun = 0           # how often the writer has been started
        self.errors = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def last(self):
        return self.heard[-1][0]

    def first_after(self, number):
        """When the first write after that one was heard of."""
        return next(when for later, when in self.heard if later > number)

    def _read(self):
        with self._socket.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with self._changed:
                    self._take(line.strip())
                    self._changed.notify_all()

    def _take(self, line):
        # A reset may have cut the line before in two.
        if line.endswith("begin"):
            self.begun += 1
        elif line.isdigit():
            self.heard.append((int(line), time.monotonic()))
        elif line:
            self.errors.append(line)

    def _wait(self, condition, what, timeout):
        with self._changed:
            self._changed.wait_for(lambda: self.errors or condition(), timeout)
            if self.errors:
                raise RuntimeError(f"the guest's writer: {self.errors[0]}")
            if not condition():
                raise TimeoutError(f"{what} not within {timeout:.0f} s: the last write is "
                                   f"{self.last}, of {self.begun} starts")

    def wait_for_more(self, count, timeout=120.0):
        """Until so many more have been written."""
        first = self.last
        self._wait(lambda: self.last >= first + count, f"{count} more writes", timeout)

    def wait_begun(self, count, timeout=300.0):
        """Until the writer has been started so often, and writes."""
        self._wait(lambda: self.begun >= count, f"start {count} of the writer", timeout)
        self.wait_for_more(1, timeout)

    def wait_quiet(self, seconds, timeout=60.0):
        """Until nothing has come for so long; the number of the last write."""
        limit = time.monotonic() + timeout
        with self._changed:
            while self._changed.wait(seconds):
                if time.monotonic() > limit:
                    raise TimeoutError(f"the guest still writes after {timeout:.0f} s")
        return self.last

    def close(self):
        with contextlib.suppress(OSError):  # the machine is off
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(10)
        self._socket.close()


def _numbers(data):
    """What a file holds: slot -> number, and the slots in which a write is torn."""
    found, torn = {}, []
    for slot in range(len(data) // SIZE):
        block = data[slot * SIZE:(slot + 1) * SIZE]
        number, = struct.unpack_from("=Q", block)
        if block != struct.pack("=Q", number) * (SIZE // 8):
            torn.append(slot)
        found[slot] = number
    return found, torn


def prefix(files):
    """Of {disk: content of its file}: (the last write that is there, what is wrong or "")."""
    disks = list(PLACES)
    held = {disk: _numbers(files[disk]) for disk in disks}
    last = max(max(found.values(), default=0) for found, _ in held.values())
    for disk, (_, torn) in held.items():
        if torn:
            return last, f"torn writes on disk '{disk}', slots {torn[:3]}"
    for number in range(max(1, last - len(disks) * SLOTS + 1), last + 1):
        found, _ = held[disks[number % len(disks)]]
        if found.get(number // len(disks) % SLOTS) != number:
            return last, f"write {last} is there, write {number} is not"
    return last, ""


def read_from(images, extract):
    """{disk: content of its file}, with `extract(image, path, target)`."""
    contents = {}
    for disk, image in images.items():
        target = image + ".records"
        extract(image, INSIDE[disk], target)
        with open(target, "rb") as file:
            contents[disk] = file.read()
        os.unlink(target)
    return contents
