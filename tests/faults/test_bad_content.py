"""Good ZMTP, bad content: counted, logged once, and nobody else notices: row IN-2. Real sockets, a plain peer that
lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgpack
import pytest
import zmq
from faults.corpus import BODIES, GOOD, HEADERS, LOST, PUBLICATIONS, STREAM, ZBUS, warnings_in
from faults.foreign import address_of, foreign, heard

from zbus import (
    Message,
    Pair,
    Publisher,
    Pull,
    Push,
    Replier,
    Requester,
    Subscriber,
)

TCP = "tcp://127.0.0.1:*"

Reader = Callable[[], Message]


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
