# SPDX-License-Identifier: MIT
"""What can happen to a run. Each fault says where it makes sense, what it does at the step, how its
surroundings are put right afterwards, and what the run may come to.

`statuses` are per phase (steps.py): what the driver may answer. That whatever it answers is true is
for the case to judge.
"""

import contextlib
import os
import signal
import time

from faults.host import steps
from support.fake_qga import Close
from support.qmp_proxy import Cut

KILLED = {-signal.SIGKILL}
PHASES = ("prepare", "window", "copy", "settle", "publish", "after")
SAME_AS_NEXT = "as at the next thing that the driver hears from there"


def everywhere(*statuses):
    return dict.fromkeys(PHASES, set(statuses))


class Fault:
    name = None
    statuses = everywhere(1)
    # One of these stands in what a failing run says.
    says = ()
    # More and other settings of the run.
    settings = {}
    # The end of the run itself leaves nothing behind.
    clears_up_itself = True
    # What has changed since the latest backup is still known afterwards, of every disk.
    account_survives = True
    # The steps at which it makes sense; None: all.
    only_at = None
    only_at_because = "makes sense at its own step alone"

    def excluded(self, mode, step):
        """Why it is left out there, or None."""
        if step.phase == "random":
            return "at random instants the driver is killed"
        if self.only_at is not None and step.name not in self.only_at:
            return self.only_at_because
        return self.excluded_here(mode, step)

    def excluded_here(self, mode, step):
        return None

    def expected(self, mode, step):
        return self.statuses[step.phase]

    def best(self, mode, step):
        """The highest level that a backup may claim."""
        return "application"

    def before(self, rig):
        """Before the driver is started."""

    def inject(self, case, rig):
        """While the run is stopped at the step, in the thread of whoever it waits for."""
        raise NotImplementedError

    def after(self, case, rig):
        """When the driver has ended: what an administrator, or time, would have put right."""


# -- the driver

class DriverKilled(Fault):
    name = "driver-killed"
    statuses = {**everywhere(*KILLED), "random": {0, *KILLED}}
    clears_up_itself = False

    def excluded(self, mode, step):
        return None

    def inject(self, case, rig):
        case.driver.kill()


class BothKilled(Fault):
    """The guest stays frozen until the next run, `holdfast recover`, or its own dead-man's time."""

    name = "both-killed"
    statuses = everywhere(*KILLED)
    clears_up_itself = False
    only_at = steps.GUARDED
    only_at_because = "there is a guardian in the window alone"

    def inject(self, case, rig):
        guardians = rig.guardians()
        if len(guardians) != 1:
            raise RuntimeError(f"{len(guardians)} guardians in a window")
        os.kill(guardians[0], signal.SIGKILL)
        case.driver.kill()


class Terminated(Fault):
    name = "terminated"
    signal = signal.SIGTERM
    statuses = {**everywhere(1), "settle": {0, 1}, "publish": {0, 1}, "after": {0, 1}}
    says = ("interrupted", "cancelled")

    def expected(self, mode, step):
        # The copies are there: a signal that comes with the last check is too late.
        return {0, 1} if step.name == "check-last" else super().expected(mode, step)

    def inject(self, case, rig):
        case.driver.kill(self.signal)


class Interrupted(Terminated):
    name = "interrupted"
    signal = signal.SIGINT


class SecondRun(Fault):
    """It finds the lock, says who has it, and disturbs nothing."""

    name = "second-run"
    statuses = everywhere(0)

    def inject(self, case, rig):
        verb = case.dice.choice(("backup", "recover"))
        status, _, errors = rig.run(verb)
        if status != 4 or f"process {case.driver.process.pid}" not in errors:
            case.violated(f"a second run ({verb}): status {status}: {errors}")


# -- QEMU

class MachineGone(Fault):
    statuses = {**everywhere(1), "settle": {0, 1}, "publish": {0}, "after": {0}}
    clears_up_itself = False
    account_survives = False

    def inject(self, case, rig):
        rig.end_machine(lambda: self.end(rig))

    def end(self, rig):
        raise NotImplementedError

    def after(self, case, rig):
        # The guest writes again when its last writes are back.
        rig.writer.hold("recovery")
        rig.restart_machine()


