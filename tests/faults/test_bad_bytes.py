"""What is no ZMTP at all, and frames beyond the limit."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any

import gevent
import pytest
import zmq
from faults.foreign import address_of, foreign
from gevent.socket import wait_read
from waiting import until

from zbus import EndpointEvent, MessageTooLarge, Pair, Publisher, Pull, Push, Replier, Requester, Subscriber

TCP = "tcp://127.0.0.1:*"
RANDOM = random.Random(1)
BLOBS = {
    "an HTTP GET": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nX-Long: " + b"a" * 500 + b"\r\n\r\n",
    "an HTTP POST": b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n\x01\x00\x02\x00\x2a",
    "a message of ZMTP 1.0": b"\x01\x00\x02\x00\x2a",
    "a subscription of ZMTP 1.0": b"\x01\x00\x02\x00\x01",
    "a greeting of ZMTP 2.0": b"\xff" + bytes(8) + b"\x7f\x01\x08\x00\x00\x00\x02\x2a\x2a",
    "half a greeting of ZMTP 3": b"\xff" + bytes(8) + b"\x7f\x03",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "an SSH banner": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
    "NULs": bytes(600),
    **{f"random bytes {number}": RANDOM.randbytes(300) for number in range(20)},
}

KINDS: dict[str, Callable[[], Any]] = {
    "Pair": lambda: Pair(bind=TCP),
    "Push": lambda: Push(bind=TCP),
    "Pull": lambda: Pull(bind=TCP),
    "Publisher": lambda: Publisher(bind=TCP),
    "Subscriber": lambda: Subscriber(bind=TCP, topics="#"),
    "Replier": lambda: Replier(lambda message: message.body, bind=TCP),
    "Requester": lambda: Requester(bind=TCP),
}

#: For each kind an exchange with a good peer.
EXCHANGES: dict[str, Callable[[Any, str], object]] = {}


def exchange(test: Callable[[Any, str], object]) -> Callable[[Any, str], object]:
    EXCHANGES[test.__name__.title()] = test
    return test


@exchange
def pair(one: Pair, address: str) -> object:
    with Pair(connect=address) as other:
        other.send("good", timeout=5)
        return one.recv(timeout=5).body


@exchange
def push(one: Push, address: str) -> object:
    with Pull(connect=address) as other:
        one.send("good", timeout=5)
        return other.recv(timeout=5).body


@exchange
def pull(one: Pull, address: str) -> object:
    with Push(connect=address) as other:
        other.send("good", timeout=5)
        return one.recv(timeout=5).body


@exchange
def publisher(one: Publisher, address: str) -> object:
    with Subscriber(connect=address, topics="a") as other:
        one.wait_for_subscribers("a", timeout=5)
        one.publish("a", "good")
        return other.recv(timeout=5).body


@exchange
def subscriber(one: Subscriber, address: str) -> object:
    with Publisher(connect=address) as other:
        other.wait_for_subscribers("a", timeout=5)
        other.publish("a", "good")
        return one.recv(timeout=5).body


@exchange
def replier(one: Replier, address: str) -> object:
    with Requester(connect=address) as other:
        return other.request("good", timeout=5)


@exchange
def requester(one: Requester, address: str) -> object:
    with closing(Replier(lambda message: message.body, connect=address)) as other:
        other.start()
        return one.request("good", timeout=5)


def blurt(address: str) -> None:
    """Say each blob over a TCP connection of its own, all at once; return when the other side has hung up on each."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with ExitStack() as stack:
        connections = []
        for blob in BLOBS.values():
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            connections.append(connection)
            connection.setblocking(False)
            with suppress(OSError):  # it may have hung up before it heard all
                connection.send(blob)
                connection.shutdown(socket.SHUT_WR)
        for connection in connections:
            with suppress(ConnectionError):
                while True:
                    wait_read(connection.fileno(), 5, TimeoutError("still connected"))
                    if not connection.recv(4096):
                        break


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_no_zmtp_change_nothing(kind: str) -> None:
    with KINDS[kind]() as endpoint:
        address = endpoint.addresses[0]
        blurt(address)
        assert EXCHANGES[kind](endpoint, address) == "good"
        statistics = endpoint.statistics()
        assert (statistics.malformed, statistics.expired, statistics.late) == (0, 0, 0)
        assert statistics.sent + statistics.received in (1, 2)
        until(lambda: endpoint.peers == 0)


def test_a_client_in_the_middle_of_calls_does_not_notice() -> None:
    with (
        Replier(lambda message: message.body, bind=TCP) as server,
        Requester(connect=server.addresses[0]) as client,
    ):
        calls = gevent.spawn(lambda: [client.request(number, timeout=5) for number in range(200)])
        blurt(server.addresses[0])
        assert calls.get(timeout=10) == list(range(200))


# -- too much --------------------------------------------------------------------------------------


def test_a_frame_over_the_limit_cuts_off_its_sender_and_nobody_else() -> None:
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
        subscriber.wait_for_peers(timeout=5)
        publisher.wait_for_subscribers("a", timeout=5)
        publisher.publish("a", "good")
        assert subscriber.recv(timeout=5).body == "good"


def test_a_frame_at_the_limit_passes() -> None:
    with Pull(bind=TCP, codec="raw", max_message_bytes=1000) as pull, foreign(zmq.PUSH) as peer:
        peer.connect(pull.addresses[0])
        peer.send(bytes(1000))
        assert pull.recv(timeout=5).body == bytes(1000)
