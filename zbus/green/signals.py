"""SIGTERM and SIGINT, while a program runs one service."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import gevent
from gevent import get_hub, getcurrent
from gevent.monkey import get_original


class Signals:
    """SIGTERM and SIGINT call `ask`, once; the second one ends the process."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._watchers: list[Any] = []
        self._before: dict[int, Any] = {}
        self._alive = get_hub().loop.async_()  # gevent's signal watchers alone would not keep the loop waiting

    def __enter__(self) -> None:
        if getcurrent().parent is not get_hub() and _is_main():
            self._alive.start(self._ask)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.getsignal(number)
                self._watchers.append(gevent.signal_handler(number, self._came))

    def _came(self) -> None:
        self._cancel()
        for number in self._before:  # the system's own way: one of Python's could wait until the loop wakes
            signal.signal(number, signal.SIG_DFL)
        self._ask()

    def _cancel(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        self._watchers = []

    def _restore(self) -> None:
        self._cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, *error: object) -> None:
        self._restore()
        self._alive.stop()
        self._alive.close()


def _is_main() -> bool:
    return get_original("threading", "current_thread")() is get_original("threading", "main_thread")()
