# SPDX-License-Identifier: MIT
"""A booted guest that the packages have set up, and no more: holdfastctl's doctor finds it clean, and
each break; a drill disturbs nothing; a host with nothing but our package and the README backs it up.
"""

import contextlib
import json
import os
import re
import subprocess
import unittest

from lab import cache, chroot, claims, loopfs, packages, readme, scenario, testing

WORK = os.path.join(testing.BUILD, "vm-set-up")
LAB = None

NO_HOOK = "/etc/systemd/system/qemu-guest-agent.service.d/own.conf"
HOOK = "/etc/qemu/fsfreeze-hook"
CONFIG = "/etc/qemu/qemu-ga.conf"
IMAGE, POINT = "/root/image", "/mnt/image"


def setUpModule():
    global LAB
    LAB = scenario.Lab(WORK, claims.Claims())
    unittest.addModuleCleanup(LAB.close)
    LAB.boot()
    LAB.install()
    LAB.make_accounts()
    LAB.wait_ready()


class Doctor(unittest.TestCase):
    def doctor(self):
        """(exit status, ids of problems)"""
        with LAB.guest.agent() as agent:
            done = agent.run(["/usr/sbin/holdfastctl", "doctor", "--json"], 60, check=False)
        document = json.loads(done.out)
        self.assertEqual(document["status"], done.status)
        return done.status, [finding["id"] for finding in document["findings"]
                             if finding["level"] == "problem"]

    def ask_in_shell(self, script):
        with LAB.guest.agent() as agent:
            return agent.shell(script).out

    @contextlib.contextmanager
    def broken(self, script, repair):
        self.ask_in_shell(script)
        try:
            yield
        finally:
            self.ask_in_shell(repair)
        self.assertEqual(self.doctor(), (0, []))

    @contextlib.contextmanager
    def agent_restarted(self, script, repair):
        """The same with a guest agent that is started anew after either; it cannot do so itself."""
        self.assertEqual(LAB.guest.detached(f"{script}; systemctl daemon-reload; "
                                            "systemctl restart qemu-guest-agent", 60)[0], 0)
        try:
            yield
        finally:
            self.assertEqual(LAB.guest.detached(f"{repair}; systemctl daemon-reload; "
                                                "systemctl restart qemu-guest-agent", 60)[0], 0)
        self.assertEqual(self.doctor(), (0, []))

    def test_finds_no_problem_in_a_guest_set_up_by_the_packages(self):
        self.assertEqual(self.doctor(), (0, []))

    def test_finds_an_agent_that_runs_no_hook(self):
        with self.agent_restarted(
                f"mkdir -p {os.path.dirname(NO_HOOK)}; printf '[Service]\\nExecStart=\\n"
                f"ExecStart=/usr/sbin/qemu-ga\\n' >{NO_HOOK}", f"rm {NO_HOOK}"):
            self.assertEqual(self.doctor(), (1, ["hook-not-run"]))

    def test_finds_an_agent_that_refuses_to_freeze(self):
        with self.agent_restarted(
                f"printf '[general]\\nblock-rpcs=guest-fsfreeze-freeze\\n' >{CONFIG}",
                f"rm {CONFIG}"):
            self.assertEqual(self.doctor(), (1, ["commands-blocked"]))

    def test_finds_a_hook_that_is_not_ours(self):
        with self.broken(f"rm {HOOK}; ln -s /bin/true {HOOK}",
                         f"ln -sf /usr/lib/holdfast/fsfreeze-hook {HOOK}"):
            self.assertEqual(self.doctor(), (1, ["hook-not-ours"]))

    def test_finds_an_image_that_is_mounted_from_a_frozen_filesystem(self):
        with self.broken(f"truncate -s 16M {IMAGE}; mkfs.ext4 -q {IMAGE}; mkdir -p {POINT}; "
                         f"mount -o loop {IMAGE} {POINT}", f"umount {POINT}; rm {IMAGE}"):
            self.assertEqual(self.doctor(), (1, ["loop"]))

    def test_finds_a_service_that_is_stopped(self):
        with self.broken("systemctl stop holdfastd",
                         "systemctl start holdfastd; until holdfastctl check >/dev/null; do "
                         "sleep 0.2; done"):
            self.assertEqual(self.doctor(), (1, ["holdfastd"]))


