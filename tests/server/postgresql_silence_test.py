# SPDX-License-Identifier: MIT
"""A connection that goes silent: for how long the server keeps the session, and its backup."""

import os
import time

from lab.proxy import Proxy
from postgresql_case import ME, PostgresqlCase, SLACK, free_port, main

KEEPALIVE = 2  # the kernel's number of that timer, /proc/net/tcp
HERTZ = os.sysconf("SC_CLK_TCK")


def timers(port):
    """{is it the server's end?: (kind, seconds left) of the timer} of the connection to a port."""
    found = {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            _, here, there, state, _, timer, *_ = line.split()
            ports = [int(end.split(":")[1], 16) for end in (here, there)]
            if state == "01" and port in ports:
                kind, left = (int(part, 16) for part in timer.split(":"))
                found[ports[0] == port] = kind, left / HERTZ
    return found


class Silence(PostgresqlCase):
    def sessions(self):
        return self.pg.run("SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast'")

    def silent(self, **settings):
        """A plugin, and what makes its connection silent."""
        proxy = Proxy(os.path.join(self.directory(), ".s.PGSQL.5432"),
                      self.pg.socket_directory + "/.s.PGSQL.5432")
        self.addCleanup(proxy.close)
        # The proxy is who connects.
        return self.configured(socket=os.path.dirname(proxy.path), user=ME, **settings), proxy

    def test_ends_the_backup_after_max_hold_and_no_earlier(self):
        if self.major < 14:
            return  # no such server can: TCP's keepalives have to do, below
        plugin, proxy = self.silent(mode="backup")
        plugin.max_hold(2000)
        plugin.freeze()
        session, = self.sessions()
        proxy.black_hole()
        began = time.monotonic()
        self.await_true(lambda: not self.sessions(), "the end of the session", 30)
        took = time.monotonic() - began
        self.assertGreater(took, 2)
        self.assertLess(took, 4 + SLACK / 1000)

    def test_does_not_end_a_session_between_windows(self):
        plugin = self.plugin(mode="backup")
        plugin.max_hold(1000)
        for end in (lambda: (plugin.hold(), plugin.release()), plugin.rollback):
            plugin.prepare()
            end()
            self.assertFalse(plugin.watch(3000))


class SilenceOverTcp(PostgresqlCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pg.allow("host all all 127.0.0.1/32 trust")
        cls.pg.stop()
        cls.pg.port = free_port()
        cls.pg.options += ["-c", "listen_addresses=127.0.0.1"]
        cls.pg.start()

    def test_is_probed_by_both_sides_so_that_neither_waits_for_hours(self):
        plugin = self.configured(host="127.0.0.1", port=self.pg.port, user=ME, mode="backup")
        plugin.freeze()
        # What was sent last has to be acknowledged first: until then it is another timer.
        self.await_true(lambda: [kind for kind, _ in timers(self.pg.port).values()] ==
                        [KEEPALIVE, KEEPALIVE], "both ends have only their keepalive to wait for")
        for is_server, (_, left) in timers(self.pg.port).items():
            self.assertLessEqual(left, 10, "the server's end" if is_server else "our end")
        plugin.check()
        plugin.release()


if __name__ == "__main__":
    main()