class QemuKilled(MachineGone):
    name = "qemu-killed"

    def end(self, rig):
        rig.machine.process.kill()


class MachineShutOff(MachineGone):
    name = "machine-shut-off"

    def end(self, rig):
        rig.machine.monitor.execute("quit")


class MachinePaused(Fault):
    """Everything in it stands still, the agent too, until somebody lets it go on."""

    name = "machine-paused"
    statuses = {**everywhere(0), "prepare": {0, 1}, "window": {0, 1}, "copy": {0, 3}}
    settings = {"freeze_timeout": "1s", "thaw_timeout": "1s", "agent_timeout": "1s"}

    def expected(self, mode, step):
        if step.name in ("record", "thawed"):
            return {1, 3}
        return super().expected(mode, step)

    clears_up_itself = False

    def inject(self, case, rig):
        rig.machine.monitor.execute("stop")
        rig.guest.fall_silent()

    def after(self, case, rig):
        case.released_at = time.monotonic()
        rig.machine.monitor.execute("cont")
        rig.guest.go_on()


class MonitorLost(Fault):
    name = "monitor-lost"
    statuses = {**everywhere(1), "after": {0}}
    clears_up_itself = False

    def excluded_here(self, mode, step):
        return None if step.side == "qmp" else SAME_AS_NEXT

    def inject(self, case, rig):
        raise Cut


class GuestRebooted(Fault):
    """At once: the record of a window, and the frozen filesystems, are of the boot before. What the
    agent was asked is not answered."""

    name = "guest-rebooted"
    statuses = {**everywhere(0), "prepare": {0, 1, 3}, "window": {1}, "copy": {0, 3}}

    def expected(self, mode, step):
        return {1, 3} if step.name == "thawed" else super().expected(mode, step)

    def best(self, mode, step):
        return "filesystem" if step.name in ("thawed", "record") else "application"

    def inject(self, case, rig):
        rig.machine.monitor.execute("system_reset")
        rig.guest.reboot()


# -- the agent

class AgentLost(Fault):
    name = "agent-lost"
    statuses = {**everywhere(1), "copy": {3}}

    def excluded_here(self, mode, step):
        return None if step.side == "qga" else SAME_AS_NEXT

    def best(self, mode, step):
        return "filesystem"

    def inject(self, case, rig):
        raise Close


class AgentMissing(Fault):
    name = "agent-missing"
    only_at = ("begin",)
    says = ("unable to reach the guest agent",)
    settings = {"agent": "/nonexistent/agent.sock"}

    def inject(self, case, rig):
        """It was never there."""


class AgentSlow(Fault):
    name = "agent-slow"
    only_at = ("begin",)
    statuses = everywhere(0)

    def inject(self, case, rig):
        rig.guest.delay = 0.3


class FrozenAlready(Fault):
    """By somebody else, who has to be asked first."""

    name = "frozen-already"
    only_at = ("begin",)
    says = ("frozen already",)

    def inject(self, case, rig):
        rig.guest.frozen = True

    def after(self, case, rig):
        if not rig.guest.frozen:
            case.violated("a guest that somebody else had frozen was thawed")
        status, _, errors = rig.run("thaw")
        if status != 0:
            case.violated(f"thaw: status {status}: {errors}")


class FreezeRefused(Fault):
    name = "freeze-refused"
    only_at = ("freeze",)
    says = ("the freeze failed: ",)

    def inject(self, case, rig):
        rig.guest.behaviours["guest-fsfreeze-freeze"] = lambda guest, request: guest.error(
            "fsfreeze hook has failed with status 21")


class FreezeLate(Fault):
    """The answer comes when nobody waits for it any more."""

    name = "freeze-late"
    only_at = ("freeze",)
    settings = {"freeze_timeout": "1s"}
    says = ("timed out",)

    def inject(self, case, rig):
        if not rig.guest.given_up():
            case.violated("the driver still waits for the freeze")


