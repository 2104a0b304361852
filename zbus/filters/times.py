"""The times that messages carry, in whole microseconds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from math import isfinite
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
_fraction = re.compile(r"[.,](\d+)")


def microseconds(value: Any) -> int:
    """Microseconds from the epoch to a datetime, an ISO-8601 str or epoch seconds; `TypeError`, `ValueError` or
    `ArithmeticError` for what is none of them."""
    if isinstance(value, str):
        value = _parse(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        since: timedelta = value - _EPOCH
        return since // _MICROSECOND
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(f"a time is a datetime, an ISO-8601 str or epoch seconds, not {type(value).__qualname__}")
    if not isfinite(value) or not _FIRST <= value * 1_000_000 <= _LAST:
        raise ValueError("epoch seconds are finite, and within the years 1 to 9999")
    return round(value * 1_000_000)


def _parse(text: str) -> datetime:
    """`datetime.fromisoformat` with what Python 3.10 lacks: ``Z``, and a fraction of any number of digits."""
    if text[-1:] in ("Z", "z"):
        text = text[:-1] + "+00:00"
    return datetime.fromisoformat(_fraction.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text, count=1))
