# SPDX-License-Identifier: MIT
"""What goes wrong. Each fault: how it is brought about, when it ends, where it makes no sense (with the
reason), and which exit statuses of the hook it may lead to, at the freeze and at the thaw (design 3.3).

The statuses are those of the hook as qemu-ga ran it; KILLED is one that was killed with the shim, GONE
one whose end nobody saw. A fault in the sequence's last steps can't be seen at the freeze any more,
and so on: BEFORE, WINDOW and AFTER are the groups that matter.
"""

import os
import signal
import threading

from faults.guest import hook_gate, steps
from faults.guest.rig import MAX_HOLD
from lab.fake_database import Lie

KILLED, GONE = 137, None
BEFORE = steps.FREEZE
PREPARED = ("sync", "hold-before")
HELD = ("hold-after", "record", "answer")
WINDOW = ("frozen", "thaw-begin")
AFTER = ("verify", "release-before", "release-after", "verdict")
WHOLE = ({0}, {0})
DAY = 86400


class Fault:
    name = ""
    # Are the case's times the fault's, so that the service can't keep its own?
    stops_the_service = False
    # Is no service there any more when the lock is looked for?
    leaves_no_service = False
    # How long a lock may outlast the case.
    lock_bound = 5

    def excluded(self, kind, step):
        """Why there is no such case; None if there is."""
        return None

    def inject(self, rig, step):
        raise NotImplementedError

    def after_call(self, rig):
        """The call in which it came has ended."""

    def expected(self, kind, step):
        """(statuses at freeze, statuses at thaw)"""
        raise NotImplementedError


def lost(step, early=(21,), late=(30,)):
    """What follows when the target's hold ends at this step."""
    if step in ("idle", "arm", "prepare"):
        return {0, *early}, {0}
    if step in PREPARED:
        return set(early), {0}
    if step in HELD:
        # Seen in time, or told at the thaw.
        return {0, *early}, {0, *late}
    if step in WINDOW:
        return {0}, set(late)
    # Verified already, or just not.
    return {0}, {0, *late, 32}


class SessionKilled(Fault):
    name = "session-killed"

    def inject(self, rig, step):
        session = rig.state_of(rig.ctl("status"), rig.target)["session_id"]
        rig.kind.kill_session(session)

    def expected(self, kind, step):
        return lost(step)


class ServerKilled(Fault):
    name = "server-killed"

    def inject(self, rig, step):
        rig.kind.kill()

    def after_call(self, rig):
        rig.kind.after_kill()

    def expected(self, kind, step):
        if kind.session_survives_server and step in PREPARED:
            # What answers the hold is an orphan; it is told at the thaw that it was none.
            return {0, 21, 22}, {0, 30}
        if kind.session_survives_server and step == "thaw-begin":
            # The orphan may live to be asked: it has held to the end of the window.
            return {0}, {0, 30}
        freeze, thaw = lost(step, early=(21, 22))
        return (freeze - {0} if step == "idle" and kind.name != "exec" else freeze), thaw


class ServerStopped(Fault):
    name = "server-stopped"

    def inject(self, rig, step):
        rig.kind.stop()

    def after_call(self, rig):
        rig.kind.cont()

    def expected(self, kind, step):
        if step in ("idle", "arm", "prepare", *PREPARED):
            return {0, 21, 22} if step == "prepare" else {21, 22}, {0}
        if step in HELD:
            return {0}, {0}
        if step in WINDOW:
            return {0}, {30}
        return {0}, {0, 30, 32}


class ServerRestarted(Fault):
    name = "server-restarted"

    def excluded(self, kind, step):
        if kind.on_disk and step == "frozen":
            return "a server whose disk is frozen can't end before the thaw: see server-killed"
        return None

    def inject(self, rig, step):
        rig.kind.kill()
        rig.kind.ensure_running()

    def expected(self, kind, step):
        # The restart itself may take longer than freeze-timeout.
        return lost(step, early=(21, 22))


