# SPDX-License-Identifier: MIT
"""What the tests of a plugin on a real server share: files of their own, drivers, and refusals."""

import os
import tempfile
import unittest

from driver import Driver, Refused

SLACK = 1500  # milliseconds, for a busy machine; what is bounded would else never end


class PluginCase(unittest.TestCase):
    plugin_name = ""

    @classmethod
    def begin(cls, server):
        """Starts a server that ends with the class."""
        cls.addClassCleanup(server.close)
        return server.start()

    def directory(self):
        directory = tempfile.TemporaryDirectory(prefix="hf-plugin-")
        self.addCleanup(directory.cleanup)
        return directory.name

    def file(self, name, content, mode=0o600):
        path = os.path.join(self.directory(), name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content)
        os.chmod(path, mode)
        return path

    def driver(self, **settings):
        driver = Driver(self.plugin_name, **settings)
        self.addCleanup(driver.close)
        return driver

    def configured(self, **settings):
        driver = self.driver(**settings)
        driver.configure()
        return driver

    def refusal(self, **settings):
        """(code, line) of a refusal to be configured or probed."""
        driver = self.driver(**settings)
        with self.assertRaises(Refused) as refused:
            driver.configure()
            driver.probe()
        return refused.exception.code, str(refused.exception)

    def assert_refused(self, code, line, call):
        with self.assertRaises(Refused) as refused:
            call()
        self.assertEqual((refused.exception.code, str(refused.exception)), (code, line))
        return refused.exception

    def assert_refused_like(self, code, pattern, call):
        with self.assertRaises(Refused) as refused:
            call()
        self.assertEqual(refused.exception.code, code, refused.exception)
        self.assertRegex(str(refused.exception), "^" + pattern + "$")
        return refused.exception
