"""Whether what failed is started again, and when. Pure: the clock and the dice are given."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from time import monotonic


@dataclass(frozen=True, kw_only=True)
class Restart:
    """Start again what failed: after `delay` seconds, twice as long each further time, `max_delay` at most, and each
    time up to half as much less by chance, so that not all come back at once. More than `limit` failures `within` so
    many seconds are too many: the error is fatal then."""

    limit: int = 5
    within: float = 60.0
    delay: float = 0.1
    max_delay: float = 5.0

    def __post_init__(self) -> None:
        if isinstance(self.limit, bool) or not isinstance(self.limit, int) or self.limit < 1:
            raise ValueError(f"limit is a whole number of restarts, 1 or more, not {self.limit!r}")
        for name in ("within", "delay", "max_delay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} is a number of seconds, not {type(value).__qualname__}")
            if not isfinite(value) or value <= 0:
                raise ValueError(f"{name} is a number of seconds above 0, not {value!r}")


class Failures:
    """The failures of one service, and what its policy says to the next; without a policy every one is fatal."""

    def __init__(
        self,
        policy: Restart | None,
        *,
        clock: Callable[[], float] = monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._dice = dice
        self._times: deque[float] = deque()

    def pause(self) -> float | None:
        """It failed: seconds to wait before it is started again; None: it is not."""
        policy = self._policy
        if policy is None:
            return None
        now = self._clock()
        while self._times and self._times[0] <= now - policy.within:
            self._times.popleft()
        if len(self._times) >= policy.limit:
            return None
        longest = min(policy.delay * 2.0 ** min(len(self._times), 64), policy.max_delay)
        self._times.append(now)
        return longest * (1.0 - self._dice() / 2)
