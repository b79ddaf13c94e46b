# SPDX-License-Identifier: MIT
"""What holdfast-redis-prove finds of a server: up, loaded, at the position or not."""

import os
import unittest

import redis_case
from lab import redis_servers
from prove_case import ProveCase


class RedisProve(ProveCase):
    plugin_name = "redis"

    def start(self, **arguments):
        server = redis_servers.Redis(**arguments)
        self.addCleanup(server.close)
        return server.start()

    def config_of(self, server):
        server.allow("holdfast", redis_case.PASSWORD)
        return self.resource_file(socket=server.socket, user="holdfast",
                                  password_file=self.file("password", redis_case.PASSWORD + "\n"))

    def resource_file(self, **settings):
        return super().resource_file(
            **{key.replace("_", "-"): value for key, value in settings.items()})

    def test_with_an_append_only_file_its_length_tells_the_position(self):
        server = self.start()
        for number in range(20):
            server.run("SET", f"k{number}", "v")
        size = int(server.info()["aof_current_size"])
        server.restart()
        answers = self.prove(self.config_of(server), replication_id="x" * 40,
                             replication_offset="7", aof_size=size)
        self.assert_verdicts(answers, up="ok", sound="ok", position="ok")
        self.assertEqual(answers["sound"][1], "loaded, 20 keys")
        answers = self.prove(self.config_of(server), aof_size=size + 9999)
        self.assertEqual(answers["position"][0], "bad")
        self.assertRegex(answers["position"][1], r"^append-only file of \d+ bytes is before the "
                         f"recorded {size + 9999}$")

    @unittest.skipUnless(os.geteuid() == 0, "the server's directory is found by root")
    def test_without_one_the_time_of_the_snapshot_tells_it(self):
        server = self.start(aof=False)
        server.run("SET", "k", "v")
        server.run("SAVE")
        saved = int(server.info()["rdb_last_save_time"])
        server.kill()
        server.start()
        config = self.config_of(server)
        answers = self.prove(config, last_save=saved)
        self.assert_verdicts(answers, up="ok", sound="ok", position="ok")
        self.assertEqual(answers["sound"][1], "loaded, 1 keys")
        answers = self.prove(config, last_save=saved + 3600)
        self.assertEqual(answers["position"][0], "bad")
        self.assertRegex(answers["position"][1], "^snapshot of .* is before the recorded ")

    def test_a_server_that_is_down_or_lets_nobody_in_is_not_up(self):
        answers = self.prove(self.resource_file(socket="/nonexistent/sock"))
        self.assert_verdicts(answers, up="bad")
        server = self.start()
        config = self.config_of(server)
        server.run("ACL", "SETUSER", "holdfast", "off")
        server.run("CONFIG", "SET", "requirepass", "another")
        answers = self.prove(config)
        self.assert_verdicts(answers, up="bad")
        self.assertRegex(answers["up"][1], "^the server does not answer INFO: ")

    def test_nothing_recorded_is_nothing_to_compare(self):
        self.assert_verdicts(self.prove(self.config_of(self.start())), up="ok", sound="ok",
                             position="none")


if __name__ == "__main__":
    redis_case.main()
