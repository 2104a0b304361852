"""Devices over every transport, and endpoints for both their sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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


class Run:
    """Makes a device of any kind on one transport, as greenlets or as libzmq's proxy in a thread."""

    def __init__(self, make: Callable[..., Any], two: tuple[str, str], runs_in: str) -> None:
        self._make, self._two, self._runs_in = make, two, runs_in
        self.counts = 1 if runs_in == "greenlet" else 4  #: what a request counts for: libzmq counts frames

    def __call__(self, kind: Callable[..., Device]) -> Device:
        device: Device = self._make(kind, *self._two, runs_in=self._runs_in)
        return device


@pytest.fixture(params=["greenlet inproc", "greenlet ipc", "greenlet tcp", "thread ipc", "thread tcp"])
def run(request: pytest.FixtureRequest, make: Callable[..., Any]) -> Run:
    runs_in, transport = request.param.split()
    if transport == "tcp":
        return Run(make, ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"), runs_in)
    base = request.getfixturevalue(f"{transport}_address")
    return Run(make, (f"{base}.f", f"{base}.b"), runs_in)
