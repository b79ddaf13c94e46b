# SPDX-License-Identifier: MIT
"""The postgresql plugin on a streaming standby."""

from postgresql_case import PostgresqlCase, main


class Standby(PostgresqlCase):
    def test_a_standby_is_held_and_its_promotion_is_seen(self):
        standby = self.standby()
        plugin = self.plugin(standby)
        before = plugin.freeze().position
        plugin.check()
        plugin.release()
        plugin.freeze()
        standby.run("SELECT pg_promote()")
        self.assert_refused("hold-lost", "the session on 'postgresql:test' was lost: the server was "
                            "promoted", plugin.check)
        plugin.release()
        self.assertIn("lsn", before)


if __name__ == "__main__":
    main()
