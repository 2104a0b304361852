"""Server-sent events as bytes, and what one slow client may cost."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import gevent
import pytest

from zbus.web.sse import HELLO, KEEP_ALIVE, Client, event
from zbus.wire.subscription import Subscriptions


def parsed(chunk):
    """The fields of one event."""
    assert chunk.endswith(b"\n\n")
    return dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ({"a": [1, None, "é\n"]}, {"a": [1, None, "é\n"]}),
        (b"\xff\x00", "/wA="),
        (Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ({1: 2}, {"1": 2}),
    ],
)
def test_an_event_has_the_topic_the_body_as_json_and_an_id(body, data):
    found = parsed(event("orders.eu", body, "ab-1"))
    assert found.pop("data").count("\n") == 0
    assert found == {"id": "ab-1", "event": "orders.eu"}
    assert json.loads(parsed(event("orders.eu", body))["data"]) == data


def test_no_topic_can_write_fields_of_its_own():
    assert parsed(event("a\ndata: forged\r\rid: 1", 1)) == {"event": "a data: forged  id: 1", "data": "1"}


@pytest.mark.parametrize("body", [float("nan"), {b"key": 1}, {(1, 2): 3}])
def test_what_is_no_json_is_an_error(body):
    with pytest.raises((TypeError, ValueError)):
        event("a", body)


@pytest.fixture
def client():
    return Client(Subscriptions("#"), 3)


def test_what_waits_goes_out_in_one_piece(client):
    chunks = client.chunks(60.0)
    assert next(chunks) == HELLO
    for chunk in (b"1", b"2", b"3"):
        client.put(chunk)
    assert next(chunks) == b"123"
    client.put(b"4")
    client.close()
    assert list(chunks) == [b"4"]


def test_the_oldest_are_dropped_and_the_client_is_told_how_many(client):
    for number in range(10):
        client.put(b"%d" % number)
    client.close()
    assert list(client.chunks(60.0)) == [HELLO, event("dropped", 7) + b"789"]
    assert client.dropped == 7


def test_a_silence_is_broken_by_a_comment(client):
    chunks = client.chunks(0.001)
    assert [next(chunks) for _ in range(3)] == [HELLO, KEEP_ALIVE, KEEP_ALIVE]


def test_who_waits_is_woken_by_an_event_and_by_the_end(client):
    reading = gevent.spawn(lambda: list(client.chunks(60.0)))
    gevent.idle()
    client.put(b"1")
    gevent.idle()
    client.close()
    assert reading.get(timeout=5) == [HELLO, b"1"]
