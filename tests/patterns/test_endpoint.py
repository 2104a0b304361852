"""What every endpoint gets from its base: options, codecs, limits, events."""

from __future__ import annotations

import inspect
import json
import pydoc

import gevent
import pytest

import zbus
from zbus.green.options import TABLE

LONG = 5.0


class Upper:
    """A codec of one's own: text, shouted."""

    def encode(self, body):
        if not isinstance(body, str):
            raise TypeError("text only")
        return body.upper().encode()

    def decode(self, data):
        return bytes(data).decode("ascii")


@pytest.fixture
def linked(make, address):
    def linked(here=None, there=None):
        pull = make(zbus.Pull, bind=address, **(there or {}))
        push = make(zbus.Push, connect=pull.addresses[0], **(here or {}))
        return push, pull

    return linked


def test_help_shows_the_options_of_the_table():
    text = pydoc.plain(pydoc.render_doc(zbus.Push))
    for row in TABLE:
        assert f"{row.keyword}:" in text.split("Methods defined here")[0]
    signature = inspect.signature(zbus.Subscriber)
    assert list(signature.parameters)[:3] == ["bind", "connect", "topics"]
    assert next(iter(inspect.signature(zbus.Replier).parameters)) == "handler"


def test_every_row_of_the_table_says_what_it_means():
    for row in TABLE:
        assert row.meaning
        assert row.annotation
        assert row.check(row.default), row.keyword


@pytest.mark.parametrize(
    ("codec", "body", "frame"),
    [
        ("msgpack", {"a": [1, None]}, b"\x81\xa1a\x92\x01\xc0"),
        ("json", {"a": [1, None, "ü"]}, json.dumps({"a": [1, None, "ü"]}, separators=(",", ":"), ensure_ascii=False)),
        ("raw", b"\x00\xff", b"\x00\xff"),
        (Upper(), "LOUD", b"LOUD"),
    ],
)
def test_a_codec_is_an_option(linked, make, codec, body, frame):
    push, pull = linked({"codec": codec}, {"codec": codec})
    push.send(body, timeout=LONG)
    assert pull.recv(timeout=LONG).body == body
    push.send(body, headers={"h": 1}, timeout=LONG)
    message = next(iter(pull))
    assert (message.body, dict(message.headers)) == (body, {"h": 1})
    seen = make(zbus.Pull, bind="tcp://127.0.0.1:*", codec="frames")
    other = make(zbus.Push, connect=seen.addresses[0], codec=codec)
    other.send(body, timeout=LONG)
    assert seen.recv(timeout=LONG).body == [frame.encode() if isinstance(frame, str) else frame]


@pytest.mark.parametrize(
    ("codec", "bad"),
    [
        ("json", {"a": b""}),
        ("json", float("nan")),
        ("raw", "text"),
        ("frames", b"one"),
        ("frames", []),
        ("frames", [1]),
        (Upper(), 5),
    ],
)
def test_what_a_codec_cannot_express_is_a_type_error(linked, codec, bad):
    push, _ = linked({"codec": codec})
    with pytest.raises(TypeError):
        push.send(bad, timeout=LONG)
    assert push.statistics().sent == 0


@pytest.mark.parametrize(("codec", "good"), [("msgpack", b"\xa1x"), ("json", b'"x"'), (Upper(), b"x")])
def test_what_a_codec_cannot_decode_is_counted_and_passed_over(linked, codec, good):
    push, pull = linked({"codec": "raw"}, {"codec": codec})
    for frame in (b"\xc1", good, b"\xc1", good):
        push.send(frame, timeout=LONG)
    assert pull.recv(timeout=LONG).body == "x"
    assert next(iter(pull)).body == "x"
    assert pull.statistics().malformed == 2


@pytest.mark.parametrize("codec", ["msgpack", "json", "raw", "frames"])
def test_a_large_message_is_refused_before_it_is_sent(linked, codec):
    push, pull = linked({"codec": codec, "max_message_bytes": 100}, {"codec": codec, "max_message_bytes": 100})
    large = {"msgpack": "x" * 99, "json": "x" * 99, "raw": b"x" * 101, "frames": [b"x" * 101]}[codec]
    fits = {"msgpack": "x" * 98, "json": "x" * 98, "raw": b"x" * 100, "frames": [b"x" * 100]}[codec]
    with pytest.raises(zbus.MessageTooLarge, match="max_message_bytes"):
        push.send(large, timeout=LONG)
    push.send(fits, timeout=LONG)
    assert pull.recv(timeout=LONG).body == fits
    assert push.statistics().sent == 1


