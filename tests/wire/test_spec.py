"""Every vector and every table of docs/spec.md, against the code."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from zbus.errors import ProtocolError
from zbus.wire.batch import Batch, Batches
from zbus.wire.codec import _EXTENSIONS, MAX_ITEMS, Msgpack
from zbus.wire.memory import Memory
from zbus.wire.message import MAX_FRAMES, MAX_HEADER_BYTES, decode_headers, encode_headers
from zbus.wire.request import (
    CORRELATION_BYTES,
    KEY_BYTES,
    MAX_ERROR_TEXT,
    Arrival,
    correlation,
    error_reply,
    read_correlation,
    read_reply,
)
from zbus.wire.sequence import MAX_PUBLISHERS, MAX_TOPICS, Numbering, Seen, Tracker
from zbus.wire.topic import MAX_TOPIC_BYTES, Pattern, PatternTree, decode_topic, encode_topic

SPEC = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")

Vector = dict[str, Any]

BLOCK = re.compile(r"^```vector\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEX = {"hex", "client", "key", "prefix"}
WORDS = {"kind", "as", "caller"}

TAGS: dict[str, Callable[[Any], Any]] = {
    "$bin": bytes.fromhex,
    "$float": float,
    "$map": lambda pairs: {plain(key): plain(value) for key, value in pairs},
    "$timestamp": datetime.datetime.fromisoformat,
    "$decimal": decimal.Decimal,
    "$uuid": uuid.UUID,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$ext": lambda pair: msgpack.ExtType(pair[0], bytes.fromhex(pair[1])),
}


def plain(value: Any) -> Any:
    """The value that the JSON notation of section 4.1 stands for."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and (tag := next(iter(value))).startswith("$"):
            return TAGS[tag](value[tag])
        return {key: plain(item) for key, item in value.items()}
    return value


def vectors() -> list[Vector]:
    """The fenced blocks, one `name: value` a line; `frame 0`, `frame 1`, … are gathered in `frames`."""
    found = []
    for block in BLOCK.finditer(SPEC):
        vector: Vector = {"frames": [], "line": SPEC.count("\n", 0, block.start()) + 1}
        for line in block[1].splitlines():
            name, _, text = (part.strip() for part in line.partition(":"))
            if name == f"frame {len(vector['frames'])}":
                vector["frames"].append(bytes.fromhex(text))
            elif name in WORDS:
                vector[name] = text
            elif name in HEX and text != "null":
                vector[name] = bytes.fromhex(text)
            else:
                assert name not in vector, f"{name!r} stands twice at line {vector['line']}"
                vector[name] = plain(json.loads(text))
        found.append(vector)
    return found


VECTORS = vectors()


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTORS if vector["kind"] in kinds]
    return pytest.mark.parametrize("vector", chosen, ids=lambda vector: f"line {vector['line']}")


