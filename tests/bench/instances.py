# SPDX-License-Identifier: MIT
"""More servers in the guest: copies of its MariaDB, and a second cluster of PostgreSQL. They run all the time
and nobody writes to them; whether they are held is for hold() to say."""

from lab import scenario

MORE_MYSQL = 7
RESOURCES = "/etc/holdfast/resources.d"
COUNT = f"{1 + MORE_MYSQL} MySQL and 2 PostgreSQL servers"
ASIDE = "/root/more-resources"


def make(agent):
    """The data directories; MariaDB stands still meanwhile."""
    copies = "; ".join(f"cp -a --sparse=always /var/lib/mysql /srv/mysql{number}; "
                       f"rm -rf /srv/mysql{number}/binlog* /srv/mysql{number}/lost+found"
                       for number in range(2, MORE_MYSQL + 2))
    agent.shell(f"systemctl stop mariadb.service; {copies}; systemctl start mariadb.service", 300)
    agent.shell("pg_createcluster 15 second --port=5433", 300)


def start(agent):
    for number in range(2, MORE_MYSQL + 2):
        agent.run(["/usr/bin/systemd-run", "--quiet", "--collect", f"--unit=mysql{number}",
                   "--no-block", "--property=User=mysql", "/usr/sbin/mariadbd", "--no-defaults",
                   f"--datadir=/srv/mysql{number}", f"--socket=/run/mysqld/{number}.sock",
                   f"--pid-file=/run/mysqld/{number}.pid", "--skip-networking", "--log-bin=binlog",
                   f"--server-id={number}", "--innodb-buffer-pool-size=16M",
                   "--key-buffer-size=1M", "--aria-pagecache-buffer-size=1M"])
        agent.write_file(f"{RESOURCES}/mysql{number}.conf",
                         f"plugin = mysql\nsocket = /run/mysqld/{number}.sock\n".encode())
    agent.run(["/usr/bin/systemctl", "start", "postgresql@15-second.service"], 120)
    agent.run(["/usr/lib/holdfast/holdfast-postgresql-setup", "--port=5433",
               f"--config={RESOURCES}/postgresql2.conf"], 60)


_MORE = [f"mysql{number}.conf" for number in range(2, MORE_MYSQL + 2)] + ["postgresql2.conf"]


def hold(rig, more):
    """With `more`, all of them are resources; else those of the distribution alone."""
    source, target = (ASIDE, RESOURCES) if more else (RESOURCES, ASIDE)
    with rig.guest.agent() as agent:
        agent.shell(f"mkdir -p {ASIDE}; cd {source}; for f in {' '.join(_MORE)}; do "
                    f"[ ! -e $f ] || mv $f {target}/; done")
    rig.restart_service()
    rig.await_databases(len(scenario.PLUGINS) + (len(_MORE) if more else 0))
