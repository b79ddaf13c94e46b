# SPDX-License-Identifier: MIT
"""The guest: an agent that says what it does to a stage, and writes that stop while it is frozen."""

import os
import socket
import threading
import time
import uuid

from support.fake_qga import RECORD, FakeQga


class Window:
    """From a freeze to its end, and which writes had been made."""

    def __init__(self, writer):
        self.froze_at = time.monotonic()
        self.thawed_at = None
        self.by = None
        # The last one before the freeze, and none until the thaw; and one more that was tried before
        # and failed: a reset loses the answer to a write that is on the disk, or not.
        self.write = writer.done
        self.tried = writer.begun

    def may_hold(self, last):
        return self.by == "thaw" and self.write <= last <= self.tried


class Guest(FakeQga):
    def __init__(self, path, stage, writer):
        self._stage, self._writer = stage, writer
        self._lively = threading.Event()
        self._lively.set()
        self._boots = 0
        self.windows = []
        self.thaw_errors = []  # what the next thaws answer, without doing it
        self.delay = 0         # before each answer
        super().__init__(path)

    def begin_case(self):
        self.windows.clear()
        self.thaw_errors.clear()
        self.behaviours.clear()
        self.commands.clear()
        self.unsent = b""
        self.delay = 0
        self.holdfast = True

    # -- the agent's commands

    def _answer(self, request):
        command, boots = request["execute"], self._boots
        self._stage.event(f"qga {command}")
        self._lively.wait()
        time.sleep(self.delay)
        answer = super()._answer(request) if boots == self._boots else None
        self._stage.event(f"qga {command} done")
        # Nobody answers what was asked before a reboot.
        return answer if boots == self._boots else None

    def _guest_fsfreeze_freeze(self, arguments):
        if self.frozen:
            return super()._guest_fsfreeze_freeze(arguments)
        self._writer.hold("frozen")
        self.hook_status = None
        self.verdict = {"code": "ok", "status": 0, "text": ""}
        window = Window(self._writer)
        answer = super()._guest_fsfreeze_freeze(arguments)
        window.froze_at = self.froze_at
        self.windows.append(window)
        return answer

    def _guest_fsfreeze_thaw(self, arguments):
        if self.frozen and self.thaw_errors:
            return self.error(self.thaw_errors.pop(0))
        self._end_window("thaw")
        return super()._guest_fsfreeze_thaw(arguments)

    def _end_window(self, by):
        if self.frozen and self.windows:
            self.windows[-1].thawed_at = time.monotonic()
            self.windows[-1].by = by
        self._writer.go("frozen")

    # -- what befalls it

    def thaw_by_itself(self):
        """The dead-man's time of the guest's Holdfast has passed: FITHAW behind the agent's back,
        which goes on saying 'frozen'."""
        self._end_window("dead-man")
        self.verdict = {"code": "window-expired", "status": 31, "text": "no thaw in time"}
        self.hook_status = 31

    def thawed_by_somebody(self):
        """Through another channel: libvirt, or root in the guest."""
        self._end_window("somebody")
        super()._guest_fsfreeze_thaw({})

    def reboot(self):
        """A new kernel, a new agent; the channel stays QEMU's, and what was asked is forgotten."""
        self._boots += 1
        self._end_window("reboot")
        with self._changed:
            if self.frozen:
                self.thawed_at = time.monotonic()
            self.frozen = False
            self._changed.notify_all()
        self.boot = str(uuid.uuid4())
        self.forget_windows()
        self.verdict = {"code": "ok", "status": 0, "text": ""}

    def forget_windows(self):
        """Records lie in /run, and are numbered anew there."""
        self.files.pop(RECORD, None)
        self.sequence = 0

    def fall_silent(self):
        """Its machine stands still. Writes have stopped, and questions wait."""
        self._lively.clear()
        self._writer.hold("silent")

    def go_on(self):
        self._lively.set()
        self._writer.go("silent")

    def power_off(self):
        """With QEMU its end of the channel goes: whoever connects is refused."""
        self.reboot()
        self._lively.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._drop_client()

    def power_on(self):
        self._thread.join(10)
        os.unlink(self.path)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _drop_client(self):
        client = self._client
        if client is not None:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self._lively.set()
        super().stop()
