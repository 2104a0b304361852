"""The thread that says who may connect fails: who is connected does not notice, who comes later is let in soon."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from time import monotonic

import gevent
import pytest
import zmq
from waiting import LONG, until

import zbus
from zbus.errors import InsecureBind
from zbus.green import authentication, denials
from zbus.green.authentication import LOCAL
from zbus.green.context import Context

TCP = "tcp://127.0.0.1:*"


class Fails:
    """A policy that goes wrong at its first question, and is the usual one from then on."""

    def __init__(self, how) -> None:
        self.usual = authentication._policies[LOCAL]
        self.how = how
        self.asked = 0

    def judge(self, question):
        self.asked += 1
        if self.asked == 1:
            self.how()
        return self.usual.judge(question)


@pytest.fixture
def go():
    """What a policy that hangs waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def goes_wrong(go, monkeypatch):
    """Make the next question go wrong, in one of the ways there are."""

    monkeypatch.setattr(denials, "FIRST", 0.05)

    def goes_wrong(how):
        if how == "raises":
            policy = Fails(lambda: 1 / 0)
        elif how == "hangs":
            policy = Fails(go.wait)
        else:  # what is called in the thread itself raises, and that is its end
            decide = authentication.decide

            def once(frames):
                monkeypatch.setattr(authentication, "decide", decide)
                raise SystemExit

            monkeypatch.setattr(authentication, "decide", once)
            return
        monkeypatch.setattr(authentication, "_policies", {**authentication._policies, LOCAL: policy})

    return goes_wrong


@pytest.mark.parametrize("how", ["raises", "hangs", "ends"])
def test_who_is_connected_does_not_notice_and_who_comes_later_is_let_in(make, goes_wrong, how):
    """Row AU-4."""
    server = make(zbus.Replier, lambda message: message.body, bind=TCP)
    old = make(zbus.Requester, connect=server.addresses)
    old.wait_for_peers(timeout=LONG)
    delays, over = [], False

    def ask() -> None:
        while not over:
            began = monotonic()
            assert old.request("old", timeout=LONG) == "old"
            delays.append(monotonic() - began)
            gevent.sleep(0.01)

    asking = gevent.spawn(ask)
    goes_wrong(how)
    unlucky = make(zbus.Requester, connect=server.addresses)
    with pytest.raises(zbus.Denied):  # it fails closed
        unlucky.wait_for_peers(timeout=LONG)
    began = monotonic()
    late = make(zbus.Requester, connect=server.addresses)
    assert late.request("new", timeout=LONG) == "new"
    assert monotonic() - began < 1
    until(lambda: unlucky.peers)
    assert unlucky.request("again", timeout=LONG) == "again"
    until(lambda: len(delays) > 20)
    over = True
    asking.get(timeout=LONG)
    assert max(delays) < 0.25
    assert old.statistics().retried == 0


@pytest.mark.parametrize("how", ["hangs", "ends"])
def test_who_comes_in_the_meantime_is_let_in_within_a_second(make, goes_wrong, how):
    """Row AU-4: a handshake that nobody answers has another thread started."""
    server = make(zbus.Replier, lambda message: message.body, bind=TCP)
    goes_wrong(how)
    unlucky = make(zbus.Requester, connect=server.addresses)
    until(lambda: server._port.monitor._pending)
    began = monotonic()
    late = make(zbus.Requester, connect=server.addresses)
    assert late.request("new", timeout=LONG) == "new"
    assert monotonic() - began < 1
    until(lambda: unlucky.peers)
    assert unlucky.request("again", timeout=LONG) == "again"


@pytest.mark.parametrize("missing", ["the thread", "insistence", "the right answer", "time"])
def test_without_what_keeps_strangers_out_nothing_is_bound(make, monkeypatch, missing):
    """Row AU-5: the check at the start finds a handler that is missing, late or wrong."""
    made = Context()
    monkeypatch.setattr(import_module("zbus.green.context"), "_context", made)
    monkeypatch.setattr(authentication, "STARTS", 0.1)
    started = threading.Event()
    opens = authentication.Authenticator._open

    def late(self, bound):
        bound.release()
        started.wait()
        with suppress(zmq.ZMQError):  # the context has ended meanwhile
            opens(self, threading.Semaphore(0))

    if missing == "the thread":
        monkeypatch.setattr(authentication.Authenticator, "_open", lambda self, bound: bound.release())
    elif missing == "time":
        monkeypatch.setattr(authentication.Authenticator, "_open", late)
    elif missing == "the right answer":
        policies = {**authentication._policies, LOCAL: authentication._policies[authentication.ANYBODY]}
        monkeypatch.setattr(authentication, "_policies", policies)
    else:
        flags = [(option, 0) for option, _ in zbus.green.options.ALWAYS[1:]]
        monkeypatch.setattr("zbus.green.options.ALWAYS", [*zbus.green.options.ALWAYS[:1], *flags])
    pull = zbus.Pull(bind=TCP)
    try:
        with pytest.raises(InsecureBind):
            pull.start()
        assert pull.state == "declared"
    finally:
        started.set()
        made.destroy(linger=0)
