"""What a bus counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from ..patterns.statistics import Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatistics(Statistics):
    """The sums over all that a bus owns, and what each has to say for itself."""

    restarted: int = 0  #: times that a service or greenlet failed and was started again
    services: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  #: by name: their statistics


def summed(services: Mapping[str, Any], restarted: int, greenlets: int) -> BusStatistics:
    """The statistics of a bus that owns these; what one does not count is 0 there."""
    sums = {
        each.name: sum(getattr(statistics, each.name, 0) for statistics in services.values())
        for each in fields(Statistics)
    }
    sums["running"] += greenlets
    return BusStatistics(restarted=restarted, services=MappingProxyType(dict(services)), **sums)
