# SPDX-License-Identifier: MIT
"""Pages that were written and are not on the disk yet, on the filesystems of both databases."""

PLACES = ("/var/lib/mysql/ballast", "/ballast")
# Nothing but a sync, or a freeze, is to write them.
SETTINGS = {"dirty_ratio": 90, "dirty_background_ratio": 85, "dirty_expire_centisecs": 360000,
            "dirty_writeback_centisecs": 360000}


class Dirty:
    """`mebibytes` of them in all of the guest, whenever write() is called."""

    def __init__(self, agent, mebibytes):
        each = mebibytes // len(PLACES)
        # Over what is on the disk already: there is room for it, and nothing is allocated anew.
        self._writing = " && ".join(
            f"dd if=/dev/zero of={place} bs=1M count={each} conv=notrunc status=none"
            for place in PLACES)
        self._before = {name: agent.read_file(f"/proc/sys/vm/{name}").decode().strip()
                        for name in SETTINGS}
        self._set(agent, SETTINGS)
        agent.shell(f"{self._writing} && sync", 300)

    def write(self, agent):
        """MiB that are dirty afterwards, the databases' own among them."""
        agent.shell(self._writing, 300)
        return int(agent.shell("awk '/^Dirty:/ {print $2}' /proc/meminfo").out) / 1024

    def forget(self, agent):
        """All is as it was before."""
        self._set(agent, self._before)
        agent.run(["/bin/rm", *PLACES])

    @staticmethod
    def _set(agent, values):
        agent.run(["/sbin/sysctl", "-qw", *(f"vm.{name}={value}" for name, value in values.items())])
