# SPDX-License-Identifier: MIT
"""Is a restored guest what the backup says? Judged by the load's own logs and the freeze record.

Nothing is written to the databases before all of it has been read: a restarted server begins a new
binlog, so the position that the record must equal is the size of the file before it.
"""

import json
import re

TABLES = ("commits_innodb", "commits_aria", "commits_myisam")

# What a server or debian-start writes about a table that was copied while open.
_DAMAGE = re.compile(r"crashed|repair|hasn't closed|not closed|corrupt", re.IGNORECASE)
_POSTGRESQL_DAMAGE = re.compile(r"PANIC|corrupt|invalid page|could not")


def resource(record, engine):
    """The one resource of an engine in a freeze record."""
    found = [one for one in record["resources"] if one.get("engine") == engine]
    if len(found) != 1:
        raise AssertionError(f"the record has {len(found)} resources of '{engine}'")
    return found[0]


def _sql(agent, statement):
    done = agent.run(["/usr/bin/mariadb", "--batch", "--skip-column-names", "-e", statement], 120)
    return [line.split("\t") for line in done.out.splitlines()]


def _psql(agent, statement):
    out = agent.run(["/sbin/runuser", "-u", "postgres", "--", "psql", "-XAtq", "-F", "\t", "-c",
                     statement], 120).out
    return [line.split("\t") for line in out.splitlines()]


def lsn(text):
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _rows(claims, number, name, figures, at_least, at_most):
    """The rows are 1 to k, whole, for a k between the bounds."""
    count, least, most, torn = (int(figure) for figure in figures)
    claims.claim(number, f"{name}: rows are 1 to {most} without a gap or a torn row",
                 count == most and torn == 0 and (least == 1 or count == 0),
                 f"{count} rows, {torn} torn")
    claims.claim(number, f"{name}: every commit acknowledged before the hold is there",
                 most >= at_least, f"has {most}, needs at least {at_least}")
    claims.claim(number, f"{name}: none that began after it",
                 most <= at_most, f"has {most}, may have {at_most}")


def inside(agent, claims, number, record):
    """The record that was written under the lock is in the copy, with the same positions."""
    mine = json.loads(agent.read_file("/var/lib/holdfast/freeze.json"))

    def positions(of):
        return {one["name"]: one.get("position") for one in of["resources"]}

    claims.claim(number, "the freeze record is inside the copy, of the same window and positions",
                 mine["window"] == record["window"] and positions(mine) == positions(record),
                 f"window {mine['window']}, state {mine['state']}")


def mariadb(agent, claims, number, record, log):
    """MariaDB in the restored guest, against the record's resource and the writer's log."""
    mine = resource(record, "MariaDB")
    position, held = mine["position"], mine["held_at_ns"]

    gtid = _sql(agent, "SELECT @@gtid_binlog_pos")[0][0]
    sizes = {row[0]: row[1] for row in _sql(agent, "SHOW BINARY LOGS")}
    claims.claim(number, "MariaDB: the binlog ends where the record says",
                 sizes.get(position["binlog-file"]) == position["binlog-position"],
                 f"{position['binlog-file']}:{position['binlog-position']}, "
                 f"restored {sizes.get(position['binlog-file'])}")
    claims.claim(number, "MariaDB: GTID as recorded", gtid == position["gtid"],
                 f"{position['gtid']}, restored {gtid}")

    journal = agent.shell("journalctl --boot --unit=mariadb.service --no-pager; "
                          "cat /var/log/mysql/error.log 2>/dev/null || true").out
    damage = [line for line in journal.splitlines() if _DAMAGE.search(line)]
    claims.claim(number, "MariaDB: started without a word about damaged tables", not damage,
                 damage[0][:160] if damage else "")
    check = agent.run(["/usr/bin/mariadb-check", "--all-databases"], 180, check=False)
    unclean = [line for line in check.out.splitlines() if not line.rstrip().endswith("OK")]
    claims.claim(number, "MariaDB: mariadb-check --all-databases is clean",
                 check.status == 0 and not unclean and TABLES[0] in check.out,
                 "; ".join(unclean)[:160] or f"{len(check.out.splitlines())} tables")

    columns = ("COUNT(*), COALESCE(MIN(number), 0), COALESCE(MAX(number), 0), "
               "COALESCE(SUM(digest <> MD5(number)), 0)")
    figures = {table: _sql(agent, f"SELECT {columns} FROM holdfast_lab.{table}")[0]
               for table in TABLES}
    _rows(claims, number, "MariaDB", figures[TABLES[0]], log.last_acknowledged(held),
          log.last_begun(held))
    claims.claim(number, "MariaDB: InnoDB, Aria and MyISAM tables agree",
                 figures[TABLES[0]] == figures[TABLES[1]] == figures[TABLES[2]],
                 ", ".join(f"{table[8:]} {figure[0]}" for table, figure in figures.items()))


def postgresql(agent, claims, number, record, log):
    """PostgreSQL in the restored guest. It cannot hold writers: the frozen filesystem does, so the
    upper bound is the time from which the filesystems were thawed for certain."""
    mine = resource(record, "PostgreSQL")
    begun = {phase["name"]: phase["begin_ns"] for phase in record["phases"]}

    server_log = agent.shell("cat /var/log/postgresql/postgresql-15-main.log").out
    start = server_log[server_log.rfind("starting PostgreSQL"):]
    damage = [line for line in start.splitlines() if _POSTGRESQL_DAMAGE.search(line)]
    claims.claim(number, "PostgreSQL: recovered and started clean",
                 not damage and "ready to accept connections" in start,
                 damage[0][:160] if damage else "")
    now = _psql(agent, "SELECT pg_current_wal_lsn()")[0][0]
    claims.claim(number, "PostgreSQL: WAL reaches at least the recorded LSN",
                 lsn(now) >= lsn(mine["position"]["lsn"]), f"{mine['position']['lsn']}, now {now}")
    redo = re.search(r"redo done at ([0-9A-F]+/[0-9A-F]+)", start)
    after = mine.get("position_at_thaw", {}).get("lsn")
    if redo and after:
        claims.claim(number, "PostgreSQL: and was not replayed beyond the LSN at thaw",
                     lsn(redo.group(1)) <= lsn(after), f"redo {redo.group(1)}, thaw {after}")
    figures = _psql(agent, "SELECT count(*), coalesce(min(number), 0), coalesce(max(number), 0), "
                           "count(*) FILTER (WHERE digest <> md5(number::text)) "
                           "FROM holdfast_lab_commits")[0]
    held = record["held"]["monotonic_ns"]
    _rows(claims, number, "PostgreSQL", figures, log.last_acknowledged(held),
          log.last_begun(begun["verify"]))
    check = agent.run(["/sbin/runuser", "-u", "postgres", "--",
                       "/usr/lib/postgresql/15/bin/pg_amcheck", "--all",
                       "--install-missing"], 240, check=False)
    claims.claim(number, "PostgreSQL: pg_amcheck --all is clean", check.status == 0,
                 (check.out + check.err)[:160])
