"""Devices over every transport, and endpoints for both their sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from zbus.devices import Device

#: Seconds that nothing here takes: a bound on a failure, not a measure.
LONG = 5.0


@pytest.fixture
def two(address: str) -> tuple[str, str]:
    """An address to bind for each side."""
    return (address, address) if address.endswith(":*") else (f"{address}.f", f"{address}.b")


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes started devices and endpoints, and closes them in the end, the devices last."""
    made: list[Any] = []

    def make(constructor: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        one = constructor(*arguments, **options)
        made.append(one)
        one.start()
        return one

    yield make
    for one in sorted(made, key=lambda one: isinstance(one, Device)):
        one.close()


@pytest.fixture
def until() -> Callable[..., None]:
    """Lets the loop turn until something holds that no event tells of."""

    def until(holds: Callable[[], object], timeout: float = LONG) -> None:
        with gevent.Timeout(timeout, AssertionError("it did not come to hold")):
            while not holds():
                gevent.idle()

    return until
