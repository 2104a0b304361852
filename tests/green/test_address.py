"""Which strings are addresses, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zbus.green.address import MAX_PATH_BYTES, addresses, check

GOOD = [
    "tcp://127.0.0.1:5556",
    "tcp://localhost:1",
    "tcp://example.org:65535",
    "tcp://[::1]:5556",
    "ipc:///tmp/socket",
    "ipc://relative",
    "ipc://@abstract",
    "inproc://name",
    "inproc://any thing/at:all",
]
BIND_ONLY = ["tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "tcp://*:5556", "tcp://*:*", "tcp://0.0.0.0:*"]
BAD = [
    "",
    "tcp",
    "127.0.0.1:5556",
    "udp://127.0.0.1:5556",
    "pgm://x:1",
    "TCP://127.0.0.1:5556",
    "http://127.0.0.1:80",
    "tcp://",
    "ipc://",
    "inproc://",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:",
    "tcp://:5556",
    "tcp://127.0.0.1:65536",
    "tcp://127.0.0.1:-1",
    "tcp://127.0.0.1:http",
    "tcp://127.0.0.1:５５５６",
    "ipc://" + "x" * (MAX_PATH_BYTES + 1),
    "ipc://" + "ä" * (MAX_PATH_BYTES // 2 + 1),
]


@pytest.mark.parametrize("verb", ["bind", "connect"])
@pytest.mark.parametrize("address", GOOD)
def test_an_address_is_good_for_both_sides(verb: str, address: str) -> None:
    check(address, verb)


@pytest.mark.parametrize("address", BIND_ONLY)
def test_a_wildcard_is_for_bind_alone(address: str) -> None:
    check(address, "bind")
    with pytest.raises(ValueError) as told:
        check(address, "connect")
    assert address in str(told.value)


@pytest.mark.parametrize("verb", ["bind", "connect"])
@pytest.mark.parametrize("address", BAD)
def test_what_is_no_address_is_refused_by_name(verb: str, address: str) -> None:
    with pytest.raises(ValueError) as told:
        check(address, verb)
    assert f"{verb}={address!r}" in str(told.value)


@pytest.mark.parametrize("given", [None, 5, b"tcp://127.0.0.1:5556", ["tcp://127.0.0.1:5556", 5], object()])
def test_what_is_no_string_is_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError):
        addresses(given, (), "Push")


def test_one_address_or_several_become_a_tuple() -> None:
    assert addresses("inproc://a", (), "Push") == (("inproc://a",), ())
    assert addresses(["inproc://a", "ipc://b"], (), "Push") == (("inproc://a", "ipc://b"), ())
    assert addresses((name for name in ("inproc://a",)), (), "Push") == (("inproc://a",), ())
    with pytest.raises(ValueError, match="Push has no address"):
        addresses((), [], "Push")


@given(st.text(), st.sampled_from(["bind", "connect"]))
def test_no_text_makes_it_raise_anything_else(text: str, verb: str) -> None:
    for address in (text, f"tcp://{text}", f"ipc://{text}", f"inproc://{text}"):
        try:
            check(address, verb)
        except ValueError:
            continue
