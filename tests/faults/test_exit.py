"""A program whose end is reached with endpoints open ends, soon, in silence, and loses nothing that could be sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from interop.process import Process

from zbus import Pull

SCRIPT = Path(__file__).with_name("leaves_open.py")
NOBODY = "tcp://127.0.0.1:9"
STATES = {"idle": 0, "parked": 0, "handling": 0, "owned": 0, "undelivered": 0, "exiting": 3, "unsent": 0}
LONGEST = 5.0


def run(state: str, peer: str = NOBODY) -> Process:
    return Process(SCRIPT, state, peer, options=("-X", "dev"))


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, Process]]:
    """All of them side by side, for each takes a while."""
    with ExitStack() as stack:
        yield {state: stack.enter_context(run(state)) for state in STATES}


@pytest.mark.parametrize("state", [state for state in STATES if state != "unsent"])
def test_a_program_ends_with_its_endpoints_open(state: str, programs: dict[str, Process]) -> None:
    program = programs[state]
    assert program.line() == "leaving"
    assert program.ended(LONGEST) == STATES[state]
    assert program.complaint() == ""


def test_an_open_batch_that_nobody_can_take_is_said_to_be_lost(programs: dict[str, Process]) -> None:
    program = programs["unsent"]
    assert program.line() == "leaving"
    assert program.ended(LONGEST) == 0
    (complaint,) = program.complaint().splitlines()
    assert "<Push " in complaint
    assert "1 batched messages" in complaint


@pytest.mark.parametrize("state", ["sending", "batching"])
def test_what_a_program_sent_last_arrives(state: str) -> None:
    with Pull(bind="tcp://127.0.0.1:*") as pull, run(state, pull.addresses[0]) as program:
        assert [pull.recv(timeout=10).body for _ in range(20_000)] == list(range(20_000))
        assert program.line() == "leaving"
        assert program.ended(LONGEST) == 0
        assert program.complaint() == ""
