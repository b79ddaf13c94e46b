# SPDX-License-Identifier: MIT
"""What the tests of the redis plugin on real servers share.

The bodies ask for nothing but a server with the surface of lab.redis_servers.Redis. To run them on
another one:

    from redis_case import RedisCase
    RedisCase.make_server = staticmethod(lambda **options: ...)   # before the classes are run
    from redis_window_test import *
"""

import shutil

from lab import redis_servers, testing
from plugin_case import PluginCase

PASSWORD = "correct horse # battery"
BLOCKED = 0.3  # long enough to be sure that a command waits


class RedisCase(PluginCase):
    plugin_name = "redis"
    make_server = staticmethod(redis_servers.Redis)
    aof = True

    @classmethod
    def setUpClass(cls):
        cls.redis = cls.begin(cls.make_server(aof=cls.aof))

    def setUp(self):
        self.addCleanup(self.repair)

    def repair(self):
        """A test may have ended the server, or have left it paused."""
        if not self.redis.running:
            self.redis.start()
        self.redis.resume()
        self.redis.run("CLIENT", "UNPAUSE")

    def server(self, **arguments):
        """A server of this test alone."""
        server = self.make_server(**arguments)
        self.addCleanup(server.close)
        return server.start()

    def session(self, server=None):
        session = (server or self.redis).session()
        self.addCleanup(session.close)
        return session

    def plugin(self, server=None, **settings):
        """A configured plugin that is ready."""
        settings.setdefault("socket", (server or self.redis).socket)
        driver = self.configured(**settings)
        driver.probe()
        return driver

    def writer(self, *words, server=None):
        """A session whose write is kept waiting."""
        session = self.session(server)
        session.send(*(words or ("SET", "late", "1")))
        self.assertTrue(session.blocked_for(BLOCKED), "it was not kept waiting")
        return session

    def assert_writable(self, server=None):
        self.assertEqual((server or self.redis).run("SET", "w", "1", timeout=5), "OK")

    def restored(self, server):
        """A server on a copy of another one's data directory as it is now."""
        copy = self.make_server(aof=server.aof)
        self.addCleanup(copy.close)
        copy.adopt(server.data)
        return copy.start()

    def copied(self, server):
        """That directory's copy, for later."""
        path = self.directory() + "/data"
        shutil.copytree(server.data, path)
        return path


def main():
    if redis_servers.Redis.missing():
        testing.skip_all(redis_servers.Redis.missing())
    testing.main()
