# SPDX-License-Identifier: MIT
"""MariaDB and Oracle's MySQL as servers of tests, behind one surface; see servers.py.

What tests ask a server of this family, so that one test body runs on all of them:
  `mariadb`          is it MariaDB?
  `version`          (10, 11, 6), once it runs
  `engines`          a transactional storage engine first, then those that are not
  `position_grant`   the privilege for reading the binary log's position
  `light_lock`       the lock beside ftwrl that it has
  `grants`           all that an account for holdfast wants on everything
  `binary_log()`     (file, position), whatever the statement is called there
  `redo()`           how far the redo log is written and flushed, in bytes
  `rows(n)`          a table expression with the numbers 1 to n (1000 at most) in column `seq`

Which of them a test runs on is said from outside, before it starts, by the environment:

    HOLDFAST_TEST_MYSQL=KIND:ROOT    KIND is mariadb or mysql; ROOT is the root directory that has
                                     its programs (installation.py), empty for this system
"""

import contextlib
import getpass
import os
import pwd
import shutil
import signal

from lab import cache
from lab.installation import Installation
from lab.server_process import Server


class MysqlServer(Server):
    """With binary log (GTID) and InnoDB. `socket` is its unix socket; the administrator is the user
    of the test itself."""

    users = ("mysql", "nobody")  # the server's programs may come without the user
    stop_signal = signal.SIGTERM
    mariadb = False
    engines = ("InnoDB", "MyISAM")
    programs = ()  # the server's, and the client's, by preference
    clients = ()
    position_grant = "REPLICATION CLIENT"
    light_lock = "instance"
    redo_counters = ("Innodb_redo_log_current_lsn", "Innodb_redo_log_flushed_to_disk_lsn")

    def __init__(self, parent=None, options=(), binlog=True, installation=None):
        super().__init__(parent, options, installation)
        self.binlog = binlog
        self.socket = os.path.join(self.run_directory, "sock")

    @property
    def grants(self):
        return ("RELOAD", "PROCESS", self.position_grant)

    def make_account(self, name, password):
        """One that holds by every lock that the server has."""
        self.run(f"CREATE USER {name}@localhost IDENTIFIED BY '{password}';"
                 f"GRANT {', '.join(self.grants)} ON *.* TO {name}@localhost")

    @property
    def version(self):
        text = self.run("SELECT VERSION()")[0]
        return tuple(int(part) for part in text.split("-")[0].split(".")[:3])

    @property
    def administrator(self):
        """The account that a client of the test's own user is admitted as, without a password."""
        return getpass.getuser()

    def binary_log(self):
        old = self.mariadb or self.version < (8, 4)
        line = self.run("SHOW MASTER STATUS" if old else "SHOW BINARY LOG STATUS")[0].split("\t")
        return line[0], int(line[1])

    def redo(self):
        """How far InnoDB's redo log is written, and how far it is flushed."""
        return tuple(int(self.run(f"SHOW GLOBAL STATUS LIKE '{name}'")[0].split("\t")[1])
                     for name in self.redo_counters)

    @staticmethod
    def rows(count):
        return (f"(WITH RECURSIVE numbers (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers "
                f"WHERE seq < {count}) SELECT seq FROM numbers) AS numbered")

    def _initialise(self):
        """A new data directory. The servers take seconds for that, so those of another root, which
        never changes, get a copy of one made before."""
        if self.installation.root is None:
            self._make_data()
            return
        name = f"data-{self.engine}-{cache.key([self.installation.root, self._new_data_argv('')])}"
        self.adopt(cache.made_once(name, self._make_seed))

    def _make_seed(self, _, out):
        self._make_data()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.data, "auto.cnf"))  # each copy is a server of its own
        shutil.copytree(self.data, out, dirs_exist_ok=True)

    def _make_data(self):
        self._tool(self._new_data_argv(self.data))

    def _new_data_argv(self, data):
        """What makes a data directory there."""
        raise NotImplementedError

    def _argv(self):
        argv = [self.installation.program(*self.programs), "--no-defaults",
                f"--datadir={self.data}", f"--socket={self.socket}",
                f"--pid-file={self.run_directory}/pid", "--server-id=1",
                # A server that starts removes all temporary tables there, other servers' too.
                f"--tmpdir={self.run_directory}",
                "--innodb-buffer-pool-size=64M", "--skip-name-resolve"]
        if not any(option.startswith("--port=") for option in self.options):
            argv.append("--skip-networking")
        if self.binlog:
            argv.append(f"--log-bin={self.data}/binlog")
        return argv

    def _client(self):
        return [self.installation.program(*self.clients), "--no-defaults",
                f"--socket={self.socket}", "--batch", "--skip-column-names", "--unbuffered",
                "--skip-reconnect"]

    def _session_client(self):
        # Not for single statements: Oracle's client ends with status 0 then, whatever they did.
        return [*self._client(), "--force"]

    @staticmethod
    def _marker(text):
        return f"SELECT '{text}';"


