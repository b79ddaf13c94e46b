# SPDX-License-Identifier: MIT
"""A run of the host driver that a test stops between two of its commands to QEMU."""

from lab import scenario
from support.qmp_proxy import QmpProxy

# A run may wait for a guest that boots.
PATIENCE_S = 900


class Run:
    """A driver whose commands to QEMU come by here: `before` and `after` are as those of QmpProxy,
    and what one of them raises fails the test."""

    def __init__(self, lab):
        self._lab = lab
        self._proxy = QmpProxy(lab.path("proxy.qmp"), lab.guest.qmp_path)
        self.errors = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._proxy.stop()
        if self.errors and kind is None:
            raise self.errors[0]

    def before(self, command, action):
        self._proxy.before[command] = self._once(action)

    def after(self, command, action):
        self._proxy.after[command] = self._once(action)

    def always(self, hooks, action):
        """`hooks`: "before NAME" or "after NAME"."""
        for hook in hooks:
            when, command = hook.split()
            getattr(self._proxy, when)[command] = self._guarded(lambda hook=hook: action(hook))

    def _once(self, action):
        pending = [action]
        return self._guarded(lambda: pending.pop()() if pending else None)

    def _guarded(self, action):
        def call():
            try:
                action()
            except Exception as error:  # in a thread of the proxy's: told by the test's
                self.errors.append(error)
        return call

    def arguments(self, *options):
        return ["backup", scenario.VM, f"--qmp={self._proxy.path}", *options]

    def back_up(self, *options):
        return self._lab.host(*self.arguments(*options), timeout=PATIENCE_S)
