"""Messages in memory, and the headers frame."""

from __future__ import annotations

import math

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zbus.errors import ProtocolError
from zbus.wire.codec import Msgpack
from zbus.wire.message import MAX_HEADER_BYTES, NO_HEADERS, Message, decode_headers, encode_headers

moderate = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

GOOD = {"traceparent": "00-01", "n": 2**64 - 1, "list": [1, {"a": None}]}

BAD = {
    "nothing": b"",
    "nil": b"\xc0",
    "a number": b"\x01",
    "text": b"\xa1a",
    "an array of pairs": b"\x91\x92\xa1a\x01",
    "the byte that msgpack never uses": b"\xc1",
    "an integer as name": b"\x81\x01\x01",
    "nil as name": b"\x81\xc0\x01",
    "bytes as name": b"\x81\xc4\x01a\x01",
    "a list as name": b"\x81\x90\x01",
    "a name twice": b"\x82\xa1a\x01\xa1a\x02",
    "a name twice further in": b"\x81\xa1x\x82\xa1a\x01\xa1a\x02",
    "a name that is not UTF-8": b"\x81\xa1\xff\x01",
    "a value that is not UTF-8": b"\x81\xa1a\xa1\xff",
    "bytes left over": b"\x81\xa1a\x01\x00",
    "a second map": b"\x80\x80",
    "cut short": b"\x81\xa1a",
    "a map of 2^32-1 items": b"\xdf\xff\xff\xff\xff",
    "a string of 2^32-1 bytes": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "an extension of 2^32-1 bytes": b"\x81\xa1a\xc9\xff\xff\xff\xff\x01",
    "nested 4,000 levels": b"\x81\xa1a" + b"\x91" * 4000 + b"\xc0",
    "a timestamp out of range": b"\x81\xa1a\xc7\x0c\xff" + b"\x00" * 4 + b"\x7f" + b"\xff" * 7,
    "a Decimal that is none": b"\x81\xa1a\xd4\x01x",
    "more bytes than headers may have": b"\x81\xa1a\xc5\x10\x00" + b"x" * 4096,
}


@moderate
@given(
    st.dictionaries(
        st.text(max_size=12),
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=12) | st.binary(max_size=12) | st.uuids(),
        max_size=6,
    )
)
def test_headers_go_there_and_back(headers):
    assert decode_headers(encode_headers(headers, Msgpack())) == headers


def test_headers_may_hold_whatever_a_body_may():
    for value in (math.inf, -math.inf, 2**64 - 1, {1: 2}, [b""], msgpack.ExtType(9, b"x")):
        assert decode_headers(encode_headers({"a": value}, Msgpack())) == {"a": value}
    assert math.isnan(decode_headers(encode_headers({"a": math.nan}, Msgpack()))["a"])


def test_no_headers_and_empty_headers_are_an_empty_map():
    assert encode_headers(NO_HEADERS, Msgpack()) == encode_headers({}, Msgpack()) == b"\x80"
    assert decode_headers(b"\x80") == {}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_bad_headers_are_a_protocol_error_that_shows_no_content(data):
    with pytest.raises(ProtocolError) as caught:
        decode_headers(data)
    assert len(str(caught.value)) < 100
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_beginning_of_headers_is_headers():
    data = encode_headers(GOOD, Msgpack())
    for end in range(len(data)):
        with pytest.raises(ProtocolError):
            decode_headers(data[:end])
    assert decode_headers(data) == GOOD


@pytest.mark.parametrize("headers", [[("a", 1)], "a", 5, {1: 2}, {b"a": 1}, {"a": ...}, {"a": {1, 2}}], ids=repr)
def test_headers_that_are_no_map_of_text_are_refused_at_the_call(headers):
    with pytest.raises(TypeError):
        encode_headers(headers, Msgpack())


def test_headers_have_a_limit_on_both_sides():
    overhead = len(encode_headers({"a": b"x" * 4000}, Msgpack())) - 4000
    most = {"a": b"x" * (MAX_HEADER_BYTES - overhead)}
    data = encode_headers(most, Msgpack())
    assert len(data) == MAX_HEADER_BYTES
    assert decode_headers(data) == most
    with pytest.raises(ValueError, match="put large things in the body"):
        encode_headers({"a": b"x" * (MAX_HEADER_BYTES - overhead + 1)}, Msgpack())


# -- messages ----------------------------------------------------------------------------------------


def test_a_message_has_a_body_and_otherwise_nothing():
    message = Message(5)
    assert (message.body, message.topic, dict(message.headers), message.user) == (5, "", {}, "")
    assert Message().body is None


def test_headers_nobody_gave_cannot_be_written_to():
    with pytest.raises(TypeError):
        Message().headers["a"] = 1


def test_messages_are_equal_when_all_their_parts_are():
    one = Message([1], topic="a", headers={"h": 1}, user="u")
    assert one == Message([1], topic="a", headers={"h": 1}, user="u")
    assert Message(1, headers={}) == Message(1)
    assert one != Message([1], topic="b", headers={"h": 1}, user="u")
    assert one != Message([1], topic="a", headers={"h": 1}, user="v")
    assert one != [1]
    with pytest.raises(TypeError):
        hash(one)


def test_repr_tells_topic_user_and_size_and_never_the_body():
    assert repr(Message({"key": "secret"}, topic="a.b", user="u")) == "<Message topic='a.b' user='u' 12 bytes>"
    assert repr(Message(b"secret")) == "<Message 6 bytes>"
    assert repr(Message(object())) == "<Message object>"


def test_repr_of_a_body_nested_too_deeply_is_short():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert repr(Message(deep)) == "<Message list>"


def test_a_message_takes_no_other_attributes():
    with pytest.raises(AttributeError):
        Message().sender = "x"
