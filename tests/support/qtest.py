# SPDX-License-Identifier: MIT
"""QEMU's devices, used from outside: what the option -qtest listens for.

Ports, memory and PCI as a processor sees them, whether the machine's own processors run or not:
they must not touch what is used here. Interrupts come here instead of to them. One thread at a time.
"""

import select
import socket
import time

PATIENCE = 60
ROUTER = 1 << 3  # the PCI device and function of PIIX3, which routes interrupts
ROUTES = 0x60
# One line for each pin of the bus, so that no two of the first four devices share one.
LINES = (5, 7, 10, 11)


class Qtest:
    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._received = b""
        self._raised = set()
        try:
            self._socket.connect(path)
            self.ask("irq_intercept_in ioapic")
        except BaseException:
            self._socket.close()
            raise

    def close(self):
        self._socket.close()

    # -- the protocol: a line for each command, one for each answer, and one when a line changes

    def ask(self, *commands):
        """The answers. All commands are sent before the first answer is awaited."""
        self._socket.sendall("".join(command + "\n" for command in commands).encode())
        return [self._answer(command) for command in commands]

    def _answer(self, command):
        limit = time.monotonic() + PATIENCE
        while True:
            line = self._line(limit)
            if line is None:
                raise TimeoutError(f"QEMU does not answer to '{command[:80]}'")
            status, _, answer = line.partition(" ")
            if status == "IRQ":
                self._changed(answer)
            elif status == "OK":
                return answer
            else:
                raise RuntimeError(f"'{command[:80]}': {line}")

    def _line(self, limit):
        while b"\n" not in self._received:
            left = max(0, limit - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError("QEMU has ended")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def _changed(self, said):
        change, number = said.split()
        if change == "raise":
            self._raised.add(int(number))

    # -- interrupts

    def forget(self, line):
        """What has come until now is not awaited any more."""
        self._raised.discard(line)

    def wait_for(self, line, seconds):
        """Has the interrupt come, or does it within this time?"""
        limit = time.monotonic() + seconds
        while line not in self._raised:
            said = self._line(limit)
            if said is None:
                return False
            self._changed(said.removeprefix("IRQ "))
        return True

    def route(self, device):
        """Gives the device's interrupt a line; which one. A reset of the machine takes it away."""
        for pin, line in enumerate(LINES):
            self.configure(ROUTER, ROUTES + pin, line, 1)
        return LINES[((device >> 3) - 1) % len(LINES)]

    # -- numbers

    def number(self, command):
        return int(self.ask(command)[0], 16)

    def configuration(self, device, register):
        """32 bits of a PCI device's configuration."""
        return self.number_after(self._select(device, register), "inl 0xcfc")

    def configure(self, device, register, value, size):
        self.ask(self._select(device, register),
                 f"out{ {1: 'b', 2: 'w', 4: 'l'}[size]} {0xcfc + register % 4:#x} {value:#x}")

    def number_after(self, first, command):
        return int(self.ask(first, command)[1], 16)

    @staticmethod
    def _select(device, register):
        return f"outl 0xcf8 {1 << 31 | device << 8 | register & ~3:#x}"
