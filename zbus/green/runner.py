"""A service that is a whole program: it runs until it is stopped, by itself, by a signal, or by an error."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent
from gevent.event import Event

from ..errors import Closed
from .options import Timeout
from .service import OPEN, Service
from .signals import Signals

log = logging.getLogger("zbus")


class Runner(Service):
    """A service that `run` can be the whole program of."""

    _asked: Event | None = None
    _leaving = False  # a handler asked for the end: no new work begins
    _ended_by: BaseException | None = None  # what ended it, if it was not asked to end
    _failed_to: Callable[[BaseException], object] | None = None  # what is told of a failure in place of closing

    def run(self) -> None:
        """Start, serve until `stop`, drain, close, return; raises what ended it otherwise.

        In the main greenlet SIGTERM and SIGINT stop it too; a second one ends the process at once.
        """
        self._asked = Event()
        try:
            self.start()
        except Closed:
            if self._ended_by is not None:  # while it opened
                raise self._ended_by from None
            raise
        try:
            with Signals(self._asked.set):
                self._asked.wait()
                self.stop()
        finally:
            self._asked = None
            self.close()
        if self._ended_by is not None:
            raise self._ended_by

    def _broke(self, error: BaseException) -> None:
        """It cannot go on: close it, and have `run` raise the error. May be called on the hub."""
        if self._failed_to is not None:
            self._failed_to(error)
            return
        self._ended_by = error
        log.error("%r ended: %s", self, error)
        gevent.spawn(self.close)

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
