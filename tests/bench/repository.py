# SPDX-License-Identifier: MIT
"""What a repository of 10,000 backups costs those who look into it.

    python3 -m bench.repository DIRECTORY ROUNDS

A real full backup and a real increment of a small machine, which stand there again and again under
other names: manifests of their own, and images that are links to the first ones.

    seconds     of `holdfast list`, `show` and `prune --dry-run`
    floor       of reading all those manifests, by find and cat, just before

The first listing of each round has no index, and makes one for those after it.
"""

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time

from lab import cache, testing
from lab import claims as claims_module
from support.fake_qga import FakeQga
from support.qemu_machine import MIB, Machine

from . import figures

BACKUPS = 10_000
AIM_S = 0.2
FIRST = "list (the first, without an index)"
# What is younger than this when it is looked at is looked at again (repository/index.h).
SETTLED_S = 4
VM = "web1"
BEGIN = datetime.datetime(2025, 1, 1)


class Repository:
    def __init__(self, directory):
        self.directory = directory
        self.backups = os.path.join(directory, "repository", VM)

    def path(self, name):
        return os.path.join(self.directory, name)

    def command(self, *words, options=()):
        return [testing.built("host-driver/holdfast"), *words,
                f"--config-directory={self.path('etc')}", f"--state-directory={self.path('state')}",
                f"--repository={self.path('repository')}", *options]

    def fill(self):
        """The two real ones, and copies of them until there are enough."""
        full, increment = self._back_up()
        texts = [(id, self._manifest(id)) for id in (full, increment)]
        for number in range(BACKUPS // 2 - 1):
            named = [(old, self._id(2 * number + which)) for which, (old, _) in enumerate(texts)]
            for (old, text), (_, new) in zip(texts, named):
                for before, after in named:
                    text = text.replace(before, after)
                self._copy(old, new, text)

    def forget(self):
        """What earlier looks have found."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.backups, ".index"))

    def _back_up(self):
        os.mkdir(self.path("vm"))
        machine, agent = Machine(self.path("vm")), FakeQga(self.path("qga.sock"))
        machine.start()
        try:
            ids = []
            for pattern in (1, 2):
                machine.write("sys", pattern, 0, MIB)
                cache.run(self.command("backup", VM, options=[
                    f"--qmp={machine.qmp}", f"--agent={agent.path}", "--overlay-reserve=0"]))
                ids += sorted(set(os.listdir(self.backups)) - {".lock", *ids})
            return ids
        finally:
            agent.stop()
            machine.stop()

    def _manifest(self, name):
        with open(os.path.join(self.backups, name, "manifest.json"), encoding="utf-8") as file:
            return file.read()

    @staticmethod
    def _id(number):
        return f"{BEGIN + datetime.timedelta(hours=number):%Y%m%dT%H%M%SZ}-{number:08x}"

    def _copy(self, old, new, text):
        target = os.path.join(self.backups, new)
        os.mkdir(target, 0o700)
        for name in os.listdir(os.path.join(self.backups, old)):
            if name != "manifest.json":
                os.link(os.path.join(self.backups, old, name), os.path.join(target, name))
        with open(os.path.join(target, "manifest.json"), "w", encoding="utf-8") as file:
            file.write(text)


def seconds_of(argv):
    begin = time.monotonic()
    subprocess.run(argv, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def measure(repository, rounds, claims):
    ways = {"list": repository.command("list", VM), "show": repository.command("show", VM),
            "prune --dry-run": repository.command("prune", VM, "--dry-run",
                                                  options=["--keep-daily=7", "--keep-weekly=5"])}
    floor = ["find", repository.backups, "-name", "manifest.json", "-exec", "cat", "{}", "+"]
    found = {name: {"seconds": [], "floor": []} for name in [*ways, FIRST]}
    for number in range(rounds):
        # What follows finds what this one has found.
        repository.forget()
        for name, argv in {FIRST: ways["list"], **ways}.items():
            found[name]["floor"].append(seconds_of(floor))
            found[name]["seconds"].append(seconds_of(argv))
        claims.say(f"{number + 1}/{rounds}")
    return {name: {figure: figures.Series(values) for figure, values in one.items()}
            for name, one in found.items()}


def as_figure(name, one):
    aimed = {} if name == FIRST else {"aim": f"below {AIM_S} s", "limit": AIM_S}
    return figures.Figure(f"holdfast {name}, {BACKUPS:,} backups", "s", one["seconds"],
                          floor=("reading their manifests by find and cat", one["floor"]),
                          digits=3, **aimed)


def main():
    directory, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    claims = claims_module.Claims()
    work = tempfile.mkdtemp(prefix="hf-")
    try:
        repository = Repository(work)
        repository.fill()
        time.sleep(SETTLED_S)
        claims.say(f"{len(os.listdir(repository.backups)) - 1} backups")
        found = measure(repository, rounds, claims)
    finally:
        shutil.rmtree(work)
    figures.write_part(directory, "repository",
                       [as_figure(name, one) for name, one in found.items()])
    print("\n" + figures.markdown(["command", "s", "reading the manifests, s"],
                                  [[f"`{name}`", one["seconds"].shown(3), one["floor"].shown(3)]
                                   for name, one in found.items()]), flush=True)


if __name__ == "__main__":
    main()
