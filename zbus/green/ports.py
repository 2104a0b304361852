"""A service that stands on ports: its addresses, its options, its peers, and what happens to its connections."""

from __future__ import annotations

import inspect
import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from gevent.event import Event

from ..errors import Closed, Denied, TimeoutExpired
from . import options as table
from .address import addresses, check
from .authentication import Security
from .context import Context
from .events import EndpointEvent
from .options import Options, Timeout
from .port import Port
from .service import CLOSED, DECLARED, OPEN, Service, _thread, weakly
from .socket import Socket

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger("zbus")

Addresses = str | Iterable[str]


class Ports(Service):
    """What an endpoint and a device's side have in common."""

    _kind: int
    _flags: table.Flags = ()
    _most_peers: ClassVar[int | None] = None
    _context: Context | None = None  # None: the process's
    _lingers = True  # False: it sends nothing that is worth waiting for

    def __init__(self, *, bind: Addresses = (), connect: Addresses = (), **options: Unpack[Options]) -> None:
        self._options = table.checked(options, type(self).__name__)
        both = addresses(bind, connect, type(self).__name__)
        self._bind, self._connect = map(list, both)
        self.name: str = self._options["name"]
        self._notices: deque[EndpointEvent] = deque()

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Give the class a signature that spells out the table's options, for `help` and editors."""
        super().__init_subclass__(**keywords)
        signature = inspect.signature(cls.__init__)
        if all(p.kind is not p.VAR_KEYWORD for p in signature.parameters.values()):
            return
        own = [p for p in list(signature.parameters.values())[1:] if p.kind is not p.VAR_KEYWORD]
        rows = [
            inspect.Parameter(
                row.keyword,
                inspect.Parameter.KEYWORD_ONLY,
                default=row.default,
                annotation=row.annotation,
            )
            for row in table.TABLE
            if row.keyword not in signature.parameters
        ]
        cls.__signature__ = inspect.Signature([*own, *rows])  # type: ignore[attr-defined]

    def secure(self, security: Security) -> None:
        """Take this for ``security=``, unless it has one or is `insecure`. `ValueError` once it is open."""
        if self._options["security"] is None and not self._options["insecure"]:
            if self._state != DECLARED:
                raise ValueError(f"{self!r} is open already, without the security that it is to have")
            self._options["security"] = security

    # -- opening and closing -------------------------------------------------------------------------

    def _open(self) -> None:
        self._changed = Event()
        self._ports: list[Port] = []
        try:
            for bind, connect in self._layout():
                self._add_port(bind, connect)
        except BaseException:
            for port in self._ports:
                port.close(linger=0, wait=False)
            raise
        self._port = self._ports[0]
        self._readiness = self._port.socket.readiness

    def _layout(self) -> list[tuple[list[str], list[str]]]:
        """The addresses of each socket, bind and connect: all on one, but for a requester."""
        return [(self._bind, self._connect)]

    def _add_port(self, bind: Iterable[str], connect: Iterable[str]) -> Port:
        flags = [*table.flags(self._options), *self._flags]
        port = Port(
            self._kind,
            flags,
            weakly(self._report),
            most=self._most_peers,
            sent=self._counting(),
            domain=table.domain(self._options),
            context=self._context,
        )
        self._prepare(port)
        port.open(bind, connect)
        self._ports.append(port)
        return port

    def _counting(self) -> Callable[[], int]:
        """To ask how many messages libzmq was given."""
        reference = weakref.ref(self)
        return lambda: getattr(reference(), "_sent", 0)

    def _prepare(self, port: Port) -> None:
        """What has to be set on the socket before it is bound or connected."""

    def _shut(self, wait: bool) -> None:
        self._changed.set()
        linger = self._options["linger"] if self._lingers else 0.0
        left = [port for port in self._ports if not port.close(linger=linger, wait=wait)]
        if left and self._lingers:
            log.warning(
                "%r closed after its linger of %s s; what was not sent by then is lost",
                self,
                linger,
            )

    def _before_fork(self) -> None:
        for port in self._ports:
            port.monitor.drain()

    def _abandon(self) -> None:
        self._changed.set()
        for port in self._ports:
            port.abandon()

    def _use(self) -> Socket:
        """The open socket; opens at first use."""
        if self._state is not OPEN or _thread() != self._owner:
            self._ready()
        return self._port.socket

    # -- addresses and peers -------------------------------------------------------------------------

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it is bound, with the port that was picked for ``*``, then where it connects to. Opens."""
        self._use()
        return tuple(address for port in self._ports for address in port.addresses)

    @property
    def peers(self) -> int:
        """How many peers are connected now. Opens."""
        self._use()
        return sum(port.peers for port in self._ports)

    def connect(self, address: str) -> None:
        """Connect to one more address. Opens; raises `ValueError` for what is no address."""
        check(address, "connect")
        self._use()
        self._connect_to(address)
        self._connect.append(address)

    def _connect_to(self, address: str) -> None:
        self._port.connect(address)

    def disconnect(self, address: str) -> None:
        """Leave an address connected to or bound at; messages queued for it are lost. `ValueError` if it is neither."""
        self._use()
        port = next((port for port in self._ports if address in port.addresses), self._port)
        port.disconnect(address)
        for declared in (self._connect, self._bind):
            if address in declared:
                declared.remove(address)

    def wait_for_peers(self, count: int = 1, *, timeout: Timeout = None) -> None:
        """Wait until at least `count` peers are connected; with ``timeout=0`` it asks: is anybody there?

        Opens. Raises `TimeoutExpired` after `timeout` seconds, `Denied` where no server will have us, `Closed` when the
        endpoint is or gets closed.
        """
        self._use()
        self._wait_until(
            lambda: self.peers >= count or self._is_denied(), timeout, lambda: f"{count} peers; there are {self.peers}"
        )

    def _is_denied(self) -> bool:
        """Never True: where every server denied us it raises `Denied`."""
        reasons = [port.socket.readiness.denied for port in self._ports]
        if all(reasons):
            raise Denied(f"{self!r}: {'; '.join(reasons)}")
        return False

    def _wait_until(self, done: Callable[[], bool], timeout: Timeout, wanted: Callable[[], str]) -> None:
        """Park until `done`, looking again at each change; on expiry tell what was `wanted`."""
        deadline = None if timeout is None else monotonic() + timeout
        changed = self._changed
        holder = self._holder()
        holder.hold()
        try:
            while not done():
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    raise TimeoutExpired(f"{self!r} waited {timeout} s for {wanted()}")
                changed.clear()
                changed.wait(left)
                if self._state is DECLARED or self._changed is not changed:
                    raise Closed(f"{self!r} was opened before the fork")
                self._use()
        finally:
            holder.release()

    def _holder(self) -> Any:
        return self._port.monitor.readiness

    # -- events --------------------------------------------------------------------------------------

    def _report(self, port: Port, kind: str, address: str, reason: str) -> None:
        self._changed.set()
        self._tell(EndpointEvent(kind, address, reason))

    def _tell(self, event: EndpointEvent) -> None:
        """Have `on_event` called with it, in order, by a greenlet that lives while there is something to tell."""
        if self._options["on_event"] is None:
            return
        self._notices.append(event)
        if len(self._notices) == 1:
            gevent.spawn(_deliver, self._notices, self._options["on_event"], repr(self))

    # -- what it looks like --------------------------------------------------------------------------

    def _opened(self) -> list[Port]:
        return getattr(self, "_ports", [])

    def _dropped(self) -> int:
        """Messages that a ROUTER had no room for, or whose addressee was gone, or that lost him between two frames."""
        return sum(port.socket.lost for port in self._opened())

    def _missed_wakeups(self) -> int:
        """A defect of zbus if it is not 0."""
        return sum(port.socket.readiness.missed_wakeups for port in self._opened())

    def __repr__(self) -> str:
        words = [type(self).__name__]
        if getattr(self, "name", ""):
            words.append(repr(self.name))
        ports = self._opened() if self._state != DECLARED else []
        declared = (*getattr(self, "_bind", ()), *getattr(self, "_connect", ()))
        words.append(" ".join(address for port in ports for address in port.addresses) or " ".join(declared))
        words.append(self._state)
        if ports and self._state != CLOSED:
            words.append(f"peers={sum(port.peers for port in ports)}")
        return f"<{' '.join(words)}>"


def _deliver(notices: deque[EndpointEvent], on_event: Callable[[EndpointEvent], object], who: str) -> None:
    while notices:
        try:
            on_event(notices[0])
        except BaseException:  # a gevent.Timeout, say: those that come after are told of all the same
            log.exception("on_event of %s raised", who)
        finally:
            notices.popleft()