class BlackHole(Fault):
    name = "black-holed"
    # Neither side ever hears of the other: the server's own limit has to end it.
    lock_bound = MAX_HOLD + 16

    def inject(self, rig, step):
        rig.target_proxy.black_hole()

    def expected(self, kind, step):
        return ServerStopped().expected(kind, step) if step not in HELD else ({0}, {30})


class DiskFull(Fault):
    name = "disk-full"

    def excluded(self, kind, step):
        return ("the sequence is stopped here by that very disk: see hold-after"
                if step == "record" else None)

    def inject(self, rig, step):
        if step in ("frozen",):
            return self._fill(rig.path("run"), rig)
        self._fill(rig.state.mount_point, rig)
        return self._fill(rig.path("run"), rig)

    @staticmethod
    def _fill(directory, rig):
        path = os.path.join(directory, "filler")
        rig.fillers.append(path)
        with open(path, "wb", buffering=0) as file:
            size = 1 << 16
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size >>= 1

    def expected(self, kind, step):
        if step not in ("answer", *WINDOW, *AFTER):
            return {21}, {0}
        # What a release has to keep finds no place, where it is yet to come.
        if kind.keeps_on_disk and step in ("answer", "thaw-begin", "verify", "release-before"):
            return {0}, {32}
        return WHOLE


class DaemonKilled(Fault):
    name = "daemon-killed"

    def inject(self, rig, step):
        rig.end_daemon(signal.SIGKILL)

    def after_call(self, rig):
        rig.ensure_daemon()

    def expected(self, kind, step):
        if step in ("record",):
            return {20}, {0, 33}
        if step == "answer":
            return {0}, {33}
        if step in BEFORE:
            return {20}, {0}
        return {0}, ({0, 33} if step == "verdict" else {33})


class DaemonRestarted(DaemonKilled):
    name = "daemon-restarted"

    def excluded(self, kind, step):
        return "it can't end before its disk lets it" if step == "record" else None

    def inject(self, rig, step):
        rig.end_daemon(signal.SIGKILL)
        rig.ensure_daemon()

    def expected(self, kind, step):
        if step == "idle":
            return WHOLE
        return super().expected(kind, step)


class DaemonTerminated(Fault):
    name = "daemon-terminated"

    def inject(self, rig, step):
        rig.end_daemon(signal.SIGTERM)

    def after_call(self, rig):
        rig.ensure_daemon()

    def expected(self, kind, step):
        if step == "idle":
            return {20, 21}, {0}
        if step == "answer":
            return {0}, {33}
        if step in ("hold-after", "record"):
            # Its turn may come when all is held and recorded, and the freeze has been answered.
            return {0, 20, 21}, {0, 33}
        if step in BEFORE:
            return {20, 21}, {0}
        return {0}, ({33} if step in WINDOW else {0, 33})


class DaemonStopped(Fault):
    """For a moment, shorter than any time-out."""

    name = "daemon-stopped"
    seconds = 0.3

    def inject(self, rig, step):
        daemon = rig.daemon
        daemon.send_signal(signal.SIGSTOP)
        threading.Timer(self.seconds, lambda: hook_gate.kill(daemon.pid, signal.SIGCONT)).start()

    def expected(self, kind, step):
        return WHOLE


class DaemonStoppedLong(DaemonStopped):
    """For longer than it may hold: the filesystems are holdfast-fsd's to thaw then."""

    name = "daemon-stopped-long"
    seconds = MAX_HOLD + 1
    stops_the_service = True

    def excluded(self, kind, step):
        return (None if step in ("hold-after", "frozen", "verify")
                else "one step of each part of the sequence: it takes seven seconds")

    def expected(self, kind, step):
        if step == "hold-after":
            # 21 if the server's own bound has ended the session before the service goes on.
            return ({21, 22} if kind.bounds_itself else {22}), {0}
        return {0}, ({31} if step == "frozen" else {0, 30, 31, 32})

    def inject(self, rig, step):
        super().inject(rig, step)
        if step == "frozen":
            rig.await_thawed_by_dead_man()


