"""The table of endpoints that the conformance checks run over: how each is made, what it can do, how a message moves.

A check asks for `kind` (one endpoint by itself), `row` (two ends that talk) or `ends` (the same, made and connected,
over every transport), and makes endpoints by `make`, which closes them when the check is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import pytest

import zbus
from zbus.patterns.endpoint import Endpoint

#: Seconds that nothing here takes, however slow the machine: a bound on a failure, not a measure.
LONG = 5.0


def echo(message: zbus.Message) -> Any:
    return message.body


@dataclass(frozen=True)
class Kind:
    """One class: how to make it, and the verbs that only it has, as calls that would succeed or wait."""

    name: str
    make: Callable[..., Any]
    verbs: dict[str, Callable[[Any], object]]
    waits: dict[str, Callable[[Any], object]]


COMMON = {
    "start": lambda e: e.start(),
    "with": lambda e: e.__enter__(),
    "addresses": lambda e: e.addresses,
    "peers": lambda e: e.peers,
    "wait_for_peers": lambda e: e.wait_for_peers(timeout=LONG),
    "connect": lambda e: e.connect("inproc://elsewhere"),
    "disconnect": lambda e: e.disconnect("inproc://elsewhere"),
}
WAIT_FOR_PEERS = {"wait_for_peers": lambda e: e.wait_for_peers(timeout=LONG)}
RECEIVES = {"recv": lambda e: e.recv(timeout=LONG), "iter": lambda e: iter(e)}
SENDS = {"send": lambda e: e.send(1, timeout=LONG)}


def subscriber(**options: Any) -> zbus.Subscriber:
    return zbus.Subscriber(topics="#", **options)


def replier(**options: Any) -> zbus.Replier:
    return zbus.Replier(echo, **options)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Pair", zbus.Pair, {**SENDS, **RECEIVES}, {**SENDS, "recv": RECEIVES["recv"]}),
        Kind("Push", zbus.Push, {**SENDS, "flush": lambda e: e.flush()}, SENDS),
        Kind("Pull", zbus.Pull, RECEIVES, {"recv": RECEIVES["recv"]}),
        Kind(
            "Publisher",
            zbus.Publisher,
            {
                "publish": lambda e: e.publish("a", 1),
                "flush": lambda e: e.flush(),
                "wait_for_subscribers": lambda e: e.wait_for_subscribers("a", timeout=LONG),
            },
            {"wait_for_subscribers": lambda e: e.wait_for_subscribers("a", timeout=LONG)},
        ),
        Kind(
            "Subscriber",
            subscriber,
            {
                **RECEIVES,
                "subscribe": lambda e: e.subscribe("b"),
                "unsubscribe": lambda e: e.unsubscribe("#"),
            },
            {"recv": RECEIVES["recv"]},
        ),
        Kind("Requester", zbus.Requester, *[{"request": lambda e: e.request(1, timeout=LONG)}] * 2),
        Kind("Replier", replier, {"run": lambda e: e.run()}, {}),
    )
}


@dataclass(frozen=True)
class Row:
    """Two ends that talk: `send` gives a body to the first, `receive` gets it at the second."""

    name: str
    first: Callable[..., Any]
    second: Callable[..., Any]
    ready: Callable[[Any, Any], object]
    move: Callable[[Any, Any, Any], Any]


def _both_there(first: Endpoint, second: Endpoint) -> None:
    second.start()
    first.wait_for_peers(timeout=LONG)
    second.wait_for_peers(timeout=LONG)


def _subscribed(first: zbus.Publisher, second: zbus.Subscriber) -> None:
    first.start()
    _both_there(first, second)
    first.wait_for_subscribers("a", timeout=LONG)


def _send(first: Any, second: Any, body: Any) -> Any:
    first.send(body, timeout=LONG)
    return second.recv(timeout=LONG).body


def _publish(first: zbus.Publisher, second: zbus.Subscriber, body: Any) -> Any:
    first.publish("a", body)
    return second.recv(timeout=LONG).body


def _request(first: zbus.Requester, second: zbus.Replier, body: Any) -> Any:
    return first.request(body, timeout=LONG)


ROWS = {
    row.name: row
    for row in (
        Row("pair", zbus.Pair, zbus.Pair, _both_there, _send),
        Row("push-pull", zbus.Push, zbus.Pull, _both_there, _send),
        Row("publish-subscribe", zbus.Publisher, subscriber, _subscribed, _publish),
        Row("request-reply", zbus.Requester, replier, _both_there, _request),
    )
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes endpoints that come back quickly after a loss, and closes them in the end."""
    made: list[Endpoint] = []

    def make(constructor: Callable[..., Any], **options: Any) -> Any:
        endpoint = constructor(**{"reconnect": (0.01, 0.05), "linger": 0.2, **options})
        made.append(endpoint)
        return endpoint

    yield make
    for endpoint in sorted(made, key=lambda endpoint: bool(endpoint._bind)):
        endpoint.close()  # who connects first: an inproc connection that lost its other end stays for the linger


@pytest.fixture(params=["first binds", "second binds"])
def ends(request: pytest.FixtureRequest, row: Row, address: str, make: Callable[..., Any]) -> tuple[Any, Any]:
    """Both ends of a row, connected, whichever of them binds."""
    if request.param == "first binds":
        first = make(row.first, bind=address)
        second = make(row.second, connect=first.addresses[0])
    else:
        second = make(row.second, bind=address)
        first = make(row.first, connect=second.addresses[0])
    row.ready(first, second)
    return first, second


@pytest.fixture
def outcome() -> Callable[[Callable[[], Any]], gevent.Greenlet]:
    """Runs a call in a greenlet whose value is what the call returned or raised; returns once it has begun to wait."""

    def attempt(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            return error

    def outcome(call: Callable[[], Any]) -> gevent.Greenlet:
        greenlet = gevent.spawn(attempt, call)
        gevent.idle()
        return greenlet

    return outcome


@pytest.fixture
def rows() -> dict[str, Row]:
    """The table, for checks of what differs between its rows."""
    return ROWS
