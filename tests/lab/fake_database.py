# SPDX-License-Identifier: MIT
"""The server that tests/support/fake_module.cpp is a client of: a database of the test's own.

It answers "ok" to everything unless `script` says otherwise ("RESOURCE CALL": answer; None: no answer
at all), and knows what is locked, by which session, and since when. A session that ends holds nothing.
A script of which a call is `Lie` answers "ok" and locks nothing.
"""

import contextlib
import socket
import threading
import time

PATIENCE = 20


class Lie(str):
    """An answer whose words are not true: nothing is locked or unlocked by it."""


class Database:
    def __init__(self, path):
        self.path = path
        self.script = {}
        self.position = {}
        self.calls = []
        # (monotonic time, "lock" or "unlock", resource)
        self.history = []
        # Told each "RESOURCE CALL" as it comes in.
        self.observer = lambda call: None
        self._locked = {}
        self._sessions = {}
        self._waiting = {}
        self._changed = threading.Condition()
        self._listener = None
        self.listen()

    def listen(self):
        """Also again, after close(): a server that was restarted."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self):
        # The thread first: else it may accept on whatever gets this descriptor's number next.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)
        self._listener.close()

    def locked(self):
        with self._changed:
            return sorted(self._locked)

    def sessions(self):
        with self._changed:
            return sorted(self._sessions)

    def end_session(self, resource):
        """As a server does that restarts, or a KILL."""
        with self._changed:
            if resource in self._sessions:
                self._sessions[resource].shutdown(socket.SHUT_RDWR)

    def end_sessions(self):
        for resource in self.sessions():
            self.end_session(resource)

    def answer_now(self, call, answer="ok"):
        """What a call that was left waiting gets after all; and no longer None from now on."""
        with self._changed:
            self.script.pop(call, None)
            for lines, (waiting, session) in list(self._waiting.items()):
                if waiting != call:
                    continue
                resource, name = call.split()
                if answer == "ok":
                    answer = self._answer(resource, name)
                self._note(resource, name, answer, session)
                self._changed.notify_all()
                del self._waiting[lines]
                with contextlib.suppress(OSError, ValueError):
                    lines.write(answer + "\n")
                    lines.flush()

    def wait(self, condition, seconds=PATIENCE):
        """Until condition(self) holds; looks after every call and every end of a session."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition(self):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"after {self.calls[-20:]}")
                self._changed.wait(left)

    def wait_unlocked(self, seconds=PATIENCE):
        self.wait(lambda db: not db._locked, seconds)

    def wait_call(self, call):
        self.wait(lambda db: call in db.calls)

    def wait_session(self, resource):
        self.wait(lambda db: f"{resource} probe" in db.calls and resource in db._sessions)

    def _accept(self):
        while True:
            try:
                session, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def _serve(self, session):
        resource = None
        with contextlib.suppress(OSError), session, session.makefile("rw") as lines:
            for line in lines:
                resource, call = line.split()
                with self._changed:
                    self._sessions[resource] = session
                    self.calls.append(f"{resource} {call}")
                    answer = self.script.get(f"{resource} {call}", self._answer(resource, call))
                    self._note(resource, call, answer, session)
                    if answer is None:
                        self._waiting[lines] = f"{resource} {call}", session
                    self._changed.notify_all()
                self.observer(f"{resource} {call}")
                if answer is not None:
                    lines.write(answer + "\n")
                    lines.flush()
        with self._changed:
            self._waiting.pop(lines, None)
            if self._locked.get(resource) is session:
                self._unlock(resource)
            if self._sessions.get(resource) is session:
                del self._sessions[resource]
            self._changed.notify_all()

    def _note(self, resource, call, answer, session):
        if answer is None or isinstance(answer, Lie) or not answer.startswith("ok"):
            return
        if call == "hold":
            self._locked[resource] = session
            self.history.append((time.monotonic(), "lock", resource))
        elif call == "release":
            self._unlock(resource)

    def _unlock(self, resource):
        if self._locked.pop(resource, None) is not None:
            self.history.append((time.monotonic(), "unlock", resource))

    def _answer(self, resource, call):
        if call in ("hold", "check"):
            return f"ok {self.position.get(resource, 100)}"
        return "ok"
