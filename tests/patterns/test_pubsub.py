"""PUB and SUB: topics, patterns, prefixes, and knowing who listens."""

from __future__ import annotations

import gevent
import pytest
from waiting import until

import zbus

LONG = 5.0


@pytest.fixture
def linked(make, address):
    """Makes a publisher and a subscriber that it knows of."""

    def linked(topics, *, publisher=None, **options):
        speaker = make(zbus.Publisher, bind=address, **(publisher or {}))
        listener = make(zbus.Subscriber, connect=speaker.addresses[0], topics=topics, **options)
        speaker.wait_for_peers(timeout=LONG)
        return speaker, listener

    return linked


def heard(speaker, listener, topics):
    """Which of these topics get through; the last one does."""
    for topic in topics:
        speaker.publish(topic, None)
    found = []
    while not found or found[-1] != topics[-1]:
        found.append(listener.recv(timeout=LONG).topic)
    return found[:-1]


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("px.a", ["px.a"], ["px.ab", "px.a.b", "px", "px.A"]),
        ("px.*", ["px.a", "px.ab"], ["px", "px.a.b", "pxa", "pxa.b"]),
        ("px.#", ["px", "px.a", "px.a.b"], ["pxa", "p", "pxa.b"]),
        ("#", ["px", "a.b.c", "ü"], []),
        ("*.b", ["a.b", "ü.b"], ["b", "a.b.c", "a.bb"]),
        ("a.#.z", ["a.z", "a.b.z", "a.b.c.z"], ["a", "a.zz", "a.z.b"]),
        ("orders.<region>.#", ["orders.eu", "orders.eu.x"], ["orders", "ordersx.eu"]),
    ],
)
def test_a_pattern_is_words(linked, pattern, wanted, unwanted):
    speaker, listener = linked([pattern, "the.end"])
    speaker.wait_for_subscribers("the.end", timeout=LONG)
    assert heard(speaker, listener, [*unwanted, *wanted, "the.end"]) == wanted


def test_bytes_are_a_prefix(linked):
    speaker, listener = linked([b"px.a", "the.end"])
    speaker.wait_for_subscribers("the.end", timeout=LONG)
    assert heard(speaker, listener, ["px", "px.a", "px.ab", "px.a.b", "px.b", "the.end"]) == ["px.a", "px.ab", "px.a.b"]


def test_what_the_prefix_let_through_and_no_pattern_wants_is_counted(linked):
    speaker, listener = linked("px.a")
    speaker.wait_for_subscribers("px.a", timeout=LONG)
    assert heard(speaker, listener, ["px.ab", "px.abc", "px.a"]) == []
    assert listener.statistics().unmatched == 2
    assert listener.statistics().received == 1


def test_overlapping_patterns_deliver_once(linked):
    speaker, listener = linked(["a.#", "a.b", b"a", "#"])
    speaker.wait_for_subscribers("c", timeout=LONG)
    assert heard(speaker, listener, ["a.b", "a.b", "c"]) == ["a.b", "a.b"]


def test_subscribe_and_unsubscribe_while_open(linked):
    speaker, listener = linked("the.end")
    listener.subscribe("a", b"b")
    for topic in ("the.end", "a", "b"):
        speaker.wait_for_subscribers(topic, timeout=LONG)
    assert heard(speaker, listener, ["a", "bb", "c", "the.end"]) == ["a", "bb"]
    listener.unsubscribe("a")
    assert heard(speaker, listener, ["a", "bb", "c", "the.end"]) == ["bb"]
    listener.unsubscribe(b"b")
    with pytest.raises(zbus.TimeoutExpired):
        until(lambda: not gevent.idle() and speaker.wait_for_subscribers("b", timeout=0))
    assert heard(speaker, listener, ["a", "bb", "c", "the.end"]) == []


def test_what_was_subscribed_twice_is_given_up_twice(linked):
    speaker, listener = linked(["a", "the.end"])
    listener.subscribe("a")
    listener.unsubscribe("a")
    assert heard(speaker, listener, ["a", "the.end"]) == ["a"]
    listener.unsubscribe("a")
    assert heard(speaker, listener, ["a", "the.end"]) == []
    for topic in ("a", b"the.end", "other"):
        with pytest.raises(ValueError, match="not subscribed"):
            listener.unsubscribe(topic)


