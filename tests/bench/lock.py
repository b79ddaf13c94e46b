# SPDX-License-Identifier: MIT
"""Another lock of MariaDB's than the service takes by itself."""

import contextlib

from lab import scenario

CONFIGURATION = "/etc/holdfast/resources.d/mysql.conf"


def _apply(rig, command):
    with rig.guest.agent() as agent:
        agent.shell(command)
    rig.restart_service()
    rig.await_databases(len(scenario.PLUGINS))


@contextlib.contextmanager
def other(rig, name):
    """The service takes it until the end of this; it is a new one afterwards, too."""
    _apply(rig, f"cp -p {CONFIGURATION} {CONFIGURATION}.aside; echo 'lock = {name}' >>{CONFIGURATION}")
    try:
        yield
    finally:
        _apply(rig, f"mv {CONFIGURATION}.aside {CONFIGURATION}")
