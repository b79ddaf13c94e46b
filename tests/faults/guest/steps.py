# SPDX-License-Identifier: MIT
"""The steps of the sequence, and how each is reached and left again, by events alone.

arrive() brings the sequence to a step and stops it there; leave() lets it go on. Between them the
fault comes. What each step means for the real resource, which is called `target`:

    idle            before the freeze
    arm             the dead-man's request has been sent and not carried out
    prepare         it is being prepared, or is; a neighbour's prepare() has not returned
    sync            all prepared, nothing held
    hold-before     the same, and a neighbour is being held           (layout grouped)
    hold-after      it is held, a neighbour is still being held
    record          all held; the record is being written, and the disk does not take it
    answer          the answer 0 has been sent, the shim has not read it
    frozen          the filesystems are frozen
    thaw-begin      the filesystems are thawed, the thaw hook's shim is about to start
    verify          a neighbour's check() has not returned
    release-before  all verified, it is still held                     (layout grouped)
    release-after   it is released, a neighbour is still held          (layout grouped)
    verdict         the thaw's answer has been sent, the shim has not read it
"""

import signal

from faults.guest import fs_gate, hook_gate
from lab.agent_rig import await_true

FREEZE = ("idle", "arm", "prepare", "sync", "hold-before", "hold-after", "record", "answer")
THAW = ("thaw-begin", "verify", "release-before", "release-after", "verdict")
ALL = (*FREEZE, "frozen", *THAW)
GROUPED_ONLY = ("hold-before", "release-before", "release-after")


def gate_call(step, layout):
    """The neighbour's call at which the sequence stops, if it is one."""
    first, last = ("first", "last") if layout == "grouped" else ("beside", "beside")
    return {
        "prepare": f"fake:{first} prepare",
        "hold-before": f"fake:{first} hold",
        "hold-after": f"fake:{last} hold",
        "verify": f"fake:{last} check",
        "release-before": f"fake:{last} release",
        "release-after": f"fake:{first} release",
        "verdict": f"fake:{first} release",
    }.get(step)


def prepare_gate(rig, step):
    """Before the call begins."""
    if call := gate_call(step, rig.layout):
        rig.neighbours.script[call] = None
    if step == "arm":
        rig.fs_gate.stop_at(fs_gate.ARM)
    elif step in ("sync", "record", "answer"):
        rig.fs_gate.stop_at(fs_gate.SYNC)
    elif step == "thaw-begin":
        rig.hook.hold = "thaw"


def arrive(rig, step):
    """True if the sequence stands at the step; False if the call has ended before it."""
    call = gate_call(step, rig.layout)
    verb = "freeze" if step in FREEZE else "thaw"
    sign = call or {"arm": f"fs {fs_gate.ARM}", "thaw-begin": "hook begin thaw"}.get(
        step, f"fs {fs_gate.SYNC}")
    if rig.board.wait(sign, f"{verb} done") != sign:
        return False
    if step != "thaw-begin":
        # The shim is quicker than the word of its number.
        rig.board.wait(f"hook runs {verb}")
    if step == "hold-after" and rig.layout == "flat":
        # In parallel with the neighbour: nothing tells that it is held but the service's status.
        await_true(lambda: rig.state_of(rig.ctl("status"), rig.target)["state"] != "ready",
                   "the target is held")
    elif step == "record":
        rig.freeze_state()
        rig.fs_gate.open()
        # No event for a process that waits for a disk.
        await_true(lambda: rig.writes_to_frozen_disk() or rig.board.has("freeze done"),
                   "the record is being written")
    elif step == "answer":
        hook_gate.kill(rig.shim["freeze"], signal.SIGSTOP)
        rig.fs_gate.open()
        await_true(lambda: rig.ctl("status")["state"] == "held", "the freeze has been answered")
    elif step == "verdict":
        hook_gate.kill(rig.shim["thaw"], signal.SIGSTOP)
        rig.neighbours.answer_now(call)
        await_true(lambda: rig.ctl("status")["state"] == "idle", "the thaw has been answered")
    return True


def leave(rig, step):
    if call := gate_call(step, rig.layout):
        rig.neighbours.answer_now(call)
    if step in ("arm", "sync"):
        rig.fs_gate.open()
    elif step == "record":
        rig.state.thaw()
    elif step in ("answer", "verdict"):
        hook_gate.kill(rig.shim["freeze" if step == "answer" else "thaw"], signal.SIGCONT)
    elif step == "thaw-begin":
        rig.hook.go()