def test_recv_without_a_subscription_is_an_error(make, inproc_address):
    listener = make(zbus.Subscriber, bind=inproc_address)
    with pytest.raises(ValueError, match="subscribe"):
        listener.recv(timeout=0)
    with pytest.raises(ValueError, match="subscribe"):
        iter(listener)
    listener.subscribe("a")
    with pytest.raises(zbus.TimeoutExpired):
        listener.recv(timeout=0)


@pytest.mark.parametrize("wrong", [["a", 5], 5, [None], ["a", ""], "<1>", "<a>.<a>", "x" * 256, "a\0"])
def test_what_is_no_topic_is_refused(make, inproc_address, wrong):
    with pytest.raises((TypeError, ValueError)):
        zbus.Subscriber(bind=inproc_address, topics=wrong)
    listener = make(zbus.Subscriber, bind=inproc_address, topics="fine")
    if not isinstance(wrong, int):
        with pytest.raises((TypeError, ValueError)):
            listener.subscribe(*([wrong] if isinstance(wrong, str) else wrong))
    listener.close()


@pytest.mark.parametrize("topic", ["", "*", "a.#", "a.*.b", "<region>", "a\0b", "x" * 256, 5, None, b"a", ["a"]])
def test_publish_refuses_what_is_no_topic(make, inproc_address, topic):
    speaker = make(zbus.Publisher, bind=inproc_address)
    with pytest.raises((TypeError, ValueError)):
        speaker.publish(topic, 1)
    with pytest.raises((TypeError, ValueError)):
        speaker.wait_for_subscribers(topic, timeout=0)
    assert speaker.statistics().sent == 0


@pytest.mark.parametrize("binds", ["publisher", "subscriber"])
@pytest.mark.parametrize("first", ["publisher", "subscriber"])
def test_nothing_is_missed_after_wait_for_subscribers(make, address, tmp_path, binds, first):
    if address.startswith("tcp") and first != binds:
        with zbus.Pull(bind=address) as taken:
            address = taken.addresses[0]
    wheres = {"publisher": "bind", "subscriber": "connect"}
    if binds == "subscriber":
        wheres = {"publisher": "connect", "subscriber": "bind"}
    made = {"publisher": (zbus.Publisher, {}), "subscriber": (zbus.Subscriber, {"topics": "a.#"})}
    ends = {}
    for who in sorted(made, key=lambda who: who != first):
        constructor, options = made[who]
        ends[who] = make(constructor, **{wheres[who]: address}, **options)
        address = ends[who].addresses[0]
    ends["publisher"].wait_for_subscribers("a.b", timeout=LONG)
    for number in range(100):
        ends["publisher"].publish("a.b", number)
    assert [ends["subscriber"].recv(timeout=LONG).body for _ in range(100)] == list(range(100))


def test_wait_for_subscribers_counts_those_whose_prefix_covers_the_topic(linked, make):
    speaker, _ = linked(["a.b", "a.#"])
    speaker.wait_for_subscribers("a.b", 2, timeout=LONG)
    speaker.wait_for_subscribers("a.x", 1, timeout=LONG)
    for topic, count in (("a.b", 3), ("a.x", 2), ("b", 1)):
        with pytest.raises(zbus.TimeoutExpired, match=f"{count} subscriptions to '{topic}'"):
            speaker.wait_for_subscribers(topic, count, timeout=0)
    more = make(zbus.Subscriber, connect=speaker.addresses[0], topics="a.b")
    speaker.wait_for_subscribers("a.b", 3, timeout=LONG)
    more.close()
    until(lambda: speaker.peers == 1)

    def left():
        try:
            speaker.wait_for_subscribers("a.b", 3, timeout=0)
        except zbus.TimeoutExpired:
            return True

    until(left)
    speaker.wait_for_subscribers("a.b", 2, timeout=0)