class ShimKilled(Fault):
    name = "shim-killed"

    def excluded(self, kind, step):
        return "no shim runs in this step" if step in ("idle", "frozen", "thaw-begin") else None

    def inject(self, rig, step):
        hook_gate.kill(rig.shim["freeze" if step in BEFORE else "thaw"])

    def expected(self, kind, step):
        if step in BEFORE:
            # The daemon sees at the latest that it can't be told: nothing is frozen, nothing held. A
            # thaw hears of that if all the rest was quicker than the news of the shim's end.
            return {KILLED}, ({0, 30} if step in (*PREPARED, *HELD) else {0})
        return {0}, {KILLED}


class ClockForward(Fault):
    name = "clock-forward"
    seconds = 2 * DAY

    def inject(self, rig, step):
        rig.jump_clock(self.seconds)

    def expected(self, kind, step):
        return WHOLE


class ClockBackward(ClockForward):
    name = "clock-backward"
    seconds = -2 * DAY


class FilesystemServiceKilled(Fault):
    """holdfast-fsd, which systemd starts again at the next connection."""

    name = "fsd-killed"

    def inject(self, rig, step):
        rig.fsd.kill()
        rig.fsd.wait(10)
        os.unlink(rig.path("fs.sock"))
        rig.start_fsd()

    def expected(self, kind, step):
        # Refused: no window without its dead-man. Afterwards holdfastd makes up for it.
        return ({0, 21}, {0}) if step in BEFORE and step not in ("idle", "answer") else WHOLE


class NoThaw(Fault):
    """The host has gone: the dead-man, and the thaw when it is back."""

    name = "no-thaw"

    def excluded(self, kind, step):
        return None if step == "frozen" else "only a frozen guest can be left frozen"

    def inject(self, rig, step):
        rig.await_thawed_by_dead_man()

    def expected(self, kind, step):
        return {0}, {31}


class NoThawWithoutFsd(NoThaw):
    """holdfast-fsd has been restarted, and so has forgotten what it was to thaw."""

    name = "no-thaw-fsd-killed"

    def inject(self, rig, step):
        FilesystemServiceKilled.inject(self, rig, step)
        rig.await_thawed_by_dead_man()


class NoThawWithoutDaemon(NoThaw):
    name = "no-thaw-daemon-killed"
    leaves_no_service = True

    def inject(self, rig, step):
        rig.end_daemon(signal.SIGKILL)
        rig.await_thawed_by_dead_man()

    def expected(self, kind, step):
        return {0}, {33}


class AgentRestarted(Fault):
    name = "agent-restarted"

    def inject(self, rig, step):
        rig.restart_agent()

    def expected(self, kind, step):
        if step in BEFORE and step != "idle":
            # The hook goes on, and nobody hears it; the host thaws when it is connected again.
            return {0, 21}, {0}
        return WHOLE


class FreezeAgain(Fault):
    """Another freeze, by somebody who runs the hook: during the first, in the window, at the thaw."""

    name = "freeze-again"

    def inject(self, rig, step):
        if step != "frozen":
            rig.direct.append(("freeze", rig.call_hook("freeze")))
            return
        # The record is on a frozen disk, so this one can't succeed; and it must not hang.
        rig.direct.append(("freeze", rig.call_hook("freeze", seconds=20)))

    def expected(self, kind, step):
        return ({0}, {30}) if step == "frozen" else WHOLE

    def after_call(self, rig):
        if rig.status.get("thaw") is not None:
            # A freeze that came after the thaw's end holds, until its own thaw.
            rig.call_hook("thaw")

    def expected_direct(self, kind, step):
        if step in ("idle", "answer", "thaw-begin", "verdict"):
            return {0}
        return {21, 22}


class ThawAgain(Fault):
    """Another thaw, likewise. The window is over with the first thaw, whoever asks for it, and its
    verdict is that one's; nothing is held afterwards, and that is what a second one says 0 to."""

    name = "thaw-again"

    def inject(self, rig, step):
        if step in ("verify", "release-before", "release-after"):
            # It waits for the one that is going on.
            thread = threading.Thread(
                target=lambda: rig.direct.append(("thaw", rig.call_hook("thaw"))), daemon=True)
            thread.start()
            rig.threads.append(thread)
            return
        rig.end_window()
        rig.window_over_by_order = True
        rig.direct.append(("thaw", rig.call_hook("thaw")))

    def expected(self, kind, step):
        if step in ("idle", "answer", *WINDOW, *AFTER):
            return WHOLE
        # A flush of the filesystems that is under way is not given up, but bounded.
        return {0, 21, 22}, {0}

    def expected_direct(self, kind, step):
        # Of a disk that is frozen still, what a release has to keep on it is not kept.
        return {0, 32} if step == "frozen" and kind.keeps_on_disk else {0}


