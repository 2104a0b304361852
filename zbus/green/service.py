"""The one lifecycle: declared, open, stopping, closed.

Constructing declares. A service opens once in each process: at `start`, at ``with``, or at first use. `stop` finishes
what is in hand and closes; `close` closes. A forked child finds a service that its parent had open declared again, and
opens its own at first use.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakMethod, WeakSet

from gevent import get_hub, getcurrent
from gevent.event import Event
from gevent.monkey import get_original

from ..errors import Closed, WrongThread
from .context import call_at_exit
from .options import Timeout
from .watch import watch

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


def left(deadline: float | None) -> float | None:
    """Seconds until `deadline` (monotonic), none below 0; None: for ever."""
    return None if deadline is None else max(deadline - monotonic(), 0.0)


class Service:
    """Something with a lifetime. Subclasses fill in `_open`, `_finish` and `_shut`."""

    _state = DECLARED
    _owner = 0
    _ends_first = False  # before all else that one bus owns
    _opener: object = None  # the greenlet that opens it now
    _is_open: Event
    _closer: object = None  # the greenlet that closes it now
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
        on_hub = getcurrent() is get_hub()
        if self._state != CLOSED:
            self._close(not on_hub)
        elif self._closer is not None and self._closer is not getcurrent() and not on_hub:
            self._ended.wait()  # for the one who closes it now

    def _close(self, wait: bool) -> None:
        was_open = self._state in (OPEN, STOPPING)
        if was_open:
            self._check_thread()
        self._state = CLOSED
        if was_open:
            _services.discard(self)
            self._closer = getcurrent()
            try:
                self._shut(wait)
            finally:
                self._closer = None
                self._ended.set()

    def _reset(self) -> None:
        """It failed: give everything back, so that it can be opened once more."""
        if self._state is OPEN:
            self._state = DECLARED
            _services.discard(self)
            self._give_back()
            self._ended.set()

    def _give_back(self) -> None:
        """What `_reset` has to undo."""
        self._shut(True)

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
        """Open at first use, waiting for whoever does so already; `Closed` after the last; `WrongThread` elsewhere."""
        if self._state == DECLARED:
            self._open_now()
            return
        if self._state != CLOSED:
            self._check_thread()
        opener = self._opener
        if opener is not None and opener is not getcurrent():
            self._is_open.wait()
            self._ready()
        elif self._state == CLOSED:
            raise Closed(f"{self!r} is closed")

    def _open_now(self) -> None:
        self._owner = _thread()
        self._ended, self._is_open = Event(), Event()
        self._state = OPEN
        self._opener = getcurrent()
        try:
            self._open()
        except BaseException:
            if self._state != CLOSED:
                self._state = DECLARED
            raise
        finally:
            self._opener = None
            self._is_open.set()
        if self._state == CLOSED:  # by another greenlet meanwhile
            self._shut(True)
            raise Closed(f"{self!r} was closed while it opened")
        _services.add(self)
        watch.begin(self._owner, get_hub().loop, _services.__len__)

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
            self._opener = None
            self._abandon()


def _close_all() -> None:
    for service in list(_services):
        if service._state in (OPEN, STOPPING):  # who owned it may have closed it
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
