"""Filters, with a clock that stands until it is moved. No socket is opened."""

from __future__ import annotations

import datetime
import functools
import itertools
from decimal import Decimal

import pytest

from zbus.errors import Closed, TimeoutExpired
from zbus.filters import Filter, debounce, latest, sample, throttle
from zbus.wire.message import Message

UTC = datetime.timezone.utc
NEW_YEAR = datetime.datetime(2024, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counts(kept: Filter) -> dict[str, int]:
    """The counts that are not 0."""
    found = {name: getattr(kept, name) for name in ("passed", "dropped", "late", "malformed")}
    return {name: count for name, count in found.items() if count}


def through(kept: Filter, *times: object) -> list[object]:
    """Which of these times pass."""
    return [message.body["time"] for message in kept(Message({"time": time}) for time in times)]


# -- by arrival ------------------------------------------------------------------------------------


def test_one_message_an_interval_passes_by_arrival(clock):
    kept = throttle(0.5, clock=clock)

    def arriving():
        for number in range(6):
            yield Message(number)
            clock.now += 0.2

    assert [message.body for message in kept(arriving())] == [0, 3]
    assert counts(kept) == {"passed": 2, "dropped": 4}


def test_the_interval_runs_from_what_passed_and_not_from_what_was_dropped(clock):
    kept = throttle(1.0, clock=clock)
    seen = []
    callback = kept(lambda message: seen.append(clock.now))
    for now in (1000.0, 1000.9, 1001.0, 1001.5, 1002.0):
        clock.now = now
        callback(Message())
    assert seen == [1000.0, 1001.0, 1002.0]


def test_the_clock_of_arrival_is_monotonic_unless_one_is_given():
    kept = throttle(3600)
    assert [message.body for message in kept([Message(1), Message(2)])] == [1]
    assert counts(kept) == {"passed": 1, "dropped": 1}


# -- by the message's own time ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    [
        lambda seconds: seconds,
        lambda seconds: 1_704_067_200 + seconds,
        lambda seconds: Decimal("1704067200") + Decimal(str(seconds)),
        lambda seconds: NEW_YEAR + datetime.timedelta(seconds=seconds),
        lambda seconds: (NEW_YEAR + datetime.timedelta(seconds=seconds)).isoformat(),
        lambda seconds: (NEW_YEAR + datetime.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z"),
        lambda seconds: (NEW_YEAR + datetime.timedelta(seconds=seconds)).replace(tzinfo=None).isoformat(" "),
        lambda seconds: -1_704_067_200 + seconds,
    ],
    ids=["small", "epoch", "decimal", "datetime", "iso", "iso-z", "naive", "before-1970"],
)
def test_every_kind_of_time_is_read_exactly(at):
    """A tenth of a second has no exact float, and still a message every 0.1 s passes a throttle of 0.1 s."""
    times = [at(number * 5 / 100) for number in range(21)]
    kept = throttle(0.1, time="time")
    assert through(kept, *times) == times[::2]
    assert counts(kept) == {"passed": 11, "dropped": 10}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.6Z"),
        ("2024-01-01T00:00:00,123456789Z", "2024-01-01T00:00:00.6234567Z"),
        ("2024-01-01T00:00:00z", "2024-01-01T00:00:00.5+00:00"),
        ("2024-01-01T02:00:00+02:00", "2023-12-31T19:00:00.5-05:00"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00.5Z"),
        (NEW_YEAR, "2024-01-01T00:00:00.5Z"),
        (NEW_YEAR.replace(tzinfo=None), 1_704_067_200.5),
    ],
)
def test_times_half_a_second_apart_however_they_are_written(earlier, later):
    assert through(throttle(0.5, time="time"), earlier, later) == [earlier, later]
    assert through(throttle(0.500_001, time="time"), earlier, later) == [earlier]


