# SPDX-License-Identifier: MIT
"""What the tests make once and keep: images, roots, data directories of servers.

They lie in the cache directory (HOLDFAST_CACHE, by default holdfast beside the other caches of the
user, so that one clone serves the next), each under a name that ends in the hash of all that went
into it: another recipe is another name, and nothing kept ever changes.
What an earlier recipe made goes when a new one is made and it has not been used for a day.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time

from . import testing

_UNUSED_AFTER = 24 * 3600  # seconds


def directory():
    path = os.environ.get("HOLDFAST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "holdfast")
    os.makedirs(path, exist_ok=True)
    return os.path.abspath(path)


def key(recipe):
    """The hash of a recipe: lists and strings, with the source of the steps among them."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def made_once(name, build, minimum_free=0):
    """The directory `name` of the cache. If it is not there, `build(work, out)` fills the
    directory `out` first, with `work` for what it needs on the way; two tests at once wait for
    each other, and a maker that fails leaves nothing."""
    path = os.path.join(directory(), name)
    with _only_maker(name):
        if os.path.isdir(path):
            os.utime(path)
            return path
        _remove_unused(name)
        free = shutil.disk_usage(directory()).free
        if free < minimum_free:
            raise RuntimeError(f"'{directory()}' has {free >> 20} MiB free, needs "
                               f"{minimum_free >> 20}")
        work = tempfile.mkdtemp(prefix="making-", dir=directory())
        try:
            out = os.path.join(work, "out")
            os.mkdir(out)
            build(work, out)
            os.rename(out, path)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return path


def _remove_unused(name):
    """What other recipes have made for the same purpose."""
    purpose = name.rpartition("-")[0]
    for entry in os.scandir(directory()):
        if entry.name.rpartition("-")[0] != purpose or not entry.is_dir(follow_symlinks=False):
            continue
        if entry.stat().st_mtime < time.time() - _UNUSED_AFTER:
            shutil.rmtree(entry.path, ignore_errors=True)


@contextlib.contextmanager
def _only_maker(name):
    with open(os.path.join(directory(), f"{name}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(argv, **options):
    """Runs a program; its output is part of the error if it fails."""
    options.setdefault("timeout", 900)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **options)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"'{' '.join(argv[:3])} …' ended with {done.returncode}:\n"
                           f"{text[-4000:]}")
    return text
