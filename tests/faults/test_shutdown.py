"""A program is told to end while messages wait for a peer that is gone (row SH-2), or by Ctrl-C (row SH-3)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from faults.nursery import Child, Nursery
from interop.process import Process

PROGRAMS = Path(__file__).with_name("ends.py")
#: Of the programs' endpoints.
LINGER = 1.5
#: For a busy machine, in seconds: on what takes time, and on how long a loop that nobody holds up stands still.
#: One that was held up would be for all of the linger.
SLACK, STALL = 5.0, 0.8
#: Seconds that a program may take to start there.
START = 25.0


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def filled(program: Process, peer: Child, way: str) -> None:
    """The peer goes, and messages for it wait in the program."""
    assert program.line(START) == "connected"
    if way == "killed":
        peer.kill()
    else:
        peer.pause()
    program.say("send")
    assert program.line() == "ready"


@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_messages_for_a_peer_that_is_gone_hold_up_the_end_for_their_linger_and_nobody_meanwhile(
    way: str, nursery: Nursery
) -> None:
    peer = nursery.child("worker")
    with Process(PROGRAMS, "pending", peer.address) as program:
        filled(program, peer, way)
        began = monotonic()
        os.kill(program.pid, signal.SIGTERM)
        stall = float(program.line())
        assert program.ended() == 0
        assert monotonic() - began < LINGER + 1.0 + SLACK
        assert stall < 0.1 + STALL
        said = program.complaint().splitlines()
        assert any("<Push " in line for line in said)
        assert all("is lost" in line for line in said)


@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_a_second_signal_does_not_wait_for_them(way: str, nursery: Nursery) -> None:
    peer = nursery.child("worker")
    with Process(PROGRAMS, "pending_for_long", peer.address) as program:
        filled(program, peer, way)
        os.kill(program.pid, signal.SIGTERM)
        assert program.line() == "stopping"
        began = monotonic()
        os.kill(program.pid, signal.SIGTERM)
        assert program.ended() == -signal.SIGTERM
        assert monotonic() - began < SLACK
        assert program.complaint() == ""


@pytest.mark.parametrize("inside", ["handler", "callback", "notice"])
def test_ctrl_c_in_a_callback_ends_a_program_that_runs(inside: str) -> None:
    with Process(PROGRAMS, inside, "") as program:
        assert program.line(START) == "ready"
        began = monotonic()
        program.line()
        assert program.ended() == 0
        assert monotonic() - began < 2.0 + SLACK
        assert program.complaint() == ""


def test_ctrl_c_wakes_those_who_wait_when_nothing_runs() -> None:
    with Process(PROGRAMS, "waiting", "") as program:
        assert program.line(START) == "ready"
        began = monotonic()
        os.kill(program.pid, signal.SIGINT)
        program.line()
        assert program.ended() == 0
        assert monotonic() - began < 2.0 + SLACK
        assert "Closed" not in program.complaint(), "gevent may tell where the interrupt came, and nothing else is told"
