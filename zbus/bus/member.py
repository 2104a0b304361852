"""What a bus owns: endpoints, things that run, things of others, and greenlets; how each starts, fails and stops."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

import gevent
from gevent import getcurrent

from ..errors import Closed
from ..green.runner import Runner
from ..green.service import CLOSED, Service, left
from .restart import Failures, Restart
from .routes import _named

log = logging.getLogger("zbus")


#: In which order they end: those whose answers others wait for, those that run, those that only carry messages.
FIRST, RUNNING, CARRYING = PHASES = range(3)


class Member(ABC):
    """One of them. `fatal` is called with the error of a failure that its policy has no answer to."""

    phase = RUNNING  #: when it ends

    def __init__(self, service: Any, restart: Restart | None, fatal: Callable[[BaseException], object]) -> None:
        self.service = service
        self.restarted = 0
        self._failures = Failures(restart)
        self._fatal = fatal

    def __repr__(self) -> str:
        return repr(self.service)

    def _again(self, error: BaseException) -> bool:
        """It failed: wait for the time to start it again. False: it is not to be, and the bus knows."""
        pause = self._failures.pause()
        if pause is None:
            self._fatal(error)
            return False
        log.warning("%r failed and starts again in %.3g s: %s: %s", self, pause, type(error).__qualname__, error)
        gevent.sleep(pause)
        self.restarted += 1
        return True

    @abstractmethod
    def start(self) -> None:
        """Start it; returns when it is ready."""

    @abstractmethod
    def stop(self, deadline: float | None) -> None:
        """Finish what is in hand, until `deadline` (monotonic) at the latest, and end."""

    @abstractmethod
    def close(self) -> None:
        """End it at once."""

    @abstractmethod
    def undo(self) -> None:
        """Another one could not be started: as before the start."""

    @abstractmethod
    def is_inside(self) -> bool:
        """Is the caller one of its callbacks, or the greenlet itself?"""

    @abstractmethod
    def forked(self) -> None:
        """In a child: what runs is the parent's."""


class OwnMember(Member):
    """One of zbus's own services."""

    def __init__(self, service: Service, restart: Restart | None, fatal: Callable[[BaseException], object]) -> None:
        super().__init__(service, restart, fatal)
        self.phase = FIRST if service._ends_first else RUNNING if isinstance(service, Runner) else CARRYING
        self._recovery: gevent.Greenlet | None = None

    def start(self) -> None:
        """Start it, and be told if it fails."""
        if isinstance(self.service, Runner):
            self.service._failed_to = self._failed
        self.service.start()

    def _failed(self, error: BaseException) -> None:
        """It may be on the hub, or in a greenlet of the service that is about to end."""
        self._recovery = gevent.spawn(self._recover, error)

    def _recover(self, error: BaseException) -> None:
        self.service._reset()
        while self._again(error):
            try:
                self.service.start()
            except Exception as another:
                if self.service.state == CLOSED:
                    return
                error = another
            else:
                return

    def _give_up(self) -> None:
        if self._recovery is not None and self._recovery is not getcurrent():
            self._recovery.kill()
        if isinstance(self.service, Runner):
            self.service._failed_to = None

    def stop(self, deadline: float | None) -> None:
        """As the service does."""
        self._give_up()
        self.service.stop(left(deadline))

    def close(self) -> None:
        """As the service does."""
        self._give_up()
        if self.service.state != CLOSED:
            self.service.close()

    def undo(self) -> None:
        """Declared again."""
        self._give_up()
        self.service._reset()

    def is_inside(self) -> bool:
        """A handler, a callback."""
        return isinstance(self.service, Runner) and self.service._inside()

    def forked(self) -> None:
        """The service sees to itself."""
        if self._recovery is not None:
            self._recovery.kill(block=False)
            self._recovery = None


class OtherMember(Member):
    """Something of others with start and stop(timeout), such as gevent's WSGIServer."""

    def __init__(self, service: Any, restart: Restart | None, fatal: Callable[[BaseException], object]) -> None:
        super().__init__(service, restart, fatal)
        self._started = False

    def start(self) -> None:
        """Once in each process."""
        if not self._started:
            self.service.start()
            self._started = True

    def stop(self, deadline: float | None) -> None:
        """If it was started."""
        if self._started:
            self._started = False
            self.service.stop(left(deadline))

    def close(self) -> None:
        """With no time to finish."""
        self.stop(0.0)

    undo = close

    def is_inside(self) -> bool:
        """Nobody can tell."""
        return False

    def forked(self) -> None:
        """Its sockets may be shared on purpose, as gunicorn's are; it goes on here if it did."""


class GreenletMember(Member):
    """A greenlet, with the context variables of whoever asked for it."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        restart: Restart | None,
        fatal: Callable[[BaseException], object],
        ended: Callable[[gevent.Greenlet], object],
    ) -> None:
        self._context = copy_context()
        self._run = partial(self._see_through, function, arguments)
        self._name = _named(function)
        self._ending = False
        self._ended = ended
        super().__init__(self._made(), restart, fatal)

    def __repr__(self) -> str:
        return f"<greenlet {self._name}>"

    def _made(self) -> gevent.Greenlet:
        greenlet = gevent.Greenlet(self._context.copy().run, self._run)
        greenlet.link(self._ended)
        return greenlet

    def _see_through(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        while True:
            try:
                return function(*arguments)
            except (Exception, gevent.Timeout) as error:
                if self._ending and isinstance(error, Closed):
                    return None
                if self._ending or not self._again(error):
                    raise

    def start(self) -> None:
        """Let it run, unless it does."""
        if not self.service.started and not self.service.dead:
            self.service.start()

    def stop(self, deadline: float | None) -> None:
        """Raise `GreenletExit` where it waits, and wait for it to end."""
        self._ending = True
        if self.service is not getcurrent():
            self.service.kill(block=False)
            self.service.join(left(deadline))

    def close(self) -> None:
        """Without waiting for it."""
        self.stop(0.0)

    def is_inside(self) -> bool:
        """It is the greenlet."""
        return self.service is getcurrent()

    def forked(self) -> None:
        """To run anew here when the bus is started."""
        self.service.unlink(self._ended)
        if self.service is not getcurrent():  # which may be the one that forked
            self.service.kill(block=False)
        self.service = self._made()

    undo = forked
