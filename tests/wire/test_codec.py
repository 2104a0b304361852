"""Values to bytes and back, and every kind of bytes that is none."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import struct
import uuid

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zbus.errors import ProtocolError
from zbus.wire.codec import MAX_ITEMS, Codec, Frames, Json, Msgpack, Raw, codec

moderate = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

UTC = datetime.timezone.utc
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.sampled_from([UTC, EAST]))
)
keys = st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | st.uuids()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)


def nested(levels: int) -> bytes:
    """Arrays in arrays, `levels` of them."""
    return b"\x91" * (levels - 1) + b"\x90"


def timestamp96(nanoseconds: int, seconds: int) -> bytes:
    return b"\xc7\x0c\xff" + struct.pack(">Iq", nanoseconds, seconds)


def ext(code: int, data: bytes) -> bytes:
    return b"\xc7" + bytes([len(data), code]) + data


BAD = {
    "nothing at all": b"",
    "the byte that msgpack never uses": b"\xc1",
    "the unused byte inside an array": b"\x92\x01\xc1",
    "a value cut short": b"\xa5ab",
    "an array cut short": b"\x93\x01\x02",
    "a map without its last value": b"\x81\xa1a",
    "an array of 2^32-1 items": b"\xdd\xff\xff\xff\xff",
    "a map of 2^32-1 items": b"\xdf\xff\xff\xff\xff",
    "a string of 2^32-1 bytes": b"\xdb\xff\xff\xff\xff",
    "bytes of 2^32-1 bytes": b"\xc6\xff\xff\xff\xff",
    "an extension of 2^32-1 bytes": b"\xc9\xff\xff\xff\xff\x01",
    "nested 1,025 levels": nested(1025),
    "nested 100,000 levels": nested(100_000),
    "nested 100,000 levels and never closed": b"\x91" * 100_000,
    "text that is not UTF-8": b"\xa2\xff\xfe",
    "text with a surrogate": b"\xa3\xed\xa0\x80",
    "a map whose key is a list": b"\x81\x90\x01",
    "a map whose key is a map": b"\x81\x80\x01",
    "a timestamp of no size": b"\xc7\x00\xff",
    "a timestamp of one byte": b"\xd4\xff\x00",
    "a timestamp with 10^9 nanoseconds": timestamp96(10**9, 0),
    "a timestamp of 64 bits with too many nanoseconds": b"\xd7\xff" + b"\xff" * 8,
    "a timestamp after year 9999": timestamp96(0, 253_402_300_800),
    "a timestamp before year 1": timestamp96(0, -62_135_596_801),
    "a timestamp of 2^63-1 seconds": timestamp96(0, 2**63 - 1),
    "a timestamp of -2^63 seconds": timestamp96(0, -(2**63)),
    "a timestamp of 2^32 days": timestamp96(0, 86_400 * 2**32),
    "an extension type that msgpack keeps for itself": b"\xd4\xfe\x00",
    "a Decimal that is none": ext(1, b"ten"),
    "a Decimal that is empty": ext(1, b""),
    "a Decimal that is not UTF-8": ext(1, b"\xff"),
    "a UUID cut short": ext(2, b"12345678"),
    "a date that is none": ext(3, b"2024-02-30"),
    "a time that is none": ext(4, b"25:00:00"),
}
if msgpack.version < (1, 2, 4):  # msgpack takes these for times
    for name in (
        "a timestamp with 10^9 nanoseconds",
        "a timestamp of 64 bits with too many nanoseconds",
        "a timestamp of 2^32 days",
    ):
        del BAD[name]
more_bad = pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())


# -- msgpack: round trips ----------------------------------------------------------------------------


@moderate
@given(values)
def test_what_goes_in_comes_out(value):
    assert Msgpack().decode(Msgpack().encode(value)) == value


@moderate
@given(st.lists(values, min_size=1, max_size=6))
def test_values_one_after_the_other_come_out_in_order(bodies):
    one = Msgpack()
    assert one.decode_many(b"".join(map(one.encode, bodies))) == bodies


@moderate
@given(st.datetimes(timezones=st.sampled_from([UTC, EAST])))
def test_an_aware_datetime_comes_back_as_the_same_instant_in_utc(moment):
    got = Msgpack().decode(Msgpack().encode(moment))
    assert got == moment
    assert got.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(1, 1, 1, tzinfo=UTC),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
        datetime.datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
        datetime.datetime(2514, 5, 30, 1, 53, 4, tzinfo=UTC),
        datetime.date.min,
        datetime.date.max,
        datetime.time(23, 59, 59, 999_999),
        datetime.time(1, 2, 3, tzinfo=EAST),
        decimal.Decimal("-0.00"),
        decimal.Decimal("1E+400"),
        decimal.Decimal("-Infinity"),
        uuid.UUID(int=0),
        2**64 - 1,
        -(2**63),
        math.inf,
        -math.inf,
        {1: {b"k": [None, True, "é"]}},
    ],
    ids=repr,
)
def test_the_edges_of_each_type_survive(value):
    got = Msgpack().decode(Msgpack().encode(value))
    assert (type(got), got, str(got)) == (type(value), value, str(value))


def test_nan_survives_as_float_and_as_decimal():
    one = Msgpack()
    assert math.isnan(one.decode(one.encode(math.nan)))
    assert one.decode(one.encode(decimal.Decimal("NaN"))).is_nan()
    assert one.decode(one.encode(decimal.Decimal("sNaN"))).is_snan()


def test_tuples_come_out_as_lists_and_other_buffers_as_bytes():
    one = Msgpack()
    assert one.decode(one.encode((1, (2,)))) == [1, [2]]
    assert one.decode(one.encode([bytearray(b"a"), memoryview(b"b")])) == [b"a", b"b"]


@pytest.mark.parametrize("code", [0, 5, 42, 127])
def test_an_unknown_extension_comes_through_and_goes_out_again(code):
    data = ext(code, b"abc")
    value = Msgpack().decode(data)
    assert value == msgpack.ExtType(code, b"abc")
    assert Msgpack().encode(value) == data


def test_a_body_is_taken_from_any_buffer():
    assert Msgpack().decode(memoryview(b"\x93\x01\x02\x03")) == [1, 2, 3]
    assert Msgpack().decode_many(bytearray(b"\x01\x02")) == [1, 2]


def test_nesting_goes_as_deep_as_msgpack_does():
    for levels in (32, 512, 1024):
        depth, value = 0, Msgpack().decode(nested(levels))
        while value:
            depth, value = depth + 1, value[0]
        assert depth == levels - 1


# -- msgpack: what is refused on the way out ---------------------------------------------------------


class Thing:
    def __repr__(self):
        return "a thing"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (Thing(), "body is of type Thing"),
        ({"orders": [{"buyer": Thing()}]}, "body['orders'][0]['buyer'] is of type Thing"),
        ([1, {2, 3}], "body[1] is of type set; send a list"),
        ({"when": datetime.datetime(2026, 1, 2)}, "body['when'] is of type datetime without a time zone"),
        ([2**64], "body[0] is of type int beyond 64 bits"),
        (-(2**63) - 1, "body is of type int beyond 64 bits"),
        ({"name": "\ud800"}, "body['name'] is of type str that cannot be encoded"),
        ({Thing: 1}, "body key "),
        ({"k" * 40: {"k" * 40: {7: 1j}}}, "[7] is of type complex"),
        (Thing, "body is of type type"),
    ],
)
def test_a_body_that_cannot_be_sent_is_refused_with_type_and_path(body, says):
    with pytest.raises(TypeError) as caught:
        Msgpack().encode(body)
    assert says in str(caught.value)
    assert "zbus sends None, bool, int" in str(caught.value)


def test_a_path_of_many_long_keys_is_not_taken_for_deep_nesting():
    body = {1, 2}
    for _ in range(60):
        body = {"a key of some forty characters, more or less": body}
    with pytest.raises(TypeError, match="is of type set; send a list"):
        Msgpack().encode(body)


def test_a_body_that_contains_itself_or_is_too_deep_is_refused_in_few_words():
    endless: list = []
    endless.append(endless)
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    for body in (endless, deep, {"a": endless}):
        with pytest.raises(TypeError, match="nested too deeply") as caught:
            Msgpack().encode(body)
        assert len(str(caught.value)) < 500


def test_a_refused_body_leaves_the_codec_as_it_was():
    one = Msgpack()
    with pytest.raises(TypeError):
        one.encode([1, 2, Thing()])
    assert one.encode([3]) == b"\x91\x03"


# -- msgpack: what is refused on the way in ----------------------------------------------------------


@more_bad
def test_bad_bytes_are_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        Msgpack().decode(data)


@more_bad
def test_bad_bytes_behind_a_good_value_refuse_the_whole_body(data):
    if data:
        with pytest.raises(ProtocolError):
            Msgpack().decode_many(b"\x01" + data)


def test_an_open_value_at_the_end_takes_nothing_from_the_next_body():
    one = Msgpack()
    for tail in (b"\x93\x01\x02", b"\x81\xa1a", b"\xdd\xff\xff\xff\xff", b"\xa1", b"\xc4\x01", b"\x91\x91\x91"):
        for head in (b"\x01", b"\xc0", b"\x01\xc0"):
            with pytest.raises(ProtocolError):
                one.decode_many(head + tail)
            assert one.decode_many(b"\x07\x08") == [7, 8]
    assert one.decode_many(b"\xc0\xc0") == [None, None]


@more_bad
def test_after_bad_bytes_the_next_body_is_read_as_if_nothing_had_been(data):
    one = Msgpack()
    for _ in range(3):
        with pytest.raises(ProtocolError):
            one.decode_many(data)
        assert one.decode_many(b"\x01\xa1a") == [1, "a"]


@more_bad
def test_the_error_tells_the_size_and_nothing_of_the_content(data):
    with pytest.raises(ProtocolError) as caught:
        Msgpack().decode(data)
    assert f"{len(data)} bytes" in str(caught.value)
    assert len(str(caught.value)) < 100
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@moderate
@given(values)
def test_no_beginning_of_a_value_is_a_value(value):
    one = Msgpack()
    data = one.encode(value)
    for end in range(len(data)):
        with pytest.raises(ProtocolError):
            one.decode(data[:end])
    assert one.decode(data) == value


@moderate
@given(st.binary(max_size=200))
def test_random_bytes_are_values_or_a_protocol_error_and_nothing_else(data):
    one = Msgpack()
    try:
        assert one.decode_many(data)
    except ProtocolError:
        assert one.decode(b"\x07") == 7


def test_two_values_are_not_one():
    with pytest.raises(ProtocolError, match="2 msgpack values"):
        Msgpack().decode(b"\x01\x02")


@pytest.mark.parametrize(
    ("head", "item"), [(b"\xdd", b"\x80"), (b"\xdf", b"\xc0\xc0")], ids=["empty maps in an array", "nils in a map"]
)
def test_a_container_may_have_so_many_items_and_no_more(head, item):
    most = head + struct.pack(">I", MAX_ITEMS) + item * MAX_ITEMS
    assert Msgpack().decode(most) is not None
    with pytest.raises(ProtocolError):
        Msgpack().decode(head + struct.pack(">I", 2**20) + item * 2**20)
    with pytest.raises(ProtocolError):
        Msgpack().decode(head + struct.pack(">I", MAX_ITEMS + 1) + item * (MAX_ITEMS + 1))


def test_one_codec_reads_far_more_than_its_buffer():
    one = Msgpack()
    body = one.encode([b"x" * 1000] * 100)
    for _ in range(50):
        assert len(one.decode_many(body)[0]) == 100
        assert one.decode_many(b"\x01\x02") == [1, 2]


# -- the other codecs --------------------------------------------------------------------------------


@moderate
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=8,
    )
)
def test_json_goes_there_and_back(value):
    try:
        data = Json().encode(value)
    except TypeError:
        assert any(0xD800 <= ord(sign) <= 0xDFFF for sign in repr(value))
    else:
        assert Json().decode(data) == value


def test_json_is_compact_utf_8():
    assert Json().encode({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()


@pytest.mark.parametrize("body", [b"bytes", {1, 2}, math.nan, math.inf, "\ud800", Thing(), {(1, 2): 3}], ids=repr)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(TypeError, match="as JSON"):
        Json().encode(body)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"{} {}", b"\xff", b"[" * 100_000, b'{"a":}', b"\x81\xa1a\x01"], ids=lambda data: repr(data[:8])
)
def test_bad_json_is_a_protocol_error(data):
    with pytest.raises(ProtocolError, match="not JSON"):
        Json().decode(data)


def test_raw_is_bytes_and_nothing_but_bytes():
    assert Raw().encode(bytearray(b"ab")) == b"ab"
    assert Raw().encode(memoryview(b"ab")) == b"ab"
    assert Raw().decode(b"") == b""
    for body in ("text", None, [b"a"], 5):
        with pytest.raises(TypeError, match="sends bytes"):
            Raw().encode(body)


def test_frames_are_a_list_of_bytes():
    assert Frames().encode((b"a", bytearray(b""))) == [b"a", b""]
    assert Frames().decode([b"a", b"b"]) == [b"a", b"b"]
    for body in (b"a", [], None, {b"a"}):
        with pytest.raises(TypeError, match="list of bytes"):
            Frames().encode(body)
    for body, says in (([b"a", "b"], "body[1] is a str"), ("text", "body[0] is a str")):
        with pytest.raises(TypeError, match=re.escape(says)):
            Frames().encode(body)


@pytest.mark.parametrize("name", ["msgpack", "json", "raw", "frames"])
def test_a_codec_is_chosen_by_name_and_made_anew_each_time(name):
    first, second = codec(name), codec(name)
    assert isinstance(first, Codec)
    assert type(first) is type(second)
    assert first is not second


def test_a_codec_of_ones_own_is_used_as_it_is():
    class Upper:
        def encode(self, body, /):
            return body.upper().encode()

        def decode(self, data, /):
            return data.decode()

    own = Upper()
    assert codec(own) is own
    with pytest.raises(TypeError):
        codec(Upper)
    with pytest.raises(TypeError):
        codec(None)


def test_an_unknown_codec_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="msgpack, json, raw, frames"):
        codec("pickle")
