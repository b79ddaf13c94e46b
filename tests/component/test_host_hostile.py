# SPDX-License-Identifier: MIT
"""The guest is hostile: whatever its agent answers, at whichever step, a run ends in bounded time
and memory, with one line that moves no cursor, the guest thawed, and nothing left behind."""

import itertools
import json
import os
import unittest

from host_case import VM, HostCase
from hostile_case import Harmless, harm_in, run_measured, tree
from lab import testing
from support import fake_qga

# What may go to a terminal only in another form: ESC, CSI in one byte, line ends, NUL, DEL.
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\x00\x7f\x85 /../../etc/passwd"


def line(value):
    return json.dumps(value).encode() + b"\n"


def endless(piece):
    return itertools.repeat(piece)


# Name -> what is sent in place of the right answer, which is given as bytes.
INSTEAD = {
    "floods with lines": lambda right: endless(b'{"return": {}}\n' * 4096),
    "floods with empty lines": lambda right: endless(b"\n" * 65536),
    "never ends its line": lambda right: endless(b"x" * 65536),
    "nests": lambda right: b'{"return": ' + b"[" * 100000 + b"]" * 100000 + b"}\n",
    "nests and never comes back": lambda right: b'{"return": ' + b'{"a":' * 100000 + b"\n",
    "sends members without end": lambda right: b'{"return": {'
        + b",".join(b'"%d":0' % number for number in range(80000)) + b"}}\n",
    "sends as much as one line may hold": lambda right: b'{"return": ['
        + b'{"":""},' * 100000 + b"0]}\n",
    "refuses with escapes": lambda right: line({"error": {"class": ESCAPES, "desc": ESCAPES * 50}}),
    "refuses with bytes that are no text": lambda right:
        b'{"error": {"class": "GenericError", "desc": "\xff\xfe\x9b2J\xc0\xaf"}}\n',
    "answers with escapes": lambda right: line({"return": ESCAPES}),
    "answers with a name like a path": lambda right: line({"return": "../../../../etc/passwd"}),
    "answers with a gigantic number": lambda right: b'{"return": ' + b"9" * 100000 + b"}\n",
    "answers with an infinite number": lambda right: b'{"return": -1e999}\n',
    "answers with a list": lambda right: line({"return": [{"return": right.decode("latin-1")}]}),
    "answers twice": lambda right: right * 2,
    "answers something else first": lambda right: line({"return": {}}) + right,
    "answers and floods": lambda right: itertools.chain([right], endless(b"\xff" * 65536)),
}

class Hostile(Harmless, HostCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("tmp"))
        self.environment = dict(os.environ, TMPDIR=self.path("tmp"))
        self.before = self.outside()

    def outside(self):
        """All that is none of the driver's business."""
        return tree(self.directory, without=(self.repository, self.state))

    def measured(self, verb, *arguments, **settings):
        quick = {"agent_timeout": "2s", "freeze_timeout": "2s", "thaw_timeout": "3s"}
        quick.update(settings)
        return run_measured(self.command(verb, *arguments, **quick), self.environment)

    def assert_untouched(self):
        self.assert_nothing_left()
        self.assertEqual(self.outside(), self.before)
        self.assertEqual(self.left_in_state(), [])
        self.assertLessEqual(set(os.listdir(self.repository)), {"holdfast-repository", VM})
        self.assertEqual(self.machine.monitor.execute("query-status")["status"], "prelaunch")

    def attack(self, command, answer, statuses, times=None, inside=False, **settings):
        """The line that a run ends with when the agent answers this to that: every time, or so many
        times and then as it should; or only while it is frozen."""
        turns = itertools.count(1)

        def behave(agent, request):
            # It does what it is told to, and lies about it.
            frozen = agent.frozen
            right = agent.line(command, agent.respond(request))
            if inside and not frozen:
                return right
            return answer(right) if times is None or next(turns) <= times else right
        self.agent.commands.clear()
        self.agent.behaviours[command] = behave
        said = self.assert_ended(self.measured("backup", VM, **settings), statuses)
        self.agent.behaviours.clear()
        self.assertGreater(self.agent.count(command), 0)
        self.assertLessEqual(self.agent.count("guest-fsfreeze-freeze"), 1)
        self.assert_untouched()
        return said


    def check(self, command, statuses, kinds=tuple(INSTEAD), **settings):
        for kind in kinds:
            with self.subTest(command=command, kind=kind):
                self.attack(command, INSTEAD[kind], statuses, **settings)


