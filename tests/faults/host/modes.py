# SPDX-License-Identifier: MIT
"""Ways of a run: by which method, and how much of each disk it copies. Every machine has one raw and
one qcow2 disk, so that both are in every case."""


class Mode:
    def __init__(self, method, kind):
        self.method, self.kind = method, kind
        self.name = f"{method}-{kind}"
        self.arguments = ("--full",) if kind == "full" else ()


ALL = {mode.name: mode for mode in (Mode(method, kind) for method in ("overlay", "backup")
                                    for kind in ("full", "increment"))}