def test_a_message_older_than_the_newest_seen_is_late():
    kept = throttle(1.0, time="time")
    assert through(kept, 10, 10.5, 10.4, 11, 3, 10.9, 12) == [10, 11, 12]
    assert counts(kept) == {"passed": 3, "dropped": 1, "late": 3}


def test_a_message_of_the_same_time_is_dropped_and_not_late():
    kept = throttle(1.0, time="time")
    assert through(kept, 10, 10, 10.5, 10.5) == [10]
    assert counts(kept) == {"passed": 1, "dropped": 3}


@pytest.mark.parametrize(
    "time",
    [
        None,
        True,
        b"2024-01-01",
        [2024],
        "",
        "yesterday",
        "Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T00:00:00+99:00",
        "12:30",
        float("nan"),
        float("inf"),
        float("-inf"),
        Decimal("nan"),
        Decimal("snan"),
        Decimal("-inf"),
        Decimal("1e999999"),
        10**400,
        1.8e12,
        -1e300,
        datetime.date(2024, 1, 1),
        datetime.time(12, 30),
    ],
)
def test_what_is_no_time_is_malformed_and_changes_nothing(time):
    kept = throttle(1.0, time="time")
    assert through(kept, 10, time, 10.5, 11) == [10, 11]
    assert counts(kept) == {"passed": 2, "dropped": 1, "malformed": 1}


@pytest.mark.parametrize("body", [None, {}, {"other": 1}, [1, 2], "time", 7, b"time"])
def test_a_body_without_the_field_is_malformed(body):
    kept = throttle(1.0, time="time")
    assert list(kept([Message(body)])) == []
    assert counts(kept) == {"malformed": 1}


@pytest.mark.parametrize("time", [datetime.datetime.min, datetime.datetime.max])
def test_the_first_and_the_last_datetime_are_times(time):
    assert through(throttle(1.0, time="time"), time) == [time]


def test_a_callable_tells_the_time_from_anywhere_in_the_message():
    kept = throttle(60, time=lambda message: message.headers["time"])
    messages = [Message(number, headers={"time": 1_704_067_200 + 30 * number}) for number in range(5)]
    assert [message.body for message in kept(messages)] == [0, 2, 4]


def test_a_callable_that_finds_no_time_makes_the_message_malformed():
    kept = throttle(1.0, time=lambda message: message.body["deep"]["er"].timestamp())
    bodies = [None, {}, {"deep": {}}, {"deep": {"er": "now"}}, {"deep": {"er": NEW_YEAR}}]
    assert [message.body for message in kept(map(Message, bodies))] == bodies[-1:]
    assert counts(kept) == {"passed": 1, "malformed": 4}


def test_an_error_that_is_not_about_the_message_comes_out_of_a_callable():
    kept = throttle(1.0, time=lambda message: nothing_of_this_name)  # noqa: F821
    with pytest.raises(NameError):
        next(kept([Message()]))


# -- by key ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["id", lambda message: message.body["id"]], ids=["field", "callable"])
def test_each_key_is_throttled_by_itself(key):
    kept = throttle(1.0, time="time", key=key)
    rows = [("a", 10), ("b", 10), ("a", 10.5), ("b", 9), ("b", 11), ("a", 11)]
    messages = [Message({"id": name, "time": time}) for name, time in rows]
    assert [(m.body["id"], m.body["time"]) for m in kept(messages)] == [("a", 10), ("b", 10), ("b", 11), ("a", 11)]
    assert counts(kept) == {"passed": 4, "dropped": 1, "late": 1}


def test_topics_can_be_the_key(clock):
    kept = throttle(1.0, key=lambda message: message.topic, clock=clock)
    messages = [Message(topic=topic) for topic in ("px.a", "px.b", "px.a")]
    assert [message.topic for message in kept(messages)] == ["px.a", "px.b"]


