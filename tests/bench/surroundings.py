# SPDX-License-Identifier: MIT
"""What figures were measured on and with: hardware, programs, the commit. Nothing is asked of a network;
what cannot be found out is None."""

import datetime
import glob
import os
import platform
import re
import shutil
import subprocess
import time

from lab import cache, testing


def _first_line(*argv):
    """What a program says first, or None."""
    program = shutil.which(argv[0], path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        return None
    done = subprocess.run([program, *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False, cwd=testing.SOURCE)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def _version(*argv):
    """The version in what a program says first, or None."""
    found = re.search(r"\d+(\.\d+)+\S*", _first_line(*argv) or "")
    return found.group().rstrip(",;)") if found else None


def _in_file(path, pattern):
    with open(path, encoding="utf-8") as file:
        found = re.search(pattern, file.read(), re.MULTILINE)
    return found.group(1) if found else None


def _accelerator():
    """What the guests ran on; lab.vm finds it out and leaves a note."""
    if os.environ.get("HOLDFAST_ACCEL"):
        return os.environ["HOLDFAST_ACCEL"]
    notes = glob.glob(os.path.join(cache.directory(), "accel-*"))
    if not notes:
        return None
    with open(max(notes, key=os.path.getmtime), encoding="ascii") as note:
        return note.read().strip()


def _postgresql():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return _version(found[-1], "--version") if found else None


def _commit():
    commit = _first_line("git", "rev-parse", "HEAD")
    changed = _first_line("git", "status", "--porcelain", "--untracked-files=no")
    return commit and commit + (" and changes" if changed else "")


def _distribution():
    return platform.freedesktop_os_release().get("PRETTY_NAME")


def hardware():
    memory = int(_in_file("/proc/meminfo", r"^MemTotal:\s+(\d+) kB"))
    return {"cpu": _in_file("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.machine(),
            "cores": len(os.sched_getaffinity(0)), "memory_mib": memory >> 10,
            "accelerator": _accelerator()}


def versions():
    return {"distribution": _distribution(), "kernel": platform.release(),
            "QEMU": _version("qemu-system-x86_64", "--version"),
            "qemu-ga": _version("qemu-ga", "--version"),
            "MariaDB": _version("mariadbd", "--version"), "PostgreSQL": _postgresql(),
            "libvirt": _version("libvirtd", "--version"),
            "virtnbdbackup": _version("virtnbdbackup", "--version"),
            "holdfast": _version(testing.built("host-driver/holdfast"), "--version"),
            "commit": _commit()}


def shown_time(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def look():
    return {"date": shown_time(time.time()), "hardware": hardware(), "versions": versions()}


def sentence(found):
    """All of it in a few lines, for people."""
    hard, soft = found["hardware"], found["versions"]
    programs = ", ".join(f"{name} {soft[name]}" for name in
                         ("QEMU", "qemu-ga", "MariaDB", "PostgreSQL", "libvirt", "virtnbdbackup")
                         if soft.get(name))
    return (f"{found['date'][:10]}: {hard['cores']} cores of {hard['cpu']}, "
            f"{hard['memory_mib'] / 1024:.0f} GiB, guests on "
            f"{(hard['accelerator'] or 'an unknown accelerator').upper()}; "
            f"{soft['distribution']}, kernel {soft['kernel']}, {programs}; "
            f"holdfast {soft['holdfast']}, commit {(soft['commit'] or 'unknown')[:12]}.")
