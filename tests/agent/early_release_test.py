# SPDX-License-Identifier: MIT
"""The end of a window before its hook: a real qemu-ga thaws, and the locks are gone while its hook
still stands at its first line. What looks like a thaw and is none releases nothing."""

import contextlib
import os
import threading
import unittest

from lab import agent_rig, loopfs, qga, testing
from lab.fake_database import PATIENCE, Database
from support.waiting import Gate, until

PLUGINS = os.path.dirname(testing.built("tests/plugins/holdfast-fake.so"))


class Thaw(threading.Thread):
    """guest-fsfreeze-thaw beside the test; its answer is count or problem."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self._rig = rig
        self.count = self.problem = None

    def run(self):
        try:
            self.count = self._rig.thaw()
        except qga.AgentError as problem:
            self.problem = str(problem)


class EarlyRelease(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.filesystem = loopfs.LoopFilesystem(64)
        cls.addClassCleanup(cls.filesystem.close)

    def setUp(self):
        self.rig = agent_rig.Rig(self.filesystem, plugin_directory=PLUGINS)
        self.addCleanup(self.rig.close)
        self.database = Database(self.rig.path("database.sock"))
        self.addCleanup(self.database.close)
        self.rig.resource("a", f"plugin = fake\nsocket = {self.database.path}\n")
        self.gate = Gate(self.rig.path("gate"))
        self.addCleanup(self.gate.close)
        with open(self.rig.path("hook"), encoding="utf-8") as file:
            first, rest = file.read().split("\n", 1)
        with open(self.rig.path("hook"), "w", encoding="utf-8") as file:
            file.write(f"{first}\nif [ $1 = thaw ]; then {self.gate.stop}; fi\n{rest}")
        self.rig.start()
        self.database.wait_session("fake:a")

    def thaw_up_to_the_hook(self):
        """The filesystem is thawed, and the hook has not asked for anything yet."""
        thaw = Thaw(self.rig)
        thaw.start()
        self.gate.reached(self.rig.agent_process)
        return thaw

    def finish(self, thaw):
        self.gate.open()
        thaw.join(PATIENCE)
        return thaw

    def freeze(self):
        self.assertEqual(self.rig.freeze(), 1)
        # As long as a host takes for its transaction, and more: until it shows that it is frozen.
        until(self.freeze_was_seen, "the freeze is seen")

    def freeze_was_seen(self):
        """A thread of holdfast-fsd waits for the thaw, and who asked for that has gone with the
        answer: there are the listening socket and the service's own connection again."""
        home = f"/proc/{self.rig.fsd.pid}"
        states, sockets = [], 0
        with contextlib.suppress(FileNotFoundError):
            for task in os.listdir(f"{home}/task"):
                with open(f"{home}/task/{task}/stat", encoding="ascii") as file:
                    states.append(file.read().rsplit(")", 1)[1].split()[0])
            for fd in os.listdir(f"{home}/fd"):
                sockets += os.readlink(f"{home}/fd/{fd}").startswith("socket:")
        return "D" in states and sockets == 2

    def assert_still_held(self):
        """After everything that came before: jobs are done in turn."""
        said = self.rig.ctl("check", check=False)
        self.assertIn("a window is open", str(said), said)
        self.assertEqual(self.database.locked(), ["fake:a"])

    def test_comes_while_the_hook_has_not_begun(self):
        self.freeze()
        self.assertEqual(self.database.locked(), ["fake:a"])
        thaw = self.thaw_up_to_the_hook()
        self.database.wait_unlocked()
        until(lambda: self.rig.record()["state"] == "done", "the record is complete")
        record = self.rig.record()
        self.assertEqual(record["verdict"]["code"], "ok")
        self.assertGreater(record["thaw_seen"]["monotonic_ns"], record["held"]["monotonic_ns"])
        self.assertEqual((self.finish(thaw).count, thaw.problem), (1, None))
        self.assertEqual(self.rig.record(), record)
        until(lambda: self.rig.record_inside() == record, "the disk's copy is complete")

    def test_keeps_a_lost_hold_for_the_hook(self):
        self.freeze()
        self.database.end_session("fake:a")
        thaw = self.thaw_up_to_the_hook()
        until(lambda: self.rig.record()["state"] == "done", "the record is complete")
        self.assertEqual(self.rig.record()["verdict"]["code"], "hold-lost")
        self.assertIn("status 30", self.finish(thaw).problem)

    def test_needs_no_daemon_afterwards(self):
        self.freeze()
        thaw = self.thaw_up_to_the_hook()
        until(lambda: self.rig.record()["state"] == "done", "the record is complete")
        self.rig.kill_daemon()
        self.assertEqual((self.finish(thaw).count, thaw.problem), (1, None))

    def test_does_not_come_when_nothing_was_frozen(self):
        """qemu-ga says at once that it is not frozen; the host's snapshot is still to come."""
        self.gate.open()
        count = self.rig.agent.call("guest-fsfreeze-freeze-list",
                                    {"mountpoints": ["/no/such/mount/point"]}, 40)
        self.assertEqual(count, 0)
        self.assert_still_held()
        self.rig.agent.call("guest-fsfreeze-thaw", timeout=40)
        self.assertEqual(self.database.locked(), [])
        self.assertNotIn("thaw_seen", self.rig.record())
        self.assertEqual(self.rig.record()["verdict"]["code"], "ok")

    def test_does_not_come_when_somebody_else_thaws(self):
        self.freeze()
        self.filesystem.thaw()
        self.assert_still_held()
        thaw = self.finish(self.thaw_up_to_the_hook())
        self.assertEqual((thaw.count, thaw.problem), (0, None))
        self.assertEqual(self.database.locked(), [])

    def test_does_not_come_by_a_file_of_another_user(self):
        os.chmod(self.rig.path("qga"), 0o777)
        self.assertEqual(self.rig.freeze(), 1)
        thaw = self.thaw_up_to_the_hook()
        self.assert_still_held()
        self.assertEqual(self.finish(thaw).count, 1)
        self.assertNotIn("thaw_seen", self.rig.record())

    def test_comes_in_every_window(self):
        self.gate.open()
        for _ in range(10):
            self.freeze()
            self.assertEqual(self.rig.thaw(), 1)
            self.assertEqual(self.rig.record()["verdict"]["code"], "ok")
            self.assertIn("thaw_seen", self.rig.record())


if __name__ == "__main__":
    reason = agent_rig.missing() or loopfs.missing()
    if reason:
        testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
