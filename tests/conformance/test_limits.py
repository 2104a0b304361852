"""Every limit is there, with the default that is written down, on the sockets themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import zmq

from zbus import Bus, Pair, Publisher, Pull, Push, Replier, Requester, Subscriber
from zbus.patterns.endpoint import Endpoint
from zbus.wire import bounds, message, topic
from zbus.wire.memory import Memory

TCP = "tcp://127.0.0.1:*"
KINDS: dict[str, Callable[..., Endpoint]] = {
    "Pair": Pair,
    "Push": Push,
    "Pull": Pull,
    "Publisher": Publisher,
    "Subscriber": lambda **options: Subscriber(topics="#", **options),
    "Requester": Requester,
    "Replier": lambda **options: Replier(lambda message: None, **options),
}


@pytest.fixture(params=KINDS)
def socket(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """The socket of an endpoint of each kind, with the options as they are if nobody says otherwise."""
    with closing(KINDS[request.param](bind=TCP)) as endpoint:
        endpoint.start()
        yield request.param, endpoint._port.socket


def test_a_socket_has_the_limits_of_the_table(socket: tuple[str, Any]) -> None:
    kind, one = socket
    assert one.get(zmq.MAXMSGSIZE) == 2**20
    assert one.get(zmq.HANDSHAKE_IVL) == 5000
    assert one.get(zmq.LINGER) == 1000
    assert 50 <= one.get(zmq.RECONNECT_IVL) <= 150
    assert one.get(zmq.RECONNECT_IVL_MAX) == 1000
    assert one.get(zmq.TCP_KEEPALIVE) == 1
    assert one.get(zmq.TCP_KEEPALIVE_IDLE) == 2
    assert one.get(zmq.IMMEDIATE) == (kind == "Publisher")
    pings = (500, 6300) if kind == "Requester" else (0, -1)
    assert (one.get(zmq.HEARTBEAT_IVL), one.get(zmq.HEARTBEAT_TIMEOUT)) == pings


def test_high_water_marks_are_a_thousand_messages_but_for_what_must_not_be_lost(socket: tuple[str, Any]) -> None:
    kind, one = socket
    out, come = {"Replier": (10_000, 1000), "Requester": (1000, 0), "Subscriber": (0, 1000)}.get(kind, (1000, 1000))
    assert (one.get(zmq.SNDHWM), one.get(zmq.RCVHWM)) == (out, come)


def test_the_wire_has_the_limits_of_the_table() -> None:
    assert (bounds.MAX_ITEMS, message.MAX_FRAMES) == (131_072, 8)
    assert (message.MAX_HEADER_BYTES, topic.MAX_TOPIC_BYTES) == (4096, 255)


def test_time_has_the_limits_of_the_table() -> None:
    assert inspect.signature(Requester.request).parameters["timeout"].default == 10.0
    assert inspect.signature(Replier.stop).parameters["timeout"].default == 10.0
    assert inspect.signature(Bus.stop).parameters["timeout"].default == 10.0


def test_a_servers_memory_has_the_limits_of_the_table() -> None:
    limits = inspect.signature(Memory).parameters
    assert (limits["calls"].default, limits["seconds"].default, limits["size"].default) == (10_000, 120.0, 64 * 2**20)
