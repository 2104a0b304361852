"""A process forks while it is busy: row FK-1."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from interop.process import Process

from zbus import Pull

PROGRAM = Path(__file__).with_name("forks_busy.py")
ON_PURPOSE = ("-W", "ignore:This process (pid:DeprecationWarning")  # it forks beside libzmq's threads
LONG = 20.0


def said(program: Process, who: str) -> dict[str, Any]:
    """The next that it says, which has to be the parent or the child."""
    found: dict[str, Any] = json.loads(program.line(LONG))
    assert found.pop("who") == who
    return found


@pytest.mark.parametrize("way", ["os", "gevent", "multiprocessing"])
def test_a_child_begins_anew_and_its_busy_parent_does_not_notice(way: str) -> None:
    with Process(PROGRAM, way, options=ON_PURPOSE) as program:
        child = said(program, "child")
        assert child["parked"] == ["Closed"] * 8
        assert child["busy"] == 0
        assert child["states"] == ["declared"]
        assert child["anew"] == ["anew", "anew"]
        assert child["cpu"] < 0.05

        program.say("close")
        parent = said(program, "parent")
        assert parent["calls"] > 100
        assert (parent["failed"], parent["lost"], parent["parked"], parent["missed"]) == ([], [], 8, 0)

        taken = said(program, "parent")["closed"]
        assert len(taken) == 3
        assert child["address"] not in taken
        with ExitStack() as stack:
            for address in taken:
                stack.enter_context(Pull(bind=address))
            program.say("end")
            assert said(program, "child") == {"alive": True}
        assert program.ended() == 0
        assert program.complaint() == ""
