"""What was tried and what became of it, with stamps of the monotonic clock, to be checked when all is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any


@dataclass(slots=True)
class Operation:
    """One call or message. `outcome` is ``ok``, and `value` what came back; ``fail``, and `value` the name of what was
    raised; or ``""``: it was given up, and may or may not have happened."""

    key: Any
    began: float
    ended: float = 0.0
    outcome: str = ""
    value: Any = None


@dataclass
class History:
    """Every operation, in the order they were begun."""

    operations: list[Operation] = field(default_factory=list)

    def call(self, key: Any, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Do it, and remember how it went: an error is raised again, only a kill or a foreign timeout is neither."""
        operation = Operation(key, monotonic())
        self.operations.append(operation)
        try:
            operation.value = function(*arguments, **options)
        except Exception as error:
            operation.outcome = "fail"
            operation.value = type(error).__name__  # the error itself would hold on to all its frames
            raise
        else:
            operation.outcome = "ok"
            return operation.value
        finally:
            operation.ended = monotonic()

    def having(self, outcome: str) -> list[Operation]:
        """Those that went so."""
        return [operation for operation in self.operations if operation.outcome == outcome]

    def failures(self) -> Counter[str]:
        """What was raised, how often."""
        return Counter(operation.value for operation in self.having("fail"))

    def crossed(self, reply: Callable[[Any], Any]) -> list[Operation]:
        """Calls that got what another should have: `reply` says what belongs to a key."""
        return [operation for operation in self.having("ok") if operation.value != reply(operation.key)]

    def lost(self, came: Iterable[Any]) -> set[Any]:
        """Keys of messages that were sent, and are not among those that came."""
        return {operation.key for operation in self.having("ok")}.difference(came)

    def first_after(self, moment: float) -> float:
        """Seconds from `moment` until an operation went well."""
        return min(operation.ended for operation in self.having("ok") if operation.ended >= moment) - moment


def duplicated(came: Iterable[Any]) -> list[Any]:
    """What came more than once."""
    return [key for key, count in Counter(came).items() if count > 1]


def reordered(came: Iterable[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Of ``(sender, number)``: those that came after a later one of the same sender."""
    last: dict[Any, int] = {}
    found = []
    for sender, number in came:
        if number < last.get(sender, number):
            found.append((sender, number))
        last[sender] = number
    return found
