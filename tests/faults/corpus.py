"""Content that no honest peer sends, by name."""

from __future__ import annotations

import logging

import msgpack
import pytest

#: What is no msgpack value, nor several.
BODIES = {
    "an empty body": b"",
    "a map cut short": msgpack.packb({"a": [1, 2, 3]})[:-1],
    "the byte that msgpack never uses": b"\xc1",
    "that byte behind a value": b"\x01\xc1",
    "a value cut short behind a whole one": b"\x01\xa5ab",
    "an array that says it has four thousand million items": b"\xdd\xff\xff\xff\xff",
    "a map that does": b"\xdf\xff\xff\xff\xff",
    "text that does": b"\xdb\xff\xff\xff\xff",
    "bytes that do": b"\xc6\xff\xff\xff\xff",
    "an extension that does": b"\xc9\xff\xff\xff\xff\x01",
    "an array of more items than allowed": b"\xdd\x00\x02\x00\x01" + b"\xc0" * 131_073,
    "a mebibyte of empty maps in one array": b"\xdd\x00\x0f\xff\xfb" + b"\x80" * (2**20 - 5),
    "empty maps in arrays of the allowed length": b"\x94" + (b"\xdd\x00\x02\x00\x00" + b"\x80" * 131_072) * 4,
    "arrays that say they are long, in each other": b"\xdd\x00\x02\x00\x00" * 1000,
    "arrays in arrays, 1,025 deep": b"\x91" * 1025 + b"\xc0",
    "arrays in arrays, 100,000 deep": b"\x91" * 100_000 + b"\xc0",
    "maps in maps, 100,000 deep": b"\x81\x01" * 100_000 + b"\xc0",
    "text that is not UTF-8": b"\xa2\xff\xfe",
    "a list as a key": b"\x81\x90\x01",
    "a timestamp beyond its nanoseconds": b"\xc7\x0c\xff" + b"\xff" * 12,
    "a timestamp beyond the calendar": b"\xc7\x0c\xff" + b"\x00" * 4 + b"\x7f" + b"\xff" * 7,
    "a Decimal that is none": b"\xd4\x01x",
    "a UUID that is none": b"\xd4\x02x",
    "a date that is none": b"\xd4\x03x",
    "an extension of a number below zero": b"\xd4\xfbx",
}

#: A message of which no beginning is one.
_WHOLE = msgpack.packb({"id": 7, "items": [1.5, None, "abc"]})
BODIES |= {f"the first {end} of {len(_WHOLE)} bytes": _WHOLE[:end] for end in range(1, len(_WHOLE))}

if msgpack.version < (1, 2, 4):  # msgpack takes it for a time
    del BODIES["a timestamp beyond its nanoseconds"]

#: What can be no headers.
HEADERS = {
    "no bytes": b"",
    "nil": b"\xc0",
    "a list": b"\x90",
    "a number": b"\x01",
    "an int key": b"\x81\x01\x01",
    "a nil key": b"\x81\xc0\x01",
    "a list key": b"\x81\x90\x01",
    "one key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a map cut short": b"\x82\xa1a\x01",
    "two maps": b"\x80\x80",
    "a key that is not UTF-8": b"\x81\xa1\xff\x01",
    "more bytes than allowed": msgpack.packb({"a": "b" * 4096}),
    "the byte that msgpack never uses": b"\xc1",
    "maps in maps": b"\x81\xa1a" * 1300 + b"\xc0",
    "maps that say they are long, in each other": b"\xdf\x00\x02\x00\x00\x01" * 600,
    "a byte behind the map": b"\x80\x00",
}

#: What nobody expects in headers, and what is good there.
ODD_HEADERS = {
    "numbers that are none": msgpack.packb({"a": float("nan"), "b": float("inf"), "c": float("-inf")}),
    "the largest number": msgpack.packb({"a": 2**64 - 1}),
    "a time without an error's shape": msgpack.packb({"error": 5, "time": b"\xff", "traceparent": []}),
    "a time to live of a client that knows no better": msgpack.packb({"ttl": -1.0, "deadline": 2**63}),
    "an extension that nobody knows": b"\x81\xa1a\xd4\x2a\x00",
}

