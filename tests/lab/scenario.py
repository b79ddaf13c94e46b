# SPDX-License-Identifier: MIT
"""What is done with a guest, by the demonstration and by the tests of the label vm alike.

A Lab is one guest with our packages, its write load, and the host's command with a repository. The
steps are its methods, in the order in which one needs them. What is claimed goes to `claims`.
"""

import datetime
import glob
import json
import os
import re
import shutil
import subprocess
import time

from . import cache, image, pty_run, slow_thaw, testing, vm, workload
from . import packages as packaging

VM = "shop"
HOOK = "/etc/qemu/fsfreeze-hook"
SHIM = "/usr/lib/holdfast/fsfreeze-hook"
PLUGINS = ("mysql", "postgresql")
DATABASES = ("mariadb.service", "postgresql.service")
CLOCK_ERROR_NS = 50_000_000
# How long a window stays open in which something is to happen: the guest may be slow.
WINDOW_S = 3.0


def packages():
    """The four packages by name, from HOLDFAST_PACKAGES or build/deb; a missing one is an error."""
    directory = os.environ.get("HOLDFAST_PACKAGES") or os.path.join(testing.SOURCE, "build", "deb")
    found = {}
    for name in ("holdfast-agent", "holdfast-plugin-mysql", "holdfast-plugin-postgresql",
                 "holdfast-host"):
        files = glob.glob(os.path.join(directory, f"{name}_*.deb"))
        if len(files) != 1:
            raise FileNotFoundError(f"{len(files)} packages '{name}' in '{directory}': run "
                                    "deb/build")
        found[name] = files[0]
    return found


def skip_if_impossible():
    """Ends the test's file as skipped where no guest can be had."""
    absent = image.missing_tools()
    if absent:
        testing.skip_all(f"'{', '.join(absent)}' missing")
    if os.geteuid() != 0:
        testing.skip_all("making the guest's image needs root")
    try:
        packages()
    except FileNotFoundError as error:
        testing.skip_all(str(error))


