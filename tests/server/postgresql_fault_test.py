# SPDX-License-Identifier: MIT
"""What may happen to the server at each step of a window, in both modes: the verdict is right,
comes in time, and the next window is as good as ever."""

import os
import signal

from driver import Refused
from postgresql_case import PostgresqlCase, SLACK, main

ALLOWED = 500  # milliseconds for a call that can't succeed
STEPS = ("prepare", "hold", "check", "release")
LOST = "the session on 'postgresql:test' was lost: "
# What a call says, by fault: the session has gone, or does not answer.
GONE = r".*(has ended session \d+|closed|terminat|not connected|failed: .*)"
SILENT = r".*timed out( after \d+ ms)?"


class Fault:
    """One thing that befalls the server, and its end."""

    silent = False  # does it only stop answering?
    replaced = True  # is there a server again that a new session can be had from?

    def __init__(self, pg, session):
        self.pg, self.session = pg, int(session)

    def strike(self):
        raise NotImplementedError

    def mend(self):
        pass


class Terminate(Fault):
    def strike(self):
        self.pg.run(f"SELECT pg_terminate_backend({self.session})")


class Restart(Fault):
    def strike(self):
        self.pg.restart()


class Kill(Fault):
    replaced = False

    def strike(self):
        self.pg.kill()

    def mend(self):
        self.pg.start()


class StopServer(Fault):
    silent, replaced = True, False

    def strike(self):
        self.pg.pause()

    def mend(self):
        self.pg.resume()


class StopBackend(Fault):
    silent = True

    def strike(self):
        os.kill(self.session, signal.SIGSTOP)

    def mend(self):
        os.kill(self.session, signal.SIGCONT)


class Faults(PostgresqlCase):
    def walk(self, kind):
        for mode in ("checkpoint", "backup"):
            for step in STEPS:
                with self.subTest(mode=mode, step=step):
                    self.window(kind, mode, step)

    def window(self, kind, mode, step):
        """A window in which the fault strikes just before a step."""
        plugin = self.plugin(mode=mode)
        fault = kind(self.pg, plugin.probe().identity["session_id"])
        for earlier in STEPS[:STEPS.index(step)]:
            getattr(plugin, earlier)()
        fault.strike()
        try:
            if not fault.silent and step != "prepare":
                # It shows by itself, with nobody asking.
                self.await_true(lambda: plugin.tell("watch 100").hang_up, "the hang-up")
            getattr(self, "at_" + step)(plugin, fault, mode)
        finally:
            fault.mend()
        plugin.rollback()
        plugin.probe()
        plugin.freeze()
        plugin.check()
        plugin.release()
        # Of the first window there is a label only if it was given before the fault.
        self.assertEqual(os.path.exists(plugin.state), mode == "backup")
        plugin.close()

    def refused(self, call):
        with self.assertRaises(Refused) as refused:
            call(ALLOWED)
        self.assertLess(refused.exception.ms, ALLOWED + SLACK)
        self.assertNotIn("\n", str(refused.exception))
        return refused.exception

    def at_prepare(self, plugin, fault, _mode):
        # Nothing is held yet: a session that was lost while idle is replaced.
        if fault.replaced:
            plugin.prepare()
            plugin.hold()
            plugin.check()
            plugin.release()
            return
        self.assertRegex(str(self.refused(plugin.prepare)),
                         "^unable to (prepare|connect to|start a backup of) 'postgresql:test'")

    def at_hold(self, plugin, fault, _mode):
        refusal = self.refused(plugin.hold)
        self.assertRegex(str(refusal), "^unable to hold 'postgresql:test': " +
                         (SILENT if fault.silent else GONE))
        self.assertFalse(os.path.exists(plugin.state))

    def at_check(self, plugin, fault, _mode):
        refusal = self.refused(plugin.check)
        self.assertEqual(refusal.code, "hold-lost")
        self.assertRegex(str(refusal), "^" + LOST + (SILENT if fault.silent else GONE))
        self.assertLess(plugin.release(ALLOWED).ms, ALLOWED + SLACK)
        self.assertFalse(os.path.exists(plugin.state))

    def at_release(self, plugin, fault, mode):
        if mode == "checkpoint":
            self.assertLess(plugin.release(ALLOWED).ms, ALLOWED + SLACK)
            return
        # The hold was proven, but there is no label.
        self.assertRegex(str(self.refused(plugin.release)),
                         "^unable to keep the backup label of 'postgresql:test': " +
                         (SILENT if fault.silent else GONE))
        self.assertFalse(os.path.exists(plugin.state))
        plugin.release()

    def test_a_terminated_session(self):
        self.walk(Terminate)

    def test_a_restarted_server(self):
        self.walk(Restart)

    def test_a_killed_server(self):
        self.walk(Kill)

    def test_a_stopped_server(self):
        self.walk(StopServer)

    def test_a_stopped_backend(self):
        self.walk(StopBackend)


if __name__ == "__main__":
    main()