def test_who_asks_twice_is_counted_once_and_gone_when_he_leaves(linked):
    speaker, listener = linked(["a", "the.end"])
    speaker.wait_for_subscribers("a", timeout=LONG)
    listener.subscribe("a", b"a", "a.#", "the.end.too")
    speaker.wait_for_subscribers("the.end.too", 2, timeout=LONG)
    with pytest.raises(zbus.TimeoutExpired, match="there are 1"):
        speaker.wait_for_subscribers("a", 2, timeout=0)
    listener.unsubscribe("a", "a", b"a", "the.end.too")
    listener.subscribe("last")
    speaker.wait_for_subscribers("last", timeout=LONG)
    speaker.wait_for_subscribers("a", 1, timeout=0)
    listener.close()
    until(lambda: speaker.peers == 0)

    def nobody():
        try:
            speaker.wait_for_subscribers("a", timeout=0)
        except zbus.TimeoutExpired:
            return True

    until(nobody)


def test_a_subscriber_that_binds_is_counted_while_he_is_there_and_once(make, address):
    listener = make(zbus.Subscriber, bind=address, topics="a")
    where = listener.addresses[0]
    speaker = make(zbus.Publisher, connect=where)

    def nobody():
        try:
            speaker.wait_for_subscribers("a", timeout=0)
        except zbus.TimeoutExpired:
            return True

    for _ in range(3):
        speaker.wait_for_subscribers("a", timeout=LONG)
        with pytest.raises(zbus.TimeoutExpired, match="there are 1"):
            speaker.wait_for_subscribers("a", 2, timeout=0)
        listener.close()
        until(nobody)
        listener = make(zbus.Subscriber, bind=where, topics="a")


def test_a_subscriber_hears_all_of_its_publishers(make, address, inproc_address):
    inproc_address += ".other"
    speakers = [make(zbus.Publisher, bind=where) for where in (address, inproc_address)]
    listener = make(zbus.Subscriber, connect=[speaker.addresses[0] for speaker in speakers], topics="10001")
    for speaker in speakers:
        speaker.wait_for_subscribers("10001", timeout=LONG)
        for number in range(50):
            speaker.publish("10001", number)
            speaker.publish("10002", number)
    got = [listener.recv(timeout=LONG).body for _ in range(100)]
    assert sorted(got) == sorted([*range(50)] * 2)


def test_batches_keep_order_within_a_topic(linked):
    speaker, listener = linked("#", publisher={"batch": zbus.Batch(messages=4, seconds=60.0)})
    speaker.wait_for_subscribers("a", timeout=LONG)
    for number in range(10):
        speaker.publish("a", number)
        if number < 3:
            speaker.publish("b", number, headers={"n": 1})
    assert speaker.statistics().waiting == 2 + 3
    speaker.flush(timeout=LONG)
    got = [listener.recv(timeout=LONG) for _ in range(13)]
    assert [m.body for m in got if m.topic == "a"] == list(range(10))
    assert [(m.body, dict(m.headers)) for m in got if m.topic == "b"] == [(n, {"n": 1}) for n in range(3)]
    assert [m.topic for m in got[8:]] == ["b", "b", "b", "a", "a"]  # in the order of their first messages
    assert speaker.statistics().sent == listener.statistics().received == 13
    speaker.publish("a", "at close")
    speaker.close()
    assert listener.recv(timeout=LONG).body == "at close"


def test_only_what_it_can_do_is_there():
    assert not hasattr(zbus.Publisher, "recv")
    assert not hasattr(zbus.Publisher, "send")
    assert not hasattr(zbus.Subscriber, "publish")


def test_more_subscriptions_than_a_queue_holds_all_arrive(make, address):
    """libzmq drops those beyond the high-water mark of the subscriber, without a word."""
    topics = [f"t.{number}.#" for number in range(3000)]
    publisher = make(zbus.Publisher, bind=address)
    subscriber = make(zbus.Subscriber, connect=publisher.addresses, topics=topics[:1500])
    subscriber.subscribe(*topics[1500:])
    until(lambda: len(publisher._audience) == 3000)
