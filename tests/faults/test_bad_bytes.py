"""What is no ZMTP at all, and frames beyond the limit: rows IN-1 and ME-1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from time import monotonic
from typing import Any

import gevent
import pytest
import zmq
from faults.blobs import blobs, blurt
from faults.foreign import address_of, foreign
from faults.places import ENCRYPTED, PLACES, Place
from waiting import until

import zbus
from zbus import EndpointEvent, MessageTooLarge, Publisher, Pull, Push, Replier, Requester, Subscriber, TimeoutExpired

TCP = "tcp://127.0.0.1:*"


@pytest.fixture(params=[*PLACES, *ENCRYPTED])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Somewhere that strangers can reach, with an honest peer there."""
    with ExitStack() as stack:
        yield {**PLACES, **ENCRYPTED}[request.param](stack)


@pytest.mark.parametrize("random", [30, pytest.param(1000, marks=pytest.mark.soak)])
def test_bytes_that_are_no_zmtp_reach_nobody_and_disturb_nobody(
    random: int, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Row IN-1, at each kind of endpoint and both sides of each device."""
    assert place.exchange("before") == "before"
    before = place.came()
    assert place.exchange("again") == "again"
    usual = place.came() - before
    until(lambda: place.peers() == 1)
    late: list[float] = []
    over: list[bool] = []

    def talk() -> None:
        for number in count():
            if over and number > 20:
                return
            began = monotonic()
            assert place.exchange(number) == number
            late.append(monotonic() - began)
            gevent.sleep(0.005)

    before, began = place.came(), monotonic()
    talking = gevent.spawn(talk)
    blurt(place.address, blobs(random))
    over.append(True)
    talking.get(timeout=10)
    seconds = monotonic() - began
    print(f"{random} random blobs: {len(late)} exchanges, the slowest {max(late):.3f} s")
    assert sorted(late)[len(late) * 99 // 100] < 0.25 or random < 1000
    assert place.exchange("after") == "after"
    assert place.peers() == 1
    assert place.came() - before == usual * (len(late) + 1)
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) <= seconds + 1


# -- too much --------------------------------------------------------------------------------------


def test_a_frame_over_the_limit_cuts_off_its_sender_and_nobody_else() -> None:
    """Row ME-1."""
    events: list[EndpointEvent] = []
    with (
        Pull(bind=TCP, max_message_bytes=1000, on_event=events.append) as pull,
        Push(connect=pull.addresses[0]) as honest,
        foreign(zmq.PUSH, connect=pull.addresses[0]) as liar,
    ):
        pull.wait_for_peers(2, timeout=5)
        liar.send(bytes(1001))
        until(lambda: "disconnected" in [event.kind for event in events])
        honest.send("good", timeout=5)
        assert pull.recv(timeout=5).body == "good"
        pull.wait_for_peers(2, timeout=5)
        liar.send(b"\xa4back")
        assert pull.recv(timeout=5).body == "back"
        assert [event.kind for event in events].count("disconnected") == 1
        assert pull.statistics().received == 2


def test_a_request_over_the_limit_cuts_off_its_sender_and_nobody_else() -> None:
    with (
        Replier(lambda message: message.body, bind=TCP, max_message_bytes=1000) as server,
        Requester(connect=server.addresses[0], max_message_bytes=1000) as honest,
        foreign(zmq.DEALER, connect=server.addresses[0]) as liar,
    ):
        assert honest.request("before", timeout=5) == "before"
        server.wait_for_peers(2, timeout=5)
        liar.send_multipart([b"", bytes(5000)])
        until(lambda: server.peers == 1)
        assert honest.request("after", timeout=5) == "after"
        assert honest.statistics().retried == 0
        with pytest.raises(MessageTooLarge):
            honest.request(bytes(1000), timeout=5)


def test_who_cuts_off_the_sender_that_he_connects_to_comes_back_by_himself() -> None:
    events: list[EndpointEvent] = []
    with (
        foreign(zmq.PUSH, bind=TCP) as liar,
        Pull(connect=address_of(liar), max_message_bytes=1000, on_event=events.append) as pull,
    ):
        for _ in range(2):
            pull.wait_for_peers(timeout=5)
            liar.send(b"\xa4good")
            assert pull.recv(timeout=5).body == "good"
            liar.send(bytes(1001))
            until(lambda: pull.peers == 0)
        until(lambda: [event.kind for event in events] == ["connected", "disconnected"] * 2 + ["connected"])


def test_a_subscriber_keeps_its_subscriptions_when_it_cut_off_a_publisher() -> None:
    with (
        Publisher(bind=TCP) as publisher,
        Subscriber(connect=publisher.addresses[0], topics="a", max_message_bytes=1000) as subscriber,
    ):
        publisher.wait_for_subscribers("a", timeout=5)
        publisher.publish("a", bytes(1000))
        until(lambda: subscriber.peers == 0)
        until(lambda: hears(subscriber, publisher))  # the publisher may count the connection that is over for a moment


def hears(subscriber: Subscriber, publisher: Publisher) -> bool:
    """Does what is published now arrive?"""
    publisher.publish("a", "good")
    try:
        return subscriber.recv(timeout=0.01).body == "good"
    except TimeoutExpired:
        return False


LARGE = bytes(2**20)
VERBS: dict[str, Callable[[Any], object]] = {
    "Pair": lambda pair: pair.send(LARGE, timeout=5),
    "Push": lambda push: push.send(LARGE, timeout=5),
    "Publisher": lambda publisher: publisher.publish("a", LARGE),
    "Requester": lambda requester: requester.request(LARGE, timeout=5),
}


@pytest.mark.parametrize("kind", VERBS)
def test_a_sender_over_its_own_limit_is_told_before_anything_is_sent(kind: str) -> None:
    """Row ME-1, for all that send; nobody needs to be there."""
    with getattr(zbus, kind)(bind=TCP) as sender:
        with pytest.raises(MessageTooLarge, match="max_message_bytes"):
            VERBS[kind](sender)
        assert sender.statistics().sent == 0


def test_a_frame_at_the_limit_passes() -> None:
    with Pull(bind=TCP, codec="raw", max_message_bytes=1000) as pull, foreign(zmq.PUSH) as peer:
        peer.connect(pull.addresses[0])
        peer.send(bytes(1000))
        assert pull.recv(timeout=5).body == bytes(1000)
