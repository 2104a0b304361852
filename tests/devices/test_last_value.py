"""A forwarder that answers late subscribers."""

from __future__ import annotations

import pytest

import zbus
from zbus import devices

LONG = 5.0
TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def forwarder(make, two):
    return make(devices.forwarder, *two, last_value=True)


@pytest.fixture
def early(make, forwarder):
    return make(zbus.Subscriber, connect=forwarder.backend.addresses, topics="#")


@pytest.mark.parametrize("numbered", [{}, {"sequenced": True}, {"last_value": True}])
def test_who_subscribes_late_gets_the_newest_of_each_topic(make, forwarder, early, numbered):
    publisher = make(zbus.Publisher, connect=forwarder.frontend.addresses, **numbered)
    publisher.wait_for_subscribers("a", timeout=LONG)
    for topic, value in (("a.x", 1), ("b", 2), ("a.x", 3), ("a.y", 4)):
        publisher.publish(topic, value)
    assert [early.recv(timeout=LONG).body for _ in range(4)] == [1, 2, 3, 4]
    late = make(zbus.Subscriber, connect=forwarder.backend.addresses, topics="a.#")
    heard = [late.recv(timeout=LONG) for _ in range(2)]
    assert {message.topic: message.body for message in heard} == {"a.x": 3, "a.y": 4}
    assert all(message.headers["retained"] for message in heard)
    publisher.publish("a.x", 5)
    message = late.recv(timeout=LONG)
    assert (message.body, message.headers.get("retained")) == (5, None)


def test_those_who_know_it_by_its_number_do_not_hear_it_again(make, forwarder, early):
    publisher = make(zbus.Publisher, connect=forwarder.frontend.addresses, sequenced=True)
    publisher.wait_for_subscribers("a", timeout=LONG)
    publisher.publish("a", 1)
    assert early.recv(timeout=LONG).body == 1
    late = make(zbus.Subscriber, connect=forwarder.backend.addresses, topics="a")
    assert late.recv(timeout=LONG).body == 1
    publisher.publish("a", 2)
    assert early.recv(timeout=LONG).body == 2
    assert early.statistics().repeated == 1
    assert early.statistics().missed == 0


def test_a_subscriber_of_the_same_topic_gets_it_too(make, forwarder, early):
    """An XPUB tells only of the first subscription to a topic, unless it is asked for all."""
    publisher = make(zbus.Publisher, connect=forwarder.frontend.addresses)
    publisher.wait_for_subscribers("a", timeout=LONG)
    publisher.publish("a", 1)
    assert early.recv(timeout=LONG).body == 1
    for _ in range(2):
        assert make(zbus.Subscriber, connect=forwarder.backend.addresses, topics="#").recv(timeout=LONG).body == 1


def test_elsewhere_than_in_greenlets_it_is_unsupported():
    for runs_in in ("thread", "process"):
        with pytest.raises(zbus.Unsupported, match=r"last_value.*greenlet"):
            devices.forwarder(TCP, TCP, last_value=True, runs_in=runs_in)
