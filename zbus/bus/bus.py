"""One owner for all that a process runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import gevent

from ..errors import Closed
from ..green.authentication import Security
from ..green.runner import Runner
from ..green.service import CLOSED, DECLARED, OPEN, Service, left, weakly
from .member import CARRYING, PHASES, GreenletMember, Member, OtherMember, OwnMember
from .restart import Restart
from .statistics import BusStatistics, summed

S = TypeVar("S")

log = logging.getLogger("zbus")


class Bus(Runner):
    """Owns endpoints, devices, dispatchers, greenlets, and whatever else has ``start()`` and ``stop(timeout)``.

    `start` starts them in the order they were added and returns when all are ready. `stop` ends what runs in the
    reverse order, then flushes and closes the endpoints, all within its time. What fails is started again as its
    `Restart` says; the first failure that none has an answer to stops the bus, and `run` raises it. `security` is for
    the endpoints and devices that have none of their own.
    """

    def __init__(self, *, security: Security | None = None, name: str = "") -> None:
        self.name = name
        self._security = security
        self._members: list[Member] = []
        self._restarted = 0

    # -- what it owns --------------------------------------------------------------------------------

    def add(self, service: S, *, restart: Restart | None = None) -> S:
        """Own this service, and return it; if the bus is open it is started now.

        With a `restart` a device or dispatcher that fails is opened again, at the addresses it was given. Raises
        `TypeError` for what has no ``start()`` and ``stop(timeout)``, `ValueError` for what it owns already or what is
        open without the security of the bus, `Closed`.
        """
        if isinstance(service, type) or not all(callable(getattr(service, verb, None)) for verb in ("start", "stop")):
            raise TypeError(f"a bus owns what has start() and stop(timeout); {_described(service)} has not")
        if service is self or any(member.service is service for member in self._members):
            raise ValueError(f"{service!r} is owned already")
        if self._security is not None and hasattr(service, "secure"):
            service.secure(self._security)
        kind: Any = OwnMember if isinstance(service, Service) else OtherMember
        self._own(kind(service, _policy(restart), weakly(self._broke)))
        return service

    def spawn(self, function: Callable[..., Any], *args: Any, restart: Restart | None = None) -> gevent.Greenlet:
        """Run a function in a greenlet while the bus is open: from `start` on, or now. It has the context variables
        of the caller. If it raises, `restart` says whether it is called again; `stop` kills it where it waits.

        Raises `TypeError` for what cannot be called, `Closed`.
        """
        if not callable(function):
            raise TypeError(f"spawn takes a function and its arguments; {type(function).__qualname__} cannot be called")
        member = GreenletMember(function, args, _policy(restart), weakly(self._broke), weakly(self._forget))
        self._own(member)
        return member.service

    def _own(self, member: Member) -> None:
        if self._state == CLOSED or self._leaving:
            raise Closed(f"{self!r} is closed")
        if self._state is OPEN:
            self._check_thread()
        self._members.append(member)
        if self._state is OPEN:
            try:
                member.start()
            except BaseException:
                self._members.remove(member)
                raise

    def _forget(self, greenlet: gevent.Greenlet) -> None:
        """One that has ended is owned no more; a bus may see millions of them."""
        for member in self._members:
            if member.service is greenlet:
                self._members.remove(member)
                self._restarted += member.restarted
                return

    # -- the lifecycle -------------------------------------------------------------------------------

    def _open(self) -> None:
        started: list[Member] = []
        try:
            for member in list(self._members):
                member.start()
                started.append(member)
        except BaseException:
            for member in reversed(started):
                member.undo()
            raise

    def _broke(self, error: BaseException) -> None:
        """The first error that is fatal: stop, and have `run` raise it."""
        if self._failed_to is not None:
            self._failed_to(error)
        elif self._ended_by is None and self._state is OPEN:
            self._ended_by = error
            log.error("%r stops: %s: %s", self, type(error).__qualname__, error)
            gevent.spawn(self.stop)

    def _inside(self) -> bool:
        return any(member.is_inside() for member in self._members)

    def _finish(self, deadline: float | None) -> None:
        stopping: list[gevent.Greenlet] = []
        for phase in PHASES:
            for member in [member for member in reversed(self._members) if member.phase == phase]:
                stopping.append(gevent.spawn(_stop, member, deadline))
                if phase != CARRYING:  # the endpoints side by side: each has a linger time of its own
                    stopping[-1].join(left(deadline))
        gevent.joinall(stopping)

    def _close(self, wait: bool) -> None:
        unopened = self._state is DECLARED
        super()._close(wait)
        if unopened:  # but one of its own may have been used, and be open
            self._shut(wait)

    def _shut(self, wait: bool) -> None:
        if not wait:  # no other greenlet can run
            for member in reversed(self._members):
                if isinstance(member.service, Service) and member.service.state != CLOSED:
                    member.service._close(False)
                elif isinstance(member.service, gevent.Greenlet):
                    member.service.kill(block=False)
            return
        inside = [member for member in self._members if member.is_inside()]
        gevent.joinall([gevent.spawn(member.close) for member in reversed(self._members) if member not in inside])
        for member in inside:
            member.close()

    def _give_back(self) -> None:
        for member in reversed(self._members):
            member.undo()

    def _abandon(self) -> None:
        for member in self._members:
            member.forked()

    # -- what it looks like --------------------------------------------------------------------------

    def services(self) -> dict[str, Any]:
        """What it owns but for greenlets, by name, or by what it is. Does not open."""
        named: dict[str, Any] = {}
        for member in self._members:
            service = member.service
            if isinstance(service, gevent.Greenlet):
                continue
            name = str(getattr(service, "name", "") or type(service).__name__)
            free = (f"{name} {number}" if number > 1 else name for number in count(1))
            named[next(one for one in free if one not in named)] = service
        return named

    def statistics(self) -> BusStatistics:
        """Sums over all that it owns, ``restarted``, and ``services``: the statistics of each by name. `running` also
        counts greenlets. Does not open."""
        told = {
            name: service.statistics() for name, service in self.services().items() if hasattr(service, "statistics")
        }
        greenlets = sum(isinstance(member.service, gevent.Greenlet) for member in self._members)
        return summed(told, self._restarted + sum(member.restarted for member in self._members), greenlets)

    def __repr__(self) -> str:
        words = ["Bus", *([repr(self.name)] if self.name else []), self._state]
        owned = ", ".join(map(repr, self._members))
        return f"<{' '.join(words)}{': ' if owned else ''}{owned}>"


def _stop(member: Member, deadline: float | None) -> None:
    try:
        member.stop(deadline)
    except Exception:
        log.exception("%r did not stop well; the others do", member)


def _policy(restart: Restart | None) -> Restart | None:
    if restart is not None and not isinstance(restart, Restart):
        raise TypeError(f"restart is a zbus.Restart(…) or None, not {type(restart).__qualname__}")
    return restart


def _described(given: object) -> str:
    if isinstance(given, type):
        return f"the class {given.__qualname__}, which is to be made first,"
    return f"a {type(given).__qualname__}"