class Plugin(Fault):
    """The neighbour at which the sequence stands misbehaves, instead of returning."""

    answer = ""

    def excluded(self, kind, step):
        if step in ("arm", "sync", "record", "answer", "frozen", "thaw-begin", "verdict"):
            return "no plugin's call is going on in this step"
        return None

    def inject(self, rig, step):
        call = steps.gate_call(step, rig.layout)
        if call is not None:
            rig.neighbours.answer_now(call, self.answer)
            return
        # Idle: at the next probe, which its freeze begins with.
        name = "first" if rig.layout == "grouped" else "beside"
        rig.neighbours.script[f"fake:{name} probe"] = self.answer
        rig.neighbours.end_session(f"fake:{name}")


class PluginThrows(Plugin):
    name = "plugin-throws"
    answer = "throw all the toys out of the pram"

    def expected(self, kind, step):
        if step in BEFORE:
            return {21}, {0}
        return {0}, ({30} if step == "verify" else {32})


class PluginDeaf(Plugin):
    """Ignores deadlines and stop tokens: only an interrupt ends it."""

    name = "plugin-deaf"
    answer = "deaf"

    def expected(self, kind, step):
        if step in BEFORE:
            return {22, 21}, {0}
        return {0}, ({30} if step == "verify" else {32})


class PluginHangs(Plugin):
    """Never returns: the service has to end itself."""

    name = "plugin-hangs"
    answer = "stuck"

    def after_call(self, rig):
        rig.neighbours.script.clear()
        rig.ensure_daemon(may_end=5)

    def expected(self, kind, step):
        if step in BEFORE:
            return {22, 21}, {0}
        return {0}, ({30} if step == "verify" else {32})


class PluginLies(Fault):
    """A neighbour says that it holds, and does not; what gives it away is its later honesty."""

    name = "plugin-lies"

    def excluded(self, kind, step):
        return (None if step in ("hold-before", "hold-after", "frozen", "thaw-begin", "verify")
                else "it lies about a hold when it takes it, while it has it, or when it is asked")

    def inject(self, rig, step):
        name = "fake:last" if rig.layout == "grouped" else "fake:beside"
        call = steps.gate_call(step, rig.layout)
        if step in ("hold-before", "hold-after"):
            # "I hold", and no lock; at the check it says so.
            holder = call.split()[0]
            rig.neighbours.script[f"{holder} check"] = "error hold-lost there is no such lock"
            rig.neighbours.answer_now(call, Lie("ok 100"))
        elif step == "verify":
            # "I held", with another position than at the hold.
            rig.neighbours.answer_now(call, "ok 101")
        else:
            # "I held", over a session that the server ended.
            rig.neighbours.end_session(name)

    def expected(self, kind, step):
        return {0}, {30}


class PluginReturnsNothing(Plugin):
    """Success, without a hold."""

    name = "plugin-returns-nothing"
    answer = "ok null"

    def excluded(self, kind, step):
        return (None if step in ("hold-before", "hold-after")
                else "only hold() returns a hold")

    def expected(self, kind, step):
        return {21}, {0}


ALL = {fault.name: fault() for fault in (
    SessionKilled, ServerKilled, ServerStopped, ServerRestarted, BlackHole, DiskFull, DaemonKilled,
    DaemonRestarted, DaemonTerminated, DaemonStopped, DaemonStoppedLong, ShimKilled, ClockForward,
    ClockBackward, FilesystemServiceKilled, NoThaw, NoThawWithoutFsd, NoThawWithoutDaemon,
    AgentRestarted, FreezeAgain, ThawAgain, PluginThrows, PluginDeaf, PluginHangs, PluginLies,
    PluginReturnsNothing)}
