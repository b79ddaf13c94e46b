# SPDX-License-Identifier: MIT
"""A guest's load without a guest: 4 KiB read or written at a time, each as soon as the one before is
done, at places that chance chose, through an NBD export of the disk, which is always of what is on top.

    python3 -m bench.load SOCKET SIZE LOG

reads commands from standard input, `pause`, `go` and `end`, and answers each with its name.
"""

import array
import os
import random
import select
import subprocess
import sys
import time

from lab import testing
from support.nbd_client import READ, WRITE, Client

EXPORT = "guest"
BLOCK = 4096
# As databases do: four in five are in an eighth of the disk.
HOT, HOT_PART = 0.8, 8
WRITES = 0.5


class Load:
    """Runs as a process of its own until the end; pauses and goes on as a guest that is frozen."""

    def __init__(self, monitor, node, size, directory):
        socket, self._log = (os.path.join(directory, name) for name in ("nbd.sock", "load.log"))
        monitor.execute("nbd-server-start", addr={"type": "unix", "data": {"path": socket}})
        monitor.execute("block-export-add", type="nbd", id=EXPORT, name=EXPORT, writable=True,
                        **{"node-name": node})
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            [sys.executable, "-m", "bench.load", socket, str(size), self._log],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.path.join(testing.SOURCE, "tests")})
        self._times = self._latencies = None

    def __enter__(self):
        self.tell("go")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def tell(self, word):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != word:
            raise RuntimeError("the load has ended")

    def end(self):
        self.tell("end")
        self._process.wait(30)
        with open(self._log, "rb") as file:
            values = array.array("d", file.read())
        self._times, self._latencies = values[::2], values[1::2]

    def between(self, begin, end):
        """Microseconds of each that was done between these two times, sorted; after the end."""
        return sorted(latency * 1e6 for when, latency in zip(self._times, self._latencies)
                      if begin <= when < end)


def place(chance, blocks):
    part = blocks // HOT_PART if chance.random() < HOT else blocks
    return chance.randrange(part) * BLOCK


def run(client, size, log):
    chance, noted, going = random.Random(1), array.array("d"), False
    data = chance.randbytes(1 << 20)
    blocks = size // BLOCK
    while True:
        if not going or select.select([sys.stdin], [], [], 0)[0]:
            word = sys.stdin.readline().strip()
            going = word == "go"
            if word == "end":
                with open(log, "wb") as file:
                    noted.tofile(file)
            print(word, flush=True)
            if word in ("end", ""):
                return
            continue
        offset, write = place(chance, blocks), chance.random() < WRITES
        content = data[offset % (1 << 19):][:BLOCK] if write else b""
        begin = time.monotonic()
        problem, _ = client.request(WRITE if write else READ, offset, BLOCK, content)
        end = time.monotonic()
        if problem:
            raise RuntimeError(f"errno {problem} at {offset}")
        noted.extend((end, end - begin))


def main():
    client = Client(sys.argv[1])
    client.open(EXPORT)
    run(client, int(sys.argv[2]), sys.argv[3])


if __name__ == "__main__":
    main()
