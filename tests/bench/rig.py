# SPDX-License-Identifier: MIT
"""The guest that is measured: both databases under load, its images on a filesystem that every method
can do with, and the repository on another one."""

import os
import shutil
import threading
import time

from lab import cache, loopfs, scenario, workload

SAMPLE_S = 0.02
IMAGES_MIB = 16 << 10


class Rig(scenario.Lab):
    """A lab whose images stand for themselves on btrfs: in a file of our own, mounted for us alone."""

    def __init__(self, directory, claims):
        loopfs.enter_namespace()
        self.filesystem = loopfs.LoopFilesystem(IMAGES_MIB, "btrfs")
        super().__init__(directory, claims)

    def close(self):
        super().close()
        self.filesystem.close()

    def make_disk(self, name, base):
        target = os.path.join(self.place, f"{name}.qcow2")
        cache.run(["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", base, target])
        return target

    @property
    def place(self):
        """The directory of the images."""
        return self.filesystem.mount_point

    def images(self):
        return [disk.path for disk in self.guest.disks if not disk.read_only]

    def used(self):
        """Bytes in use beside the images: what a method takes there."""
        status = os.statvfs(self.place)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def start(self):
        self.boot()
        self.install()
        self.make_accounts()
        if not scenario.all_ready(self.wait_ready()):
            raise RuntimeError("the guest's databases are not ready")
        with self.guest.agent() as agent:
            workload.start(agent)

    def watched(self, work):
        """What `work` answers, and how the guest's writers and the filesystem of the images fared
        meanwhile."""
        with self.guest.agent() as agent:
            offset = self.clock_offset_ns(agent)
        with Peak(self.used) as peak:
            begin = time.time_ns()
            answer = work()
            end = time.time_ns()
        with self.guest.agent() as agent:
            logs = workload.logs(agent)
        return answer, Watched(logs, begin + offset, end + offset, peak.most)

    def convert(self):
        """The floor of a full copy: seconds that qemu-img takes for it, as the driver calls it."""
        target = self.path("floor")
        os.makedirs(target)
        begin = time.monotonic()
        for path in self.images():
            cache.run(["qemu-img", "convert", "-U", "-c", "-W", "-f", "qcow2", "-O", "qcow2", "-o",
                       "compression_type=zstd", path,
                       os.path.join(target, os.path.basename(path))])
        seconds = time.monotonic() - begin
        shutil.rmtree(target)
        return seconds


class Watched:
    """Of the span of one run, in the guest's own time."""

    def __init__(self, logs, begin, end, extra_bytes):
        self.seconds = (end - begin) / 1e9
        self.extra_bytes = extra_bytes
        self.pause_ms = {mode: log.longest_pause_ms(begin, end) for mode, log in logs.items()}


class Peak:
    """The most that `used` grew by, looked at again and again: no filesystem tells its peak."""

    def __init__(self, used):
        self._used, self._first, self.most = used, used(), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(SAMPLE_S):
            self.most = max(self.most, self._used() - self._first)