class Drill(unittest.TestCase):
    def test_costs_both_databases_and_disturbs_no_backup(self):
        host_sees = "cat /run/holdfast/last.json 2>/dev/null || true"
        with LAB.guest.agent() as agent:
            before = agent.shell(host_sees).out
            done = agent.run(["/usr/sbin/holdfastctl", "drill", "--json"], 60)
            after = agent.shell(host_sees).out
        record = json.loads(done.out)
        self.assertEqual((record["status"], record["kind"]), (0, "drill"))
        for resource in record["resources"]:
            self.assertEqual(resource["verdict"]["code"], "ok", resource)
            self.assertEqual({"prepare", "hold", "check", "release"},
                             set(resource["durations_ms"]), resource)
        self.assertEqual(after, before)


class FirstBackup(unittest.TestCase):
    """From a Debian root without anything of ours to a backup, by what the README says alone."""

    def setUp(self):
        deb = packages.ours()["holdfast-host"]
        needed = {name.strip() for name in packages.field(deb, "Recommends").split(",")}
        base = chroot.Base(chroot.base_tar(packages.dependencies_of([deb]) | needed))
        self.addCleanup(base.close)
        self.root = chroot.Chroot(base)
        self.addCleanup(self.root.close)
        self.root.add_package(deb)
        self.root.mount_kernel()
        # Images lie where the guest's QEMU has them, its sockets where the README has them.
        for path in (LAB.directory, cache.directory()):
            os.makedirs(self.root.path(path))
            subprocess.run(["mount", "--rbind", path, self.root.path(path)], check=True, timeout=30)
        os.makedirs(self.root.path("/run/vm"))
        for path, name in ((LAB.guest.qmp_path, "shop.qmp"), (LAB.guest.agent_path, "shop.qga")):
            inside = self.root.path("/run/vm/" + name)
            with open(inside, "wb"):
                pass
            subprocess.run(["mount", "--bind", path, inside], check=True, timeout=30)

    def follow(self, command, status=0):
        ended, output = self.root.run(["sh", "-c", f"cd /packages && {command}"], check=False,
                                      timeout=300)
        self.assertEqual(ended, status, f"{command}\n{output}")
        return output

    def test_the_readme_leads_from_a_clean_root_to_one_that_can_be_restored(self):
        chapter = readme.Chapter("On a host")
        self.follow("! command -v holdfast")
        self.follow(chapter.command("apt-get install"))
        first = self.follow(chapter.command("holdfast backup shop --qmp"))
        self.assertRegex(first, r"(?m)^shop: \S+: application, window \d+ ms, 2 disks, ")
        for path, text in chapter.files().items():
            os.makedirs(os.path.dirname(self.root.path(path)), exist_ok=True)
            self.root.write(path, text)
        self.follow(chapter.command("holdfast doctor"))
        enable = chapter.command("systemctl enable --now ").split()[-1]
        subprocess.run(["systemctl", f"--root={self.root.root}", "enable", enable], check=True,
                       timeout=60, capture_output=True)
        self.assertIn(f"{enable} is enabled", self.follow("holdfast doctor shop"))
        second = self.follow(chapter.command("holdfast backup shop"))
        self.follow(chapter.command("holdfast verify"))
        self.follow(chapter.command("holdfast restore"))
        newest = re.search(r"(?m)^shop: (\S+):", second).group(1)
        self.assertIn(newest, self.follow("holdfast list shop"))
        restored = os.listdir(self.root.path("/srv/restored"))
        self.assertEqual(len([name for name in restored if name.endswith(".qcow2")]), 2, restored)
        self.assertEqual(LAB.attached_overlays(), [])


if __name__ == "__main__":
    for module in (loopfs, chroot):
        reason = module.missing()
        if reason:
            testing.skip_all(reason)
    loopfs.enter_namespace()
    testing.main()
