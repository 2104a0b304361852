"""Endpoints for the checks of what is particular to each pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from zbus.green.events import EndpointEvent
from zbus.patterns.endpoint import Endpoint


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes started endpoints that come back quickly after a loss, and closes them in the end."""
    made: list[Endpoint] = []

    def make(constructor: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        endpoint = constructor(*arguments, **{"reconnect": (0.01, 0.05), "linger": 0.2, **options})
        made.append(endpoint)
        endpoint.start()
        return endpoint

    yield make
    for endpoint in sorted(made, key=lambda endpoint: bool(endpoint._bind)):
        endpoint.close()  # who connects first: an inproc connection that lost its other end stays for the linger


class Events(list[EndpointEvent]):
    """An `on_event` that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = Event()

    def __call__(self, event: EndpointEvent) -> None:
        self.append(event)
        self._changed.set()

    @property
    def kinds(self) -> list[str]:
        """What happened, in order."""
        return [event.kind for event in self]

    def wait_for(self, kind: str, count: int = 1, timeout: float = 5.0) -> EndpointEvent:
        """The `count`-th event of a kind."""
        with gevent.Timeout(timeout, AssertionError(f"no {kind} among {self.kinds}")):
            while self.kinds.count(kind) < count:
                self._changed.clear()
                self._changed.wait()
        return [event for event in self if event.kind == kind][count - 1]


@pytest.fixture
def events() -> Events:
    return Events()