class HostileAgent(Hostile):
    """One step after the other, each with every kind of answer."""

    def test_when_it_synchronises(self):
        self.check("guest-sync-delimited", (0, 1), agent_timeout="200ms")

    def test_when_it_says_whether_it_is_frozen(self):
        self.check("guest-fsfreeze-status", (1,))

    def test_when_it_freezes(self):
        self.check("guest-fsfreeze-freeze", (1,))

    def test_when_it_thaws(self):
        # Once: what it says to the thaw that comes after that is the truth.
        self.check("guest-fsfreeze-thaw", (1, 3), times=1)

    def test_when_it_hands_out_its_record(self):
        self.check("guest-file-read", (1, 3))

    def test_where_an_answer_is_of_little_use(self):
        for command, statuses in (("guest-info", (0, 1)), ("guest-file-open", (1, 3)),
                                  ("guest-file-close", (0, 1))):
            self.check(command, statuses, ("floods with lines", "never ends its line",
                                           "answers with escapes", "answers twice"))


class HostileAgentBesideJobs(Hostile):
    """The method 'backup', whose jobs run from before the thaw on: one kind of answer of each sort,
    where it matters."""

    KINDS = ("floods with lines", "never ends its line", "nests", "answers with escapes",
             "answers twice", "answers and floods")

    def measured(self, verb, *arguments, **settings):
        # Time to throw a flood away, on a busy host too.
        return super().measured(verb, *arguments,
                                **{"method": "backup", "thaw_timeout": "6s", **settings})

    def test_when_it_says_whether_it_is_frozen(self):
        # Before the freeze the truth, while the jobs run this.
        for kind in self.KINDS:
            with self.subTest(kind=kind):
                self.attack("guest-fsfreeze-status", INSTEAD[kind], (0, 1, 3), inside=True)

    def test_when_it_freezes(self):
        self.check("guest-fsfreeze-freeze", (1,), self.KINDS)

    def test_when_it_thaws(self):
        self.check("guest-fsfreeze-thaw", (1, 3), self.KINDS, times=1)

    def test_when_it_hands_out_its_record(self):
        self.check("guest-file-read", (1, 3), self.KINDS)

    def test_stalls_inside_the_window(self):
        self.agent.behaviours["guest-fsfreeze-status"] = lambda agent, request: (
            None if agent.frozen else agent.respond(request))
        said = self.assert_ended(self.measured("backup", VM, **SilentAgent.QUICK), (1,))
        self.assertIn("was not frozen any more after the snapshot", said)
        self.assert_untouched()


