"""ZAP without sockets: what is a question, what is answered, and who is on this machine."""

from __future__ import annotations

import pytest

from zbus.errors import ProtocolError
from zbus.wire.zap import Answer, is_local, parse

KEY = bytes(range(32))
NULL = [b"1.0", b"7", b"zbus.local", b"127.0.0.1", b"", b"NULL"]
CURVE = [*NULL[:5], b"CURVE", KEY]


def test_a_question_is_taken_apart():
    question = parse(CURVE)
    assert (question.serial, question.domain, question.address) == (b"7", b"zbus.local", "127.0.0.1")
    assert (question.mechanism, question.key) == ("CURVE", KEY)
    assert parse(NULL).key == b""
    assert parse([*NULL[:5], b"PLAIN", b"name", b"password"]).mechanism == "PLAIN"


def test_a_key_is_not_in_its_repr():
    assert repr(KEY) not in repr(parse(CURVE))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        NULL[:5],
        [b"2.0", *NULL[1:]],
        [*NULL, b"more"],
        CURVE[:6],
        [*CURVE[:6], KEY[:31]],
        [*CURVE, KEY],
        [*NULL[:3], b"\xff", *NULL[4:]],
        [*NULL[:5], b"\xff"],
        [*NULL[:4], b"x" * 256, b"NULL"],
    ],
)
def test_what_is_no_question_is_a_protocol_error(frames):
    with pytest.raises(ProtocolError):
        parse(frames)


def test_an_answer_is_six_frames_with_a_reason_that_fits():
    assert Answer(200, user="alice").frames(b"7") == [b"1.0", b"7", b"200", b"", b"alice", b""]
    code, reason = Answer(400, "x" * 1000).frames(b"")[2:4]
    assert (code, len(reason)) == (b"400", 255)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
        ("2001:db8::1", False),
        ("localhost:1000:1000:77", True),
        ("box:0:0:77", True),
        ("localhost:1001:1000:77", False),
        ("", False),
        ("localhost", False),
        # what ends like an ipc peer of root's, and is an address on the net
        ("2001:db8::0:0:5", False),
        ("::0:0:5", False),
        ("fe80::0:0:0", False),
    ],
)
def test_who_is_on_this_machine(address, local):
    assert is_local(address, 1000) is local
