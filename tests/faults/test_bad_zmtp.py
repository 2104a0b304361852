"""A peer that was let in and then breaks ZMTP: it is cut off or passed over, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from faults.places import PLACES, Place
from faults.vitals import Vitals
from faults.zmtp import (
    COMMAND,
    LONG,
    MORE,
    admitted,
    announced,
    command,
    connected,
    frame,
    greeting,
    is_cut,
    metadata,
    ready,
    say,
)
from waiting import until

GIB = 2**30

#: In place of a handshake; "ready" is one of the type of socket that is looked for.
INSTEAD = {
    "a mechanism that nobody knows": [greeting(b"MAGIC"), "ready"],
    "another mechanism": [greeting(b"PLAIN"), "ready"],
    "a mechanism that is not ASCII": [greeting(b"\xff" * 20), "ready"],
    "ZMTP 4": [greeting(major=4), "ready"],
    "a client that calls itself the server": [greeting(as_server=1), "ready"],
    "a greeting and no more": [greeting()],
    "a message where READY belongs": [greeting(), frame(b"\xc1")],
    "READY of a type that does not fit": [greeting(), ready("PEER")],
    "READY without a type": [greeting(), command(b"READY")],
    "READY whose metadata ends too soon": [greeting(), command(b"READY", b"\x0bSocket-Type\x00\x00\x00\xffPULL")],
    "READY whose metadata has no name": [greeting(), command(b"READY", metadata(b"", b""))],
    "READY with a hundred kilobytes of metadata": [greeting(), command(b"READY", metadata(b"X", bytes(100_000)))],
    "READY of 8 GiB, of which little comes": [greeting(), announced(8 * GIB, COMMAND, b"\5READY")],
    "ERROR": [greeting(), command(b"ERROR", b"\3no!")],
    "ERROR whose reason ends too soon": [greeting(), command(b"ERROR", b"\xffno!")],
    "flags that are reserved": [greeting(), b"\xf8\1\xc1"],
}
#: After one. No body here is msgpack.
AFTER = {
    "flags that are reserved": b"\xf8\1\xc1",
    "a command with more to come": frame(b"\4JUNK", COMMAND | MORE),
    "an empty command": frame(b"", COMMAND),
    "a command whose name ends too soon": frame(b"\xffA", COMMAND),
    "a command that nobody knows": command(b"JUNK", b"\xc1" * 100),
    "a PING without its time": command(b"PING"),
    "a PING with a long context": command(b"PING", b"\0\1" + b"\xc1" * 200),
    "a PONG that nobody asked for": command(b"PONG", b"\xc1" * 16),
    "READY again": ready("PULL"),
    "ERROR": command(b"ERROR", b"\xffno!"),
    "SUBSCRIBE as a command": command(b"SUBSCRIBE", b"\xc1" * 300),
    "CANCEL of what was never asked for": command(b"CANCEL", b"\xc1"),
    "a message of which the rest never comes": frame(b"\xc1", MORE),
    "8 GiB, of which three bytes come": announced(8 * GIB),
    "a command of 8 GiB": announced(8 * GIB, COMMAND),
    "2^64 - 1 bytes": announced(2**64 - 1),
    "2^63 bytes": announced(2**63),
    "a byte over the limit": announced(2**20 + 1),
    "a long frame that is short": bytes([LONG]) + bytes(7) + b"\1\xc1",
    "a thousand empty frames": frame(b"", MORE) * 1000 + frame(b""),
    "nine frames": frame(b"\xc1", MORE) * 8 + frame(b"\xc1"),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Somewhere that a peer can reach, with an honest one there."""
    with ExitStack() as stack:
        made = PLACES[request.param](stack)
        assert made.exchange("before") == "before"
        until(lambda: made.peers() == 1)
        yield made


def undisturbed(place: Place) -> None:
    """The others are still there, and all goes on."""
    until(lambda: place.peers() == 1)
    assert place.exchange("after") == "after"


def test_a_handshake_that_is_none_lets_nobody_in(place: Place) -> None:
    came = place.came()
    for name, said in INSTEAD.items():
        with connected(place.address) as stranger:
            say(stranger, b"".join(ready(place.peer) if one == "ready" else one for one in said))
            assert place.peers() == 1, name
    until(lambda: place.peers() == 1)
    assert place.came() == came
    undisturbed(place)


def test_a_peer_that_breaks_zmtp_harms_nobody_else(place: Place) -> None:
    for said in AFTER.values():
        with connected(place.address) as liar:
            if place.peer == "PAIR":  # one is there, and this one is sent away
                say(liar, greeting() + ready("PAIR"))
            else:
                admitted(liar, place.peer)
                until(lambda: place.peers() == 2)
            say(liar, said)
        until(lambda: place.peers() == 1)
    undisturbed(place)


def test_a_peer_that_announces_gigabytes_is_cut_off_and_no_memory_is_set_aside(place: Place) -> None:
    """Row ME-1: 8 GiB announced, 3 bytes sent."""
    if place.peer == "PAIR":
        pytest.skip("a PAIR cuts off a second peer before it can say so")
    before = Vitals.now().kib
    for size in (8 * GIB, 2**20 + 1, 2**63 - 1, 2**64 - 1):
        for _ in range(5):
            with connected(place.address) as liar:
                admitted(liar, place.peer)
                until(lambda: place.peers() == 2)
                say(liar, announced(size))
                is_cut(liar)
            until(lambda: place.peers() == 1)
    assert Vitals.now().kib < before + 5 * 1024
    undisturbed(place)
