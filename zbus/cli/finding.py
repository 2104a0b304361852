"""What a check of ``zbus doctor`` found."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """How bad it is, about what, and for `warn` and `FAIL` what to do at the end of `detail`."""

    level: Literal["ok", "warn", "FAIL"]
    what: str
    detail: str
