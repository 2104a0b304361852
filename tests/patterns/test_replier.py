"""The answering end: a crew that serves many at once, and goes on whatever its handler does."""

from __future__ import annotations

import decimal
import logging

import gevent
import pytest
from gevent.event import Event
from waiting import until

import zbus

LONG = 5.0


class Odd(BaseException):
    """What most `except` clauses let through."""


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def echo(message):
    return message.body


def raising(error):
    def handler(message):
        if message.body == "fail":
            raise error
        return message.body

    return handler


def failing(error, requester, body):
    """A call that has to fail, for a greenlet of its own."""
    with pytest.raises(error):
        requester.request(body, timeout=LONG)


@pytest.fixture
def linked(make, address):
    def linked(handler, *, client=None, **options):
        replier = make(zbus.Replier, handler, bind=address, **options)
        requester = make(zbus.Requester, connect=replier.addresses[0], **(client or {}))
        requester.wait_for_peers(timeout=LONG)
        return replier, requester

    return linked


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("a bad value"), "ValueError", "a bad value"),
        (KeyError("key"), "KeyError", "'key'"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (gevent.GreenletExit(), "GreenletExit", ""),
        (Odd("odd"), "Odd", "odd"),
        (Unspeakable(), "Unspeakable", ""),
        (ValueError("x" * 100_000), "ValueError", "x" * 500),
        (zbus.TimeoutExpired("its own"), "TimeoutExpired", "its own"),
        (zbus.Closed("its own"), "Closed", "its own"),
        (StopIteration("stop"), "StopIteration", "stop"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_handler_raises_reaches_its_caller_and_the_server_goes_on(linked, caplog, error, kind, text):
    replier, requester = linked(raising(error))
    for _ in range(3):
        with pytest.raises(zbus.RemoteError) as caught:
            requester.request("fail", timeout=LONG)
        assert (caught.value.type, caught.value.message) == (kind, text)
        assert "Traceback" not in str(caught.value)
    assert requester.request("fine", timeout=LONG) == "fine"
    assert replier.statistics().failed == 3
    assert replier.state == "open"
    assert kind in caplog.text


def test_an_error_whose_text_has_no_utf8_reaches_its_caller(linked, monkeypatch):
    monkeypatch.setattr(logging.getLogger("zbus"), "disabled", True)  # such text is beyond a log that is UTF-8
    _, requester = linked(raising(OSError("\udcff.txt")))
    with pytest.raises(zbus.RemoteError, match=r"OSError: \?\.txt"):
        requester.request("fail", timeout=LONG)


def test_unavailable_raised_by_a_handler_is_no_refusal(linked):
    replier, requester = linked(raising(zbus.Unavailable("of another server")))
    with pytest.raises(zbus.RemoteError, match="of another server"):
        requester.request("fail", timeout=LONG)
    assert requester.statistics().refused == 0
    assert replier.statistics().received == 1


@pytest.mark.parametrize("value", [{1}, object(), [b"x", {"a": 1j}], 2**64], ids=["set", "object", "complex", "large"])
def test_what_cannot_be_returned_is_an_error_too(linked, value):
    replier, requester = linked(lambda message: value if message.body else None)
    with pytest.raises(zbus.RemoteError, match="TypeError: cannot send"):
        requester.request(1, timeout=LONG)
    assert requester.request(0, timeout=LONG) is None
    assert replier.statistics().failed == 1


def test_a_reply_that_is_too_large_is_an_error_too(linked):
    _, requester = linked(lambda message: "x" * message.body, max_message_bytes=1000)
    with pytest.raises(zbus.RemoteError, match="MessageTooLarge"):
        requester.request(1000, timeout=LONG)
    assert requester.request(5, timeout=LONG) == "xxxxx"


@pytest.mark.parametrize("body", [None, 0, False, "", b"", [], {}, decimal.Decimal("1.5"), [None, {"a": [1]}]])
def test_any_body_is_a_reply(linked, body):
    _, requester = linked(echo)
    assert requester.request(body, timeout=LONG) == body


def test_a_handler_that_waits_holds_up_nobody(linked):
    go = Event()

    def handler(message):
        if message.body == "slow":
            go.wait(LONG)
        return message.body

    replier, requester = linked(handler)
    slow = [gevent.spawn(requester.request, "slow", timeout=LONG) for _ in range(10)]
    for number in range(50):
        assert requester.request(number, timeout=LONG) == number
    assert not any(call.ready() for call in slow)
    assert replier.statistics().running == 10
    go.set()
    assert [call.get(timeout=LONG) for call in slow] == ["slow"] * 10
    assert replier.statistics().running == 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_than_concurrency_run_and_as_many_are_queued(linked, concurrency):
    go, most, running = Event(), [0], [0]

    def handler(message):
        running[0] += 1
        most[0] = max(most[0], running[0])
        go.wait(LONG)
        running[0] -= 1
        return message.body

    replier, requester = linked(handler, concurrency=concurrency)
    calls = [gevent.spawn(requester.request, n, timeout=LONG) for n in range(5 * concurrency)]
    until(lambda: replier.statistics().waiting == concurrency)
    for _ in range(5):
        gevent.idle()
    assert replier.statistics().running == concurrency
    assert replier.statistics().waiting == concurrency
    go.set()
    assert [call.get(timeout=LONG) for call in calls] == list(range(5 * concurrency))
    assert most[0] == concurrency
    assert replier.statistics().waiting == replier.statistics().running == 0


def test_a_full_server_holds_up_its_callers_and_loses_nothing(linked):
    go, served = Event(), []

    def handler(message):
        go.wait(LONG)
        while requester.statistics().received < len(served):
            gevent.idle()  # a ROUTER drops what its peer's queue, which is short here, cannot take
        served.append(message.body[0])
        return message.body[0]

    replier, requester = linked(handler, concurrency=1, high_water_mark=20, client={"high_water_mark": 1})
    many, body = 150, b"x" * 200_000
    calls = [gevent.spawn(requester.request, [n, body], timeout=20) for n in range(many)]
    for _ in range(20):
        gevent.idle()
    assert requester.statistics().sent < many
    assert replier.statistics().waiting <= 1
    go.set()
    gevent.joinall(calls, timeout=20, raise_error=True)
    assert [call.get(timeout=LONG) for call in calls] == list(range(many))
    assert replier.statistics().dropped == 0


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"handler": None}, TypeError, "handler"),
        ({"handler": "echo"}, TypeError, "handler"),
        ({"handler": echo, "concurrency": 0}, ValueError, "concurrency"),
        ({"handler": echo, "concurrency": 1.5}, ValueError, "concurrency"),
        ({"handler": echo, "concurrency": None}, ValueError, "concurrency"),
    ],
)
def test_a_server_without_handler_or_crew_is_refused(given, error, told):
    with pytest.raises(error, match=told):
        zbus.Replier(bind="inproc://x", **given)


def test_a_client_that_left_costs_a_dropped_reply_and_nothing_else(linked, make):
    go = Event()
    replier, requester = linked(lambda message: (message.body == "wait" and go.wait(LONG)) or message.body)
    gone = make(zbus.Requester, connect=replier.addresses[0])
    call = gevent.spawn(failing, zbus.Closed, gone, "wait")
    until(lambda: replier.statistics().running == 1)
    gone.close()
    call.get(timeout=LONG)
    until(lambda: replier.peers == 1)
    go.set()
    assert requester.request("next", timeout=LONG) == "next"
    until(lambda: replier.statistics().running == 0)
    assert replier.statistics().dropped <= 1
