"""Where the tests of faults get the processes from that they kill, stop and start again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.nursery import Nursery


@pytest.fixture(scope="module")
def warm() -> Iterator[Nursery]:
    """One process to fork from, for all tests of a module."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def nursery(warm: Nursery) -> Iterator[Nursery]:
    """Where a test gets its processes from; none outlives it."""
    try:
        yield warm
    finally:
        warm.clear()