class Lab:
    """Owns a work directory, the running guest in it, and the host's side."""

    def __init__(self, directory, claims, next_version=None):
        """With `next_version`, the guest's packages are there a second time under that version."""
        self.next_version = next_version
        self.directory = os.path.abspath(directory)
        self.claims = claims
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.base = image.image(claims.say)
        self.packages = packages()
        self.guest = None
        self._prepare_tools()
        self._prepare_host()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.guest is not None:
            self.guest.close()
            self.guest = None

    def path(self, *names):
        return os.path.join(self.directory, *names)

    # ---- the host's side

    def _prepare_tools(self):
        """The third disk: the guest's packages and the load."""
        tools = self.path("tools")
        os.makedirs(os.path.join(tools, "deb"))
        for name, path in self.packages.items():
            if name != "holdfast-host":
                shutil.copy(path, os.path.join(tools, "deb"))
        if self.next_version:
            os.makedirs(os.path.join(tools, "next"))
            for path in (path for name, path in self.packages.items() if name != "holdfast-host"):
                packaging.remade(path, os.path.join(tools, "next"), self.next_version)
        for program in ("commit_writer", "responder"):
            shutil.copy(testing.built(f"tests/tools/{program}"), tools)
        image.tool_disk(tools, self.path("tools.raw"))

    def _prepare_host(self):
        """The host's command as its package has it, with a configuration of its own."""
        cache.run(["dpkg-deb", "-x", self.packages["holdfast-host"], self.path("host")])
        self.holdfast = self.path("host", "usr", "bin", "holdfast")
        for name in ("etc/vms.d", "repository", "overlays", "state"):
            os.makedirs(self.path(name))
        with open(self.path("etc", "host.conf"), "w", encoding="utf-8") as file:
            file.write(f"repository = {self.path('repository')}\n"
                       f"state-directory = {self.path('state')}\n"
                       f"overlay-directory = {self.path('overlays')}\n")

    def command(self, *arguments):
        return [self.holdfast, f"--config-directory={self.path('etc')}", *arguments]

    def host(self, *arguments, timeout=120.0):
        """Runs `holdfast`; its standard output is the answer's, never a terminal."""
        return subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              check=False, encoding="utf-8", errors="replace")

    def host_json(self, *arguments):
        done = self.host(*arguments, "--json")
        if done.returncode != 0:
            raise RuntimeError(f"holdfast {' '.join(arguments)} ended with {done.returncode}: "
                               f"{done.stderr}")
        return json.loads(done.stdout)

    # ---- the guest's side

    def make_disk(self, name, base):
        """The image that the guest writes to, in place of `base`."""
        return vm.overlay(base, self.path(f"{name}.qcow2"))

    def make_guest(self, disks, **options):
        return vm.Guest(self.directory, self.base, disks, name="first", **options)

    def settings(self):
        """How the host reaches the guest."""
        return f"qmp = {self.guest.qmp_path}\nagent = {self.guest.agent_path}\n"

    def boot(self, ports=(), databases=True, reboots=False, memory=1024):
        """Without databases: the guest as the distribution has it, and nothing of ours at hand.
        `memory` is in MiB."""
        disks = [vm.Disk(name, self.make_disk(name, base)) for name, base in self.base.disks.items()]
        if databases:
            disks.append(vm.Disk("tools", self.path("tools.raw"), "raw", read_only=True))
        self.guest = self.make_guest(disks, ports=ports, reboots=reboots, memory=memory,
                                     masked=() if databases else DATABASES)
        with open(self.path("etc", "vms.d", f"{VM}.conf"), "w", encoding="utf-8") as file:
            file.write(self.settings())
        self.claims.say(f"guest up after {self.guest.boot_seconds:.1f} s "
                        f"({self.guest.accelerator})")
        if databases:
            with self.guest.agent() as agent:
                workload.take_tools(agent)
                workload.wait_for_databases(agent)

    def install(self, which="deb", options=""):
        """`apt-get install ./*.deb`, as an administrator would; qemu-ga is restarted by it."""
        status, out = self.guest.detached(
            f"cd {workload.TOOLS}/{which} && DEBIAN_FRONTEND=noninteractive "
            f"apt-get -q -y {options} install ./*.deb", 600)
        if status != 0:
            raise RuntimeError(f"apt-get install ended with {status}:\n{out}")
        return out

    def make_accounts(self):
        """The documented scripts: the least accounts, and the resource files that use them."""
        for plugin in PLUGINS:
            self.guest.run([f"/usr/lib/holdfast/holdfast-{plugin}-setup"], 60)
        self.restart_service()

    def restart_service(self):
        with self.guest.agent() as agent:
            agent.run(["/bin/systemctl", "restart", "holdfastd.service"], 60)

    def guest_status(self, agent):
        done = agent.run(["/usr/sbin/holdfastctl", "status", "--json"], 20, check=False)
        return json.loads(done.out) if done.out.strip() else {"error": done.err}

    def wait_ready(self, timeout=60.0):
        """Until both databases are ready; the last status, ready or not."""
        deadline = time.monotonic() + timeout
        with self.guest.agent() as agent:
            while True:
                status = self.guest_status(agent)
                if all_ready(status) or time.monotonic() > deadline:
                    return status
                # holdfastctl has no call that waits for readiness
                time.sleep(0.2)

    def record(self):
        """The guest's record of its last window."""
        with self.guest.agent() as agent:
            return json.loads(agent.read_file("/run/holdfast/last.json"))

    def resident_kib(self):
        with self.guest.agent() as agent:
            status = agent.shell("cat /proc/$(systemctl show --property=MainPID --value "
                                 "holdfastd.service)/status").out
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    # ---- backup and restore

    def backup(self, *options, timeout=300.0, terminal=False):
        """`holdfast backup`, on a terminal of its own if asked for."""
        argv = self.command("backup", VM, *options)
        if terminal:
            return pty_run.run(argv, timeout)
        begin = time.monotonic()
        done = self.host("backup", VM, *options, timeout=timeout)
        return pty_run.Shown(done.returncode, done.stdout + done.stderr, time.monotonic() - begin)

    def hurt_backup(self, script, *options):
        """A backup in whose window `script` runs in the guest, on a host that is slow to thaw."""
        with self.guest.agent() as agent:
            arm_breaker(agent, script)
        relay = self.path("slow.agent")
        with slow_thaw.SlowThaw(self.guest.agent_path, relay, WINDOW_S):
            return self.backup(f"--agent={relay}", *options)

    def attached_overlays(self):
        """What a run left: block nodes that were not there before, and files of overlays."""
        known = {"root", "mysql", "tools"}
        with self.guest.control() as control:
            nodes = [node["node-name"] for node in control.call("query-named-block-nodes")
                     if not node["node-name"].startswith("#block")]
        return sorted(set(nodes) - known) + sorted(os.listdir(self.path("overlays")))

    def clock_offset_ns(self, agent):
        """The guest's monotonic clock minus this machine's wall clock, to some 15 ms."""
        before = time.time_ns()
        guest = workload.now_ns(agent)
        return guest - (before + time.time_ns()) // 2

    def measured_backup(self, *options):
        """One backup under load: its manifest, and each writer's longest pause over its window.

        The span is the host's, so that it means the same for any hook; it leaves out the copy,
        which only makes the machine busy.
        """
        before = set(self.backups())
        with self.guest.agent() as agent:
            offset = self.clock_offset_ns(agent)
        done = self.backup(*options)
        if done.status != 0:
            raise RuntimeError(f"holdfast backup ended with {done.status}: {done.text}")
        path, = set(self.backups()) - before
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        window = manifest["window"]
        begin = offset + wall_ns(window["begin"])
        end = begin + int(window["total_ms"] * 1e6)
        with self.guest.agent() as agent:
            logs = workload.logs(agent)
        pauses = {mode: log.longest_pause_ms(begin - CLOCK_ERROR_NS, end + CLOCK_ERROR_NS)
                  for mode, log in logs.items()}
        return manifest, pauses, done.seconds

    def discard(self, manifest):
        shutil.rmtree(self.path("repository", VM, manifest["id"]))

    def backups(self):
        return sorted(glob.glob(self.path("repository", VM, "*", "manifest.json")))

    def boot_restored(self, directory):
        """A second guest from restored images; the first one is gone by then."""
        self.close()
        disks = []
        for name in self.base.disks:
            found = [path for path in glob.glob(os.path.join(directory, "*"))
                     if os.path.basename(path).startswith(name + ".")]
            if len(found) != 1:
                raise RuntimeError(f"{len(found)} restored images of '{name}' in '{directory}'")
            disks.append(vm.Disk(name, found[0]))
        self.guest = vm.Guest(self.directory, self.base, disks, name="second")
        self.claims.say(f"restored guest up after {self.guest.boot_seconds:.1f} s")
        with self.guest.agent() as agent:
            workload.wait_for_databases(agent)


