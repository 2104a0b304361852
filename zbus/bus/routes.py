"""Callbacks by command and by topic, and which of them a message goes to. No socket is needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

from ..wire.message import Message, command_of
from ..wire.topic import Pattern, PatternTree

#: How many topics the callbacks are remembered of; past it the cache starts anew.
CACHE = 4096

Callback = Callable[..., Any]
C = TypeVar("C", bound=Callback)

#: One registration under a pattern: the order it came in, the pattern, the callback.
_Entry = tuple[int, Pattern, Callback]


class Routes:
    """Callbacks registered under commands and topic patterns, for one `Dispatcher` or to be included in others.

    A control message is a command's name, or a map with ``"command"``; it goes to the one callback of that command. A
    message with a topic goes to every callback whose pattern matches, in the order they were registered. What nobody
    is registered for goes to the `default`; without one it is counted.
    """

    def __init__(self) -> None:
        self._commands: dict[str, Callback] = {}
        self._topics: dict[int, _Entry] = {}
        self._tree: PatternTree[_Entry] = PatternTree()
        self._matches: dict[str, tuple[tuple[Callback, dict[str, str]], ...]] = {}
        self._default: Callback | None = None
        self._including: list[tuple[Routes, str]] = []
        self._serial = count()
        self._unmatched = 0

    # -- registering ---------------------------------------------------------------------------------

    def command(self, name: str) -> Callable[[C], C]:
        """Register the decorated callback for one command; it is returned unchanged, and called with the message.

        Raises `ValueError` if the command has one already.
        """
        if not isinstance(name, str) or not name:
            raise TypeError(f"a command is a str that is not empty, not {name!r}")

        def register(callback: C) -> C:
            self._add_command(name, _checked(callback, f"of command {name!r}", {}))
            return callback

        return register

    def topic(self, pattern: str) -> Callable[[C], C]:
        """Register the decorated callback for a topic pattern: ``*`` is one word, ``#`` any number of them, ``<name>``
        one word that the callback gets as an argument of that name. It is returned unchanged.

        Raises `ValueError` for what is no pattern, `TypeError` for a callback that does not take its names.
        """
        Pattern(pattern)

        def register(callback: C) -> C:
            self._add_topic(pattern, callback)
            return callback

        return register

    def default(self, callback: C) -> C:
        """Register what gets the messages that nobody else is registered for; a later one takes its place."""
        self._default = _checked(callback, "for what nobody is registered for", {})
        return callback

    def include(self, routes: Routes, *, prefix: str = "") -> None:
        """Take in what is registered there, now and later; its commands and topics are under `prefix` and a dot here.

        Its `default` is not taken in. Raises `ValueError` for a command that is there already, or a circle.
        """
        if not isinstance(routes, Routes):
            raise TypeError(f"include takes Routes, not {type(routes).__qualname__}")
        if routes is self or routes._includes(self):
            raise ValueError("these routes would include themselves")
        under = f"{prefix}." if prefix else ""
        for name in routes._commands:
            self._check_free(under + name)
        for _, pattern, _ in routes._topics.values():
            Pattern(under + pattern.text)
        for name, callback in routes._commands.items():
            self._add_command(under + name, callback)
        for _, pattern, callback in list(routes._topics.values()):
            self._add_topic(under + pattern.text, callback)
        routes._including.append((self, under))

    def _includes(self, other: Routes) -> bool:
        return any(routes is self or self._includes(routes) for routes, _ in other._including)

    def _check_free(self, name: str) -> None:
        if name in self._commands:
            raise ValueError(f"command {name!r} has a callback already: {_named(self._commands[name])}")
        for routes, under in self._including:
            routes._check_free(under + name)

    def _add_command(self, name: str, callback: Callback) -> None:
        self._check_free(name)
        self._commands[name] = callback
        for routes, under in self._including:
            routes._add_command(under + name, callback)

    def _add_topic(self, text: str, callback: Callback) -> None:
        pattern = Pattern(text)
        _checked(callback, f"of topic {text!r}", dict.fromkeys(pattern.names, ""))
        serial = next(self._serial)
        entry = self._topics[serial] = (serial, pattern, callback)
        self._tree.add(pattern, entry)
        self._matches.clear()
        for routes, under in self._including:
            routes._add_topic(under + text, callback)

    def remove(self, callback: Any) -> None:
        """Undo every registration of a callback, here and where these routes are included; `ValueError` if there is
        none. It may be the one that runs."""
        if not self._remove(callback):
            raise ValueError(f"{_named(callback)} is not registered here")

    def _remove(self, callback: Callback) -> bool:
        found = self._default == callback
        if found:
            self._default = None
        for name in [name for name, known in self._commands.items() if known == callback]:
            del self._commands[name]
            found = True
        for serial, pattern, _ in [entry for entry in self._topics.values() if entry[2] == callback]:
            self._tree.remove(pattern, self._topics.pop(serial))
            found = True
        self._matches.clear()
        for routes, _ in self._including:
            routes._remove(callback)
        return found

    # -- dispatching ---------------------------------------------------------------------------------

    def dispatch(self, message: Message) -> Any:
        """Call what `message` is for, here and now. A control message: what its callback returns, or raises. One with
        a topic: every callback is called, then the first error of theirs is raised; None.

        ``Replier(routes.dispatch, …)`` is a server of many operations.
        """
        if not message.topic:
            callback = self._for_command(message.body)
            return None if callback is None else callback(message)
        failed: BaseException | None = None
        for callback, words in self._for_topic(message.topic):
            try:
                callback(message, **words)
            except BaseException as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return None

    def _for_command(self, body: Any) -> Callback | None:
        """The callback of a control message, or the default; counts one that nobody is there for."""
        callback = self._commands.get(command_of(body), self._default)
        if callback is None:
            self._unmatched += 1
        return callback

    def _for_topic(self, topic: str) -> tuple[tuple[Callback, dict[str, str]], ...]:
        """The callbacks for a topic, or the default, each with its words; counts a topic that nobody is there for."""
        found = self._matches.get(topic)
        if found is None:
            if len(self._matches) >= CACHE:
                self._matches.clear()
            entries = sorted(self._tree.match(topic), key=lambda entry: entry[0])
            found = self._matches[topic] = tuple(
                (callback, pattern.words_in(topic)) for _, pattern, callback in entries
            )
        if found:
            return found
        if self._default is not None:
            return ((self._default, {}),)
        self._unmatched += 1
        return ()


def _checked(callback: C, what: str, words: dict[str, str]) -> C:
    """The callback, if it can be called with a message and these words."""
    if not callable(callback):
        raise TypeError(f"the callback {what} is called with each message; {type(callback).__qualname__} cannot be")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # written in C: it does not tell
        return callback
    try:
        signature.bind(None, **words)
    except TypeError as error:
        wanted = ", ".join(("message", *words))
        raise TypeError(f"{_named(callback)}, the callback {what}, is called with ({wanted}): {error}") from None
    return callback


def _named(callback: Any) -> str:
    """How a callback is called in what a reader sees."""
    module, name = getattr(callback, "__module__", None), getattr(callback, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(callback)
