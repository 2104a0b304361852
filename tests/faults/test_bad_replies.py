"""Replies that answer nothing, or cannot be read: row IN-2, for who asks."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import gevent
import msgpack
import pytest
import zmq
from faults.corpus import BODIES, GOOD, HEADERS, NESTED, STRAY, ZBUS, warnings_in
from faults.foreign import address_of, foreign, heard
from waiting import until

from zbus import (
    ProtocolError,
    RemoteError,
    Requester,
    TimeoutExpired,
)

TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def asked() -> Iterator[tuple[Requester, zmq.Socket]]:
    """A client, and the plain ROUTER that it asks."""
    with foreign(zmq.ROUTER, bind=TCP) as server, Requester(connect=address_of(server)) as requester:
        yield requester, server


def test_a_requester_counts_replies_that_it_cannot_place_and_gets_its_own(
    asked: tuple[Requester, zmq.Socket], caplog: pytest.LogCaptureFixture
) -> None:
    requester, server = asked
    for count, (name, frames) in enumerate(STRAY.items(), 1):
        call = gevent.spawn(requester.request, name, timeout=5)
        identity, correlation, delimiter, body = heard(server)
        server.send_multipart([identity, *frames])
        server.send_multipart([identity, correlation, delimiter, body])
        assert call.get(timeout=5) == name
        assert requester.statistics().malformed == count, name
    assert requester.statistics().late == 0
    assert len(warnings_in(caplog)) == 1


def test_replies_to_unknown_and_to_answered_calls_are_late(asked: tuple[Requester, zmq.Socket]) -> None:
    requester, server = asked
    call = gevent.spawn(requester.request, 1, timeout=5)
    identity, correlation, delimiter, body = heard(server)
    server.send_multipart([identity, ZBUS, b"", GOOD])
    server.send_multipart([identity, correlation, delimiter, body])
    server.send_multipart([identity, correlation, delimiter, GOOD])
    assert call.get(timeout=5) == 1
    until(lambda: requester.statistics().late == 2)
    assert requester.statistics().malformed == 0


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_reply_that_cannot_be_read_is_a_protocol_error_to_its_caller_only(
    attempts: int, asked: tuple[Requester, zmq.Socket], caplog: pytest.LogCaptureFixture
) -> None:
    requester, server = asked
    bad = [[body] for body in BODIES.values()] + [[GOOD, headers] for headers in HEADERS.values()] + [[b"\x01\x02"]]
    for count, frames in enumerate(bad, 1):
        other = gevent.spawn(requester.request, "other", timeout=5)
        others = heard(server)
        call = gevent.spawn(requester.request, "mine", timeout=5, attempts=attempts)
        identity, correlation, delimiter, _ = heard(server)
        server.send_multipart([identity, correlation, delimiter, *frames])
        with pytest.raises(ProtocolError):
            call.get(timeout=5)
        assert requester.statistics().malformed == count, frames[-1][:20]
        server.send_multipart(others)
        assert other.get(timeout=5) == "other"
    assert requester.statistics().waiting == 0
    assert len(warnings_in(caplog)) == 1


def test_an_error_nested_as_deep_as_can_be_read_is_an_error_of_the_other_side(
    asked: tuple[Requester, zmq.Socket],
) -> None:
    requester, server = asked
    call = gevent.spawn(requester.request, "x", timeout=5)
    server.send_multipart([*heard(server)[:3], b"\xc0", NESTED])
    with pytest.raises(RemoteError) as caught:
        call.get(timeout=5)
    assert (caught.value.type, caught.value.message) == ("X", "")


@pytest.mark.parametrize("error", [{}, {"type": 5, "message": None}, {"type": ["x"], "message": {"a": 1}}])
def test_an_odd_error_is_still_an_error_of_the_other_side(error: object, asked: tuple[Requester, zmq.Socket]) -> None:
    requester, server = asked
    call = gevent.spawn(requester.request, "x", timeout=5)
    identity, correlation, delimiter, _ = heard(server)
    server.send_multipart([identity, correlation, delimiter, b"\xc0", msgpack.packb({"error": error})])
    with pytest.raises(RemoteError) as caught:
        call.get(timeout=5)
    assert (caught.value.type, caught.value.message) == ("Exception", "")


def test_a_server_that_always_refuses_costs_the_deadline_and_no_more(asked: tuple[Requester, zmq.Socket]) -> None:
    requester, server = asked
    refusal = [b"\xc0", msgpack.packb({"error": {"type": "Unavailable", "message": ""}})]
    call = gevent.spawn(requester.request, "x", timeout=0.3)
    server.send_multipart([*heard(server)[:3], *refusal])
    with pytest.raises(TimeoutExpired):
        call.get(timeout=5)
    assert requester.statistics().refused == 1


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_caller_that_was_busy_before_still_has_its_whole_time(
    attempts: int, asked: tuple[Requester, zmq.Socket]
) -> None:
    requester, server = asked

    def call_twice() -> float:
        assert requester.request("first", timeout=5) == "first"
        began = monotonic()
        while monotonic() < began + 0.3:
            continue
        began = monotonic()
        with pytest.raises(TimeoutExpired, match=f"after attempt {attempts} of {attempts}"):
            requester.request("second", timeout=0.2, attempts=attempts)
        return monotonic() - began

    caller = gevent.spawn(call_twice)
    server.send_multipart(heard(server))
    assert caller.get(timeout=5) > 0.19
    assert requester.statistics().sent == 1 + attempts
