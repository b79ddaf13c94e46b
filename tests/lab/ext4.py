# SPDX-License-Identifier: MIT
"""What an ext4 filesystem in a raw image is like, without mounting it."""

import subprocess


def _run(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300, check=False, errors="replace")


def needs_recovery(image):
    """Has its journal anything that is not in its place? A frozen one has not."""
    done = _run("dumpe2fs", "-h", image)
    if done.returncode != 0:
        raise RuntimeError(f"dumpe2fs ended with {done.returncode}: {done.stderr}")
    return "needs_recovery" in done.stdout


def problems(image):
    """What e2fsck finds; "" if nothing. The image is changed as a mount would: the journal is
    replayed, and files go that were open and without a name."""
    preened = _run("e2fsck", "-fp", image)
    # 1: what it could put right without asking, as at any boot
    if preened.returncode not in (0, 1):
        return f"status {preened.returncode}: {preened.stdout}{preened.stderr}"
    checked = _run("e2fsck", "-fn", image)
    if checked.returncode != 0:
        return f"status {checked.returncode}: {checked.stdout}{checked.stderr}"
    return ""


def extract(image, path, target):
    """Copies one file out."""
    done = _run("debugfs", "-R", f"dump {path} {target}", image)
    if "File not found" in done.stderr or done.returncode != 0:
        raise RuntimeError(f"'{path}' in '{image}': {done.stderr}")
