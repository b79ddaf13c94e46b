# SPDX-License-Identifier: MIT
"""What published backups and disks have to hold, and what a run must not leave behind."""

import os
import shutil
import subprocess

from faults.host import writer
from support.qemu_machine import same_content


class Images:
    """Raw images, read by (offset, length)."""

    def __init__(self, paths):
        self._fds = {disk: os.open(path, os.O_RDONLY) for disk, path in paths.items()}

    def __enter__(self):
        return {disk: lambda offset, length, fd=fd: os.pread(fd, length, offset)
                for disk, fd in self._fds.items()}

    def __exit__(self, *exc):
        for fd in self._fds.values():
            os.close(fd)


def restored(rig, backup):
    """{disk: path} of raw images, or what restore said. The next call removes them."""
    out = rig.path("out")
    shutil.rmtree(out)
    status, _, errors = rig.run("restore", backup, f"--to={out}", "--format=raw")
    if status != 0:
        raise RuntimeError(f"restore of '{backup}': status {status}: {errors}")
    return {disk: f"{out}/{disk}.raw" for disk in writer.DISKS}


def backup_problems(rig, backup, windows, best, begun):
    """Is it sound, is it one instant, and was that instant what its level says? `begun` are the
    writes that had been made and begun when the run began and ended."""
    status, _, errors = rig.run("verify", backup)
    if status != 0:
        return [f"the published '{backup}' does not verify: {errors}"]
    level = rig.manifest(backup)["level"]
    with Images(restored(rig, backup)) as images:
        last, problem = writer.prefix(images, begun[1])
    if problem:
        return [f"the published '{backup}' is no instant: {problem}"]
    levels = ("crash", "filesystem", "application")
    problems = []
    if levels.index(level) > levels.index(best):
        problems.append(f"level '{level}' in spite of the fault, at best '{best}'")
    if level == "crash":
        if last < begun[0]:
            problems.append(f"the published '{backup}' holds {last} writes, but {begun[0]} had "
                            "been made when the run began")
    elif not any(window.may_hold(last) for window in windows):
        held = [(window.write, window.tried, window.by) for window in windows]
        problems.append(f"level '{level}' for an instant at which the guest was not frozen: "
                        f"{last} writes, windows {held}")
    return problems


def disk_problems(rig):
    """All that the guest has written is on its disks. The writer stands still."""
    out = rig.path("disks")
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    paths = {}
    for disk, (path, kind) in rig.machine.images.items():
        paths[disk] = f"{out}/{disk}"
        subprocess.run(["qemu-img", "convert", "-U", "-f", kind, "-O", "raw", path, paths[disk]],
                       check=True, timeout=60)
    with Images(paths) as images:
        last, problem = writer.prefix(images, rig.writer.begun)
    if problem:
        return [f"the disks have lost writes: {problem}"]
    if last < rig.writer.done:
        return [f"the disks have lost writes: {last} are there, {rig.writer.done} were made"]
    return []


def differences(rig, backup):
    """Between the backup, restored, and the disks, which nobody writes to."""
    return [f"the restored '{backup}' is not what disk '{disk}' holds"
            for disk, path in restored(rig, backup).items()
            if not same_content((path, "raw"), rig.machine.images[disk])]


def leftovers(rig):
    """What a run that is over has left: there must be nothing."""
    found = []
    if rig.guest.frozen:
        found.append("the guest is frozen")
    found += rig.machine.leftovers()
    found += [f"descriptor set {one}" for one in rig.machine.monitor.execute("query-fdsets")]
    found += [f"overlay {name}" for name in os.listdir(rig.path("overlays"))]
    found += [f"state {name}" for name in os.listdir(rig.state)
              if not name.endswith(".lock") and name != "repositories"]
    directory = f"{rig.path('keep/repository')}/web1"
    found += [f"unfinished {name}" for name in os.listdir(directory)
              if name.startswith(".") and name not in (".lock", ".index")]
    found += [f"repository {name}" for name in os.listdir(rig.path("keep/repository"))
              if name not in ("web1", "holdfast-repository")]
    latest = rig.published()[-1:]
    bitmaps = [name.split("-", 2)[2].rsplit("-", 1)[0] for name in rig.machine.bitmaps()]
    if set(bitmaps) - set(latest) or len(bitmaps) > 2:
        found.append(f"bitmaps {bitmaps}, the latest backup is {latest}")
    found += [f"process {process} ({name})" for process, name in rig.processes().items()]
    return found
