"""The table of options: every keyword is checked, and sets what it says."""

from __future__ import annotations

import typing
from typing import Any

import pytest
import zmq

from zbus.green import options
from zbus.green.options import TABLE, Options, checked, flags, pings

DEFAULTS = {row.keyword: row.default for row in TABLE}

BAD: dict[str, list[Any]] = {
    "high_water_mark": [0, -1, 1.5, "1000", None, True, 2**31, float("nan")],
    "linger": [-1, -0.001, "1", True, False, float("nan"), float("inf"), 10**9, [1]],
    "max_message_bytes": [0, -1, 1.5, "1000", None, True, 2**31],
    "heartbeat": [0, -1, "2", True, False, float("nan"), float("inf"), 10**9],
    "reconnect": [None, 1, (1,), (1, 2, 3), (0, 1), (1, 0), (-1, 1), ("a", "b"), (True, 1), "ab", (float("nan"), 1)],
    "security": [True, "keys/server.key", 5],
    "insecure": [None, 1, "yes"],
    "name": [None, 5, b"name"],
    "on_event": [5, "print", []],
}
GOOD: dict[str, list[Any]] = {
    "high_water_mark": [1, 1000, 2**31 - 1],
    "linger": [None, 0, 0.0, 0.5, 3600],
    "max_message_bytes": [1, 2**20, 2**31 - 1],
    "heartbeat": [None, 0.001, 2, 86_399],
    "reconnect": [(0.1, 1.0), [1, 2], (5, 1), (0.0001, 86_399)],
    "security": [None],
    "insecure": [False, True],
    "name": ["", "prices"],
    "on_event": [None, print],
}


def said(**given: Any) -> dict[int, int]:
    return {int(option): value for option, value in flags(checked(given, "Push"))}


def rows(values: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(keyword, value) for keyword, listed in values.items() for value in listed]


@pytest.mark.parametrize(("keyword", "value"), rows(BAD))
def test_a_bad_value_is_refused_with_keyword_value_and_what_is_wanted(keyword: str, value: Any) -> None:
    with pytest.raises(ValueError) as told:
        checked({keyword: value}, "Push")
    row = next(row for row in TABLE if row.keyword == keyword)
    shown = f"a {type(value).__qualname__}" if row.private else repr(value)
    assert f"{keyword}={shown}: " in str(told.value)
    assert row.wants in str(told.value)
    assert "Push" in str(told.value)


@pytest.mark.parametrize(("keyword", "value"), rows(GOOD))
def test_a_good_value_is_one_that_libzmq_takes(opened: Any, keyword: str, value: Any) -> None:
    given = checked({keyword: value}, "Push")
    assert given == {**DEFAULTS, keyword: value}
    socket = opened(zmq.PAIR)
    for option, number in flags(given):
        socket.set(option, number)


def test_every_row_is_tried_here_and_typed() -> None:
    keywords = {row.keyword for row in TABLE}
    assert set(BAD) == set(GOOD) == keywords - {"codec"}
    assert set(Options.__annotations__) == keywords
    assert all(row.meaning and row.annotation for row in TABLE)
    assert typing.get_type_hints(options.Option)


def test_an_unknown_option_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(TypeError) as told:
        checked({"high_watermark": 5}, "Push")
    assert "high_watermark" in str(told.value)
    assert "high_water_mark" in str(told.value)


def test_defaults_are_what_the_contract_says() -> None:
    found = said()
    assert (found[zmq.SNDHWM], found[zmq.RCVHWM]) == (1000, 1000)
    assert found[zmq.LINGER] == 1000
    assert found[zmq.MAXMSGSIZE] == 2**20
    assert (found[zmq.TCP_KEEPALIVE_IDLE], found[zmq.TCP_KEEPALIVE_INTVL], found[zmq.TCP_KEEPALIVE_CNT]) == (2, 2, 2)
    assert dict(pings(2.0)) == {zmq.HEARTBEAT_IVL: 500, zmq.HEARTBEAT_TIMEOUT: 6300}
    assert 50 <= found[zmq.RECONNECT_IVL] <= 150
    assert found[zmq.RECONNECT_IVL_MAX] == 1000
    assert found[zmq.HANDSHAKE_IVL] == 5000
    assert found[zmq.TCP_KEEPALIVE] == 1


def test_seconds_become_milliseconds_and_none_has_its_own_meaning() -> None:
    assert said(linger=None)[zmq.LINGER] == -1
    assert said(linger=0)[zmq.LINGER] == 0
    assert said(linger=0.25)[zmq.LINGER] == 250
    assert said(heartbeat=None)[zmq.TCP_KEEPALIVE] == 0
    assert said(heartbeat=5)[zmq.TCP_KEEPALIVE_IDLE] == 5
    assert dict(pings(0.5)) == {zmq.HEARTBEAT_IVL: 125, zmq.HEARTBEAT_TIMEOUT: 1575}


def test_the_start_of_reconnecting_varies_and_the_longest_is_never_below_the_first() -> None:
    starts = {said(reconnect=(10, 20))[zmq.RECONNECT_IVL] for _ in range(50)}
    assert len(starts) > 5
    assert all(5000 <= start <= 15_000 for start in starts)
    found = said(reconnect=(5, 1))
    assert found[zmq.RECONNECT_IVL_MAX] >= found[zmq.RECONNECT_IVL]