#: What can be no topic.
TOPICS = {
    "not UTF-8": b"a.\xff\xfe",
    "a NUL": b"a.\0b",
    "64 kB": b"a" * 65_536,
    "256 bytes": b"a" * 256,
}

# -- as whole messages -----------------------------------------------------------------------------

GOOD = msgpack.packb("good")
ZBUS = b"k" * 16 + b"\x7f\xff\xff\xff"  # a correlation of zbus's own, without a deadline

#: Frames of a message that should be ``body [headers]``.
STREAM = {
    **{f"body: {name}": [body] for name, body in BODIES.items()},
    **{f"body before headers: {name}": [body, b"\x80"] for name, body in BODIES.items()},
    **{f"headers: {name}": [GOOD, headers] for name, headers in HEADERS.items()},
    "three frames": [GOOD, b"\x80", b"\x80"],
    "two empty frames": [b"", b""],
    "seven frames": [GOOD] * 7,
    "a hundred frames": [GOOD] * 100,
    "a thousand empty frames": [b""] * 1000,
    "a value in the headers' place": [b"\x80", GOOD],
}

#: Frames of a publication.
PUBLICATIONS = {
    **{f"body: {name}": [b"a", body] for name, body in BODIES.items()},
    **{f"headers: {name}": [b"a", GOOD, headers] for name, headers in HEADERS.items()},
    **{f"topic: {name}": [topic, GOOD] for name, topic in TOPICS.items()},
    "a topic and no body": [b"a"],
    "four frames": [b"a", GOOD, b"\x80", b"\x80"],
    "seven frames": [b"a"] * 7,
    "a hundred frames": [b"a"] * 100,
    **{
        f"sequence: {value!r}": [b"a", GOOD, msgpack.packb({"sequence": value})]
        for value in (None, 1, [], [b"p"], [b"p", 0], [b"p", -1], ["p", 1], [b"p", "1"], [b"p", 1, 1], {"p": 1}, [1, 1])
    },
}

#: Requests that no reply can be sent to.
LOST = {
    "one empty frame": [b""],
    "a body alone": [GOOD],
    "seven frames without a delimiter": [GOOD] * 7,
    "a hundred frames without a delimiter": [GOOD] * 100,
    "a delimiter and no body": [b"i", b""],
    "three frames behind the delimiter": [b"", GOOD, b"\x80", b"\x80"],
    "a hundred frames behind the delimiter": [b"", *[GOOD] * 100],
    "a hundred empty frames": [b""] * 100,
    "nine frames, with a deep envelope": [b"i"] * 6 + [b"", GOOD],
}

#: Replies that answer nothing.
STRAY = {
    "one empty frame": [b""],
    "a body alone": [GOOD],
    "no delimiter": [ZBUS, GOOD],
    "a body where the delimiter belongs": [ZBUS, GOOD, GOOD],
    "a delimiter and no body": [ZBUS, b""],
    "no correlation": [b"", GOOD],
    "an empty correlation": [b"", b"", GOOD],
    "a correlation of one byte": [b"k", b"", GOOD],
    "a correlation of 19 bytes": [ZBUS[:19], b"", GOOD],
    "a correlation of 255 bytes": [b"k" * 255, b"", GOOD],
    "seven frames": [ZBUS, b"", *[GOOD] * 5],
    "a hundred frames": [ZBUS, b"", *[GOOD] * 98],
    "a hundred empty frames": [b""] * 100,
}

#: An error whose text is a thousand arrays in each other: one can be read, and not be shown.
NESTED = b"\x81\xa5error\x82\xa4type\xa1X\xa7message" + b"\x91" * 1020 + b"\xc0"


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged for somebody to see."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
