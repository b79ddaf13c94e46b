# SPDX-License-Identifier: MIT
"""QEMU's own sample of a MySQL hook, as it stands in the source of Debian's package: no package ships
it. It is fetched by apt, whose archive is signed, and kept (lab/cache.py)."""

import os
import shutil

from lab import archive, cache

MEMBER = "scripts/qemu-guest-agent/fsfreeze-hook.d/mysql-flush.sh.sample"


def _sources():
    return [line.replace("deb ", "deb-src ", 1) for line in archive.sources()]


def _fetch(work, out):
    for name in ("lists", "cache"):
        os.makedirs(os.path.join(work, name, "partial"))
    with open(os.path.join(work, "sources.list"), "w", encoding="utf-8") as file:
        file.write("\n".join(_sources()) + "\n")
    # An apt of its own: this machine's lists are not touched.
    options = [f"-oDir::Etc::SourceList={work}/sources.list", "-oDir::Etc::SourceParts=/dev/null",
               f"-oDir::State::Lists={work}/lists", f"-oDir::Cache={work}/cache",
               "-oAPT::Sandbox::User=root"]
    cache.run(["apt-get", "-q", *options, "update"])
    cache.run(["apt-get", "-q", *options, "source", "--download-only", "--only-source", "qemu"],
              cwd=work)
    tarball, = (name for name in os.listdir(work) if ".orig.tar" in name)
    cache.run(["tar", "-xf", tarball, "--wildcards", f"*/{MEMBER}"], cwd=work)
    top, = (name for name in os.listdir(work) if os.path.exists(os.path.join(work, name, MEMBER)))
    shutil.copy(os.path.join(work, top, MEMBER), os.path.join(out, "mysql-flush.sh"))


def text():
    """The sample."""
    name = f"qemu-sample-{cache.key([MEMBER, _sources()])}"
    with open(os.path.join(cache.made_once(name, _fetch), "mysql-flush.sh"), "rb") as file:
        return file.read()
