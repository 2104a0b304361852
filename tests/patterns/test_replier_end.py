"""How a server ends: what runs is finished or cut short, and nobody is left waiting."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from waiting import until

import zbus

LONG = 5.0


def echo(message):
    return message.body


def failing(error, requester, body):
    """A call that has to fail, for a greenlet of its own."""
    with pytest.raises(error):
        requester.request(body, timeout=LONG)


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """A server that stops does not stay for clients that stay."""
    monkeypatch.setattr("zbus.patterns.replier.REFUSE", 0.02)


@pytest.fixture
def linked(make, address):
    def linked(handler, *, client=None, **options):
        replier = make(zbus.Replier, handler, bind=address, **options)
        requester = make(zbus.Requester, connect=replier.addresses[0], linger=0, **(client or {}))
        requester.wait_for_peers(timeout=LONG)
        return replier, requester

    return linked


def test_stop_from_inside_the_handler_still_replies(make, address):
    def handler(message):
        if message.body == "stop":
            replier.stop()
        return message.body

    replier = make(zbus.Replier, handler, bind=address)
    requester = make(zbus.Requester, connect=replier.addresses[0], linger=0)
    running = gevent.spawn(replier.run)
    assert requester.request("before", timeout=LONG) == "before"
    assert requester.request("stop", timeout=LONG) == "stop"
    running.get(timeout=LONG)
    assert replier.state == "closed"


def test_stop_from_inside_the_handler_of_one_that_nobody_runs(make, address):
    def handler(message):
        replier.stop()
        return message.body

    replier = make(zbus.Replier, handler, bind=address)
    requester = make(zbus.Requester, connect=replier.addresses[0], linger=0)
    assert requester.request("stop", timeout=LONG) == "stop"
    requester.close()
    until(lambda: replier.state == "closed")


@pytest.mark.parametrize("way", ["close in the handler", "exit swallowed", "finally"])
def test_close_while_a_handler_runs_is_quiet(linked, capfd, way):
    came, ended = Event(), Event()

    def handler(message):
        came.set()
        if way == "close in the handler":
            replier.close()
            ended.set()
            return 1
        try:
            gevent.sleep(60)
        except gevent.GreenletExit:
            if way == "finally":
                raise
        finally:
            ended.set()
        return 1

    replier, requester = linked(handler)
    call = gevent.spawn(failing, zbus.TimeoutExpired, requester, 1)
    assert came.wait(LONG)
    replier.close()
    assert ended.wait(LONG)
    call.get(timeout=LONG)
    gevent.idle()
    assert "Traceback" not in capfd.readouterr().err


def test_stop_finishes_what_runs_and_refuses_what_is_queued(linked):
    go = Event()
    replier, requester = linked(lambda message: go.wait(LONG) and message.body, concurrency=2)

    def attempt(body):
        try:
            return requester.request(body, timeout=LONG if body < 2 else 0.3)
        except zbus.Unavailable:
            return "refused"

    calls = [gevent.spawn(attempt, n) for n in range(4)]
    until(lambda: replier.statistics().waiting == 2)
    stopping = gevent.spawn(replier.stop, LONG)
    until(lambda: replier.statistics().refused >= 2)
    go.set()
    assert [call.get(timeout=LONG) for call in calls] == [0, 1, "refused", "refused"]
    stopping.get(timeout=LONG)
    assert replier.statistics().received == 2


def test_stop_gives_up_on_a_handler_that_does_not_end(linked):
    came = Event()

    def handler(message):
        came.set()
        gevent.sleep(60)

    replier, requester = linked(handler)
    call = gevent.spawn(failing, zbus.TimeoutExpired, requester, 1)
    assert came.wait(LONG)
    replier.stop(timeout=0.05)
    assert replier.state == "closed"
    call.get(timeout=LONG)


def test_run_returns_after_stop_and_close_from_elsewhere(make, inproc_address):
    for end in ("stop", "close"):
        replier = make(zbus.Replier, echo, bind=inproc_address)
        running = gevent.spawn(replier.run)
        gevent.idle()
        getattr(replier, end)()
        running.get(timeout=LONG)
        assert replier.state == "closed"
