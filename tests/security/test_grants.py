"""Row AC-1 at a publisher: whose subscription ended where libzmq does not say, and what puts it out of step."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import zmq
from faults.foreign import foreign
from waiting import LONG, until

import zbus
from zbus.security.keyfile import read_public, read_secret

TCP = "tcp://127.0.0.1:*"
RULES = ("alice allow subscribe #", "* allow subscribe news.#")


@pytest.fixture
def publisher(make, court):
    court.authorise("bob")
    return make(zbus.Publisher, bind=TCP, security=court.server(*RULES))


@pytest.fixture
def listen(make, court, publisher):
    def listen(name, *topics, **options):
        security = court.client(name)
        return make(zbus.Subscriber, connect=publisher.addresses, topics=topics, security=security, **options)

    return listen


@contextmanager
def plain(court, name, kind, publisher):
    """A socket of pyzmq's with the key of somebody who may come in."""
    with foreign(kind) as socket:
        socket.curve_publickey, socket.curve_secretkey = read_secret(court.key(name))
        socket.curve_serverkey = read_public(court.key("server").with_suffix(".pub"))
        socket.reconnect_ivl = 10
        before = publisher.peers
        socket.connect(publisher.addresses[0])
        publisher.wait_for_peers(before + 1, timeout=LONG)
        yield socket


def covers(publisher, topic):
    try:
        publisher.wait_for_subscribers(topic, timeout=0)
    except zbus.TimeoutExpired:
        return False
    return True


def test_one_who_was_denied_and_goes_takes_nobodys_subscription_along(publisher, listen):
    """Row AC-1."""
    hers = listen("alice", "secret.#")
    publisher.wait_for_subscribers("secret.x", timeout=LONG)
    his = listen("bob", "secret.#", "news.#")
    publisher.wait_for_subscribers("news.x", timeout=LONG)
    until(lambda: publisher.statistics().denied == 1)
    his.close()
    until(lambda: not covers(publisher, "news.x"))
    assert covers(publisher, "secret.x")
    hers.close()
    until(lambda: not covers(publisher, "secret.x"))
    assert len(publisher._audience) == 0


def test_of_two_who_were_granted_more_and_less_of_the_same_each_takes_his_own_along(publisher, listen):
    """Row AC-1: the subscription to ``news.#`` is one to ``news`` for her and to ``news.`` for him."""
    hers, his = listen("alice", "news.#"), listen("bob", "news.#")
    publisher.wait_for_subscribers("news.x", 2, timeout=LONG)
    publisher.wait_for_subscribers("news", 1, timeout=LONG)
    hers.close()
    until(lambda: not covers(publisher, "news"))
    assert covers(publisher, "news.x")
    his.close()
    until(lambda: not covers(publisher, "news.x"))


def test_what_is_granted_twice_is_taken_back_once(publisher, listen):
    """Row AC-1."""
    his = listen("bob", "news.#", b"news.")
    publisher.wait_for_subscribers("news.x", 2, timeout=LONG)
    his.unsubscribe("news.#")
    until(lambda: publisher._audience.count(b"news.x") == 1)
    publisher.publish("news.x", 1)
    assert his.recv(timeout=LONG).body == 1
    his.unsubscribe(b"news.")
    until(lambda: not covers(publisher, "news.x"))


def test_one_who_asks_twice_counts_once_and_is_gone_at_once(court, publisher):
    """Row AC-1."""
    with plain(court, "bob", zmq.SUB, publisher) as his:
        for prefix in (b"news.", b"news.", b"news.z"):
            his.subscribe(prefix)
        until(lambda: publisher._audience.count(b"news.z") == 2)
        his.unsubscribe(b"news.z")
        until(lambda: publisher._audience.count(b"news.z") == 1)
    until(lambda: not covers(publisher, "news.z"))


def test_a_message_to_the_publisher_brings_nobody_what_is_anothers(court, publisher, listen):
    """Row AC-1: libzmq would subscribe whoever stands one further back in its queue."""
    with plain(court, "bob", zmq.XSUB, publisher) as first, plain(court, "bob", zmq.XSUB, publisher) as last:
        hers = listen("alice", "begin")
        publisher.wait_for_subscribers("begin", timeout=LONG)
        for number in range(30):
            topic = f"secret.{number:02}"
            first.send(b"\2no subscription")
            hers.subscribe(topic)
            last.send(b"\1news.")
            publisher.wait_for_subscribers(topic, timeout=LONG)
            publisher.publish(topic, number)
            assert hers.recv(timeout=LONG).body == number
            publisher.wait_for_peers(3, timeout=LONG)  # who was cut off is back
        until(lambda: publisher.publish("news.x", 1) or last.poll(0))
        assert last.recv_multipart()[0] == b"news.x"
        assert not first.poll(0)
    assert 0 < publisher.statistics().malformed <= 30