class FreezeUnanswered(Fault):
    name = "freeze-unanswered"
    only_at = ("freeze",)
    settings = {"freeze_timeout": "1s"}
    says = ("timed out",)

    def inject(self, case, rig):
        def freeze(guest, request):
            guest.respond(request)
        rig.guest.behaviours["guest-fsfreeze-freeze"] = freeze


class DeadMan(Fault):
    """The guest's Holdfast thaws the filesystems itself; its agent does not know."""

    name = "dead-man"
    only_at = ("snapshot", "taken", "status", "thaw")
    says = ("the window had expired",)

    def inject(self, case, rig):
        rig.guest.thaw_by_itself()


class ThawedBySomebody(Fault):
    name = "thawed-by-somebody"
    only_at = ("snapshot", "taken", "status", "thaw")

    def inject(self, case, rig):
        rig.guest.thawed_by_somebody()


class ThawRefused(Fault):
    """Once: it is tried again."""

    name = "thaw-refused"
    only_at = ("thaw",)
    says = ("the thaw failed: ",)

    def inject(self, case, rig):
        rig.guest.thaw_errors.append("failed to thaw")


class HoldLost(Fault):
    """The thaw hook says that a database was let go within the window."""

    name = "hold-lost"
    only_at = ("thaw",)
    statuses = everywhere(3)
    says = ("ended with status 30",)

    def best(self, mode, step):
        return "filesystem"

    def inject(self, case, rig):
        rig.guest.hook_status = 30
        rig.guest.verdict = {"code": "hold-lost", "status": 30, "text": "mysql:main"}


class NoHoldfast(Fault):
    """In this guest there is none, and so no proof."""

    name = "no-holdfast"
    only_at = ("begin",)
    statuses = everywhere(3)

    def best(self, mode, step):
        return "filesystem"

    def inject(self, case, rig):
        rig.guest.holdfast = False
        rig.guest.forget_windows()


# -- the filesystems

class RepositoryFull(Fault):
    name = "repository-full"
    statuses = {**everywhere(0, 1), "after": {0}}

    def inject(self, case, rig):
        fill(rig.path("keep/ballast"))

    def after(self, case, rig):
        os.unlink(rig.path("keep/ballast"))


class RepositoryReadOnly(Fault):
    name = "repository-read-only"
    statuses = everywhere(0, 1)
    clears_up_itself = False

    def inject(self, case, rig):
        # Over the mount, since one with files open for writing does not become read-only.
        rig.mount("--bind", "-o", "ro", rig.path("keep/repository"), rig.repository)

    def after(self, case, rig):
        rig.umount(rig.repository)


class RepositoryVanished(Fault):
    """What stood below the mount point is an empty directory."""

    name = "repository-vanished"
    statuses = everywhere(0, 1)
    clears_up_itself = False

    def inject(self, case, rig):
        rig.umount(rig.repository)

    def after(self, case, rig):
        strangers = os.listdir(rig.repository)
        if strangers:
            case.violated(f"something was made below the mount point: {strangers}")
        rig.mount("--bind", rig.path("keep/repository"), rig.repository)


class OverlaysFull(Fault):
    """The guest's writes fail as long as an overlay has to grow."""

    name = "overlays-full"
    statuses = everywhere(0, 1)

    def excluded_here(self, mode, step):
        return None if mode.method == "overlay" else "this method has no overlays"

    def inject(self, case, rig):
        fill(rig.path("overlays/ballast"))

    def after(self, case, rig):
        os.unlink(rig.path("overlays/ballast"))


def fill(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


ALL = {fault.name: fault for fault in (
    DriverKilled(), BothKilled(), Terminated(), Interrupted(), SecondRun(), QemuKilled(),
    MachineShutOff(), MachinePaused(), MonitorLost(), GuestRebooted(), AgentLost(), AgentMissing(),
    AgentSlow(), FrozenAlready(), FreezeRefused(), FreezeLate(), FreezeUnanswered(), DeadMan(),
    ThawedBySomebody(), ThawRefused(), HoldLost(), NoHoldfast(), RepositoryFull(),
    RepositoryReadOnly(), RepositoryVanished(), OverlaysFull())}
