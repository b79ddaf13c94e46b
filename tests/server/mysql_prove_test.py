# SPDX-License-Identifier: MIT
"""What holdfast-mysql-prove finds of a server: up, every table whole, at the position or not."""

import glob
import os
import unittest

import mysql_case
from prove_case import ProveCase


@unittest.skipUnless(os.geteuid() == 0, "the program is for root")
class MysqlProve(ProveCase):
    plugin_name = "mysql"

    @classmethod
    def setUpClass(cls):
        cls.db = cls.begin(mysql_case.new_server())
        cls.db.run("CREATE DATABASE `odd ``name`; CREATE TABLE `odd ``name`.`a-b` (a INT);"
                   "CREATE DATABASE shop; CREATE TABLE shop.spoilt (a INT, b CHAR(200));"
                   f"INSERT INTO shop.spoilt SELECT seq, 'x' FROM {cls.db.rows(500)}")

    def setUp(self):
        self.config = self.resource_file(socket=self.db.socket, user="nobody")

    def test_a_sound_server_is_proven_and_has_no_position_to_be_compared(self):
        answers = self.prove(self.config)
        self.assert_verdicts(answers, up="ok", sound="ok", position="none")
        self.assertRegex(answers["sound"][1], r"^\d+ tables checked$")
        self.assertIn(self.db.socket, answers["up"][1])

    def test_it_stands_where_the_plugin_recorded_it_and_after_a_restart_still(self):
        plugin = self.configured(socket=self.db.socket, user=self.db.administrator)
        plugin.probe()
        position = dict(plugin.freeze().position)
        plugin.release()
        recorded = {key.replace("-", "_"): value for key, value in position.items()}
        self.assertIn("binlog_file", recorded)
        self.assertEqual(self.prove(self.config, **recorded)["position"][0], "ok")
        self.db.kill()
        self.db.start()
        self.db.run("INSERT INTO shop.spoilt VALUES (0, 'y')")
        answers = self.prove(self.config, **recorded)
        self.assert_verdicts(answers, up="ok", sound="ok", position="ok")

    def test_a_binary_log_that_is_shorter_than_it_was_is_before_the_record(self):
        file, position = self.db.binary_log()
        self.assertEqual(self.prove(self.config, binlog_file=file,
                                    binlog_position=position)["position"][0], "ok")
        self.db.restart()
        later = f"binary log position {file}:"
        answer = self.prove(self.config, binlog_file=file, binlog_position=position + 5000)
        self.assertEqual(answer["position"][0], "bad")
        self.assertTrue(answer["position"][1].startswith(later), answer)
        name, number = file.rsplit(".", 1)
        ahead = f"{name}.{int(number) + 7:06}"
        answer = self.prove(self.config, binlog_file=ahead, binlog_position=4)
        self.assertEqual(answer["position"][0], "bad")
        self.assertRegex(answer["position"][1], f"is before the recorded {ahead}:4$")

    def test_a_transaction_that_is_lacking_is_before_the_record(self):
        lacking = "0-1-999999999" if self.db.mariadb else \
            "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"
        answer = self.prove(self.config, gtid=lacking)["position"]
        self.assertEqual(answer[0], "bad")
        self.assertRegex(answer[1], f"^GTID position .* is before the recorded {lacking}$")

    def test_a_server_that_is_down_is_not_up(self):
        answers = self.prove(self.resource_file(socket="/nonexistent/sock"))
        self.assert_verdicts(answers, up="bad")
        self.assertRegex(answers["up"][1], "^unable to log in .*'/nonexistent/sock'")

    def test_a_table_whose_pages_are_overwritten_is_named(self):
        self.addCleanup(self.db.restart)
        self.db.stop()
        path = glob.glob(os.path.join(self.db.data, "shop", "spoilt.ibd"))[0]
        with open(path, "rb") as file:
            whole = file.read()
        self.addCleanup(self.restore, path, whole)
        with open(path, "r+b") as file:
            # Everything behind the pages that the table is opened by.
            file.seek(4 * 16384)
            file.write(b"\x5a" * (len(whole) - 4 * 16384))
        self.db.start()
        answers = self.prove(self.config)
        self.assert_verdicts(answers, up="ok", sound="bad", position="none")
        self.assertIn("shop.spoilt", answers["sound"][1])

    def restore(self, path, content):
        if self.db.running:
            self.db.kill()
        with open(path, "wb") as file:
            file.write(content)


if __name__ == "__main__":
    mysql_case.main()
