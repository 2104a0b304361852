"""Filters, against lists of all that came: what passes, why the rest does not, and that nothing goes uncounted."""

from __future__ import annotations

from collections import Counter
from itertools import count
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from models.effort import tried

from zbus.filters import Filter, debounce, latest, sample, throttle
from zbus.wire.message import Message

#: Keys remembered, so few that a run comes past it.
KEYS = 3

keys = st.sampled_from("abcde")


class Key:
    """What came under one key since it was last forgotten: the times that were not late, and when one passed last."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.passed: int | None = None
        self.held: Message | None = None


class Stream(RuleBasedStateMachine):
    """A stream whose times go back now and then. `known` has the keys, the one silent longest first."""

    @initialize(kind=st.sampled_from([throttle, sample, debounce]), interval=st.integers(1, 4))
    def begins(self, kind, interval):
        self.most = mock.patch("zbus.filters.filter.MAX_KEYS", KEYS)
        self.most.start()
        self.kind, self.interval = kind, interval
        self.filter: Filter = kind(interval / 10, time="time", key="key")
        self.passes: list[Message] = []
        self.callback = self.filter(self.passes.append)
        self.now, self.serial = 100, count()
        self.known: dict[str, Key] = {}
        self.counts: Counter[str] = Counter()

    def teardown(self):
        if hasattr(self, "most"):
            self.most.stop()

    def expect(self, *messages: Message | None) -> None:
        """These have passed by now, and nothing else."""
        expected = [message for message in messages if message is not None]
        assert self.passes == expected
        self.passes.clear()
        self.counts["passed"] += len(expected)

    @rule(key=keys, step=st.sampled_from([-2, -1, 0, 1, 1, 2, 3, 9]))
    def comes(self, key, step):
        self.now += step
        message = Message({"time": self.now / 10, "key": key, "serial": next(self.serial)})
        self.callback(message)
        self.counts["seen"] += 1
        one = self.known[key] = self.known.pop(key, None) or Key()
        forgotten = self.known.pop(next(iter(self.known))) if len(self.known) > KEYS else Key()
        if one.times and self.now < one.times[-1]:
            self.counts["late"] += 1
            self.expect()
        elif self.kind is throttle:
            one.times.append(self.now)
            if one.passed is None or self.now - one.passed >= self.interval:
                one.passed = self.now
                self.expect(message)
            else:
                self.counts["dropped"] += 1
                self.expect()
        else:
            released, one.held = one.held, message
            if released is not None and not self.ends(one.times):
                self.counts["dropped"] += 1
                released = None
            one.times.append(self.now)
            self.expect(released, forgotten.held)

    def ends(self, times: list[int]) -> bool:
        """What comes now ends the interval of the newest of `times`, or the silence behind it."""
        if self.kind is debounce:
            return self.now - times[-1] >= self.interval
        first = times[0]
        return (self.now - first) // self.interval > (times[-1] - first) // self.interval

    @rule(
        body=st.sampled_from(
            [None, {"key": "a"}, {"time": 10.0}, {"time": None, "key": "a"}, {"time": 10.0, "key": []}]
        )
    )
    def comes_without_time_or_key(self, body):
        self.callback(Message(body))
        self.counts["seen"] += 1
        self.counts["malformed"] += 1
        self.expect()

    @rule()
    def flushes(self):
        self.filter.flush()
        held = [one.held for one in self.known.values()]
        for one in self.known.values():
            one.held = None
        self.expect(*held)

    @invariant()
    def counts_each_message_once(self):
        held = sum(one.held is not None for one in self.known.values())
        names = ("passed", "dropped", "late", "malformed")
        assert {name: getattr(self.filter, name) for name in names} == {name: self.counts[name] for name in names}
        assert sum(self.counts[name] for name in names) + held == self.counts["seen"]


@tried(4)
def test_what_passes_is_what_a_list_of_everything_says(effort):
    run_state_machine_as_test(Stream, settings=effort)


class Slow(RuleBasedStateMachine):
    """A callback that is brought more while it runs. `waiting` has the newest of each key, silent longest first."""

    @initialize()
    def begins(self):
        self.most = mock.patch("zbus.filters.filter.MAX_KEYS", KEYS)
        self.most.start()
        self.filter = latest(key="key")
        self.callback = self.filter(self.runs)
        self.serial = count()
        self.seen = self.malformed = 0
        self.waiting: dict[str, Message] = {}

    def teardown(self):
        if hasattr(self, "most"):
            self.most.stop()

    def bring(self, key: str | None) -> object:
        message = Message({"key": key, "serial": next(self.serial)} if key is not None else None)
        self.seen += 1
        if key is None:
            self.malformed += 1
        else:
            self.waiting.pop(key, None)
            self.waiting[key] = message
            if len(self.waiting) > KEYS:
                del self.waiting[next(iter(self.waiting))]
        return self.callback(message)

    def runs(self, message: Message) -> int:
        """It gets the one that waits longest; meanwhile the next of `meanwhile` come."""
        assert message is self.waiting.pop(next(iter(self.waiting)))
        self.ran += 1
        for key in self.meanwhile.pop(0) if self.meanwhile else []:
            assert self.bring(key) is None
        if self.fails == self.ran:
            raise LookupError
        return message.body["serial"]

    @rule(
        key=keys | st.none(),
        meanwhile=st.lists(st.lists(keys | st.none(), max_size=5), max_size=3),
        fails=st.integers(1, 12),
    )
    def comes(self, key, meanwhile, fails):
        self.ran, self.meanwhile, self.fails = 0, meanwhile, fails
        try:
            result = self.bring(key)
        except LookupError:
            return  # what waits has its turn when the next one comes
        assert not self.waiting
        assert (result is None) == (not self.ran)

    @invariant()
    def counts_each_message_once(self):
        one = self.filter
        assert one.passed + one.dropped + one.late + one.malformed + len(self.waiting) == self.seen
        assert (one.malformed, one.late) == (self.malformed, 0)


@tried()
def test_the_newest_of_each_key_has_its_turn_and_what_it_supersedes_is_counted(effort):
    run_state_machine_as_test(Slow, settings=effort)
