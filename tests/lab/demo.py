# SPDX-License-Identifier: MIT
"""The demonstration behind tests/demo: the way of one backup, and of one that must be refused.

    python3 -m lab.demo WORK-DIRECTORY

Numbers of claims are those of the steps: 1 install, 2 the guest, 3 backup under load, 4 list and
show, 5 restore, 6 the counter-example, 7 the cost beside its floor.
"""

import os
import statistics
import sys

from . import claims as claims_module
from . import judge, scenario, workload

ROUNDS = 5
PAUSE_AIM = 1.5           # times the floor's longest pause: shown, since a busy machine is no defect
RESIDENT_LIMIT_KIB = 16 << 10


class Demo:
    def __init__(self, lab, claims):
        self.lab, self.claims = lab, claims
        self.rows = []

    def run(self):
        self.install()
        self.look_at_the_guest()
        with self.lab.guest.agent() as agent:
            workload.start(agent)
        self.claims.say("write load running on both databases")
        self.backup()
        self.show()
        self.counter_example()
        self.measure()
        self.restore()
        self.table()

    # 1
    def install(self):
        lab, claims = self.lab, self.claims
        lab.boot()
        lab.install()
        lab.make_accounts()
        status = lab.wait_ready()
        with lab.guest.agent() as agent:
            excess = scenario.least_privilege(agent)
            line, hook = scenario.guest_agent_hook(agent)
        claims.claim(1, "apt-get install ./*.deb without a network; both databases are ready",
                     scenario.all_ready(status), describe(status))
        claims.claim(1, "the database accounts may do what the job needs and no more", not excess,
                     excess)
        claims.claim(1, "the guest agent runs with -F", " -F" in line, line)
        claims.claim(1, "and with our shim, without a hand edit", hook == scenario.SHIM, hook)

    # 2
    def look_at_the_guest(self):
        with self.lab.guest.agent() as agent:
            mounts = {line.split()[1]: line.split()[0]
                      for line in agent.shell("grep ^/dev/vd /proc/mounts").out.splitlines()}
            data = agent.shell("runuser -u postgres -- psql -XAtqc 'SHOW data_directory'")
        place = data.out.strip()
        self.claims.claim(2, "two disks: MariaDB's data on the second, PostgreSQL's on the first",
                          mounts == {"/": "/dev/vda", "/var/lib/mysql": "/dev/vdb"}
                          and place.startswith("/var/lib/postgresql"), f"{mounts}, {place}")

    # 3
    def backup(self):
        lab, claims = self.lab, self.claims
        claims.say("holdfast backup, as seen on a terminal:")
        done = lab.backup("--require=application", terminal=True)
        claims.claim(3, "holdfast backup under load ends with 0", done.status == 0,
                     f"status {done.status}, {done.seconds:.1f} s")
        claims.claim(3, "progress is visible on a terminal", done.redraws() > 0,
                     f"{done.redraws()} redraws")
        self.record = lab.record()
        with lab.guest.agent() as agent:
            claims.claim(3, "both writers are still at work", workload.running(agent),
                         workload.errors(agent))
            blocks = lab.attached_overlays()
        claims.claim(3, "nothing is left attached or lying about", not blocks, ", ".join(blocks))
        self.backup_seconds = done.seconds
        self.logs = self.read_logs()

    def read_logs(self):
        with self.lab.guest.agent() as agent:
            return workload.logs(agent)

    # 4
    def show(self):
        lab, claims = self.lab, self.claims
        listed = lab.host("list", scenario.VM)
        print(listed.stdout, end="", flush=True)
        claims.claim(4, "holdfast list shows one backup, of level application",
                     listed.returncode == 0 and listed.stdout.count("application") == 1
                     and len(lab.backups()) == 1, f"{len(lab.backups())} published")
        self.backup_id = os.path.basename(os.path.dirname(lab.backups()[0]))
        shown = lab.host("show", scenario.VM, self.backup_id)
        print(shown.stdout, end="", flush=True)
        mysql = judge.resource(self.record, "MariaDB")["position"]
        wanted = [mysql["binlog-file"], mysql["binlog-position"], mysql["gtid"],
                  judge.resource(self.record, "PostgreSQL")["position"]["lsn"], "application"]
        missing = [text for text in wanted if text not in shown.stdout]
        claims.claim(4, "holdfast show has level, binlog file and position, GTID and LSN",
                     shown.returncode == 0 and not missing, ", ".join(missing))
        checked = lab.host("verify", scenario.VM, self.backup_id)
        claims.claim(4, "holdfast verify finds images and checksums right", checked.returncode == 0,
                     (checked.stdout + checked.stderr).strip())

    # 6
    def counter_example(self):
        lab, claims = self.lab, self.claims
        for name, script, wanted in (
                ("the service killed mid-window", scenario.KILL_DAEMON, 33),
                ("the database session killed mid-window", scenario.KILL_SESSION, 30)):
            before = lab.backups()
            done = lab.hurt_backup(script, "--require=application")
            print(done.text, end="", flush=True)
            claims.claim(6, f"{name}: --require application fails", done.status == 1,
                         f"status {done.status}")
            claims.claim(6, f"{name}: nothing is published as good", lab.backups() == before,
                         f"{len(lab.backups())} published")
            claims.claim(6, f"{name}: the thaw reports the loss, status {wanted}",
                         f"status {wanted}" in done.text)
            lab.wait_ready()
            with lab.guest.agent() as agent:
                claims.claim(6, f"{name}: the databases write on", workload.running(agent),
                             workload.errors(agent))

    # 7
    def measure(self):
        """The same backup with our hook and with one that does nothing, in turn."""
        lab, claims = self.lab, self.claims
        with lab.guest.agent() as agent:
            floor = scenario.make_floor_hook(agent)
        hooks = {"holdfast": (scenario.SHIM, ("--require=application",)),
                 "floor": (floor, ("--require=filesystem", "--prefer=filesystem"))}
        self.rounds = {name: [] for name in hooks}
        for _ in range(ROUNDS):
            for name, (hook, options) in hooks.items():
                with lab.guest.agent() as agent:
                    scenario.use_hook(agent, hook)
                manifest, pauses, seconds = lab.measured_backup(*options)
                lab.discard(manifest)
                self.rounds[name].append((manifest, pauses, seconds))
                window = manifest["window"]
                claims.say(f"{name:8}  freeze {window['freeze_call_ms']:.0f} ms, "
                           f"window {window['total_ms']:.0f} ms, longest pause "
                           f"mysql {pauses['mysql']:.0f} ms, "
                           f"postgresql {pauses['postgresql']:.0f} ms")
        with lab.guest.agent() as agent:
            scenario.use_hook(agent, scenario.SHIM)
        pause = {name: self.median(name, lambda one: one[1]["mysql"]) for name in hooks}
        claims.say(f"longest pause of the MySQL writer: {pause['holdfast']:.0f} ms, floor "
                   f"{pause['floor']:.0f} ms: {pause['holdfast'] / pause['floor']:.2f} times (aim: at "
                   f"most {PAUSE_AIM}); medians of {ROUNDS}")
        resident = lab.resident_kib()
        claims.claim(7, "the service is resident with at most 16 MiB, all plugins loaded",
                     resident <= RESIDENT_LIMIT_KIB, f"{resident / 1024:.1f} MiB")

    def median(self, name, figure):
        return statistics.median(figure(one) for one in self.rounds[name])

    # 5
    def restore(self):
        lab, claims = self.lab, self.claims
        with lab.guest.agent() as agent:
            _, summaries = workload.stop(agent)
        for mode, summary in summaries.items():
            claims.say(f"{mode} writer: {summary['commits']} commits, "
                       f"p50 {summary['p50_ms']:.1f} ms, p99.9 {summary['p999_ms']:.1f} ms, "
                       f"longest {summary['longest_ms']:.0f} ms")
        target = lab.path("restored")
        done = lab.host("restore", scenario.VM, self.backup_id, f"--to={target}")
        claims.claim(5, "holdfast restore writes fresh images", done.returncode == 0,
                     ", ".join(sorted(os.listdir(target))) if os.path.isdir(target)
                     else done.stderr.strip())
        lab.boot_restored(target)
        with lab.guest.agent() as agent:
            judge.inside(agent, claims, 5, self.record)
            judge.mariadb(agent, claims, 5, self.record, self.logs["mysql"])
            judge.postgresql(agent, claims, 5, self.record, self.logs["postgresql"])

    def table(self):
        print(f"\n{'hook':10}{'freeze call':>14}{'window':>12}{'pause mysql':>14}"
              f"{'pause pgsql':>14}{'copied':>12}{'whole run':>12}")
        for name in self.rounds:
            figures = [self.median(name, lambda one: one[0]["window"]["freeze_call_ms"]),
                       self.median(name, lambda one: one[0]["window"]["total_ms"]),
                       self.median(name, lambda one: one[1]["mysql"]),
                       self.median(name, lambda one: one[1]["postgresql"])]
            copied = self.median(name, lambda one: one[0]["copy"]["bytes"]) / (1 << 20)
            whole = self.median(name, lambda one: one[2])
            print(f"{name:10}{figures[0]:>11.0f} ms{figures[1]:>9.0f} ms{figures[2]:>11.0f} ms"
                  f"{figures[3]:>11.0f} ms{copied:>8.0f} MiB{whole:>10.1f} s", flush=True)


def describe(status):
    return ", ".join(f"{one.get('name')} {one.get('state')}" for one in status.get("resources", []))


def main():
    claims = claims_module.Claims()
    with scenario.Lab(sys.argv[1], claims) as lab:
        Demo(lab, claims).run()
    print(f"\n{claims.made} claims, {len(claims.failed)} failed", flush=True)
    for line in claims.failed:
        print(line, flush=True)
    return 1 if claims.failed else 0


if __name__ == "__main__":
    sys.exit(main())
