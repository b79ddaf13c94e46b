# SPDX-License-Identifier: MIT
"""The servers of other releases: roots to be used as `Installation(root)`.

A root is a tree of files: a release's server packages and what they depend on, extracted, nothing
set up; made once and kept (cache.py). It is of use in a mount namespace that shares the temporary
directory, the devices and the users of this machine with it, so that a socket in there is reached
from both sides under one name, and a server knows its clients' users:

    root = roots.Root("sid")
    subprocess.run(root.within([sys.executable, "mysql_lock_test.py"]), env=…)

The namespace ends with its last process, and nothing is left of it. The tree itself is never
written to.
"""

import inspect
import os
import shutil
import tempfile

from . import archive, cache

# The servers by the release that has them. PostgreSQL 14 and 16 are Ubuntu's alone.
PACKAGES = {
    "bullseye": ["postgresql-13"],
    "jammy": ["postgresql-14"],
    "noble": ["postgresql-16"],
    "trixie": ["mariadb-server-core", "mariadb-client-core", "postgresql-17", "valkey-server",
               "valkey-tools"],
    # with all that the plugin is built with: it is the release with Oracle's client library, too
    "sid": ["mysql-server-core", "mysql-client-core", "libmysqlclient-dev", "g++", "cmake",
            "ninja-build", "ccache", "pkgconf", "perl", "python3", "libpq-dev", "libhiredis-dev",
            "libssl-dev", "libboost-program-options-dev", "libspdlog-dev", "libsystemd-dev",
            "nlohmann-json3-dev", "libgtest-dev", "libgmock-dev"],
}
_TOOLS = ["coreutils", "dash", "grep", "sed"]  # what the servers' scripts need

_UNUSED = ["usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info"]
_PLACES = ["dev", "etc", "proc", "run", "sys", "tmp"]
_SHARED_FILES = ["passwd", "group", "hosts"]

_MINIMUM_FREE = 2 << 30

_ENTER = f"""\
tree=$1
shift
mount --bind "$tree" "$tree"
mount -o remount,bind,ro "$tree"
while [ "$1" != -- ]; do
  mount --rbind "$1" "$tree$1"
  shift
done
shift
mount --rbind /dev "$tree/dev"
mount --rbind /proc "$tree/proc"
for file in {" ".join(_SHARED_FILES)}; do mount --bind "/etc/$file" "$tree/etc/$file"; done
exec "$@"
"""


def missing(release):
    """Why there is no root of this release here, or None; makes it if it can."""
    if os.geteuid() != 0:
        return "only root can make a root of another release"
    for program in ("mmdebstrap", "unshare"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"'{program}' is not installed"
    try:
        Root(release)
    except RuntimeError as error:
        return f"unable to make a root of {release}: {error}"
    return None


def _sources(release):
    if release not in archive.UBUNTU:
        return archive.sources(release)
    # Debian 12 does not have the keys of Ubuntu's archive, 13 does: so they are as sure as it is.
    keys = Root("trixie", ["ubuntu-archive-keyring"]).tree
    return archive.ubuntu_sources(release, keys + "/usr/share/keyrings/ubuntu-archive-keyring.gpg")


class Root:
    """The root of a release with all of PACKAGES for it, or other packages, made first if the cache
    does not have it. `tree` is its directory; its name changes with what is in it."""

    def __init__(self, release, packages=None):
        packages = [*(packages or PACKAGES[release]), *_TOOLS]
        sources = _sources(release)
        recipe = [packages, sources, inspect.getsource(_build),
                  _UNUSED, _PLACES, _SHARED_FILES]
        self.tree = cache.made_once(f"root-{release}-{cache.key(recipe)}",
                                    lambda work, out: _build(work, out, release, packages, sources),
                                    _MINIMUM_FREE)

    def within(self, argv, shared=()):
        """The argument vector that runs `argv`, a program of this machine, where the tree can be
        used; directories of `shared` have the same path inside, too. The shell becomes the program:
        it keeps the process id."""
        shared = [tempfile.gettempdir(), *shared]
        for path in shared:
            os.makedirs(self.tree + path, exist_ok=True)
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ENTER, "enter",
                self.tree, *shared, "--", *argv]


def _build(work, out, release, packages, sources):
    tree = os.path.join(work, "tree")  # mmdebstrap makes its target itself
    print(f"making a root of {release} (cached from then on)", flush=True)
    archive.mmdebstrap(work, tree, packages, ["--variant=extract"], release, sources)
    # What the packages' own scripts would have done.
    for name in ("bin", "sbin", "lib", "lib64"):
        if not os.path.lexists(os.path.join(tree, name)):
            os.symlink(f"usr/{name}", os.path.join(tree, name))
    for name in _PLACES:
        os.makedirs(os.path.join(tree, name), exist_ok=True)
    for name in _SHARED_FILES:
        with open(os.path.join(tree, "etc", name), "w", encoding="ascii"):
            pass
    for name in _UNUSED:
        shutil.rmtree(os.path.join(tree, name), ignore_errors=True)
    os.rmdir(out)
    os.rename(tree, out)
