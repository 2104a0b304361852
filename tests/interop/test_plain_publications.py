"""PUB and SUB with plain peers in other processes."""

from __future__ import annotations

import json

import pytest
from interop.process import plain

from zbus import Batch, Publisher, Subscriber

TCP = "tcp://127.0.0.1:*"
TOPICS = ["px", "pxab", "px.a", "qx", "px.a.b", "px.é", "p", "px.last"]


@pytest.mark.parametrize(
    ("asked", "prefix", "expected"),
    [
        ("px.#", "px", ["px", "px.a", "px.a.b", "px.é", "px.last"]),
        ("px.*", "px.", ["px.a", "px.é", "px.last"]),
        ("px.*.b", "px.", ["px.a.b"]),
        ("#", "", TOPICS),
        (b"px", "px", ["px", "pxab", "px.a", "px.a.b", "px.é", "px.last"]),
        (b"", "", TOPICS),
    ],
)
def test_a_plain_pub_is_heard_by_pattern_and_by_prefix(asked: str | bytes, prefix: str, expected: list[str]) -> None:
    with plain("publish", TCP, prefix, *TOPICS) as peer, Subscriber(connect=peer.line(), topics=asked) as subscriber:
        for topic in expected:
            message = subscriber.recv(timeout=5)
            assert (message.topic, message.body) == (topic, {"topic": topic})
        assert subscriber.statistics().malformed == 0


def test_topics_that_zeromq_lets_through_and_no_pattern_wants_are_counted() -> None:
    with plain("publish", TCP, "px", *TOPICS) as peer, Subscriber(connect=peer.line(), topics="px.#") as subscriber:
        while subscriber.recv(timeout=5).topic != "px.last":
            continue
        assert subscriber.statistics().unmatched == 1


def test_a_subscriber_that_binds_hears_a_plain_pub_that_connects() -> None:
    with Subscriber(bind=TCP, topics="a") as subscriber, plain("publish", subscriber.addresses[0], "a", "b", "a"):
        assert subscriber.recv(timeout=5).topic == "a"


def test_a_plain_sub_hears_two_frames() -> None:
    with Publisher(bind=TCP) as publisher, plain("subscribe", publisher.addresses[0], "px", 2) as peer:
        publisher.wait_for_subscribers("px.a", timeout=5)
        for topic in ("qx", "px.a", "pxab"):
            publisher.publish(topic, {"n": 1})
        peer.line()
        assert [json.loads(peer.line()) for _ in range(2)] == [["px.a", {"n": 1}], ["pxab", {"n": 1}]]


def test_a_plain_sub_hears_numbers_in_a_third_frame_of_a_sequenced_publisher() -> None:
    with Publisher(bind=TCP, sequenced=True) as publisher, plain("subscribe", publisher.addresses[0], "", 3) as peer:
        publisher.wait_for_subscribers("a", timeout=5)
        for topic in ("a", "b", "a"):
            publisher.publish(topic, None)
        peer.line()
        heard = [json.loads(peer.line()) for _ in range(3)]
    publishers = {headers["sequence"][0] for _, _, headers in heard}
    assert [(topic, headers["sequence"][1]) for topic, _, headers in heard] == [("a", 1), ("b", 1), ("a", 2)]
    assert len(publishers) == 1
    assert len(bytes.fromhex(publishers.pop())) == 8
    assert all(list(headers) == ["sequence"] for _, _, headers in heard)


def test_a_plain_sub_hears_the_last_value_when_it_comes_late() -> None:
    with Publisher(bind=TCP, last_value=True) as publisher:
        publisher.publish("a", "old")
        publisher.publish("a", "new")
        with plain("subscribe", publisher.addresses[0], "a", 1) as peer:
            peer.line()
            topic, body, headers = json.loads(peer.line())
    assert (topic, body, headers["sequence"][1], headers["retained"]) == ("a", "new", 2, True)


def test_headers_that_were_asked_for_are_a_third_frame() -> None:
    with Publisher(bind=TCP) as publisher, plain("subscribe", publisher.addresses[0], "", 1) as peer:
        publisher.wait_for_subscribers("a", timeout=5)
        publisher.publish("a", 1, headers={"time": 2})
        peer.line()
        assert json.loads(peer.line()) == ["a", 1, {"time": 2}]


def test_a_batch_is_one_publication_to_a_sub_of_frames() -> None:
    with (
        Publisher(bind=TCP, batch=Batch(messages=2, seconds=5)) as publisher,
        Subscriber(connect=publisher.addresses[0], topics=b"", codec="frames") as subscriber,
    ):
        publisher.wait_for_subscribers("a", timeout=5)
        publisher.publish("a", 1)
        publisher.publish("a", 2)
        assert subscriber.recv(timeout=5).body == [b"a", b"\x01\x02"]
