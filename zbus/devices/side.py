"""A device's side: as it is declared, and as it stands open on a green socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import gevent

from .. import green
from ..green import options as table
from ..green.address import addresses
from ..green.authentication import Security
from ..green.context import Context
from ..green.options import ROUTING_ID, Options, Timeout
from ..green.ports import Addresses, Ports
from ..green.service import CLOSED
from .kinds import Kind, Socket

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Side:
    """Where one side of a device is bound, connects to, or both, and the options of its socket.

    `identity` is the name under which a ROUTER at the other end knows it. The options are those of every endpoint but
    for ``codec``: a device does not look into messages.
    """

    __slots__ = ("bind", "connect", "identity", "options")

    def __init__(
        self,
        *,
        bind: Addresses = (),
        connect: Addresses = (),
        identity: bytes = b"",
        **options: Unpack[Options],
    ) -> None:
        if "codec" in options:
            raise TypeError("a device's side has no codec: frames cross as they are")
        if not isinstance(identity, bytes) or len(identity) > 255 or identity[:1] == b"\0":
            raise ValueError(f"identity={identity!r}: up to 255 bytes, the first of them not zero")
        security = table.checked(options, "Side")["security"]
        if security is not None and security.rules:
            raise ValueError("a device does not look into messages: rules are for the endpoints behind it")
        self.bind, self.connect = addresses(bind, connect, "Side")
        self.identity = identity
        self.options: dict[str, Any] = dict(options)

    def secured(self, security: Security) -> Side:
        """The same with this for its ``security=``."""
        options: Any = {**self.options, "security": security}
        return Side(bind=self.bind, connect=self.connect, identity=self.identity, **options)

    def __repr__(self) -> str:
        return f"<Side {' '.join((*self.bind, *self.connect))}>"


def side(given: str | Side, what: str) -> Side:
    """A side as a device's caller gave it: an address to bind, or a `Side`."""
    if isinstance(given, Side):
        return given
    if isinstance(given, str):
        return Side(bind=given)
    raise TypeError(f"{what} is an address to bind or a Side, not {type(given).__qualname__}")


class OpenSide(Ports):
    """A side that stands on a green socket."""

    def __init__(self, declared: Side, socket: Socket, context: Context | None) -> None:
        super().__init__(bind=declared.bind, connect=declared.connect, **declared.options)
        self._context = context
        self._kind = socket.kind
        flags = [*socket.flags]
        if "high_water_mark" not in declared.options:
            flags += socket.unless_chosen
        if declared.identity:
            flags.append((ROUTING_ID, declared.identity))
        self._flags = flags
        self._lingers = socket.lingers

    @property
    def socket(self) -> green.Socket:
        """The open socket."""
        return self._use()


def open_sides(kind: Kind, declared: Mapping[str, Side], context: Context | None = None) -> dict[str, OpenSide]:
    """All of them; if one cannot be opened, none."""
    opened: dict[str, OpenSide] = {}
    try:
        for name, side in declared.items():
            opened[name] = OpenSide(side, getattr(kind, name), context)
            opened[name].start()
    except BaseException:
        close_sides(opened.values(), False)
        raise
    return opened


def close_sides(sides: Iterable[OpenSide], wait: bool) -> None:
    """With `wait` for what they sent to leave: side by side, for each has a linger time of its own."""
    closing = [side for side in sides if side.state != CLOSED]
    if wait:
        gevent.joinall([gevent.spawn(side.close) for side in closing])
    else:
        for side in closing:
            side._close(False)


class SideView:
    """One side of a device, to ask: where is it, and is anybody there? Asking opens the device."""

    def __init__(self, device: Any, name: str) -> None:
        self._device = device
        self._name = name

    def _side(self) -> Any:
        return self._device._side(self._name)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it is bound, with the port that was picked for ``*``, then where it connects to."""
        found: tuple[str, ...] = self._side().addresses
        return found

    @property
    def peers(self) -> int:
        """How many peers are connected now."""
        return int(self._side().peers)

    def wait_for_peers(self, count: int = 1, *, timeout: Timeout = None) -> None:
        """Wait until at least `count` peers are connected; with ``timeout=0`` it asks: is anybody there?

        Raises `TimeoutExpired` after `timeout` seconds, `Closed` when the device is or gets closed.
        """
        self._side().wait_for_peers(count, timeout=timeout)

    def __repr__(self) -> str:
        return f"<{self._name} of {self._device!r}>"
