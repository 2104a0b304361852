"""A server's memory of recent calls, against a list of everything that ever ended, with stamps."""

from __future__ import annotations

from copy import deepcopy
from itertools import count
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from models.effort import tried

from zbus.wire import memory
from zbus.wire.memory import Memory

Name = tuple[str, bytes]

names = st.tuples(st.sampled_from(["", "ann"]), st.sampled_from([b"1", b"2", b"3"]))
#: Repeats that may wait for one call, so few that a run comes past it.
JOINED = 3


class ServersMemory(RuleBasedStateMachine):
    """What runs is in `running`, with the envelopes that joined it; `ended` is never shortened."""

    @initialize(calls=st.integers(1, 4), seconds=st.integers(1, 20), size=st.integers(0, 60))
    def opens(self, calls, seconds, size):
        self.calls, self.seconds, self.size = calls, seconds, size
        self.memory = Memory(calls=calls, seconds=seconds, size=size)
        self.joined = mock.patch.object(memory, "MAX_JOINED", JOINED)
        self.joined.start()
        self.now = 100.0
        self.serial = count(1)
        self.running: dict[Name, list[list[bytes]]] = {}
        self.ended: list[tuple[Name, list[bytes], float]] = []

    def teardown(self):
        if hasattr(self, "joined"):
            self.joined.stop()

    def known(self) -> dict[Name, list[bytes]]:
        """Every reply that is young enough, and fits together with all that came after it."""
        found, calls, size = {}, 0, 0
        for name, reply, since in reversed(self.ended):
            calls, size = calls + 1, size + sum(map(len, reply))
            if calls > self.calls or size > self.size or self.now - since >= self.seconds:
                break
            found[name] = reply
        return found

    @rule(windows=st.sampled_from([0, 0.25, 0.5, 1]))
    def passes(self, windows):
        self.now += windows * self.seconds

    @rule(name=names)
    def comes(self, name):
        envelope = [b"%d" % next(self.serial), b""]
        expected = True if name in self.running else self.known().get(name, False)
        assert self.memory.begin(*name, envelope, self.now) == expected
        if expected is True:
            self.running[name] = [*self.running[name], envelope][-JOINED:]
        elif expected is False:
            self.running[name] = []

    @precondition(lambda self: self.running)
    @rule(data=st.data(), sizes=st.lists(st.integers(0, 40), min_size=1, max_size=2))
    def is_answered(self, data, sizes):
        name = data.draw(st.sampled_from(sorted(self.running)))
        reply = [b"%d" % next(self.serial) + b"." * size for size in sizes]
        assert self.memory.finish(*name, reply, self.now) == self.running.pop(name)
        self.ended.append((name, reply, self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def is_dropped(self, data):
        name = data.draw(st.sampled_from(sorted(self.running)))
        assert self.memory.drop(*name) == self.running.pop(name)

    @invariant()
    def knows_what_the_list_says_and_no_more(self):
        asked = deepcopy(self.memory)  # to ask is to begin
        said = {
            name: asked.begin(*name, [], self.now) for name in {name for name, _, _ in self.ended} - set(self.running)
        }
        assert {name: reply for name, reply in said.items() if reply is not False} == self.known()

    @invariant()
    def keeps_no_more_than_it_may(self):
        assert len(self.running) <= len(self.memory) <= len(self.running) + self.calls
        kept = [entry.reply for entry in self.memory._done.values()]
        assert sum(len(frame) for reply in kept for frame in reply) <= self.size


@tried(4)
def test_a_repeat_inside_the_window_joins_or_gets_the_reply_and_the_bounds_hold(effort):
    run_state_machine_as_test(ServersMemory, settings=effort)
