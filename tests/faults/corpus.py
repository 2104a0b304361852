"""Content that no honest peer sends, by name."""

from __future__ import annotations

import msgpack

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
}

#: What can be no topic.
TOPICS = {
    "not UTF-8": b"a.\xff\xfe",
    "a NUL": b"a.\0b",
    "64 kB": b"a" * 65_536,
    "256 bytes": b"a" * 256,
}
