"""A client that minds its own business while something goes wrong: fifty calls a second, none failed, none late."""

from __future__ import annotations

from time import monotonic
from types import TracebackType

import gevent

from zbus import Requester

#: Seconds between two calls, and that a hundredth of them may take longer than.
PACE, LATE = 0.02, 0.25


class Bystander:
    """Calls a server at `address` from ``with`` to its end, which raises what went wrong."""

    def __init__(self, address: str) -> None:
        self._client = Requester(connect=address)
        self.delays: list[float] = []

    def _call(self) -> None:
        while True:
            began = monotonic()
            assert self._client.request("hello", timeout=5) == "hello"
            self.delays.append(monotonic() - began)
            gevent.sleep(PACE)

    def __enter__(self) -> Bystander:
        self._client.start()
        self._calling = gevent.spawn(self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calling.kill()
        self._client.close()
        if kind is None:
            self._calling.get()
            assert self.delays
            late = sorted(self.delays)[len(self.delays) * 99 // 100]
            assert late < LATE, f"a hundredth of {len(self.delays)} calls took {late:.3f} s"
