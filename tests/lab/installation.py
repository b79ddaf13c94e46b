# SPDX-License-Identifier: MIT
"""Where a server's programs are: on the system itself, or in a root directory of another one.

    Installation()                # what is installed here
    Installation("/tmp/trixie")   # the programs of a root that mmdebstrap made

Programs of a root run in it (chroot), as users of its own passwd. The root must have the system's
temporary directory mounted at the same path, so that data directories and sockets have one name
inside and outside, and /dev and /proc as its programs need them: roots.py makes such ones. Only root
can use one.

Every process dies with the thread that started it (PR_SET_PDEATHSIG): start them from the main one.
"""

import ctypes
import os
import pwd
import shutil
import signal

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Installation:
    def __init__(self, root=None):
        self.root = root

    def program(self, *names):
        """The path, inside, of the first of these programs that there is; None without any."""
        path = os.environ.get("PATH", "") + ":" + _PATH if self.root is None else \
            ":".join(self.root + directory for directory in _PATH.split(":"))
        for name in names:
            found = shutil.which(name, path=path)
            if found is not None:
                return found if self.root is None else found[len(self.root):]
        return None

    def user(self, *names):
        """(uid, gid) of the first of these users that there is; None without any."""
        entries = {entry[0]: entry for entry in self._passwd()}
        for name in names:
            if name in entries:
                return int(entries[name][2]), int(entries[name][3])
        return None

    def _passwd(self):
        if self.root is None:
            return [(entry.pw_name, "", entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()]
        with open(os.path.join(self.root, "etc/passwd"), encoding="utf-8") as passwd:
            return [line.split(":") for line in passwd]

    def spawn(self, user=None):
        """Arguments of Popen for a process of this installation; `user` is (uid, gid), and of
        meaning only where the test runs as root."""
        if os.geteuid() != 0:
            user = None

        def enter():
            if self.root is not None:
                os.chroot(self.root)
                os.chdir("/")
            if user is not None:
                os.setgroups([])
                os.setgid(user[1])
                os.setuid(user[0])
            # Last: the kernel forgets it when the user changes.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

        arguments = {"preexec_fn": enter, "cwd": "/"}
        if self.root is not None:
            arguments["env"] = {"PATH": _PATH, "LC_ALL": "C"}
        return arguments
