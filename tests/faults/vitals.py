"""What a process holds, sampled while it works: none of it may grow."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from statistics import median

import gevent

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Vitals:
    """One sample."""

    kib: int
    descriptors: int
    threads: int
    greenlets: int

    @classmethod
    def now(cls) -> Vitals:
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        return cls(
            pages * PAGE // 1024,
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            sum(isinstance(one, gevent.Greenlet) and not one.dead for one in gc.get_objects()),
        )


def growth(samples: list[Vitals]) -> Vitals:
    """From the second quarter of the samples, when all is warm, to the last."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]

    def middle(name: str) -> int:
        return round(median(getattr(one, name) for one in late) - median(getattr(one, name) for one in early))

    return Vitals(*map(middle, Vitals.__dataclass_fields__))
