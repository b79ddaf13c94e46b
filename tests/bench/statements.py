# SPDX-License-Identifier: MIT
"""Long statements of somebody else, behind which a backup begins: what the client that commits to MySQL
waits before the lock is free to take.

    plain read       the lock of MariaDB does not wait for it: the window comes at once
    locking read     it does
    ALTER            it does; rows are copied, each of which takes its time

The span is that of the statement. A pause that lasts longer counts as far as the end of the statement:
what comes then is the window's own. Beside it stands the pause of a window with no long statement.
"""

import time

from lab import scenario, workload

TABLE = "holdfast_bench.behind"
UNIT = "statement"
END = "/dev/shm/statement.end"
POLL_S = 0.05


class Statement:
    """`sql` takes the seconds that it is to run."""

    def __init__(self, name, sql, undo=""):
        self.name, self._sql, self.undo = name, sql, undo

    def sql(self, seconds):
        return self._sql(seconds)


def _alter(seconds):
    return (f"DELETE FROM {TABLE} WHERE a > {max(int(seconds / Behind.row_s), 1)}; "
            f"ALTER TABLE {TABLE} ADD COLUMN b CHAR(128) AS ({_COSTLY}) STORED, ALGORITHM=COPY")


_COSTLY = "SHA2(REPEAT('x', 1000000 + a), 512)"
ROWS = 2000

READ = Statement("plain SELECT", lambda s: f"SELECT SLEEP({s}), a FROM {TABLE} LIMIT 1")
LOCKING = Statement("SELECT FOR UPDATE",
                    lambda s: f"SELECT SLEEP({s}), a FROM {TABLE} LIMIT 1 FOR UPDATE")
ALTER = Statement("ALTER", _alter,
                  f"ALTER TABLE {TABLE} DROP COLUMN b; "
                  f"INSERT IGNORE INTO {TABLE} SELECT seq FROM seq_1_to_{ROWS}")
ALL = (READ, LOCKING, ALTER)


class Behind:
    """`rig` is a StallRig. Its agent is told to wait as long as the statements take."""

    row_s = 0.0  # what one row costs an ALTER

    def __init__(self, rig, seconds):
        self._rig, self._seconds = rig, seconds
        self._options = (f"--freeze-timeout={seconds + 60}s",)
        with rig.guest.agent() as agent:
            self._sql(agent, "CREATE DATABASE holdfast_bench; "
                      f"CREATE TABLE {TABLE} (a INT PRIMARY KEY) ENGINE=InnoDB; "
                      f"INSERT INTO {TABLE} SELECT seq FROM seq_1_to_{ROWS}")
            Behind.row_s = self._row_seconds(agent)
            agent.shell(
                f"echo 'long-statement-wait = {seconds + 30}s' >>/etc/holdfast/resources.d/mysql.conf; "
                f"printf 'freeze-timeout = {seconds + 40}s\\nmax-hold = {seconds + 60}s\\n' "
                ">>/etc/holdfast/agent.conf")
        rig.restart_service()
        rig.await_databases(len(scenario.PLUGINS))

    @staticmethod
    def _sql(agent, text):
        # a sequence engine's table wants some database to be the default one
        return agent.run(["/usr/bin/mariadb", "-BN", "mysql", "-e", text], 120).out

    def _row_seconds(self, agent, rows=10):
        said = self._sql(agent, "SET @begin = SYSDATE(6); SELECT COUNT(b) FROM (SELECT "
                         f"{_COSTLY} AS b FROM {TABLE} LIMIT {rows}) AS rows_of_it; "
                         "SELECT TIMESTAMPDIFF(MICROSECOND, @begin, SYSDATE(6))")
        return int(said.split()[-1]) / 1e6 / rows

    def longest_ms(self, statement, contender):
        """The longest pause while the statement ran, with a backup begun behind it."""
        with self._rig.guest.agent() as agent:
            since = workload.positions(agent)
            begin = self._start(agent, statement)
        self._rig.window(contender, *self._options)
        with self._rig.guest.agent() as agent:
            end = self._await_end(agent)
            log = workload.logs(agent, since)["mysql"]
            if statement.undo:
                self._sql(agent, statement.undo)
        return max((min(until, end) - max(since, begin) for since, until in log.pauses(begin, end)),
                   default=0) / 1e6

    def _start(self, agent, statement):
        """When it ran, by the guest's clock."""
        sql = statement.sql(self._seconds)
        agent.shell(f"rm -f {END}")
        agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", f"--unit={UNIT}", "/bin/sh", "-c",
                   f"mariadb -e \"{sql}\" >/dev/null && cut -d' ' -f1 /proc/uptime >{END}.new && "
                   f"mv {END}.new {END}"])
        verb = sql.rpartition(";")[2].split()[0]
        running = ("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root' AND "
                   f"info LIKE '{verb}%behind%' AND info NOT LIKE '%processlist%'")
        while self._sql(agent, running).strip() == "0":
            time.sleep(POLL_S)  # nothing tells
        return workload.now_ns(agent)

    def _await_end(self, agent):
        agent.shell(f"while systemctl -q is-active {UNIT}.service; do sleep 0.1; done",
                    self._seconds * 4 + 60)
        return int(float(agent.read_file(END)) * 1e9)


# pylint: disable-next=too-many-arguments
def measure(rig, usual, contenders, wanted, rounds, seconds):
    """({statement's name: {contender's name: [ms, a round each]}}, [ms of the longest pause over a window
    of `usual` with no long statement])."""
    behind = Behind(rig, seconds)
    found = {one.name: {who.name: [] for who in contenders} for one in wanted}
    normal = []
    rig.window(usual)  # not measured: the first backup is a full one, whose copy takes long
    for number in range(rounds):
        normal.append(rig.window(usual).longest_ms["mysql"])
        rig.claims.say(f"{number + 1}/{rounds}  no long statement, {usual.name}: {normal[-1]:.0f} ms")
        for one in wanted:
            for who in contenders:
                pause = behind.longest_ms(one, who)
                found[one.name][who.name].append(pause)
                rig.claims.say(f"{number + 1}/{rounds}  behind {one.name}, {who.name}: {pause:.0f} ms")
    return found, normal
