# SPDX-License-Identifier: MIT
"""What holdfast-redis-setup makes is enough for the plugin and no more, and can be taken back."""

import json
import os
import stat
import subprocess
import unittest

from lab import redis_servers, testing
from redis_case import RedisCase, main

SETUP = os.path.join(testing.SOURCE, "plugins/redis/holdfast-redis-setup")


@unittest.skipUnless(os.geteuid() == 0, "the program is for root")
class RedisSetup(RedisCase):
    def setUp(self):
        super().setUp()
        self.where = self.directory()
        self.config = os.path.join(self.where, "resources.d", "redis.conf")
        self.secret = os.path.join(self.where, "resources.d", "redis.password")
        self.state = os.path.join(self.where, "state")
        self.addCleanup(lambda: self.redis.run("ACL", "DELUSER", "holdfast"))

    def taken(self, verb, *arguments):
        done = subprocess.run([SETUP, verb, f"--state={self.state}", f"--config={self.config}",
                               f"--socket={self.redis.socket}", *arguments], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.output = done.stdout
        return [(step["step"], step["text"]) for step in map(json.loads, done.stdout.splitlines())]

    def users(self):
        return self.redis.run("ACL", "USERS")

    def password(self):
        with open(self.secret, encoding="utf-8") as file:
            return file.read().strip()

    def test_shows_what_it_would_do_and_does_nothing(self):
        steps = self.taken("plan")
        self.assertEqual([kind for kind, _ in steps if kind != "note"],
                         ["file", "statement", "file"])
        self.assertEqual(steps[1][1].split()[:5], ["ACL", "SETUSER", "holdfast", "reset", "on"])
        self.assertEqual(sorted(["on", *steps[1][1].split()[6:]]), sorted(redis_servers.ACL))
        self.assertEqual(self.users(), ["default"])
        self.assertEqual(os.listdir(self.where), [])

    def test_makes_it_shows_no_password_and_has_nothing_to_do_the_second_time(self):
        self.taken("apply")
        self.assertEqual(sorted(self.users()), ["default", "holdfast"])
        self.assertGreater(len(self.password()), 30)
        self.assertNotIn(self.password(), self.output)
        self.assertEqual(stat.S_IMODE(os.stat(self.secret).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.config).st_mode), 0o640)
        self.assertEqual({kind for kind, _ in self.taken("apply")}, {"note"})

    def test_the_user_can_do_the_job_and_nothing_else(self):
        self.taken("apply")
        secret = self.file("password", self.password() + "\n")
        plugin = self.plugin(user="holdfast", password_file=secret)
        plugin.freeze()
        plugin.check()
        plugin.release()
        for words in (("GET", "k"), ("SET", "k", "v"), ("FLUSHALL",), ("KEYS", "*"),
                      ("CONFIG", "GET", "dir"), ("SHUTDOWN",), ("ACL", "LIST"),
                      ("CLIENT", "KILL", "TYPE", "normal"), ("PUBLISH", "other", "x"),
                      ("REPLICAOF", "NO", "ONE")):
            with self.subTest(words):
                session = self.session()
                self.assertEqual(session.run("AUTH", "holdfast", self.password()), "OK")
                with self.assertRaisesRegex(redis_servers.ServerError, "NOPERM"):
                    session.run(*words)

    def test_takes_back_what_it_made_and_leaves_nothing(self):
        self.taken("apply")
        planned = self.taken("plan", "--remove")
        self.assertEqual(self.taken("apply", "--remove"), planned)
        self.assertIn(("statement", "ACL DELUSER holdfast"), planned)
        self.assertEqual(self.users(), ["default"])
        self.assertEqual(os.listdir(os.path.dirname(self.config)), [])
        self.assertEqual(os.listdir(self.state), [])

    def test_makes_a_user_again_that_a_restart_has_lost(self):
        self.taken("apply")
        before = self.password()
        self.redis.run("ACL", "DELUSER", "holdfast")
        self.assertIn("statement", [kind for kind, _ in self.taken("apply")])
        self.assertEqual(self.password(), before)
        self.assertEqual(self.session().run("AUTH", "holdfast", before), "OK")

    def test_leaves_a_user_of_the_administrators_alone(self):
        self.redis.run("ACL", "SETUSER", "holdfast", "on", "nopass")
        rights = self.redis.run("ACL", "LIST")
        self.assertEqual(self.taken("apply")[0][0], "note")
        self.assertEqual(self.redis.run("ACL", "LIST"), rights)
        self.taken("apply", "--remove")
        self.assertEqual(self.redis.run("ACL", "LIST"), rights)

    def test_finds_the_server(self):
        done = subprocess.run([SETUP, "detect"], capture_output=True, text=True, timeout=60,
                              check=True)
        self.assertIn(f'"--socket={self.redis.socket}"', done.stdout)


if __name__ == "__main__":
    main()
