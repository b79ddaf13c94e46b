# SPDX-License-Identifier: MIT
"""What can stand at /etc/qemu/fsfreeze-hook: ours, one that holds nothing, and what others use."""

from lab import scenario

from . import qemu_sample

HOLDFAST = "holdfast"
FLOOR = "hook that exits 0"
SAMPLE = "QEMU's sample"
CHECKPOINT = "psql CHECKPOINT"

# Where our package has put the guest agent's own hook aside.
DISPATCHER = f"{scenario.HOOK}.distrib"
SCRIPTS = f"{scenario.HOOK}.d"

_PLACE = "/usr/local/lib/holdfast-bench"
_CHECKPOINT_SCRIPT = b"""\
#!/bin/sh
[ "$1" != freeze ] || exec runuser -u postgres -- psql -XAtqc CHECKPOINT
"""


class Contender:
    """`hook` is its path in the guest, `script` what stands beside it for a dispatcher to run, `options`
    are those of a backup with it."""

    def __init__(self, name, hook, script=None, options=("--require=filesystem",
                                                         "--prefer=filesystem")):
        self.name, self.options, self.ours = name, options, name == HOLDFAST
        self._hook, self._script = hook, script

    def put(self, agent):
        """Puts it in place, and nothing beside it."""
        script = f"; ln -s {self._script} {SCRIPTS}/" if self._script else ""
        agent.shell(f"rm -f {SCRIPTS}/*; ln -sfn {self._hook} {scenario.HOOK}{script}")


def _script(agent, name, text):
    agent.run(["/bin/mkdir", "-p", _PLACE])
    agent.write_file(f"{_PLACE}/{name}", text, "755")
    return f"{_PLACE}/{name}"


def prepare(agent):
    """({name: Contender}, {name: reason} of those that cannot be had)."""
    found = [Contender(HOLDFAST, scenario.SHIM, options=("--require=application",)),
             Contender(FLOOR, scenario.make_floor_hook(agent)),
             Contender(CHECKPOINT, DISPATCHER, _script(agent, "checkpoint", _CHECKPOINT_SCRIPT))]
    absent = {}
    try:
        found.append(Contender(SAMPLE, DISPATCHER,
                               _script(agent, "mysql-flush", qemu_sample.text())))
    except (RuntimeError, OSError) as error:
        absent[SAMPLE] = str(error)
    return {one.name: one for one in found}, absent
