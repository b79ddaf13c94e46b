# SPDX-License-Identifier: MIT
"""The guest agent and the QMP proxy that stand in for real ones in the component suite."""

import itertools
import json
import os
import shutil
import socket
import tempfile
import threading
import unittest

from lab import testing
from support import fake_qga, qmp_proxy

PATIENCE = 10


class Client:
    """One connection that speaks lines of JSON."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")

    def send(self, command, **arguments):
        request = {"execute": command, "arguments": arguments, "id": 1}
        self.socket.sendall(json.dumps(request).encode() + b"\n")

    def ask(self, command, **arguments):
        self.send(command, **arguments)
        return json.loads(self.lines.readline())

    def value(self, command, **arguments):
        return self.ask(command, **arguments)["return"]

    def close(self):
        self.lines.close()
        self.socket.close()


class PeerCase(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="holdfast-peers-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def client(self, path):
        client = Client(path)
        self.addCleanup(client.close)
        return client


class FakeQga(PeerCase):
    def setUp(self):
        super().setUp()
        self.agent = fake_qga.FakeQga(self.path("qga.sock"), filesystems=2)
        self.addCleanup(self.agent.stop)

    def test_marks_where_a_synchronised_answer_begins(self):
        client = self.client(self.agent.path)
        client.socket.sendall(b'half a li\xff{"execute":"guest-sync-delimited","arguments":{"id":9}}\n')
        self.assertEqual(client.lines.readline(), b'\xff{"return": 9}\n')

    def test_remembers_that_it_is_frozen_and_refuses_what_a_frozen_agent_refuses(self):
        client = self.client(self.agent.path)
        self.assertEqual(client.value("guest-fsfreeze-status"), "thawed")
        self.assertEqual(client.value("guest-fsfreeze-freeze"), 2)
        self.assertTrue(self.agent.frozen)
        self.assertEqual(client.value("guest-fsfreeze-status"), "frozen")
        self.assertEqual(client.ask("guest-file-open", path="/x")["error"]["class"],
                         "CommandNotFound")
        self.assertIn("error", client.ask("guest-fsfreeze-freeze"))
        self.assertEqual(client.value("guest-fsfreeze-thaw"), 2)
        self.assertEqual(client.value("guest-fsfreeze-thaw"), 0)
        self.assertLessEqual(self.agent.froze_at, self.agent.thawed_at)
        self.assertEqual(self.agent.count("guest-fsfreeze-thaw"), 2)

    def test_thaws_although_its_hook_fails(self):
        self.agent.hook_status = 30
        client = self.client(self.agent.path)
        client.value("guest-fsfreeze-freeze")
        self.assertEqual(client.ask("guest-fsfreeze-thaw")["error"]["desc"],
                         "fsfreeze hook has failed with status 30")
        self.assertFalse(self.agent.frozen)

    def test_hands_out_the_record_of_each_window_in_pieces(self):
        client = self.client(self.agent.path)
        self.assertIn("error", client.ask("guest-file-open", path=fake_qga.RECORD))
        client.value("guest-fsfreeze-freeze")
        client.value("guest-fsfreeze-thaw")
        handle = client.value("guest-file-open", path=fake_qga.RECORD)
        first = client.value("guest-file-read", handle=handle, count=10)
        self.assertEqual((first["count"], first["eof"]), (10, False))
        rest = client.value("guest-file-read", handle=handle, count=100000)
        self.assertTrue(rest["eof"])
        self.assertEqual(client.value("guest-file-close", handle=handle), {})
        record = json.loads(self.agent.files[fake_qga.RECORD])
        self.assertEqual((record["sequence"], record["state"]), (1, "done"))

    def test_serves_one_client_at_a_time(self):
        first = self.client(self.agent.path)
        first.value("guest-ping")
        second = self.client(self.agent.path)
        second.send("guest-ping")
        second.socket.settimeout(0.05)
        with self.assertRaises(TimeoutError):
            second.socket.recv(1)
        first.socket.shutdown(socket.SHUT_RDWR)
        second.socket.settimeout(PATIENCE)
        self.assertEqual(second.socket.recv(100), b'{"return": {}}\n')

    def test_behaves_as_it_is_told_to(self):
        def close(_fake, _request):
            raise fake_qga.Close
        self.agent.behaviours["guest-ping"] = close
        self.agent.behaviours["guest-info"] = lambda fake, request: b"no JSON\n"
        client = self.client(self.agent.path)
        client.send("guest-info")
        self.assertEqual(client.lines.readline(), b"no JSON\n")
        client.send("guest-ping")
        self.assertEqual(client.lines.readline(), b"")
        self.assertTrue(self.agent.wait_until(lambda: self.agent.names() == ["guest-info",
                                                                             "guest-ping"]))
        self.assertFalse(self.agent.wait_until(lambda: False, seconds=0.01))

    def test_floods_until_its_client_goes_away_and_serves_the_next(self):
        self.agent.behaviours["guest-ping"] = lambda agent, request: itertools.repeat(b"x" * 65536)
        client = self.client(self.agent.path)
        client.send("guest-ping")
        self.assertEqual(client.lines.read(1 << 20), b"x" * (1 << 20))
        client.close()
        self.agent.behaviours.clear()
        self.assertEqual(self.client(self.agent.path).value("guest-ping"), {})

    def test_knows_no_file_that_it_has_not_opened(self):
        client = self.client(self.agent.path)
        for command in ("guest-file-read", "guest-file-close"):
            self.assertEqual(client.ask(command, handle=7)["error"]["desc"],
                             "handle '7' has not been found")

    def test_knows_no_command_that_it_does_not_have(self):
        client = self.client(self.agent.path)
        self.assertEqual(client.ask("guest-exec")["error"]["class"], "CommandNotFound")


class Qemu(threading.Thread):
    """Answers every command with its own name."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.commands = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                for line in lines:
                    request = json.loads(line)
                    self.commands.append(request["execute"])
                    client.sendall(json.dumps({"event": "STOP"}).encode() + b"\n" + json.dumps(
                        {"return": request["execute"], "id": request["id"]}).encode() + b"\n")

    def stop(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.join(PATIENCE)
        self.server.close()


class QmpProxy(PeerCase):
    def setUp(self):
        super().setUp()
        self.qemu = Qemu(self.path("qemu.sock"))
        self.addCleanup(self.qemu.stop)
        self.proxy = qmp_proxy.QmpProxy(self.path("proxy.sock"), self.path("qemu.sock"))
        self.addCleanup(self.proxy.stop)

    def test_passes_commands_events_and_answers_on(self):
        client = self.client(self.proxy.path)
        self.assertEqual(client.ask("query-status"), {"event": "STOP"})
        self.assertEqual(json.loads(client.lines.readline()), {"return": "query-status", "id": 1})
        self.assertEqual(self.proxy.commands, ["query-status"])

    def test_does_something_before_and_after_a_command(self):
        seen = []
        self.proxy.before["stop"] = lambda: seen.append(list(self.qemu.commands))
        self.proxy.after["stop"] = lambda: seen.append(list(self.qemu.commands))
        client = self.client(self.proxy.path)
        client.ask("stop")
        client.lines.readline()
        self.assertEqual(seen, [[], ["stop"]])

    def test_cuts_the_connection_before_a_command_has_gone_on(self):
        self.proxy.before["stop"] = self.cut
        client = self.client(self.proxy.path)
        client.send("stop")
        self.assertEqual(client.lines.readline(), b"")
        self.assertEqual(self.qemu.commands, [])

    def test_cuts_the_connection_before_the_client_has_heard_and_serves_the_next(self):
        self.proxy.after["stop"] = self.cut
        client = self.client(self.proxy.path)
        client.send("stop")
        self.assertEqual(client.lines.readline(), b'{"event": "STOP"}\n')
        self.assertEqual(client.lines.readline(), b"")
        self.assertEqual(self.qemu.commands, ["stop"])
        again = self.client(self.proxy.path)
        again.ask("cont")
        self.assertEqual(json.loads(again.lines.readline())["return"], "cont")

    @staticmethod
    def cut():
        raise qmp_proxy.Cut


if __name__ == "__main__":
    testing.main()