class SilentAgent(Hostile):
    """An answer that does not come, or not to its end, costs what its step is granted."""

    STEPS = (("guest-sync-delimited", (1,), None), ("guest-fsfreeze-status", (1,), None),
             ("guest-info", (1,), None), ("guest-file-open", (1, 3), None),
             ("guest-file-read", (1, 3), None), ("guest-file-close", (0, 1), None),
             ("guest-fsfreeze-freeze", (1,), None), ("guest-fsfreeze-thaw", (1, 3), 1))
    QUICK = {"agent_timeout": "200ms", "freeze_timeout": "1s", "thaw_timeout": "1s"}

    def test_stalls_at_each_step(self):
        for command, statuses, times in self.STEPS:
            with self.subTest(command=command):
                self.attack(command, lambda right: None, statuses, times, **self.QUICK)

    def test_closes_in_the_middle_of_each_answer(self):
        def half(right):
            yield right[:len(right) // 2]
            raise fake_qga.Close
        for command, statuses, times in self.STEPS:
            with self.subTest(command=command):
                self.attack(command, half, statuses, times, **self.QUICK)

    def test_stalls_inside_the_window(self):
        def behave(agent, request):
            return None if agent.frozen else agent.respond(request)
        self.agent.behaviours["guest-fsfreeze-status"] = behave
        said = self.assert_ended(self.measured("backup", VM, **self.QUICK), (1,))
        self.assertIn("was not frozen any more after the snapshot", said)
        self.assert_untouched()

    def last_thaw(self):
        names = self.agent.names()
        return len(names) - names[::-1].index("guest-fsfreeze-thaw")

    def test_a_thaw_that_is_never_answered_right_is_left_to_the_guardian(self):
        self.agent.behaviours["guest-fsfreeze-thaw"] = lambda agent, request: (
            agent.respond(request), endless(b"{}\n" * 4096))[1]
        said = self.assert_ended(self.measured("backup", VM, thaw_timeout="1s"), (1,))
        self.assertIn("unable to thaw the guest", said)
        self.assertFalse(self.agent.frozen)
        self.agent.behaviours.clear()
        # The guardian goes on asking until the guest says that it is thawed; then it ends, and with
        # it the connection that the agent's one client has.
        self.assertTrue(self.agent.wait_until(
            lambda: "guest-fsfreeze-status" in self.agent.names()[self.last_thaw():], 20))
        self.assert_untouched()


def record(agent, **members):
    """What the guest's Holdfast would have written for this window, but for these members."""
    proper = {"schema": 1, "window": "w", "sequence": agent.sequence, "boot": agent.boot,
              "state": "done", "verdict": agent.verdict, "resources": agent.resources}
    proper.update(members)
    return json.dumps(proper).encode()


class HostileRecord(Hostile):
    """The record of a window, as a guest may write it that wants to be believed."""

    def thaw_with(self, content):
        def thaw(agent, request):
            answer = agent.respond(request)
            agent.files[fake_qga.RECORD] = content(agent) if callable(content) else content
            return answer
        self.agent.behaviours["guest-fsfreeze-thaw"] = thaw

    def below(self, content):
        """Why the run that ends with this record, and begins with a proper one, is below
        `application`."""
        self.thaw_with(content)
        self.agent.files[fake_qga.RECORD] = record(self.agent)
        said = self.assert_ended(self.measured("backup", VM), (3,))
        self.agent.behaviours.clear()
        self.assert_untouched()
        return said

    def test_of_another_window_proves_nothing(self):
        for number in (lambda now: now + 1, lambda now: now - 1, lambda now: -now,
                       lambda now: -(1 << 63), lambda now: (1 << 63) - 1):
            said = self.below(lambda agent, number=number:
                              record(agent, sequence=number(agent.sequence)))
            self.assertIn("is not of this window", said)
        for number in (1 << 64, "1", None, 1.0, [1]):
            said = self.below(lambda agent, number=number: record(agent, sequence=number))
            self.assertIn("the guest's record could not be read", said)
        self.assertIn("of a 'drill\\x1b[2J'",
                      self.below(lambda agent: record(agent, kind="drill\x1b[2J")))

    def test_that_is_huge_is_not_kept(self):
        for content in (b"x" * (9 << 20), lambda agent: record(agent, x="y" * (2 << 20)),
                        lambda agent: record(agent, x=["y" * 399] * 400),
                        lambda agent: record(agent, **{str(n): 0 for n in range(50000)})):
            self.assertIn("the guest's record could not be read", self.below(content))

    def test_in_pieces_that_never_end(self):
        pieces = (("x" * 64, False), ("eHh4", False), ("", False), ("eHh4" * 200000, False),
                  ("no Base64", True), ("eHh4eA", True), (7, True), ("eHh4", "true"))
        for content, at_end in pieces:
            with self.subTest(content=str(content)[:20]):
                piece = {"count": -1, "buf-b64": content, "eof": at_end}
                said = self.attack("guest-file-read",
                                   lambda right, piece=piece: line({"return": piece}), (1, 3))
                self.assertIn("record", said)

    def test_with_escapes_and_names_like_paths_is_published_harmlessly(self):
        def content(agent):
            resource = {"name": "../../" + ESCAPES, "plugin": ESCAPES, "engine": ESCAPES,
                        "version": "/etc/passwd", "required": True,
                        "position": {ESCAPES: ESCAPES, "../x": "../y"},
                        "verdict": {"code": "ok", "text": ESCAPES}}
            lesser = dict(resource, required=False, verdict={"code": ESCAPES, "text": ESCAPES})
            return record(agent, window=ESCAPES, resources=[resource, lesser] + [lesser] * 20)
        self.thaw_with(content)
        for options in ((), ("--json",)):
            self.assert_ended(self.measured("backup", VM, *options), (0,))
        self.agent.behaviours.clear()
        self.assert_untouched()
        for verb in (("list",), ("list", VM, "--json"), ("show", VM), ("show", VM, "--json"),
                     ("verify", VM), ("status", VM), ("status", VM, "--json")):
            ended = self.measured(*verb)
            self.assert_ended(ended, (0,))
            self.assertTrue(ended.output)
        for backup in self.published():
            directory = os.path.join(self.repository, VM, backup)
            self.assertEqual(sorted(os.listdir(directory)),
                             ["data.qcow2", "definition.json", "manifest.json", "sys.qcow2"])
            for name in ("definition.json", "manifest.json"):
                with open(os.path.join(directory, name), "rb") as document:
                    self.assertIsNone(harm_in(document.read()))


if __name__ == "__main__":
    testing.main()
