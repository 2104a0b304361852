"""Bodies that cost more than they weigh are refused, soon and in little memory; large honest ones are not."""

from __future__ import annotations

import struct
import uuid

import msgpack
import pytest
from fuzz.cost import cost

from zbus.errors import ProtocolError
from zbus.wire.bounds import MAX_ITEMS, MAX_VALUES, most_values
from zbus.wire.codec import Json, Msgpack
from zbus.wire.message import decode_headers

#: Python hashes numbers modulo this: UUIDs and Decimals that differ by it have the same hash.
MODULUS = 2**61 - 1
MIB = 2**20


def array(items: int) -> bytes:
    """The head of an array."""
    return b"\xdd" + struct.pack(">I", items)


def mapping(entries: int) -> bytes:
    """The head of a map."""
    return b"\xdf" + struct.pack(">I", entries)


def twins(count: int) -> list[bytes]:
    """UUIDs, as extensions, that all have one hash."""
    return [b"\xc7\x20\x02" + uuid.UUID(int=1 + number * MODULUS).hex.encode() for number in range(count)]


def equal_decimals(count: int) -> list[bytes]:
    """The same of Decimals."""
    texts = [str(1 + number * MODULUS).encode() for number in range(1, count + 1)]
    return [b"\xc7" + bytes([len(text), 1]) + text for text in texts]


def keyed(keys: list[bytes]) -> bytes:
    """A map with these keys."""
    return mapping(len(keys)) + b"".join(key + b"\xc0" for key in keys)


DEAR = {
    "empty maps in arrays in an array": b"\x98" + (array(MAX_ITEMS) + b"\x80" * MAX_ITEMS) * 8,
    "maps of one entry": b"\x98" + (array(43_690) + b"\x81\0\0" * 43_690) * 8,
    "numbers below zero": b"\x98" + (array(MAX_ITEMS) + b"\xe0" * MAX_ITEMS) * 8,
    "Decimals of one digit": b"\x98" + (array(43_000) + b"\xd4\x01\x31" * 43_000) * 8,
    "arrays that say they are long, in each other": array(MAX_ITEMS) * 1000,
    "the same in three bytes each": b"\xdc\xff\xff" * 1000,
    "arrays that say they are long, in a map": b"\x81\xa1a" + array(MAX_ITEMS) * 1000,
    "maps that say they are long, in each other": (mapping(MAX_ITEMS) + b"\1") * 1000 + b"\xdd" + bytes(MAX_ITEMS),
    "UUIDs with one hash as keys": keyed(twins(2000)),
    "Decimals with one hash as keys": keyed(equal_decimals(2000)),
    "a few UUIDs with one hash in each of many maps": array(700) + keyed(twins(40)) * 700,
    "more values behind one another than an array may have": b"\x80" * MIB,
}
HONEST = {
    "records": msgpack.packb([{"id": number, "name": "abc", "price": number / 7} for number in range(25_000)]),
    "floats": msgpack.packb([number / 7 for number in range(110_000)]),
    "rows of bytes": msgpack.packb([list(range(256))] * 512),
    "a megabyte of text": msgpack.packb("日本" * 170_000),
    "bytes that look like anything": msgpack.packb(bytes(range(256)) * 4000),
    "a map of all the entries it may have": mapping(MAX_ITEMS)
    + b"".join(b"\xce" + struct.pack(">I", number) + b"\xc0" for number in range(MAX_ITEMS)),
    "UUIDs as keys": keyed([b"\xc7\x20\x02" + uuid.UUID(int=number).hex.encode() for number in range(3000)]),
    "UUIDs": msgpack.packb([msgpack.ExtType(2, str(uuid.UUID(int=number)).encode()) for number in range(20_000)]),
}


@pytest.mark.parametrize("decode", [Msgpack.decode, Msgpack.decode_many])
@pytest.mark.parametrize("name", DEAR)
def test_a_body_that_costs_more_than_it_weighs_is_refused_before_it_does(name, decode):
    data, one = DEAR[name], Msgpack()
    with pytest.raises(ProtocolError, match=f"{len(data)} bytes") as caught:
        decode(one, data)
    assert len(str(caught.value)) < 120
    assert not cost(lambda: decode(one, data), len(data)).dear
    assert decode(one, b"\x07") in (7, [7])


def test_a_body_as_dear_as_it_may_be_is_looked_at_once_also_where_something_follows_it():
    dearest = b"\x92" + (array(65_000) + b"\x80" * 65_000) * 2
    for data in (dearest, dearest + b"\xc1", dearest + b"\x07"):
        assert not cost(lambda data=data: Msgpack().decode(data), len(data)).dear
        assert not cost(lambda data=data: Msgpack().decode_many(data), len(data)).dear
    assert len(Msgpack().decode_many(dearest + b"\x07")) == 2


@pytest.mark.parametrize("name", HONEST)
def test_a_large_honest_body_is_read(name):
    data = HONEST[name]
    assert Msgpack().decode(data) == Msgpack().decode_many(data)[0]
    assert Msgpack().decode_many(data + b"\x07")[1] == 7


def test_a_body_may_hold_more_values_the_longer_it_is():
    assert most_values(0) == most_values(MIB) == MAX_VALUES
    assert most_values(4 * MIB) == MIB
    half = array(MAX_ITEMS) + b"\x00" * MAX_ITEMS
    filled = b"\xc6" + struct.pack(">I", 3 * MIB) + bytes(3 * MIB)
    assert len(Msgpack().decode(b"\x94" + half * 3 + filled)) == 4
    with pytest.raises(ProtocolError, match="more than 262145 values"):
        Msgpack().decode(b"\x93" + half * 3)


@pytest.mark.parametrize(
    "head", [mapping(MAX_ITEMS) + b"\1", b"\x81\xa1a" + array(MAX_ITEMS), b"\x81\xa1a\xdc\xff\xff"]
)
def test_headers_that_say_they_are_long_take_no_room(head):
    data = (head * 1000)[:4000]
    with pytest.raises(ProtocolError):
        decode_headers(data)
    assert cost(lambda: decode_headers(data), len(data)).peak < MIB


# -- JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", [b"{}", b'{"":0}', b"[]", b"[[]]", b'{"\\\\":"\\""}', b"-7"])
def test_json_of_more_values_than_it_may_have_is_refused(item):
    data = b"[" + (item + b",") * (MIB // len(item)) + b"0]"
    with pytest.raises(ProtocolError, match="more than"):
        Json().decode(data)
    assert not cost(lambda: Json().decode(data), len(data)).dear


def test_what_stands_in_strings_of_json_is_no_value():
    for text in ("[" * 10**6, "{,:" * 10**5 + '"\\', '\\"' * 10**5 + "," * 10**6):
        data = Json().encode([text, {"a": text}])
        assert Json().decode(data) == [text, {"a": text}]


def test_json_is_utf_8_with_or_without_a_mark():
    assert Json().decode(b'\xef\xbb\xbf"a"') == "a"
    for encoding in ("utf-16", "utf-32"):
        with pytest.raises(ProtocolError, match="not JSON"):
            Json().decode('"a"'.encode(encoding))
