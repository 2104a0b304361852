"""The thread that says who may connect: it answers while the loop is busy, fails closed, and is replaced."""

from __future__ import annotations

import _thread
import threading
from time import monotonic

import pytest
import zmq
from waiting import LONG, until

import zbus
from zbus.errors import InsecureBind
from zbus.green import authentication
from zbus.green.authentication import ANYBODY, LOCAL, enforce, guard
from zbus.green.context import Context, context
from zbus.green.options import checked, flags
from zbus.wire.zap import Answer

TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def own():
    """A context of its own, with what is asked in it: domain, address, mechanism; the reply's code."""
    made = Context()
    yield made
    made.destroy(linger=0)


def ask(context, domain=LOCAL, address=b"127.0.0.1", mechanism=b"NULL", *credentials, wait=LONG):
    plain = zmq.Context.shadow(context.underlying)
    with plain.socket(zmq.DEALER, socket_class=zmq.Socket) as socket:
        socket.linger = 0
        socket.connect(authentication.ADDRESS)
        socket.send_multipart([b"", b"1.0", b"1", domain, address, b"", mechanism, *credentials])
        return socket.recv_multipart()[3] if socket.poll(int(wait * 1000)) else None


def bindable(context, **options):
    socket = context.socket(zmq.PULL)
    for option, value in flags(checked(options, "test")):
        socket.set(option, value)
    socket.set(zmq.ZAP_DOMAIN, LOCAL)
    return socket


def test_peers_on_this_machine_may_connect_and_no_others(own):
    with bindable(own) as socket:
        guard(socket)
        assert ask(own) == b"200"
        assert ask(own, address=b"192.0.2.1") == b"400"
        assert ask(own, mechanism=b"PLAIN") == b"400"
        assert ask(own, LOCAL, b"127.0.0.1", b"CURVE", bytes(32)) == b"400"
        assert ask(own, b"nobody.knows") == b"400"
        assert ask(own, ANYBODY, b"192.0.2.1") == b"200"
        assert ask(own, b"", b"") == b"400"


def test_it_ends_with_its_context():
    before = _thread._count()
    made = Context()
    with bindable(made) as socket:
        guard(socket)
        assert _thread._count() == before + 1
    made.term()
    until(lambda: _thread._count() == before)


def test_handshakes_complete_while_the_loop_is_busy():
    with zbus.Pull(bind=TCP) as pull:
        plain = zmq.Context()
        with plain.socket(zmq.PUSH) as push:
            push.linger = 0
            push.sndtimeo = int(LONG * 1000)
            push.set(zmq.IMMEDIATE, 1)
            push.connect(pull.addresses[0])
            push.send(b"\x01")  # blocks this thread, and with it the loop, until the handshake is over
        plain.destroy(linger=0)


def test_a_policy_that_raises_has_refused_and_the_thread_goes_on(own):
    """Row AU-4."""

    class Raises:
        def judge(self, question):
            raise SystemExit

    enforce(b"raises", Raises())
    with bindable(own) as socket:
        guard(socket)
        assert ask(own, b"raises") == b"500"
        assert ask(own) == b"200"


def test_a_policy_that_hangs_is_left_behind(own, caplog):
    """Row AU-4."""
    hangs, go = threading.Event(), threading.Event()

    class Hangs:
        def judge(self, question):
            hangs.set()
            go.wait()
            return Answer(200)

    enforce(b"hangs", Hangs())
    with bindable(own) as socket:
        guard(socket)
        asking = threading.Thread(target=lambda: answers.append(ask(own, b"hangs")))
        answers: list[bytes | None] = []
        asking.start()
        hangs.wait()
        began = monotonic()
        until(lambda: authentication.look_after(socket) or answers or not asking.is_alive())
        asking.join()
        assert answers == [b"500"]
        assert monotonic() - began < 5
        assert ask(own) == b"200"
        go.set()  # it comes back, and finds that another has taken its place
        assert ask(own) == b"200"
        assert "hangs" in caplog.text


def test_a_thread_that_ended_is_replaced(own, monkeypatch):
    """Row AU-4."""
    with bindable(own) as socket:
        guard(socket)
        with monkeypatch.context() as patched:
            patched.setattr(authentication, "decide", None)  # what is called in the thread itself raises
            assert ask(own, wait=0.2) is None
        until(lambda: authentication.look_after(socket) or ask(own, wait=0.5) == b"200")
        assert ask(own) == b"200"


@pytest.mark.parametrize("without", ["handler", "domain", "insistence"])
def test_what_would_let_in_anybody_is_not_bound(own, monkeypatch, without):
    """Row AU-5."""
    with bindable(own) as socket:
        if without == "handler":
            monkeypatch.setattr(authentication.Authenticator, "_open", lambda self, bound: bound.release())
            monkeypatch.setattr(authentication, "STARTS", 0.05)
        elif without == "domain":
            socket = own.socket(zmq.PULL)
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        else:
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 0)
        with pytest.raises(InsecureBind):
            guard(socket)
        socket.close(0)


def test_it_runs_before_anything_is_bound_and_one_serves_all_of_a_context():
    with zbus.Pull(bind=TCP), zbus.Pull(bind=TCP):
        first = context().authenticator
        assert ask(context()) == b"200"
        with zbus.Pull(bind=TCP):
            assert context().authenticator is first