@pytest.mark.parametrize("body", [None, {"time": 1}, {"time": 1, "id": [1]}, {"time": 1, "id": {}}])
def test_a_message_without_a_hashable_key_is_malformed(body):
    kept = throttle(1.0, time=lambda message: 1, key="id")
    assert list(kept([Message(body)])) == []
    assert counts(kept) == {"malformed": 1}


def test_past_the_most_keys_the_longest_silent_one_is_forgotten(clock, monkeypatch):
    monkeypatch.setattr("zbus.filters.filter.MAX_KEYS", 3)
    kept = throttle(1.0, key="id", clock=clock)
    messages = [Message({"id": name}) for name in ("a", "b", "c", "a", "d", "a", "c", "b")]
    assert [message.body["id"] for message in kept(messages)] == ["a", "b", "c", "d", "b"]


# -- what it wraps ---------------------------------------------------------------------------------


def test_a_callback_runs_for_what_passes_with_its_words_and_its_value(clock):
    @throttle(1.0, clock=clock)
    def order(message, region):
        """Take an order."""
        return message.body, region

    assert order(Message(1), region="eu") == (1, "eu")
    assert order(Message(2), region="eu") is None
    assert (order.__name__, order.__doc__) == ("order", "Take an order.")


def test_a_word_of_a_pattern_may_be_called_message(clock):
    callback = throttle(1.0, clock=clock)(lambda _, **words: words)
    assert callback(Message(), message="hello") == {"message": "hello"}


def test_a_callback_without_a_name_can_be_wrapped(clock):
    seen = []
    callback = throttle(1.0, clock=clock)(functools.partial(seen.append))
    callback(message := Message(1))
    assert seen == [message]


def test_what_a_callback_raises_comes_out_and_the_message_has_passed(clock):
    @(kept := throttle(1.0, clock=clock))
    def callback(message):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        callback(Message())
    assert counts(kept) == {"passed": 1}


def test_an_iterable_is_read_no_further_than_asked(clock):
    read = []
    source = (read.append(number) or Message(number) for number in itertools.count())
    kept = throttle(1.0, clock=clock)(source)
    assert next(kept).body == 0
    assert read == [0]


def test_all_that_one_filter_wraps_shares_what_it_remembers(clock):
    kept = throttle(1.0, clock=clock)
    assert len(list(kept([Message(1)]))) == 1
    assert list(kept([Message(2)])) == []
    assert kept(lambda message: "ran")(Message(3)) is None
    assert counts(kept) == {"passed": 1, "dropped": 2}


