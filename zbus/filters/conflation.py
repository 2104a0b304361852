"""The newest message of each key, for who cannot keep up with all of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..errors import Closed, TimeoutExpired
from .filter import MALFORMED, Arrival, Filter

if TYPE_CHECKING:
    from ..wire.message import Message


#: Messages read at most before the newest of them passes: there may always be one more.
_AT_ONCE = 1000


class Latest(Filter):
    """What is superseded before its turn comes is dropped."""

    def __init__(self, key: str | Callable[[Message], Hashable] | None) -> None:
        super().__init__(key)
        self._waiting: OrderedDict[Hashable, Arrival] = OrderedDict()

    def _keep(self, arrival: Arrival) -> None:
        """In place of the one of its key that waits."""
        try:
            key = self._key_of(arrival[0])
        except MALFORMED:
            self.malformed += 1
            return
        self.dropped += key in self._waiting
        if self._remember(self._waiting, key, arrival) is not None:
            self.dropped += 1

    def _decide(self, arrival: Arrival) -> Iterable[Arrival]:
        self._keep(arrival)
        return ()

    def _held(self) -> list[Arrival]:
        held = list(self._waiting.values())
        self._waiting.clear()
        self.passed += len(held)
        return held

    def _over(self, messages: Iterable[Message]) -> Iterator[Message]:
        """An endpoint's are read as far as they are there, anything else to its end."""
        receive = getattr(messages, "recv", None)
        if receive is None:
            yield from super()._over(messages)
            return
        for message in messages:
            self._keep((message, {}))
            try:
                for _ in range(_AT_ONCE):
                    self._keep((receive(timeout=0), {}))
            except (TimeoutExpired, Closed):
                pass
            for newest, _ in self._held():
                yield newest

    def _around(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """While the callback runs in one greenlet, the newest of what others bring waits, and is brought next."""
        running = False
        self._callback = callback

        @wraps(callback)
        def filtered(message: Message, /, **words: Any) -> Any:
            nonlocal running
            self._keep((message, words))
            if running:
                return None
            running, result = True, None
            try:
                while self._waiting:
                    _, (newest, its) = self._waiting.popitem(last=False)
                    self.passed += 1
                    result = callback(newest, **its)
            finally:
                running = False
            return result

        return filtered