class MariaDb(MysqlServer):
    engine = "mariadb"
    mariadb = True
    engines = ("InnoDB", "Aria", "MyISAM")
    position_grant = "BINLOG MONITOR"
    light_lock = "backup-stage"
    programs = ("mariadbd",)
    clients = ("mariadb",)
    redo_counters = ("Innodb_lsn_current", "Innodb_lsn_flushed")

    @staticmethod
    def missing():
        for program in ("mariadbd", "mariadb-install-db", "mariadb"):
            if Installation().program(program) is None:
                return f"'{program}' is not installed (apt-get install mariadb-server)"
        return None

    @staticmethod
    def rows(count):
        return f"mysql.seq_1_to_{count}"  # of a database: a client has none chosen

    def _new_data_argv(self, data):
        me = pwd.getpwuid(os.geteuid()).pw_name
        return [self.installation.program("mariadb-install-db"), "--no-defaults",
                f"--datadir={data}", f"--tmpdir={data}", "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={me}", "--skip-test-db", "--skip-name-resolve"]

    def _client(self):
        # From 11.4 on the client wants TLS on a unix socket, too, of servers that may have none.
        return [*super()._client(), "--skip-ssl"]


class MySql(MysqlServer):
    """Oracle's. Its administrator root has no password."""

    engine = "mysql"
    programs = ("mysqld",)
    clients = ("mysql", "mariadb")
    _SMALL_REDO_LOG = "--innodb-redo-log-capacity=32M"

    @staticmethod
    def missing():
        return "Oracle's server is not in this distribution"

    @property
    def grants(self):
        return (*super().grants, "BACKUP_ADMIN")

    def make_account(self, name, password):
        super().make_account(name, password)
        self.run("".join(f"GRANT SELECT ON performance_schema.{table} TO {name}@localhost;"
                         for table in ("log_status", "metadata_locks")))

    @property
    def administrator(self):
        return "root"

    def _new_data_argv(self, data):
        return [self.installation.program(*self.programs), "--no-defaults",
                "--initialize-insecure", f"--datadir={data}", self._SMALL_REDO_LOG]

    def _argv(self):
        # The X protocol would want a port and a socket of its own, and the default of the other a
        # directory that the package's scripts make.
        argv = [*super()._argv(), "--mysqlx=OFF", "--secure-file-priv=NULL", self._SMALL_REDO_LOG]
        return argv if self.binlog else [*argv, "--skip-log-bin"]

    def _client(self):
        return [*super()._client(), "--user=root"]


_KINDS = {"mariadb": MariaDb, "mysql": MySql}


def chosen():
    """(class, root or None) that the environment asks for."""
    kind, _, root = os.environ.get("HOLDFAST_TEST_MYSQL", "mariadb:").partition(":")
    return _KINDS[kind], root or None


def missing():
    """Why the chosen server can't run here, or None."""
    server, root = chosen()
    return None if root else server.missing()


def new_server(**arguments):
    """The chosen server, not started; the arguments are those of MysqlServer."""
    server, root = chosen()
    return server(installation=Installation(root), **arguments)
