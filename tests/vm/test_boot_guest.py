# SPDX-License-Identifier: MIT
"""verify --boot with a guest that is really there: a good backup is proven by its own databases, and
what no checksum can find is found out: a disk of another day, a page of PostgreSQL's overwritten.

One guest makes the backups and is gone when they are tried; the tests run in the order of
load_tests(), and each looks at one backup.
"""

import hashlib
import json
import os
import shutil
import unittest

from lab import claims, scenario, testing, vm

WORK = os.path.join(testing.BUILD, "vm-boot")
LAB = None
GOOD, OLD_DISK, BAD_PAGE = {}, {}, {}
PATIENCE_S = 900

# What both databases hold, and one more commit of each.
LOAD = """
mariadb -e "CREATE DATABASE IF NOT EXISTS shop; CREATE TABLE IF NOT EXISTS shop.orders (n INT PRIMARY KEY)
  ENGINE=InnoDB; INSERT INTO shop.orders SELECT COALESCE(MAX(n), 0) + 1 FROM shop.orders"
runuser -u postgres -- psql -qc 'CREATE TABLE IF NOT EXISTS orders (n int)' \\
  -c 'INSERT INTO orders SELECT generate_series(1, 1000)'
"""
# The first page of that table, while nobody has it in memory.
OVERWRITE = """
file=$(runuser -u postgres -- psql -XAtqc "SELECT setting || '/' || pg_relation_filepath('orders')
  FROM pg_settings WHERE name = 'data_directory'")
systemctl stop postgresql
dd if=/dev/urandom of="$file" bs=8192 count=1 conv=notrunc,fsync status=none
systemctl start postgresql
"""


def setUpModule():
    """Three backups of one guest, and no guest any more."""
    global LAB
    LAB = scenario.Lab(WORK, claims.Claims())
    unittest.addModuleCleanup(LAB.close)
    LAB.boot()
    LAB.install()
    LAB.make_accounts()
    if not scenario.all_ready(LAB.wait_ready()):
        raise RuntimeError(f"the databases are not ready: {LAB.wait_ready(1)}")
    GOOD.update(back_up(LOAD))
    OLD_DISK.update(back_up(LOAD, "--full"))
    BAD_PAGE.update(back_up(OVERWRITE, "--full"))
    LAB.close()


def back_up(script, *options):
    """After that script; the manifest."""
    LAB.guest.shell(script, 120)
    if not scenario.all_ready(LAB.wait_ready()):
        raise RuntimeError(f"the databases are not ready: {LAB.wait_ready(1)}")
    return LAB.host_json("backup", scenario.VM, "--require=application", *options)


class Proof(unittest.TestCase):
    def boot(self, manifest):
        """(status, what --json says of it)."""
        accelerator = "kvm" if vm.accelerator(LAB.base.kernel) == "kvm" else "tcg"
        done = LAB.host("verify", "--boot", scenario.VM, manifest["id"], "--json",
                        f"--boot-accelerator={accelerator}", f"--boot-directory={WORK}",
                        "--boot-timeout=14min", timeout=PATIENCE_S)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        result, = json.loads(done.stdout)
        LAB.claims.say(f"{result['result']} after {result['duration_ms'] / 1000:.1f} s, the agent "
                       f"answered after {(result['boot_ms'] or 0) / 1000:.1f} s; {done.stderr.strip()}")
        self.assertEqual([name for name in os.listdir(WORK) if name.startswith("holdfast-boot.")], [])
        return done.returncode, result

    def sums(self, manifest):
        found = {}
        for name in os.listdir(manifest["directory"]):
            if name != "proof.json":
                with open(os.path.join(manifest["directory"], name), "rb") as file:
                    found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def assert_a_reason_begins(self, words, result):
        """Perhaps not the only one: what a slow machine left undecided stands beside it."""
        self.assertTrue(any(reason.startswith(words) for reason in result["reasons"]),
                        json.dumps(result, indent=1))

    def test_a_good_backup_is_proven_by_both_databases_and_left_as_it_was(self):
        before = self.sums(GOOD)
        status, result = self.boot(GOOD)
        self.assertEqual((status, result["result"]), (0, "proven"), json.dumps(result, indent=1))
        self.assertEqual(self.sums(GOOD), before)
        for name in ("mysql:mysql", "postgresql:postgresql"):
            one, = [one for one in result["guest"]["resources"] if one["name"] == name]
            self.assertEqual([one[check]["verdict"] for check in ("up", "sound", "position")],
                             ["ok"] * 3, one)
        self.assertEqual(result["guest"]["window"],
                         GOOD["evidence"]["guest_record"]["window"])

    def test_a_disk_of_an_older_backup_is_found_out_by_its_position(self):
        name, = [disk["file"] for disk in OLD_DISK["disks"] if disk["name"] == "mysql"]
        target = os.path.join(OLD_DISK["directory"], name)
        shutil.copy(os.path.join(GOOD["directory"], name), target)
        path = os.path.join(OLD_DISK["directory"], "manifest.json")
        with open(path, encoding="utf-8") as file:
            changed = json.load(file)
        for disk in changed["disks"]:
            if disk["file"] == name:
                disk["bytes"] = os.stat(target).st_size
                with open(target, "rb") as file:
                    disk["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        with open(path, "w", encoding="utf-8") as file:
            json.dump(changed, file)
        # Checksums and images are right.
        checked = LAB.host("verify", scenario.VM, OLD_DISK["id"])
        self.assertEqual(checked.returncode, 0, checked.stderr)
        status, result = self.boot(OLD_DISK)
        self.assertEqual((status, result["result"]), (1, "failed"), json.dumps(result, indent=1))
        self.assert_a_reason_begins("mysql:mysql: before its backup: ", result)

    def test_an_overwritten_page_of_postgresql_is_found_out(self):
        status, result = self.boot(BAD_PAGE)
        self.assertEqual((status, result["result"]), (1, "failed"), json.dumps(result, indent=1))
        self.assert_a_reason_begins("postgresql:postgresql: not sound: ", result)


def load_tests(loader, _tests, _pattern):
    order = [
        Proof("test_a_good_backup_is_proven_by_both_databases_and_left_as_it_was"),
        Proof("test_a_disk_of_an_older_backup_is_found_out_by_its_position"),
        Proof("test_an_overwritten_page_of_postgresql_is_found_out"),
    ]
    return testing.in_order(loader, order, Proof)


if __name__ == "__main__":
    scenario.skip_if_impossible()
    testing.main()
