"""The one lifecycle: declared, open, stopping, closed.

Constructing declares. A service opens once in each process: at `start`, at ``with``, or at first use. `stop` finishes
what is in hand and closes; `close` closes. A forked child finds a service that its parent had open declared again, and
opens its own at first use.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakMethod, WeakSet

import gevent
from gevent import get_hub, getcurrent
from gevent.event import Event
from gevent.monkey import get_original

from ..errors import Closed, WrongThread
from .context import call_at_exit
from .options import Timeout

DECLARED, OPEN, STOPPING, CLOSED = "declared", "open", "stopping", "closed"

_thread: Callable[[], int] = get_original("_thread", "get_ident")
_services: WeakSet[Service] = WeakSet()

S = TypeVar("S", bound="Service")


def weakly(method: Callable[..., object]) -> Callable[..., None]:
    """`method`, without keeping its object alive: for callbacks that a started watcher holds on to."""
    reference = WeakMethod(method)

    def call(*arguments: Any) -> None:
        found = reference()
        if found is not None:
            found(*arguments)

    return call


class Service:
    """Something with a lifetime. Subclasses fill in `_open`, `_finish` and `_shut`."""

    _state = DECLARED
    _owner = 0
    _ended: Event

    # -- what a subclass fills in ----------------------------------------------------------------------

    def _open(self) -> None:
        """Acquire everything; on return it is ready. What fails leaves nothing open."""

    def _finish(self, deadline: float | None) -> None:
        """Finish what is in hand, until `deadline` (monotonic) at the latest."""

    def _shut(self, wait: bool) -> None:
        """Give everything back; with `wait`, once what was sent has left. Raises nothing for what is closed already."""

    def _before_fork(self) -> None:
        """In the parent, when it is about to fork: learn what the child will have to drop."""

    def _abandon(self) -> None:
        """In a forked child: drop what the parent had open, touching none of it."""

    # -- the lifecycle ---------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``declared``, ``open``, ``stopping`` or ``closed``."""
        return self._state

    def start(self) -> None:
        """Open, unless it is open; returns when it is ready. Raises `Closed` after `close`, and what opening raises."""
        self._ready()

    def stop(self, timeout: Timeout = 10.0) -> None:
        """Finish what is in hand, for up to `timeout` seconds, then `close`. Twice is fine."""
        if self._state == OPEN:
            self._check_thread()
            self._state = STOPPING
            try:
                self._finish(None if timeout is None else monotonic() + max(timeout, 0.0))
            finally:
                self.close()
        elif self._state == STOPPING:
            self._ended.wait(timeout)
        else:
            self.close()

    def close(self) -> None:
        """Take no more, wake waiters with `Closed`, and return when what was sent has left or ``linger`` is over.

        Other greenlets go on meanwhile. Twice is fine; any other use after it raises `Closed`.
        """
        if self._state != CLOSED:
            self._close(getcurrent() is not get_hub())

    def _close(self, wait: bool) -> None:
        was_open = self._state in (OPEN, STOPPING)
        if was_open:
            self._check_thread()
        self._state = CLOSED
        if was_open:
            _services.discard(self)
            try:
                self._shut(wait)
            finally:
                self._ended.set()

    def __enter__(self: S) -> S:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.close()

    # -- at each use -----------------------------------------------------------------------------------

    def _ready(self) -> None:
        """Open at first use; `Closed` after the last; `WrongThread` elsewhere."""
        if self._state == CLOSED:
            raise Closed(f"{self!r} is closed")
        if self._state != DECLARED:
            self._check_thread()
            return
        self._owner = _thread()
        self._ended = Event()
        self._state = OPEN
        try:
            self._open()
        except BaseException:
            self._state = DECLARED
            raise
        _services.add(self)

    def _check_thread(self) -> None:
        if _thread() != self._owner:
            raise WrongThread(f"{self!r} was opened in another OS thread; make one in each thread that needs it")

    # -- the ends that nobody calls ---------------------------------------------------------------------

    def __del__(self) -> None:
        if self._state in (OPEN, STOPPING):
            try:
                warnings.warn(
                    f"unclosed {self!r}; call close() or use 'with'",
                    ResourceWarning,
                    stacklevel=2,
                    source=self,
                )
            finally:  # the warning may be an error
                self._state = CLOSED
                self._shut(False)

    def _forked(self) -> None:
        if self._state in (OPEN, STOPPING):
            self._state = DECLARED
            self._abandon()


class Runner(Service):
    """A service that `run` can be the whole program of."""

    _asked: Event | None = None
    _leaving = False  # a handler asked for the end: no new work begins

    def run(self) -> None:
        """Start, serve until `stop`, drain, close, return.

        In the main greenlet SIGTERM and SIGINT stop it too; a second one ends the process at once.
        """
        self._asked = Event()
        self.start()
        try:
            with _Signals(self._asked.set):
                self._asked.wait()
                self.stop()
        finally:
            self._asked = None
            self.close()

    def stop(self, timeout: Timeout = 10.0) -> None:
        """Finish what is in hand, for up to `timeout` seconds, then close.

        From inside its own handler: ask for that and return, so that the handler's own reply goes out too.
        """
        asked = self._asked
        if self._inside():
            self._leaving = True
            if asked is not None:
                asked.set()
            elif self._state == OPEN:
                gevent.spawn(Service.stop, self, timeout)
            return
        super().stop(timeout)
        if asked is not None:
            asked.set()

    def close(self) -> None:
        """Take no more, wake waiters with `Closed`, and return when what was sent has left or ``linger`` is over."""
        super().close()
        if self._asked is not None:
            self._asked.set()

    def _inside(self) -> bool:
        """Is the caller one of this service's own handlers?"""
        return False


class _Signals:
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


def _close_all() -> None:
    for service in list(_services):
        service._state = CLOSED
        service._shut(False)
    _services.clear()


def _before_fork() -> None:
    thread = _thread()
    for service in list(_services):
        if service._owner == thread:
            service._before_fork()


def _after_fork() -> None:
    inherited = list(_services)
    _services.clear()
    for service in inherited:
        service._forked()


call_at_exit(_close_all)
os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
