"""Numbered publications: numbers, gaps, restarts, last values."""

from __future__ import annotations

import pytest

from zbus.wire import sequence
from zbus.wire.sequence import LastValues, Numbering, Seen, Tracker

P, Q, R = b"pppppppp", b"qqqqqqqq", b"rrrrrrrr"
NEXT, KNOWN = Seen(fresh=True), Seen(fresh=False)


# -- numbering ---------------------------------------------------------------------------------------


def test_each_topic_counts_from_one():
    numbering = Numbering(P)
    assert [numbering.next(b"a"), numbering.next(b"a"), numbering.next(b"b")] == [(P, 1), (P, 2), (P, 1)]


def test_a_frame_of_several_values_has_the_number_of_its_first():
    numbering = Numbering(P)
    assert [numbering.next(b"a", count) for count in (3, 1, 2, 1)] == [(P, 1), (P, 4), (P, 5), (P, 7)]


# -- the tracker -------------------------------------------------------------------------------------


def test_numbers_in_a_row_are_news_and_nothing_else():
    tracker = Tracker()
    assert [tracker.observe("a", P, number) for number in (1, 2, 3)] == [NEXT] * 3


def test_who_joins_late_has_missed_nothing():
    tracker = Tracker()
    assert tracker.observe("a", P, 500) == NEXT
    assert tracker.observe("a", P, 501) == NEXT


def test_a_gap_tells_how_many_are_missing():
    tracker = Tracker()
    tracker.observe("a", P, 1)
    assert tracker.observe("a", P, 5) == Seen(fresh=True, missed=3)
    assert tracker.observe("a", P, 6) == NEXT


def test_a_number_that_came_before_is_known():
    tracker = Tracker()
    tracker.observe("a", P, 7)
    assert [tracker.observe("a", P, number) for number in (7, 6, 1)] == [KNOWN] * 3
    assert tracker.observe("a", P, 8) == NEXT


def test_the_values_of_one_frame_count_one_each():
    tracker = Tracker()
    assert tracker.observe("a", P, 1, count=4) == NEXT
    assert tracker.observe("a", P, 4) == KNOWN
    assert tracker.observe("a", P, 5, count=3) == NEXT
    assert tracker.observe("a", P, 10, count=2) == Seen(fresh=True, missed=2)
    assert tracker.observe("a", P, 12) == NEXT


def test_topics_are_counted_apart():
    tracker = Tracker()
    tracker.observe("a", P, 1)
    assert tracker.observe("b", P, 9) == NEXT
    assert tracker.observe("a", P, 2) == NEXT


def test_a_new_publisher_in_the_place_of_the_old_one_has_restarted():
    tracker = Tracker()
    tracker.observe("a", P, 41)
    assert tracker.observe("a", Q, 1) == Seen(fresh=True, restarted=True)
    assert tracker.observe("a", Q, 2) == NEXT


def test_what_a_restarted_publisher_said_before_it_was_heard_is_missed():
    tracker = Tracker()
    tracker.observe("a", P, 41)
    assert tracker.observe("a", Q, 4) == Seen(fresh=True, missed=3, restarted=True)


def test_a_second_publisher_beside_the_first_has_not_restarted():
    tracker = Tracker()
    tracker.observe("a", P, 41, peers=lambda: 2)
    assert tracker.observe("a", Q, 7, peers=lambda: 2) == NEXT
    assert tracker.observe("a", P, 42, peers=lambda: 2) == NEXT
    assert tracker.observe("a", R, 1, peers=lambda: 2) == Seen(fresh=True, restarted=True)


def test_a_topic_that_was_forgotten_starts_anew():
    tracker = Tracker()
    tracker.observe("a", P, 1)
    tracker.observe("b", P, 1)
    tracker.forget_unless(lambda topic: topic == "b")
    assert tracker.observe("a", P, 90) == NEXT
    assert tracker.observe("b", P, 3) == Seen(fresh=True, missed=1)


def test_publishers_and_topics_that_are_kept_in_mind_are_bounded(monkeypatch):
    monkeypatch.setattr(sequence, "MAX_TOPICS", 4)
    monkeypatch.setattr(sequence, "MAX_PUBLISHERS", 3)
    tracker = Tracker()
    for number in range(50):
        tracker.observe(f"topic.{number}", P, 1)
        tracker.observe("same", number.to_bytes(8, "big"), 1)
        assert len(tracker._topics) <= 4
        assert max(map(len, tracker._topics.values())) <= 3


def test_a_publisher_that_still_speaks_is_not_forgotten_for_anothers_restarts(monkeypatch):
    monkeypatch.setattr(sequence, "MAX_PUBLISHERS", 3)
    tracker = Tracker()
    for number in range(1, 9):
        assert tracker.observe("a", P, number, peers=lambda: 2) == NEXT
        tracker.observe("a", number.to_bytes(8, "big"), 1, peers=lambda: 2)


# -- last values -------------------------------------------------------------------------------------


def test_a_late_subscriber_is_due_the_newest_value_of_each_topic_he_asked_for():
    values = LastValues()
    values.keep(b"px.a", b"1", b"h1")
    values.keep(b"px.b", b"2", b"h2")
    values.keep(b"py", b"3", b"h3")
    values.keep(b"px.a", b"4", b"h4")
    values.want(b"px.")
    assert values.waiting == 2
    assert sorted(values.due(10)) == [(b"px.a", b"4", b"h4"), (b"px.b", b"2", b"h2")]
    assert values.due(10) == []


def test_many_who_ask_at_once_are_told_once():
    values = LastValues()
    values.keep(b"a", b"1", b"")
    for _ in range(100):
        values.want(b"a")
        values.want(b"")
    assert values.waiting == 1
    assert values.due(10) == [(b"a", b"1", b"")]


def test_who_is_due_a_value_gets_the_newest_there_is_when_it_goes_out():
    values = LastValues()
    values.keep(b"a", b"old", b"")
    values.want(b"a")
    values.keep(b"a", b"new", b"")
    assert values.due(10) == [(b"a", b"new", b"")]


def test_due_values_go_out_a_few_at_a_time_the_exact_topic_first():
    values = LastValues()
    for number in range(10):
        values.keep(b"a.%d" % number, b"", b"")
    values.keep(b"a", b"exact", b"")
    values.want(b"a")
    assert values.due(1) == [(b"a", b"exact", b"")]
    assert [len(values.due(4)) for _ in range(4)] == [4, 4, 2, 0]


def test_nobody_is_due_what_nobody_said():
    values = LastValues()
    values.want(b"a")
    assert values.due(10) == []
    values.keep(b"a", b"later", b"")
    assert values.due(10) == []


@pytest.mark.parametrize("wanted", [True, False])
def test_past_the_bound_the_topic_silent_longest_goes(wanted):
    values = LastValues(topics=2)
    values.keep(b"a", b"1", b"")
    values.keep(b"b", b"2", b"")
    if wanted:
        values.want(b"")
    values.keep(b"a", b"3", b"")
    values.keep(b"c", b"4", b"")
    assert len(values) == 2
    values.want(b"")
    assert sorted(values.due(10)) == [(b"a", b"3", b""), (b"c", b"4", b"")]


def test_a_topic_that_went_past_the_bound_is_no_longer_due():
    values = LastValues(topics=2)
    values.keep(b"a", b"1", b"")
    values.want(b"a")
    values.keep(b"b", b"2", b"")
    values.keep(b"c", b"3", b"")
    assert values.waiting == 0
    values.want(b"c")
    assert values.due(1) == [(b"c", b"3", b"")]
