# SPDX-License-Identifier: MIT
"""Several instances of one engine on one machine, each a resource of its own: held together in one
window, told apart in its record, and judged apart."""

import os
import unittest

from lab import agent_rig, loopfs, qga, servers, testing

# Long enough to be sure that a statement waits.
BLOCKED = 0.3


class Instances(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.filesystem = loopfs.LoopFilesystem(768)
        cls.addClassCleanup(cls.filesystem.close)
        cls.servers = {}
        for name in ("shop", "wiki"):
            server = servers.MariaDb(parent=cls.filesystem.mount_point)
            cls.addClassCleanup(server.close)
            server.start()
            server.run("CREATE DATABASE app; CREATE TABLE app.t (n int) ENGINE=InnoDB")
            cls.servers[name] = server
        # The clean-ups of the servers write, and so must never find a frozen filesystem.
        cls.addClassCleanup(cls.filesystem.thaw)

    def setUp(self):
        self.rig = rig = agent_rig.Rig(self.filesystem)
        self.addCleanup(rig.close)
        self.addCleanup(self.filesystem.thaw)
        # One told where it is, the other by a group of an option file, as one has for many.
        rig.resource("shop", f"plugin = mysql\nsocket = {self.servers['shop'].socket}\n"
                             "user = root\n")
        options = rig.path("many.cnf")
        with open(options, "w", encoding="utf-8") as file:
            file.write("[mysqld_multi]\nuser = nobody\n"
                       f"[wiki]\nsocket = {self.servers['wiki'].socket}\nuser = root\n")
        os.chmod(options, 0o600)
        rig.resource("wiki", f"plugin = mysql\noption-file = {options}\noption-group = wiki\n")
        rig.start()
        rig.await_ready()

    def writers(self):
        writers = {}
        for name, server in self.servers.items():
            writers[name] = server.session()
            self.addCleanup(writers[name].close)
        return writers

    def resources(self, record):
        return {one["name"].partition(":")[2]: one for one in record["resources"]}

    def test_one_window_holds_both_and_records_which_is_which(self):
        writers = self.writers()
        before = {name: server.run("SELECT COUNT(*) FROM app.t")
                  for name, server in self.servers.items()}
        self.rig.freeze()
        for writer in writers.values():
            writer.send("INSERT INTO app.t VALUES (1)")
        for name, writer in writers.items():
            self.assertTrue(writer.blocked_for(BLOCKED), name)
        inside = self.resources(self.rig.record_inside())
        self.assertEqual(set(inside), {"shop", "wiki"})
        self.rig.thaw()
        for name, writer in writers.items():
            writer.finish(10)
            self.assertNotEqual(self.servers[name].run("SELECT COUNT(*) FROM app.t"), before[name])
        after = self.resources(self.rig.record())
        for name, server in self.servers.items():
            self.assertEqual(after[name]["verdict"]["code"], "ok")
            self.assertEqual(after[name]["position"], after[name]["position_at_thaw"])
            # The session is one of that very server.
            self.assertEqual(server.run(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE ID = "
                + after[name]["session_id"]), ["1"])

    def test_the_loss_of_one_is_told_of_that_one(self):
        self.rig.freeze()
        session = self.resources(self.rig.record_inside())["wiki"]["session_id"]
        self.servers["wiki"].run(f"KILL {session}", timeout=5)
        with self.assertRaisesRegex(qga.AgentError, "status 30"):
            self.rig.thaw()
        record = self.rig.record()
        self.assertIn("'mysql:wiki'", record["verdict"]["text"])
        verdicts = {name: one["verdict"]["code"] for name, one in self.resources(record).items()}
        self.assertEqual(verdicts, {"shop": "ok", "wiki": "hold-lost"})
        for server in self.servers.values():
            server.run("INSERT INTO app.t VALUES (0)", timeout=5)


if __name__ == "__main__":
    for module in (loopfs, agent_rig, servers.MariaDb):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