def alike(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down; nan is like nan."""
    return repr(one) == repr(other) and Msgpack().encode(one) == Msgpack().encode(other)


def read_headers(frames: list[bytes]) -> Any:
    return decode_headers(frames[0]) if frames else None


def written(headers: Any) -> list[bytes]:
    return [] if headers is None else [encode_headers(headers, Msgpack())]


# -- the vectors -------------------------------------------------------------------------------------


def test_every_vector_is_of_a_kind_that_is_checked_here():
    assert len(VECTORS) == SPEC.count("```vector")
    assert {vector["kind"] for vector in VECTORS} == {
        "value",
        "accepted",
        "batch",
        "headers",
        "stream",
        "publication",
        "correlation",
        "request",
        "reply",
        "error",
        "topic",
        "pattern",
        "refused",
    }


@of_kind("value")
def test_a_value_is_encoded_as_the_spec_says(vector):
    assert Msgpack().encode(vector["value"]) == vector["hex"]


@of_kind("value", "accepted")
def test_a_value_is_decoded_as_the_spec_says(vector):
    assert alike(Msgpack().decode(vector["hex"]), vector["value"])


@of_kind("batch")
def test_a_batch_is_as_the_spec_says(vector):
    one = Msgpack()
    assert b"".join(map(one.encode, vector["values"])) == vector["hex"]
    assert alike(one.decode_many(vector["hex"]), vector["values"])


@of_kind("headers")
def test_headers_are_as_the_spec_says(vector):
    assert encode_headers(vector["headers"], Msgpack()) == vector["hex"]
    assert alike(decode_headers(vector["hex"]), vector["headers"])


@of_kind("stream")
def test_a_message_of_a_pair_or_pipeline_is_as_the_spec_says(vector):
    one = Msgpack()
    assert [b"".join(map(one.encode, vector["values"])), *written(vector["headers"])] == vector["frames"]
    body, *headers = vector["frames"]
    assert alike(one.decode_many(body), vector["values"])
    assert alike(read_headers(headers), vector["headers"])


@of_kind("publication")
def test_a_publication_is_as_the_spec_says(vector):
    batches = Batches(Batch(messages=len(vector["values"])), max_bytes=1000)
    for value in vector["values"]:
        batches.add(Msgpack().encode(value), topic=encode_topic(vector["topic"]))
    (batch,) = batches.drain()
    assert [batch.topic, batch.body(), *written(vector["headers"])] == vector["frames"]
    topic, body, *headers = vector["frames"]
    assert decode_topic(topic) == vector["topic"]
    assert alike(Msgpack().decode_many(body), vector["values"])
    assert alike(read_headers(headers), vector["headers"])


@of_kind("publication")
def test_the_number_of_a_publication_is_that_of_its_first_value(vector):
    if "numbers" not in vector:
        return
    numbers, count = vector["numbers"], len(vector["values"])
    publisher, number = vector["headers"]["sequence"]
    assert numbers == list(range(number, number + count))
    numbering = Numbering(publisher)
    if number > 1:
        numbering.next(b"px.a", number - 1)
    assert numbering.next(b"px.a", count) == (publisher, number)
    tracker = Tracker()
    tracker.observe("px.a", publisher, number, count=count)
    assert tracker.observe("px.a", publisher, numbers[-1]) == Seen(fresh=False)
    assert tracker.observe("px.a", publisher, numbers[-1] + 1) == Seen(fresh=True)


@of_kind("correlation")
def test_a_correlation_is_as_the_spec_says(vector):
    key = vector["client"] + vector["call"].to_bytes(8, "big")
    seconds = None if vector["milliseconds"] is None else vector["milliseconds"] / 1000
    assert correlation(key, seconds, vector["repeatable"]) == vector["hex"]
    assert read_correlation(vector["hex"]) == (key, seconds, vector["repeatable"])


@of_kind("request")
def test_a_request_is_as_the_spec_says(vector):
    now, frames = 1000.0, vector["frames"]
    arrival = Arrival(frames, now=now)
    left = None if arrival.expires is None else round((arrival.expires - now) * 1000)
    assert (arrival.key, left, arrival.repeatable) == (vector["key"], vector["milliseconds"], vector["repeatable"])
    assert alike(Msgpack().decode(arrival.body), vector["value"])
    headers = [] if arrival.headers is None else [arrival.headers]
    assert alike(read_headers(headers), vector["headers"])
    sent = [Msgpack().encode(vector["value"]), *written(vector["headers"])]
    assert [*arrival.envelope, *sent] == frames
    if arrival.key is not None:
        assert correlation(arrival.key, left / 1000, arrival.repeatable) == frames[1]


@of_kind("reply")
def test_a_reply_is_as_the_spec_says(vector):
    key, body, headers = read_reply(vector["frames"])
    assert key == vector["key"]
    assert alike(Msgpack().decode(body), vector["value"])
    assert headers is None
    assert [vector["frames"][0], b"", Msgpack().encode(vector["value"])] == vector["frames"]


@of_kind("error")
def test_an_error_reply_is_as_the_spec_says(vector):
    words = {name: vector[name] for name in ("type", "message", "hops") if name in vector}
    devices = [b"d"] * vector.get("hops", 0)
    zbus = [b"i", *devices, correlation(b"k" * KEY_BYTES, 1, False), b""]
    envelope = zbus if vector["caller"] == "zbus" else [b"i", b""]
    arrival = Arrival([*envelope, b"\x01"], now=0.0)
    assert error_reply(arrival, words["type"], words["message"], Msgpack()) == vector["frames"]
    if vector["caller"] == "zbus":
        body, headers = vector["frames"]
        assert Msgpack().decode(body) is None
        assert decode_headers(headers) == {"error": words}
    else:
        (body,) = vector["frames"]
        assert Msgpack().decode(body) == {"error": words}


@of_kind("topic")
def test_a_topic_is_as_the_spec_says(vector):
    assert encode_topic(vector["topic"]) == vector["hex"]
    assert decode_topic(vector["hex"]) == vector["topic"]


@of_kind("pattern")
def test_a_pattern_asks_and_matches_as_the_spec_says(vector):
    pattern = Pattern(vector["pattern"])
    assert pattern.prefix == vector["prefix"]
    tree: PatternTree[bool] = PatternTree()
    tree.add(pattern, True)
    assert [topic for topic in vector["matches"] if not tree.match(topic)] == []
    assert [topic for topic in vector["fails"] if tree.match(topic)] == []
    assert all(topic.encode().startswith(pattern.prefix) for topic in vector["matches"])


REFUSES: dict[str, Callable[[Vector], Any]] = {
    "body": lambda vector: Msgpack().decode_many(vector["hex"]),
    "headers": lambda vector: decode_headers(vector["hex"]),
    "topic": lambda vector: decode_topic(vector["hex"]),
    "request": lambda vector: Arrival(vector["frames"], now=0.0),
    "reply": lambda vector: read_reply(vector["frames"]),
}


@of_kind("refused")
def test_what_the_spec_says_is_refused_is_refused(vector):
    if vector.get("hex", b"").startswith(b"\xc7\x0c\xff\x3b\x9a\xca\x00") and msgpack.version < (1, 2, 4):
        pytest.skip("this msgpack takes 10^9 nanoseconds for a time")
    with pytest.raises(ProtocolError):
        REFUSES[vector["as"]](vector)


# -- the tables --------------------------------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    lines = SPEC.split(f"{heading}\n", 1)[1].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def number(limit: str) -> int:
    (found,) = [row[1] for row in rows("## 9. Limits") if row[0] == limit]
    return int(found.replace(",", ""))


def test_the_table_of_extension_types_is_the_codes():
    told = {int(code): name for code, name, _ in rows("### 4.2 Extension types")}
    kinds = {code: kind.__name__ for code, kind, _, _ in _EXTENSIONS}
    named = {"Decimal": "Decimal", "UUID": "UUID", "date": "date", "time": "time of day"}
    assert told == {-1: "point in time"} | {code: named[name] for code, name in kinds.items()}


def test_the_limits_are_the_codes():
    assert number("octets in headers") == MAX_HEADER_BYTES
    assert number("octets in a topic") == number("octets in a pattern") == MAX_TOPIC_BYTES
    assert number("items in an array or a map") == MAX_ITEMS
    assert number("values in a frame") == Batch().messages
    assert number("frames of a request, identities included") == MAX_FRAMES
    assert number("characters in an error's message") == MAX_ERROR_TEXT
    assert f"one frame of {CORRELATION_BYTES} octets" in SPEC
    assert f"{MAX_TOPICS:,} topics and {MAX_PUBLISHERS} ids" in SPEC


def test_the_depth_of_nesting_is_the_codes():
    levels = number("levels of nesting")
    assert Msgpack().decode(b"\x91" * (levels - 1) + b"\x90")
    with pytest.raises(ProtocolError):
        Msgpack().decode(b"\x91" * levels + b"\x90")
    deep: list = []
    for _ in range(510):
        deep = [deep]
    assert Msgpack().encode(deep) == b"\x91" * 510 + b"\x90"


def test_the_bounds_of_a_servers_memory_are_the_codes():
    assert "for 120 s, at most 10,000 and 64 MiB" in SPEC.replace("\n", " ")
    memory = Memory()
    assert (memory._seconds, memory._calls, memory._size) == (120.0, 10_000, 64 * 2**20)
