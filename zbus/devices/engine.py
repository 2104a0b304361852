"""What runs a device, wherever that is: greenlets, a thread, a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

from ..green.options import Timeout
from .statistics import DeviceStatistics


class LiveSide(Protocol):
    """A side while the device is open: a socket here, or what a process tells of one."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it is bound, then where it connects to."""

    @property
    def peers(self) -> int:
        """How many peers are connected now."""

    def wait_for_peers(self, count: int = 1, *, timeout: Timeout = None) -> None:
        """As an endpoint's."""


class Engine(ABC):
    """Opens the `sides` and moves messages between them from when it is made until `close`."""

    sides: Mapping[str, LiveSide]

    @abstractmethod
    def pause(self) -> None:
        """Move nothing; `Unsupported` where that cannot be."""

    @abstractmethod
    def resume(self) -> None:
        """Move messages again, if it was paused."""

    @abstractmethod
    def finish(self, deadline: float | None) -> None:
        """Move what has come, until `deadline` (monotonic) at the latest."""

    @abstractmethod
    def close(self, wait: bool) -> None:
        """Move nothing any more and close the sides. Without `wait` no greenlet can run meanwhile."""

    @abstractmethod
    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's. Sides that are services see to themselves."""

    @abstractmethod
    def counts(self) -> DeviceStatistics:
        """Counts and gauges."""
