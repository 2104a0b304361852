"""Whatever somebody may come to see of an error."""

from __future__ import annotations


def shown(error: BaseException) -> str:
    """Its text and its repr, and those of the errors behind it, which a debugger shows even where they are hidden."""
    behind = [one for one in (error.__cause__, error.__context__) if one is not None]
    return "\n".join([str(error), repr(error), *map(shown, behind)])
