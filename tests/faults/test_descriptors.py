"""Every endpoint and device, the dispatcher and a bus work beyond a thousand descriptors: row FD-1.

What is built on `select` ends at 1,024.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from interop.process import Process

SCRIPT = Path(__file__).with_name("crowded.py")
SAID = {
    "endpoints": ["1 2 3 4"] * 3,
    "greenlet": ["1 2 3 4"] * 3,
    "thread": ["1 2 3 -"] * 2,  # libzmq's own proxy cannot be a monitored queue
    "process": ["1 2 3 4"],
    "dispatcher": ["True"],
    "bus": ["1"],
}


EVERY = [(what, when) for what in SAID for when in ("before", "after") if (what, when) != ("process", "after")]


@pytest.mark.parametrize(("what", "when"), [*EVERY, pytest.param("process", "after", marks=pytest.mark.soak)])
def test_it_works_with_descriptors_above_a_thousand(what, when, tmp_path):
    with Process(SCRIPT, what, when, tmp_path) as program:
        said = [program.line(30) for _ in SAID[what]]
        assert program.ended(30) == 0
        assert (said, program.complaint()) == (SAID[what], "")