def wall_ns(text):
    """An RFC 3339 time in UTC."""
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e9)


def all_ready(status):
    """Does `holdfastctl status --json` call both databases ready?"""
    states = {one.get("plugin"): one.get("state") for one in status.get("resources", [])}
    return all(states.get(plugin) == "ready" for plugin in PLUGINS)


# ---- what a window meets: scripts that wait in the guest, since nothing can be started in it while
# it is frozen. The shim's process has ended once the guest agent goes on to freeze.

# The marker of an earlier window may still stand there.
_BEFORE = "old=$(stat -c %i /run/holdfast/window.json 2>/dev/null); "
_IN_WINDOW = ("until new=$(stat -c %i /run/holdfast/window.json 2>/dev/null) && "
              "[ \"$new\" != \"$old\" ]; do sleep 0.005; done; "
              "while pidof fsfreeze-hook >/dev/null; do sleep 0.005; done; ")

KILL_DAEMON = "kill -9 $(systemctl show --property=MainPID --value holdfastd.service)"
KILL_SESSION = ("for id in $ids; do mariadb -e \"KILL $id\" 2>/dev/null || true; done")
_SESSIONS = ("ids=$(mariadb -BNe \"SELECT id FROM information_schema.processlist "
             "WHERE user = 'holdfast'\"); ")


def arm_breaker(agent, script):
    """Lets `script` run in the guest as soon as the next window is open."""
    before = _SESSIONS if "$ids" in script else ""
    agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", "--unit=breaker", "/bin/sh", "-c",
               f"{before}{_BEFORE}touch /run/breaker.armed; {_IN_WINDOW}{script}"])
    agent.shell("until [ -e /run/breaker.armed ]; do sleep 0.05; done; rm /run/breaker.armed")


def least_privilege(agent):
    """What the accounts may do beyond what they need, as text; empty if nothing."""
    needed = {"RELOAD", "PROCESS", "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR",
              "CONNECTION ADMIN", "USAGE"}
    grants = agent.run(["/usr/bin/mariadb", "-BNe", "SHOW GRANTS FOR holdfast@localhost"]).out
    excess = []
    for line in grants.splitlines():
        match = re.match(r"GRANT (.*) ON (\S+) TO", line)
        if match is None:
            excess.append(line)
            continue
        excess += [f"{privilege.strip()} on {match.group(2)}"
                   for privilege in match.group(1).split(",") if privilege.strip() not in needed]
    role = agent.run(["/sbin/runuser", "-u", "postgres", "--", "psql", "-XAtqc",
                      "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR "
                      "rolbypassrls, ARRAY(SELECT r.rolname::text FROM pg_auth_members m JOIN "
                      "pg_roles r ON r.oid = m.roleid WHERE m.member = p.oid ORDER BY 1) "
                      "FROM pg_roles p WHERE rolname = 'holdfast'"]).out.strip()
    if role not in ("f|{pg_checkpoint}", "f|{pg_checkpoint,pg_read_all_settings}"):
        excess.append(f"PostgreSQL role: '{role}'")
    return "; ".join(excess)


def guest_agent_hook(agent):
    """(the guest agent's command line, what its hook is): both without any hand edit."""
    line = agent.shell("tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value "
                       "qemu-guest-agent.service)/cmdline").out.strip()
    return line, agent.shell(f"readlink -f {HOOK}").out.strip()


def use_hook(agent, target):
    agent.run(["/bin/ln", "-sfn", target, HOOK])


def make_floor_hook(agent):
    """The hook that holds nothing: what a freeze costs all by itself."""
    agent.run(["/bin/mkdir", "-p", "/usr/local/lib/holdfast"])
    agent.write_file("/usr/local/lib/holdfast/floor", b"#!/bin/sh\nexit 0\n", "755")
    return "/usr/local/lib/holdfast/floor"