def test_large_headers_are_refused_before_they_are_sent(linked):
    push, pull = linked()
    with pytest.raises(ValueError, match="4096"):
        push.send(1, headers={"x": "y" * 4096}, timeout=LONG)
    for wrong in ([1], "text", {1: 2}, {"a": object()}):
        with pytest.raises(TypeError):
            push.send(1, headers=wrong, timeout=LONG)
    push.send(2, timeout=LONG)
    assert pull.recv(timeout=LONG).body == 2


def test_a_peer_that_sends_too_much_is_cut_off(make, events):
    pull = make(zbus.Pull, bind="tcp://127.0.0.1:*", max_message_bytes=1000, on_event=events)
    push = make(zbus.Push, connect=pull.addresses[0])
    push.wait_for_peers(timeout=LONG)
    push.send(b"x" * 2000, timeout=LONG)
    events.wait_for("disconnected")
    events.wait_for("connected", 2)
    push.wait_for_peers(timeout=LONG)
    push.send("fine", timeout=LONG)
    assert pull.recv(timeout=LONG).body == "fine"


def test_on_event_that_raises_is_logged_and_harmless(make, address, caplog):
    told = []

    def on_event(event):
        told.append(event.kind)
        raise ZeroDivisionError("in the callback")

    pull = make(zbus.Pull, bind=address, on_event=on_event, name="the pull")
    for count in (1, 2):
        push = make(zbus.Push, connect=pull.addresses[0])
        push.send(count, timeout=LONG)
        assert pull.recv(timeout=LONG).body == count
        push.close()
        with gevent.Timeout(LONG):
            while len(told) < 2 * count:
                gevent.idle()
    assert told == ["connected", "disconnected"] * 2
    assert "the pull" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_on_event_may_wait_and_is_told_in_order(make, address):
    told, go = [], gevent.event.Event()

    def on_event(event):
        go.wait(LONG)
        told.append(event.kind)

    pull = make(zbus.Pull, bind=address, on_event=on_event)
    for body in range(3):
        push = make(zbus.Push, connect=pull.addresses[0])
        push.send(body, timeout=LONG)
        assert pull.recv(timeout=LONG).body == body
        push.close()
        with gevent.Timeout(LONG):
            while pull.peers:
                gevent.idle()
    assert told == []
    go.set()
    with gevent.Timeout(LONG):
        while len(told) < 6:
            gevent.idle()
    assert told == ["connected", "disconnected"] * 3


def test_an_on_event_whose_greenlet_ends_early_is_told_of_the_next(make, inproc_address):
    told = []

    def on_event(event):
        told.append(event.kind)
        raise gevent.GreenletExit

    pull = make(zbus.Pull, bind=inproc_address, on_event=on_event)
    pushes = [make(zbus.Push, connect=inproc_address) for _ in range(3)]
    for push in pushes:
        push.close()
    with gevent.Timeout(LONG):
        while len(told) < 6:
            gevent.idle()
    pull.close()


def test_a_name_is_shown(make, inproc_address):
    pull = make(zbus.Pull, bind=inproc_address, name="work")
    assert repr(pull) == f"<Pull 'work' {inproc_address} open peers=0>"


def _without_a_hub(use):
    """In another thread: what needs a hub there makes one, which would stay as long as the thread."""
    try:
        use()
    finally:
        gevent.get_hub().destroy(destroy_loop=True)


def test_another_thread_is_told_so(make, inproc_address):
    pull = make(zbus.Pull, bind=inproc_address)
    for use in (lambda: pull.recv(timeout=0), lambda: pull.addresses, pull.close, pull.stop, lambda: iter(pull)):
        with pytest.raises(zbus.WrongThread, match="thread"):
            gevent.get_hub().threadpool.apply(_without_a_hub, (use,))
    assert pull.state == "open"


def test_waiting_on_the_hub_is_told_so(make, inproc_address):
    pull = make(zbus.Pull, bind=inproc_address)
    told = []

    def on_hub():
        try:
            pull.recv(timeout=LONG)
        except RuntimeError as error:
            told.append(str(error))

    gevent.get_hub().loop.run_callback(on_hub)
    gevent.idle()
    assert "hub" in told[0]
