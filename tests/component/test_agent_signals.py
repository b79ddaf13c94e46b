# SPDX-License-Identifier: MIT
"""What holdfastd does when it is told to end, in the middle of things; and what the hook makes of a
service that ends while it is asked."""

import os
import signal
import socket
import subprocess
import threading

from agent_case import HOOK, PATIENCE, AgentCase
from lab import testing


class ToldToEnd(AgentCase):
    def setUp(self):
        super().setUp()
        self.resource("a")
        self.resource("b")
        self.start(ready=("fake:a", "fake:b"))

    def begin_hook(self, verb):
        hook = subprocess.Popen([HOOK, f"--socket={self.path('run/control.sock')}", verb],
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(hook.stderr.close)
        self.addCleanup(hook.kill)
        return hook

    def terminate(self):
        self.daemon.send_signal(signal.SIGTERM)

    def assert_ended_in_order(self):
        self.assertEqual(self.daemon.wait(PATIENCE), 0)
        self.assertEqual(self.database.locked(), [])

    def test_gives_up_a_freeze_that_is_being_prepared(self):
        self.database.script["fake:a prepare"] = None
        hook = self.begin_hook("freeze")
        self.database.wait_call("fake:a prepare")
        self.terminate()
        self.assertIn(hook.wait(PATIENCE), (20, 21))
        self.assert_ended_in_order()
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_gives_up_a_freeze_that_holds_already(self):
        self.database.script["fake:b hold"] = None
        hook = self.begin_hook("freeze")
        self.database.wait(lambda db: "fake:b hold" in db.calls and "fake:a" in db.locked())
        self.terminate()
        self.assertIn(hook.wait(PATIENCE), (20, 21))
        self.assert_ended_in_order()
        self.assertEqual(self.hook("thaw"), (0, ""))

    def test_finishes_a_thaw_with_its_verdict(self):
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.database.script["fake:a check"] = None
        hook = self.begin_hook("thaw")
        self.database.wait_call("fake:a check")
        self.terminate()
        self.database.answer_now("fake:a check")
        self.assertEqual(hook.wait(PATIENCE), 0)
        self.assert_ended_in_order()

    def test_lets_go_of_a_window_and_leaves_word_of_it(self):
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.terminate()
        self.assert_ended_in_order()
        self.start(ready=("fake:a", "fake:b"))
        status, text = self.hook("thaw")
        self.assertEqual(status, 33)
        self.assertIn("the holds were lost", text)

    def test_ends_once_however_often_it_is_told(self):
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.database.script["fake:a release"] = None
        self.terminate()
        self.database.wait_call("fake:a release")
        self.terminate()
        self.daemon.send_signal(signal.SIGINT)
        # Not before what it holds is released: here by the end of a session that does not answer.
        self.assertIsNone(self.daemon.poll())
        self.assertIn("fake:a", self.database.locked())
        self.assertEqual(self.daemon.wait(PATIENCE), 0)
        self.database.wait_unlocked()
        self.assertEqual(self.database.calls.count("fake:a release"), 1)

    def test_ends_even_if_a_plugin_never_comes_back(self):
        self.assertEqual(self.hook("freeze"), (0, ""))
        self.database.script["fake:a release"] = "stuck"
        self.terminate()
        self.assertEqual(self.daemon.wait(PATIENCE), 1)
        self.database.wait_unlocked()
        self.assertEqual(self.hook("thaw")[0], 33)

    def test_answers_before_it_ends_because_of_a_plugin_that_never_comes_back(self):
        for call, status in (("check", 30), ("release", 32)):
            with self.subTest(call=call):
                self.assertEqual(self.hook("freeze"), (0, ""))
                self.database.script[f"fake:b {call}"] = "stuck"
                self.assertEqual(self.hook("thaw")[0], status)
                self.assertEqual(self.daemon.wait(PATIENCE), 1)
                self.database.wait_unlocked()
                self.database.script.clear()
                self.database.calls.clear()
                self.start(ready=("fake:a", "fake:b"))

    def test_feeds_the_watchdog_while_a_freeze_is_slow(self):
        self.kill()
        self.database.calls.clear()
        self.start(ready=("fake:a", "fake:b"), environment={"WATCHDOG_USEC": "400000"})
        self.database.script["fake:a hold"] = None
        hook = self.begin_hook("freeze")
        self.database.wait_call("fake:a hold")
        for _ in range(4):
            self.wait_notification("WATCHDOG=1")
        self.database.answer_now("fake:a hold")
        self.assertEqual(hook.wait(PATIENCE), 0)
        self.assertEqual(self.hook("thaw"), (0, ""))


class AServiceThatEndsWhileItIsAsked(AgentCase):
    """Whatever its verdict was, it is gone: silence is not success."""

    def serve_silence(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.path("run/control.sock"))
        listener.listen(1)

        def hang_up():
            client, _ = listener.accept()
            with client:
                client.recv(100)
        thread = threading.Thread(target=hang_up)
        thread.start()
        self.addCleanup(thread.join, PATIENCE)

    def test_is_a_refusal_at_the_freeze(self):
        self.serve_silence()
        self.assertEqual(self.hook("freeze")[0], 20)

    def test_is_a_loss_at_the_thaw_even_without_a_marker(self):
        self.serve_silence()
        self.assertFalse(os.path.exists(self.path("run/window.json")))
        status, text = self.hook("thaw")
        self.assertEqual(status, 33)
        self.assertIn("holdfastd went away during the window", text)


if __name__ == "__main__":
    testing.main()
