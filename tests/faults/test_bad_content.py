"""Good ZMTP, bad content: counted, logged once, and nobody else notices. Real sockets, a plain pyzmq peer that lies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic

import gevent
import msgpack
import pytest
import zmq
from faults.corpus import BODIES, HEADERS, TOPICS
from faults.foreign import address_of, foreign, heard
from waiting import until

from zbus import (
    Message,
    Pair,
    ProtocolError,
    Publisher,
    Pull,
    Push,
    RemoteError,
    Replier,
    Requester,
    Subscriber,
    TimeoutExpired,
)

TCP = "tcp://127.0.0.1:*"
GOOD = msgpack.packb("good")

#: Frames of a message that should be ``body [headers]``.
STREAM = {
    **{f"body: {name}": [body] for name, body in BODIES.items()},
    **{f"body before headers: {name}": [body, b"\x80"] for name, body in BODIES.items()},
    **{f"headers: {name}": [GOOD, headers] for name, headers in HEADERS.items()},
    "three frames": [GOOD, b"\x80", b"\x80"],
    "seven frames": [GOOD] * 7,
    "a hundred frames": [GOOD] * 100,
    "a thousand empty frames": [b""] * 1000,
    "a value in the headers' place": [b"\x80", GOOD],
}

Reader = Callable[[], Message]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def by_recv(endpoint: Pull | Subscriber) -> Reader:
    return lambda: endpoint.recv(timeout=5)


def by_iteration(endpoint: Pull | Subscriber) -> Reader:
    messages = iter(endpoint)
    return lambda: next(messages)


@pytest.fixture(params=[by_recv, by_iteration])
def reading(request: pytest.FixtureRequest) -> Callable[[Pull | Subscriber], Reader]:
    """How messages are read."""
    found: Callable[[Pull | Subscriber], Reader] = request.param
    return found


# -- streams ---------------------------------------------------------------------------------------


def test_a_pull_counts_bad_messages_and_receives_the_good_ones_of_everybody(
    reading: Callable[[Pull], Reader], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Pull(bind=TCP) as pull,
        foreign(zmq.PUSH, connect=pull.addresses[0]) as liar,
        Push(connect=pull.addresses[0]) as honest,
    ):
        read = reading(pull)
        for count, (name, frames) in enumerate(STREAM.items(), 1):
            liar.send_multipart(frames)
            liar.send(msgpack.packb(name))
            assert read().body == name
            assert pull.statistics().malformed == count, name
            honest.send(count, timeout=5)
            assert read().body == count
        assert pull.statistics().peers == 2
        assert pull.statistics().received == 2 * len(STREAM)
    assert len(warnings_in(caplog)) == 1


def test_a_batch_with_a_bad_tail_is_refused_whole(reading: Callable[[Pull], Reader]) -> None:
    with Pull(bind=TCP) as pull, foreign(zmq.PUSH, connect=pull.addresses[0]) as liar:
        read = reading(pull)
        liar.send(b"\x01\x02\x03\xc1")
        liar.send(b"\x04\x05")
        assert [read().body, read().body] == [4, 5]
        assert pull.statistics().malformed == 1


def test_a_pair_counts_bad_messages_and_goes_on_with_the_same_peer(caplog: pytest.LogCaptureFixture) -> None:
    with Pair(bind=TCP) as pair, foreign(zmq.PAIR, connect=pair.addresses[0]) as liar:
        for count, (name, frames) in enumerate(STREAM.items(), 1):
            liar.send_multipart(frames)
            liar.send(msgpack.packb(name))
            assert pair.recv(timeout=5).body == name
            assert pair.statistics().malformed == count, name
        pair.send("back", timeout=5)
        assert heard(liar) == [msgpack.packb("back")]
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"a": 1} x', b"[" * 100_000, b'"\\ud800', b"nul"])
def test_a_pull_of_json_counts_what_is_no_json(text: bytes) -> None:
    with Pull(bind=TCP, codec="json") as pull, foreign(zmq.PUSH, connect=pull.addresses[0]) as liar:
        liar.send(text)
        liar.send(b'"good"')
        assert pull.recv(timeout=5).body == "good"
        assert pull.statistics().malformed == 1


# -- publications ----------------------------------------------------------------------------------

PUBLICATIONS = {
    **{f"body: {name}": [b"a", body] for name, body in BODIES.items()},
    **{f"headers: {name}": [b"a", GOOD, headers] for name, headers in HEADERS.items()},
    **{f"topic: {name}": [topic, GOOD] for name, topic in TOPICS.items()},
    "a topic and no body": [b"a"],
    "four frames": [b"a", GOOD, b"\x80", b"\x80"],
    "seven frames": [b"a"] * 7,
    "a hundred frames": [b"a"] * 100,
    **{
        f"sequence: {value!r}": [b"a", GOOD, msgpack.packb({"sequence": value})]
        for value in (None, 1, [], [b"p"], [b"p", 0], [b"p", -1], ["p", 1], [b"p", "1"], [b"p", 1, 1], {"p": 1}, [1, 1])
    },
}


def test_a_subscriber_counts_bad_publications_and_hears_the_good_ones_of_everybody(
    reading: Callable[[Subscriber], Reader], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        foreign(zmq.XPUB, bind=TCP) as liar,
        Publisher(bind=TCP, sequenced=True) as honest,
        Subscriber(connect=[address_of(liar), honest.addresses[0]], topics="#") as subscriber,
    ):
        assert heard(liar) == [b"\1"]
        honest.wait_for_subscribers("a", timeout=5)
        read = reading(subscriber)
        for count, (name, frames) in enumerate(PUBLICATIONS.items(), 1):
            liar.send_multipart(frames)
            liar.send_multipart([b"a", msgpack.packb(name)])
            assert read().body == name
            assert subscriber.statistics().malformed == count, name
            honest.publish("a", count)
            assert read().body == count
        assert subscriber.statistics().missed == 0
    assert len(warnings_in(caplog)) == 1


def test_a_publisher_passes_over_what_subscribers_should_not_send() -> None:
    with (
        Publisher(bind=TCP, last_value=True) as publisher,
        foreign(zmq.XSUB, connect=publisher.addresses[0]) as liar,
        Subscriber(connect=publisher.addresses[0], topics="a") as subscriber,
    ):
        publisher.wait_for_subscribers("a", timeout=5)
        for frames in (
            [b""],
            [b"\7junk"],
            [b"\0never asked for"],
            [b"\0a"],
            [b"a", b"b", b"c"],
            [b""] * 100,
            [b"\xff" * 65_536],
            [b"\1" + b"z" * 65_536],
            [b"\1"],
        ):
            liar.send_multipart(frames)
        publisher.wait_for_subscribers("whatever", timeout=5)
        publisher.publish("a", 1)
        assert subscriber.recv(timeout=5).body == 1
        assert heard(liar)[:2] == [b"a", b"\1"]


# -- requests --------------------------------------------------------------------------------------

ZBUS = b"k" * 16 + b"\x7f\xff\xff\xff"  # a correlation of zbus's own, without a deadline

#: Requests that no reply can be sent to.
LOST = {
    "one empty frame": [b""],
    "a body alone": [GOOD],
    "seven frames without a delimiter": [GOOD] * 7,
    "a hundred frames without a delimiter": [GOOD] * 100,
    "a delimiter and no body": [b"i", b""],
    "three frames behind the delimiter": [b"", GOOD, b"\x80", b"\x80"],
    "a hundred frames behind the delimiter": [b"", *[GOOD] * 100],
    "a hundred empty frames": [b""] * 100,
    "nine frames, with a deep envelope": [b"i"] * 6 + [b"", GOOD],
}


@pytest.fixture
def echo() -> Iterator[Replier]:
    """A server that returns what it gets."""
    with Replier(lambda message: message.body, bind=TCP) as replier:
        yield replier


def test_a_replier_counts_requests_without_a_way_back(echo: Replier, caplog: pytest.LogCaptureFixture) -> None:
    with foreign(zmq.DEALER, connect=echo.addresses[0]) as liar, Requester(connect=echo.addresses[0]) as honest:
        for count, (name, frames) in enumerate(LOST.items(), 1):
            liar.send_multipart(frames)
            liar.send_multipart([b"", msgpack.packb(name)])
            assert heard(liar) == [b"", msgpack.packb(name)], name
            assert echo.statistics().malformed == count, name
            assert honest.request(count, timeout=5) == count
        assert echo.statistics().running == 0
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize(
    ("envelope", "where"),
    [([b""], "body"), ([b"their own", b""], "body"), ([ZBUS, b""], "headers")],
    ids=["a plain REQ", "a foreign correlation", "a zbus client"],
)
def test_a_replier_tells_who_sent_a_bad_body_or_bad_headers(
    envelope: list[bytes], where: str, echo: Replier, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [[body] for body in BODIES.values()] + [[GOOD, headers] for headers in HEADERS.values()] + [[b"\x01\x02"]]
    with foreign(zmq.DEALER, connect=echo.addresses[0]) as liar, Requester(connect=echo.addresses[0]) as honest:
        for count, frames in enumerate(bad, 1):
            liar.send_multipart([*envelope, *frames])
            reply = heard(liar)
            assert reply[: len(envelope)] == envelope
            parts = [msgpack.unpackb(frame) for frame in reply[len(envelope) :]]
            assert len(parts) == (1 if where == "body" else 2)
            assert parts[-1]["error"]["type"] == "ProtocolError"
            assert echo.statistics().malformed == count, frames[-1][:20]
            assert honest.request(count, timeout=5) == count
    assert len(warnings_in(caplog)) == 1


def test_a_request_with_a_doubled_delimiter_is_answered_with_an_error(echo: Replier) -> None:
    with foreign(zmq.DEALER, connect=echo.addresses[0]) as liar:
        liar.send_multipart([b"", b"", GOOD])
        delimiter, error = heard(liar)
        assert delimiter == b""
        assert msgpack.unpackb(error)["error"]["type"] == "ProtocolError"


@pytest.mark.parametrize("size", [1, 16, 19, 20, 21, 255])
def test_a_correlation_of_any_size_comes_back_untouched(size: int, echo: Replier) -> None:
    correlation = b"\x7f" * size
    with foreign(zmq.DEALER, connect=echo.addresses[0]) as client:
        client.send_multipart([correlation, b"", GOOD])
        assert heard(client) == [correlation, b"", GOOD]


def test_a_call_whose_time_is_over_on_arrival_is_not_run(echo: Replier) -> None:
    with foreign(zmq.DEALER, connect=echo.addresses[0]) as client:
        client.send_multipart([b"k" * 16 + bytes(4), b"", GOOD])
        client.send_multipart([b"", GOOD])
        assert heard(client) == [b"", GOOD]
        assert (echo.statistics().expired, echo.statistics().received) == (1, 1)


def test_a_body_as_deep_as_can_be_read_is_served() -> None:
    def depth(message: Message) -> int:
        body, levels = message.body, 0
        while body is not None:
            body, levels = body[0], levels + 1
        return levels

    with Replier(depth, bind=TCP) as replier, foreign(zmq.DEALER, connect=replier.addresses[0]) as client:
        for levels in (32, 512, 1000):
            client.send_multipart([b"", b"\x91" * levels + b"\xc0"])
            assert heard(client) == [b"", msgpack.packb(levels)]


# -- replies ---------------------------------------------------------------------------------------


@pytest.fixture
def asked() -> Iterator[tuple[Requester, zmq.Socket]]:
    """A client, and the plain ROUTER that it asks."""
    with foreign(zmq.ROUTER, bind=TCP) as server, Requester(connect=address_of(server)) as requester:
        yield requester, server


STRAY = {
    "one empty frame": [b""],
    "a body alone": [GOOD],
    "no delimiter": [ZBUS, GOOD],
    "a body where the delimiter belongs": [ZBUS, GOOD, GOOD],
    "a delimiter and no body": [ZBUS, b""],
    "no correlation": [b"", GOOD],
    "an empty correlation": [b"", b"", GOOD],
    "a correlation of one byte": [b"k", b"", GOOD],
    "a correlation of 19 bytes": [ZBUS[:19], b"", GOOD],
    "a correlation of 255 bytes": [b"k" * 255, b"", GOOD],
    "seven frames": [ZBUS, b"", *[GOOD] * 5],
    "a hundred frames": [ZBUS, b"", *[GOOD] * 98],
    "a hundred empty frames": [b""] * 100,
}


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


#: An error whose text is a thousand arrays in each other: one can be read, and not be shown.
NESTED = b"\x81\xa5error\x82\xa4type\xa1X\xa7message" + b"\x91" * 1020 + b"\xc0"


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
