"""What one subscriber asked for, and whether a publication is it."""

from __future__ import annotations

import pytest

from zbus.errors import ProtocolError
from zbus.wire.subscription import CACHE, Subscriptions, each


def test_one_topic_or_several_are_listed():
    assert each("a.#") == ("a.#",)
    assert each(b"a") == (b"a",)
    assert each(["a", b"b"]) == ("a", b"b")
    assert each(()) == ()
    for topics in ([5], [None], [["a"]]):
        with pytest.raises(TypeError, match="a topic is a str"):
            each(topics)


def test_who_asked_for_nothing_gets_nothing():
    none = Subscriptions()
    assert not none
    assert none.match(b"a") is None


def test_a_literal_topic_does_not_bring_its_longer_namesakes():
    one = Subscriptions("px.a")
    assert one.match(b"px.a") == "px.a"
    assert one.match(b"px.ab") is None
    assert one.match(b"px.a.b") is None


def test_a_bytes_prefix_brings_whatever_starts_with_it():
    one = Subscriptions(b"px.a")
    assert one.match(b"px.ab") == "px.ab"
    assert one.match(b"px") is None
    assert Subscriptions(b"").match(b"anything") == "anything"


def test_a_pattern_and_a_prefix_of_the_same_letters_are_two_subscriptions():
    one = Subscriptions(["a", b"a"])
    assert (list(one.prefixes), one.times(b"a")) == ([b"a"], 2)
    one.remove("a")
    assert one.match(b"ab") == "ab"
    one.remove(b"a")
    assert one.match(b"a") is None
    assert not one


def test_zeromq_is_asked_once_for_each_subscription():
    one = Subscriptions(["a.#", "a.*", b"zz"])
    assert one.add("b") == b"b"
    assert list(one.prefixes) == [b"a", b"a.", b"zz", b"b"]
    assert one.remove("a.*") == b"a."
    assert list(one.prefixes) == [b"a", b"zz", b"b"]


def test_what_was_subscribed_to_twice_has_to_be_given_up_twice():
    one = Subscriptions(["a", "a"])
    one.remove("a")
    assert one.match(b"a") == "a"
    one.remove("a")
    assert one.match(b"a") is None
    with pytest.raises(ValueError, match="not subscribed"):
        one.remove("a")


def test_what_is_no_pattern_is_refused_and_not_kept():
    one = Subscriptions()
    for topic in ("", "<1>", "a\0"):
        with pytest.raises(ValueError):
            one.add(topic)
    assert not one


@pytest.mark.parametrize("name", [b"\xff", b"a\0", b"x" * 256])
def test_a_bad_topic_frame_is_a_protocol_error_each_time(name):
    one = Subscriptions(b"")
    for _ in range(2):
        with pytest.raises(ProtocolError):
            one.match(name)


def test_the_verdicts_kept_are_bounded_and_still_right():
    one = Subscriptions("even.#")
    for number in range(3 * CACHE):
        name = f"{('odd', 'even')[number % 2 == 0]}.{number}"
        assert one.match(name.encode()) == (name if name.startswith("even") else None)
        assert len(one._known) <= CACHE
