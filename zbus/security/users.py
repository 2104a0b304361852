"""The text of an authorised file: who may come in, by which key, in which roles.

A line is ``name key [role ...]``; ``#`` starts a comment, blank lines are fine. A name or a role is 1 to 64 letters,
digits and ``._-``; a key is a public one, 40 characters of Z85. Two lines may share a name, so that an old key and a
new one are both good while one follows the other, each with the roles of its own line; no two share a key. One bad
line refuses the whole file.

    zoe    H&0sm9W4^wBnQ&4Bc?LEW<aj9(VBUt59O6Dhdh2k                    # since May
    zoe    rmd4mR0}1gYhp]ysKFNWn6CfM=ktaA2N.lrzGaRE                    # her old one, until June
    plant  nhfF!gjM/.b]Ncv9</oBL5aewVducgfnfZWwkoik    sensors admin
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import NamedTuple

from ..green.curve import raw

_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")


class User(NamedTuple):
    """Who a key belongs to, and the roles that stand in its line."""

    name: str
    roles: frozenset[str]


class Line(NamedTuple):
    """One line that is not a comment."""

    number: int
    key: bytes
    user: User


def parse(text: str, source: str = "the authorised file") -> Mapping[bytes, User]:
    """The users of an authorised file by their 32-byte keys; `ValueError` names `source`, the line, what is wrong and
    what to do, and holds nothing of a key."""
    return MappingProxyType({line.key: line.user for line in lines(text, source)})


def lines(text: str, source: str) -> Iterator[Line]:
    """The lines of the text that are not comments; errors as `parse`."""
    seen: dict[bytes, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        # No key starts with the sign of a comment: it would be beyond 32 bits.
        words = list(takewhile(lambda word: not word.startswith("#"), line.split()))
        if not words:
            continue
        where = f"{source}, line {number}"
        if len(words) < 2:
            raise ValueError(f"{where}: a name without a key; write 'name key [role ...]'")
        name, text_of_key, *roles = words
        for word in (name, *roles):
            check_word(word, where)
        try:
            key = raw(text_of_key)
        except ValueError as error:
            raise ValueError(f"{where}: {error}; write 'name key [role ...]' with a public key") from None
        if key in seen:
            raise ValueError(f"{where}: the key of line {seen[key]} again; remove one of the two")
        seen[key] = number
        yield Line(number, key, User(name, frozenset(roles)))


def check_word(word: str, where: str) -> None:
    """`ValueError`, with `where` in front, unless `word` can be a name or a role."""
    if not _WORD.fullmatch(word):
        raise ValueError(f"{where}: a name or role is 1 to 64 letters, digits and '._-'; this one is not")
