"""Many values in one frame: nothing lost, in order within a topic, within the limits."""

from __future__ import annotations

import math

import pytest

from zbus.wire.batch import Batch, Batches


def drained(batches: Batches) -> list[tuple[bytes, object, list[bytes]]]:
    return [(batch.topic, batch.headers, batch.values) for batch in batches.drain()]


@pytest.mark.parametrize("words", [{"messages": 0}, {"messages": -1}, {"messages": 1.5}, {"messages": "9"}])
def test_a_batch_holds_a_whole_number_of_messages(words):
    with pytest.raises(ValueError, match="messages is a whole number"):
        Batch(**words)


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_batch_waits_some_time(seconds):
    with pytest.raises(ValueError, match="seconds is above 0"):
        Batch(seconds=seconds)


def test_a_full_batch_is_closed_at_once():
    batches = Batches(Batch(messages=3), max_bytes=1000)
    assert [batches.add(value) for value in (b"1", b"2", b"3", b"4")] == [False, False, True, True]
    assert drained(batches) == [(b"", None, [b"1", b"2", b"3"])]
    assert len(batches) == 1
    assert batches.add(b"5") is False


def test_a_batch_of_one_message_is_closed_by_it():
    batches = Batches(Batch(messages=1), max_bytes=1000)
    assert batches.add(b"1") is True
    assert drained(batches) == [(b"", None, [b"1"])]


def test_a_value_that_does_not_fit_begins_another_batch():
    batches = Batches(Batch(), max_bytes=10)
    assert [batches.add(b"x" * size) for size in (4, 6, 1, 10)] == [False, False, True, True]
    assert [[len(value) for value in values] for _, _, values in drained(batches)] == [[4, 6], [1]]
    batches.close_all()
    assert drained(batches) == [(b"", None, [b"x" * 10])]


def test_other_headers_begin_another_batch():
    batches = Batches(Batch(), max_bytes=1000)
    batches.add(b"1")
    batches.add(b"2", {"a": 1})
    batches.add(b"3", {"a": 1})
    batches.add(b"4", {})
    batches.add(b"5")
    batches.close_all()
    assert drained(batches) == [
        (b"", None, [b"1"]),
        (b"", {"a": 1}, [b"2", b"3"]),
        (b"", {}, [b"4"]),
        (b"", None, [b"5"]),
    ]


def test_open_batches_close_in_the_order_of_their_first_values():
    batches = Batches(Batch(), max_bytes=1000)
    for topic, value in ((b"b", b"1"), (b"a", b"2"), (b"b", b"3"), (b"c", b"4")):
        batches.add(value, topic=topic)
    batches.close_all()
    assert [topic for topic, _, _ in drained(batches)] == [b"b", b"a", b"c"]


def test_the_body_is_the_values_one_after_the_other():
    batches = Batches(Batch(messages=2), max_bytes=1000)
    batches.add(b"\x01")
    batches.add(b"\xa1a")
    assert [(batch.body(), batch.room) for batch in batches.drain()] == [(b"\x01\xa1a", 997)]


def test_the_plain_batch_takes_values_directly_up_to_the_one_that_closes_it():
    batches = Batches(Batch(messages=3), max_bytes=5)
    assert batches.plain is Batches.NONE
    batches.add(b"topic", topic=b"t")
    batches.add(b"head", headers=b"h", topic=b"")
    assert batches.plain is Batches.NONE
    batches.add(b"1")
    plain = batches.plain
    assert (plain.left, plain.room) == (1, 4)
    batches.add(b"22")
    assert (plain.left, plain.room) == (0, 2)
    batches.add(b"333")
    assert batches.plain is not plain
    assert (batches.plain.left, batches.plain.room) == (1, 2)
    batches.close_all()
    assert batches.plain is Batches.NONE
    assert (Batches.NONE.left, Batches.NONE.values) == (0, [])
    assert [values for _, _, values in drained(batches)] == [[b"head"], [b"1", b"22"], [b"topic"], [b"333"]]


def test_a_batch_that_could_not_be_sent_stays_and_comes_first_again():
    batches = Batches(Batch(messages=1), max_bytes=1000)
    for value in (b"1", b"2", b"3"):
        batches.add(value)
    sending = batches.drain()
    assert next(sending).values == [b"1"]
    assert next(sending).values == [b"2"]
    sending.close()
    assert len(batches) == 2
    batches.add(b"4")
    assert [values for _, _, values in drained(batches)] == [[b"2"], [b"3"], [b"4"]]
    assert not batches


def test_what_is_closed_during_a_drain_is_drained_too():
    batches = Batches(Batch(messages=1), max_bytes=1000)
    batches.add(b"1")
    seen = []
    for batch in batches.drain():
        seen += batch.values
        if len(seen) < 4:
            batches.add(b"%d" % (len(seen) + 1))
    assert seen == [b"1", b"2", b"3", b"4"]
