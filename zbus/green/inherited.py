"""What a socket becomes in a forked child."""

from __future__ import annotations

from typing import Any

from ..errors import Closed
from .readiness import FORKED
from .socket import Socket


class Inherited(Socket):
    """What a socket becomes in a forked child. libzmq's threads did not come along: a call would spin for ever."""

    closed = True

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("close", "closed", "lost", "readiness"):
            return super().__getattribute__(name)
        raise Closed(FORKED)

    def close(self, linger: int | None = None) -> None:
        """Nothing: it is the parent's."""

    def __repr__(self) -> str:
        return "<zbus.green.Socket of the parent process>"