def test_a_filter_can_wrap_a_filter():
    by_time, by_number = throttle(1.0, time="time"), throttle(2, time="number")
    messages = [Message({"time": 10 + number / 2, "number": number // 2}) for number in range(8)]
    assert [message.body["number"] for message in by_number(by_time(messages))] == [0, 2]
    assert counts(by_number) == {"passed": 2, "dropped": 2}


def test_its_repr_tells_the_counts():
    kept = throttle(1.0, time="time")
    through(kept, 1, 1, 0, None)
    assert repr(kept) == "<throttle passed=1 dropped=1 late=1 malformed=1>"


# -- misuse ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_that_is_no_span_of_time_is_a_value_error(interval):
    with pytest.raises(ValueError, match="above 0"):
        throttle(interval)


@pytest.mark.parametrize("interval", [None, "1", True, datetime.timedelta(seconds=1)])
def test_an_interval_that_is_no_number_is_a_type_error(interval):
    with pytest.raises(TypeError, match="seconds"):
        throttle(interval)


@pytest.mark.parametrize("keyword", ["time", "key"])
@pytest.mark.parametrize("choice", [b"time", 5, ["time"]])
def test_a_field_that_is_neither_name_nor_callable_is_a_type_error(keyword, choice):
    with pytest.raises(TypeError, match=keyword):
        throttle(1.0, **{keyword: choice})


@pytest.mark.parametrize("wrapped", [None, 5, Message()])
def test_wrapping_what_is_neither_iterable_nor_callable_is_a_type_error(wrapped):
    with pytest.raises(TypeError, match="iterable of messages or a callback"):
        throttle(1.0)(wrapped)


# -- sample, debounce ------------------------------------------------------------------------------


def test_a_sample_is_the_last_of_each_interval():
    kept = sample(1.0, time="time")
    assert through(kept, 10.0, 10.2, 10.9, 11.0, 11.5, 14.3, 14.4) == [10.9, 11.5, 14.4]
    assert counts(kept) == {"passed": 3, "dropped": 4}


def test_intervals_stand_in_line_from_the_first_message_on():
    assert through(sample(1.0, time="time"), 0.5, 1.4, 2.2, 2.6, 3.4, 3.5) == [1.4, 2.2, 3.4, 3.5]


def test_debounce_lets_the_last_before_a_silence_through():
    kept = debounce(1.0, time="time")
    assert through(kept, 0.0, 0.5, 1.4, 2.4, 9.0, 9.9, 10.8) == [1.4, 2.4, 10.8]
    assert counts(kept) == {"passed": 3, "dropped": 4}


@pytest.mark.parametrize("kind", [sample, debounce])
def test_what_is_held_waits_for_the_next_message_the_end_or_flush(kind, clock):
    seen = []
    kept = kind(1.0, clock=clock)
    callback = kept(lambda message, **words: seen.append((message.body, words)))
    callback(Message(1), region="eu")
    clock.now += 0.9
    callback(Message(2), region="us")
    assert seen == []
    clock.now += 1.5
    callback(Message(3), region="eu")
    assert seen == [(2, {"region": "us"})]
    kept.flush()
    kept.flush()
    assert seen == [(2, {"region": "us"}), (3, {"region": "eu"})]
    assert counts(kept) == {"passed": 2, "dropped": 1}
    assert [message.body for message in kind(1.0, clock=clock)([Message(4), Message(5)])] == [5]


@pytest.mark.parametrize("kind", [sample, debounce])
def test_each_key_is_held_by_itself_and_the_late_and_malformed_are_counted(kind):
    kept = kind(1.0, time="time", key="key")
    messages = [("a", 1.0), ("b", 1.1), ("a", 1.2), ("a", 1.1), (None, 1.3), ("b", 5.0), ({}, 6.0), ("a", "no")]
    passed = [message.body for message in kept(Message({"key": key, "time": time}) for key, time in messages)]
    assert [(body["key"], body["time"]) for body in passed] == [("b", 1.1), ("a", 1.2), (None, 1.3), ("b", 5.0)]
    assert counts(kept) == {"passed": 4, "dropped": 1, "late": 1, "malformed": 2}


def test_past_the_most_keys_a_held_message_is_let_go_and_not_lost(monkeypatch):
    monkeypatch.setattr("zbus.filters.filter.MAX_KEYS", 2)
    kept = sample(1.0, time="time", key="key")
    passed = [message.body["key"] for message in kept(Message({"key": key, "time": 1.0}) for key in "abc")]
    assert passed == ["a", "b", "c"]


def test_a_late_message_is_no_silence_of_its_key(monkeypatch):
    monkeypatch.setattr("zbus.filters.filter.MAX_KEYS", 2)
    kept = sample(1.0, time="time", key="key")
    messages = [("a", 1.0), ("b", 1.0), ("a", 0.5), ("c", 1.0)]
    assert next(kept(Message({"key": key, "time": time}) for key, time in messages)).body["key"] == "b"


@pytest.mark.parametrize("kind", [sample, debounce])
def test_what_is_older_than_what_was_flushed_is_late(kind):
    seen = []
    kept = kind(1.0, time="time")
    callback = kept(lambda message: seen.append(message.body["time"]))
    for time in (10.0, 9.0, 10.5):
        callback(Message({"time": time}))
        kept.flush()
    assert seen == [10.0, 10.5]
    assert counts(kept) == {"passed": 2, "late": 1}


def test_intervals_stand_in_line_from_the_first_message_on_after_a_flush_too():
    seen = []
    kept = sample(1.0, time="time")
    callback = kept(lambda message: seen.append(message.body["time"]))
    for time in (0.5, 1.4, 1.6):
        callback(Message({"time": time}))
        if time == 0.5:
            kept.flush()
    assert seen == [0.5, 1.4]


# -- latest ----------------------------------------------------------------------------------------


class Endpoint:
    """Gives batches of messages, each when it is asked to wait."""

    def __init__(self, *batches: list[object]) -> None:
        self._batches = list(batches)
        self._there: list[object] = []

    def __iter__(self):
        while self._batches:
            self._there = self._batches.pop(0)
            yield self.recv(timeout=0)

    def recv(self, *, timeout: float) -> Message:
        if not self._there:
            raise TimeoutExpired
        return Message(self._there.pop(0))


def test_of_what_an_endpoint_has_the_newest_passes():
    kept = latest()
    assert [message.body for message in kept(Endpoint([1], [2, 3, 4], [5]))] == [1, 4, 5]
    assert counts(kept) == {"passed": 3, "dropped": 2}


def test_the_newest_of_each_key_passes_in_the_order_they_came():
    kept = latest(key=lambda message: message.body[0])
    batches = ["a1", "b1", "a2", "c1", ""], ["b2"]
    assert [message.body for message in kept(Endpoint(*batches))] == ["b1", "a2", "c1", "b2"]
    assert counts(kept) == {"passed": 4, "dropped": 1, "malformed": 1}


def test_any_other_iterable_is_read_to_its_end():
    assert [message.body for message in latest()(map(Message, range(5)))] == [4]


def test_what_comes_while_a_callback_runs_is_superseded():
    seen = []
    kept = latest()

    @kept
    def slow(message, **words):
        seen.append((message.body, words))
        if message.body == 1:  # others bring these meanwhile
            assert slow(Message(2)) is None
            assert slow(Message(3), word="x") is None
        return message.body

    assert slow(Message(1)) == 3
    assert seen == [(1, {}), (3, {"word": "x"})]
    assert slow(Message(4)) == 4
    assert counts(kept) == {"passed": 3, "dropped": 1}


def test_a_callback_that_raises_leaves_the_next_ones_their_turn():
    @latest()
    def fails(message):
        if message.body == 1:
            raise LookupError
        return message.body

    with pytest.raises(LookupError):
        fails(Message(1))
    assert fails(Message(2)) == 2


def test_an_endpoint_that_always_has_one_more_still_passes_something():
    class Endless(Endpoint):
        def recv(self, *, timeout: float) -> Message:
            return Message(1)

    kept = latest()
    passed = kept(Endless([1], [2]))
    assert [next(passed).body for _ in range(2)] == [1, 1]
    assert kept.dropped >= 1000


def test_an_endpoint_that_is_closed_meanwhile_ends_quietly():
    class Closing(Endpoint):
        def recv(self, *, timeout: float) -> Message:
            if not self._there:
                raise Closed
            return super().recv(timeout=timeout)

    assert [message.body for message in latest()(Closing([1, 2]))] == [2]


def test_flush_leaves_an_iterables_rest_to_its_end(clock):
    kept = sample(1.0, clock=clock)
    passed = kept(Message(number) for number in range(2) if not kept.flush())
    assert [message.body for message in passed] == [1]
    assert counts(kept) == {"passed": 1, "dropped": 1}


def test_a_callback_that_raises_in_flush_is_still_called_with_the_others():
    seen = []

    def callback(message):
        seen.append(message.body["key"])
        raise LookupError(message.body["key"])

    kept = debounce(1.0, time="time", key="key")
    filtered = kept(callback)
    for key in "ab":
        filtered(Message({"key": key, "time": 1.0}))
    with pytest.raises(LookupError, match="a"):
        kept.flush()
    assert seen == ["a", "b"]
