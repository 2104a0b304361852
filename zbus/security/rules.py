"""Who may do what, once it is known who he is: rules, one a line.

A line is ``SUBJECT allow|deny VERB PATTERN``; a line that begins with ``#`` is a comment, blank lines are fine. The
subject is a user's name, ``@role``, or ``*`` for everybody who is authenticated; the verb ``request``, ``publish``,
``subscribe`` or ``send``. The pattern is one of topics, ``*`` for one word and ``#`` for any number of them, for the
topic or for the name of the command. One bad line refuses the whole.

    # The plant tells, whoever came in listens, and admins may do the rest.
    plant   allow publish   plant.#
    *       allow subscribe plant.#
    *       deny  subscribe plant.secret.#
    @admin  allow request   #
    @admin  deny  request   reactor.*.stop

Without any rule everything is allowed. With one, what no rule allows is denied, and a deny wins over every allow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import takewhile
from typing import NamedTuple

from ..wire.topic import MAX_TOPIC_BYTES, Pattern, PatternTree
from . import trusted
from .keyfile import StrPath
from .users import check_word

VERBS = ("request", "publish", "subscribe", "send")
#: Bytes that a file of rules has at most.
MOST = 2**20
#: How many decisions are kept; past it the cache starts anew.
CACHE = 4096

_FORM = "write 'SUBJECT allow|deny VERB PATTERN'"
_MISSING = "write it, or give the rules as a list of lines"
_NAMED = re.compile(r"(?:^|\.)<[^.]+>(?:\.|\Z)")
_PART = re.compile(r"[^.][*#]|[*#][^.]")  # a wildcard that is not a whole word


class Rule(NamedTuple):
    """One rule, as `parse` takes it from its line."""

    subject: str
    allow: bool
    verb: str
    pattern: str


def read(path_or_lines: StrPath | Iterable[str]) -> Rules:
    """The rules in the file at a path, or in lines.

    `OSError`: the file is missing, over 1 MiB, no regular file, not ours or root's, or group or others may write it.
    `ValueError`: a line is wrong, or the file holds no rule, which would allow everything: it may be cut short.
    """
    if isinstance(path_or_lines, str | os.PathLike):
        path = os.fspath(path_or_lines)
        data, _ = trusted.read(path, private=False, most=MOST, missing=_MISSING)
        rules = parse(data.decode("utf-8", "surrogateescape"), path)  # what is not UTF-8 can only be in a comment
        if not rules:
            raise ValueError(f"{path}: it holds no rule: empty, or cut short; {_FORM}, or give no file to allow all")
        return Rules(rules)
    lines = []
    for line in path_or_lines:
        if not isinstance(line, str):
            raise TypeError(f"a line of rules is a str, not {type(line).__qualname__}")
        lines.append(line.removesuffix("\n"))
    return Rules(parse("\n".join(lines)))


def parse(text: str, source: str = "the rules") -> tuple[Rule, ...]:
    """The rules in a text, in its order; `ValueError` names `source`, the line, what is wrong and what to do."""
    rules = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            rules.append(_rule(words, f"{source}, line {number}"))
    return tuple(rules)


def _rule(words: list[str], where: str) -> Rule:
    if len(words) != 4:
        raise ValueError(f"{where}: {len(words)} words, not 4; {_FORM}, and a comment on a line of its own")
    subject, effect, verb, text = words
    if subject != "*":
        check_word(subject.removeprefix("@"), where)
    if effect not in ("allow", "deny"):
        raise ValueError(f"{where}: the second word is neither allow nor deny; {_FORM}")
    if verb not in VERBS:
        raise ValueError(f"{where}: the third word is no verb; write {', '.join(VERBS[:-1])} or {VERBS[-1]}")
    if _NAMED.search(text):
        raise ValueError(f"{where}: a rule has no use for a named word; write '*' in its place")
    if _PART.search(text):
        raise ValueError(f"{where}: '*' and '#' stand for whole words, not for a part of one; write 'a.*' or 'a.#'")
    try:
        pattern = Pattern(text)
    except UnicodeEncodeError:
        raise ValueError(f"{where}: the pattern is not UTF-8; save the rules as UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}; write a shorter one, or one without it") from None
    if effect == "allow" and verb == "subscribe" and _start(pattern) is None:
        wider = ".".join([*_literal(pattern), "#"])
        why = "ZeroMQ subscribes to prefixes, so what is allowed has to be literal words and a last '#'"
        raise ValueError(f"{where}: {why}; write {wider!r}, which covers this")
    return Rule(subject, effect == "allow", verb, text)


def _literal(pattern: Pattern) -> tuple[str, ...]:
    """The words before the first wildcard."""
    return tuple(takewhile(lambda word: word not in ("*", "#"), pattern.words))


def _start(pattern: Pattern) -> bytes | None:
    """What a topic has to begin with to match, whatever follows; None: no beginning is enough."""
    literal = _literal(pattern)
    return "".join(f"{word}." for word in literal).encode() if pattern.words == (*literal, "#") else None


class Rules:
    """Rules that came from `parse`, for looking up; falsy if there is none. They never change."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._trees: dict[tuple[str, str], PatternTree[bool]] = {}  # by subject and verb: whether it is allowed
        self._prefixes: dict[tuple[str, bool], list[bytes]] = {}  # of subscriptions, by subject and whether allowed
        self._known: dict[tuple[str, frozenset[str], str, str], bool] = {}
        for rule in self._rules:
            pattern = Pattern(rule.pattern)
            self._trees.setdefault((rule.subject, rule.verb), PatternTree()).add(pattern, rule.allow)
            prefix = _start(pattern) if rule.allow else pattern.prefix
            if rule.verb == "subscribe" and prefix is not None:
                self._prefixes.setdefault((rule.subject, rule.allow), []).append(prefix)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def allows(self, user: str, roles: frozenset[str], verb: str, name: str) -> bool:
        """Whether he may: `name` is the topic, or the name of the command, empty if the message has none (it counts as
        one empty word). It may be any text; one of over 255 characters no rule allows."""
        if not self._rules:
            return True
        if len(name) > MAX_TOPIC_BYTES:
            return False
        asked = (user, roles, verb, name)
        known = self._known.get(asked)
        if known is None:
            if len(self._known) >= CACHE:
                self._known.clear()
            known = self._known[asked] = self._decide(user, roles, verb, name)
        return known

    def _decide(self, user: str, roles: frozenset[str], verb: str, name: str) -> bool:
        found: set[bool] = set()
        for subject in _subjects(user, roles):
            tree = self._trees.get((subject, verb))
            if tree is not None:
                found.update(tree.match(name))
        return found == {True}

    def grant(self, user: str, roles: frozenset[str], prefix: bytes) -> bytes | None:
        """The prefix to subscribe him to in ZeroMQ when he asks for `prefix`, or None: every topic that begins with it
        is one that he may have. For the same prefix it is always the same, so that it can be taken back.

        What is allowed as ``a.#`` covers each prefix that begins with ``a.``; for ``a`` itself, which is how zbus asks
        for ``a.#``, he gets ``a.``: without ``ab``, but also without the topic ``a``. A deny refuses every prefix that
        begins with its literal start, or with which that begins; one with a wildcard in front refuses them all.
        """
        if not self._rules:
            return prefix
        subjects = _subjects(user, roles)
        allowed, denied = (
            tuple(one for subject in subjects for one in self._prefixes.get((subject, allow), ()))
            for allow in (True, False)
        )
        narrowed = prefix + b"."
        for wanted, covered in ((prefix, prefix.startswith(allowed)), (narrowed, narrowed in allowed)):
            if covered and not any(wanted.startswith(one) or one.startswith(wanted) for one in denied):
                return wanted
        return None

    def __repr__(self) -> str:
        return f"<Rules: {len(self._rules)}>"


def _subjects(user: str, roles: frozenset[str]) -> list[str]:
    """What a rule for him may have for its subject. Nobody becomes a role by his name."""
    return ["*", *(f"@{role}" for role in roles), *([] if user.startswith("@") else [user])]
