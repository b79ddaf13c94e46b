# SPDX-License-Identifier: MIT
"""How the postgresql plugin sees that a session, or its server, is no longer the same."""

import os

from driver import Refused
from postgresql_case import PostgresqlCase, main


class Loss(PostgresqlCase):
    def test_a_terminated_session_is_seen_at_once_and_at_the_check(self):
        for mode in ("checkpoint", "backup"):
            with self.subTest(mode):
                plugin = self.plugin(mode=mode)
                number = plugin.freeze().identity["session_id"]
                self.assertFalse(plugin.watch(0))
                self.pg.run(f"SELECT pg_terminate_backend({number})")
                self.assertTrue(plugin.watch(2000))
                self.await_true(lambda p=plugin: p.tell("watch 100").hang_up, "the hang-up")
                self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the "
                                    f"server has ended session {number}", plugin.check)
                plugin.release()
                self.assertFalse(os.path.exists(plugin.state))

    def test_a_server_that_was_restarted_is_another_one(self):
        plugin = self.plugin()
        held = plugin.freeze().identity
        self.pg.restart()
        self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the server "
                            f"has ended session {held['session_id']}", plugin.check)
        plugin.release()
        self.assertNotEqual(plugin.probe().identity["server_uuid"], held["server_uuid"])
        plugin.freeze()
        plugin.release()

    def test_a_server_that_crashed_is_seen(self):
        plugin = self.plugin()
        plugin.freeze()
        self.pg.kill()
        try:
            self.assertTrue(plugin.watch(1000))
            with self.assertRaisesRegex(Refused, "^the session on 'postgresql:test' was lost: "):
                plugin.check()
            plugin.release()
        finally:
            self.pg.start()
        plugin.probe()

    def test_a_reload_of_the_configuration_is_no_loss(self):
        plugin = self.plugin()
        plugin.freeze()
        self.pg.run("ALTER SYSTEM SET log_min_messages = 'error'")
        self.addCleanup(self.pg.run, "ALTER SYSTEM RESET log_min_messages")
        self.pg.run("SELECT pg_reload_conf()")
        self.assertFalse(plugin.watch(300))
        plugin.check()
        plugin.release()


if __name__ == "__main__":
    main()
