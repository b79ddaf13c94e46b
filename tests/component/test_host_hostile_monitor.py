# SPDX-License-Identifier: MIT
"""QEMU is ours, but it runs the guest: a monitor that speaks like one that was taken over costs a
run no more than its time-out, and one line."""

import itertools
import json
import os
import shutil
import socket
import tempfile
import threading
import unittest

from hostile_case import Harmless, run_measured
from lab import testing

VM = "web1"
GREETING = b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}\n'
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\x00\x7f"


def line(value):
    return json.dumps(value).encode() + b"\n"


class Monitor:
    """Says its greeting, then the same to every line that comes: pieces, perhaps without end."""

    def __init__(self, path, greeting, answer):
        self.greeting = greeting
        self.answer = answer
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(4)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def stop(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join(30)
        self.server.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with client:
                try:
                    for piece in self.greeting:
                        client.sendall(piece)
                    for request in client.makefile("rb"):
                        for piece in self.answer(json.loads(request)):
                            client.sendall(piece)
                except OSError:
                    pass


# What a monitor may say in place of its greeting, or of an answer to the request with this id.
INSTEAD = {
    "lines without end": lambda id_: itertools.repeat(b'{"return": {}, "id": "x"}\n' * 4096),
    "events without end": lambda id_: itertools.repeat(b'{"event": "STOP", "data": {}}\n' * 4096),
    "a line without end": lambda id_: itertools.repeat(b"x" * 65536),
    "nests": lambda id_: [b'{"return": ' + b"[" * 100000 + b"]" * 100000 + b"}\n"],
    "members by the million": lambda id_: [
        b'{"return": {' + b",".join(b'"%d":0' % n for n in range(1000000)) + b"}}\n"],
    "escapes": lambda id_: [line({"error": {"class": ESCAPES, "desc": ESCAPES}, "id": id_})],
    "bytes that are no text": lambda id_: [b'{"return": "\xff\xfe\x9b2J"}\n'],
    "nothing that was asked for": lambda id_: [line({"return": ESCAPES, "id": id_})],
    "devices like paths": lambda id_: [line({"id": id_, "return": [
        {"device": "../../x" + ESCAPES, "removable": False, "inserted": {
            "node-name": ESCAPES, "ro": False,
            "image": {"filename": "../../" + ESCAPES, "format": "raw"}}}]})],
    "a hundred thousand devices": lambda id_: [line({"id": id_, "return": [
        {"device": "x"}] * 100000})],
    "the end": lambda id_: [b"{"],
}


class HostileMonitor(Harmless, unittest.TestCase):
    def setUp(self):
        self.program = testing.built("host-driver/holdfast")
        self.root = tempfile.mkdtemp(prefix="hf-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        os.mkdir(f"{self.root}/run")

    def check(self, greeting, answer, *words):
        path = f"{self.root}/run/qmp"
        monitor = Monitor(path, greeting, answer)
        try:
            ended = run_measured([
                self.program, "backup", VM, f"--qmp={path}", "--qmp-timeout=200ms",
                "--require=crash", f"--repository={self.root}/repository",
                f"--state-directory={self.root}/state", f"--config-directory={self.root}/etc",
                *words])
        finally:
            monitor.stop()
            os.unlink(path)
        said = self.assert_ended(ended, (1,))
        self.assertEqual(os.listdir(f"{self.root}/state"), [VM + ".lock"])
        self.assertEqual(os.listdir(f"{self.root}/repository/{VM}"), [".lock"])
        self.assertEqual(sorted(os.listdir(self.root)), ["repository", "run", "state"])
        return said

    def test_in_place_of_a_greeting(self):
        for kind, say in INSTEAD.items():
            with self.subTest(kind=kind):
                # An error in its place is the word of a program that cannot reach QEMU.
                self.assertRegex(self.check(say(None), lambda request: []),
                                 "unable to reach QEMU monitor" if kind == "escapes"
                                 else "the greeting")

    def test_when_it_is_asked_for_its_disks(self):
        # Commands of a recovery have a time of their own, which is longer than a test may take.
        waited_for = ("lines without end", "events without end", "the end")
        honest = {"qmp_capabilities": {}, "query-named-block-nodes": [], "query-jobs": [],
                  "query-fdsets": []}
        for kind, say in INSTEAD.items():
            if kind in waited_for:
                continue

            def answer(request, say=say):
                if request["execute"] in honest:
                    return [line({"return": honest[request["execute"]], "id": request["id"]})]
                return say(request["id"])
            with self.subTest(kind=kind):
                self.check([GREETING], answer, "--compress=none")

    def test_when_it_is_asked_what_it_can(self):
        for kind, say in INSTEAD.items():
            def answer(request, say=say):
                if request["execute"] == "qmp_capabilities":
                    return [line({"return": {}, "id": request["id"]})]
                return say(request["id"])
            with self.subTest(kind=kind):
                self.check([GREETING], answer)


if __name__ == "__main__":
    testing.main()
