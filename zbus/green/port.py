"""A socket with its addresses: opened, bound, connected, watched, closed. Endpoints and device sides stand on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from time import monotonic

import zmq

from ..errors import AddressInUse
from . import inproc, ipc
from .authentication import ANYBODY, LOCAL
from .context import Context, open_socket
from .denials import Denials
from .events import Monitor
from .far import ATTEND, Far
from .names import Names
from .near import Near
from .options import Flags


class Port(Far, Near):
    """One green socket, the addresses it is at, and its peers.

    `report` is called on the hub with the port and with kind, address and reason of each ``connected``,
    ``disconnected``, ``refused`` and ``denied``. `most` is how many peers it admits (a PAIR: one, and `sent` tells how
    many messages libzmq has taken), `domain` names the policy that says which. With a `context` of its own the socket
    will be another thread's: here it is opened, watched and closed, and not touched in between.
    """

    def __init__(
        self,
        kind: int,
        flags: Flags,
        report: Callable[[Port, str, str, str], object],
        *,
        most: int | None = None,
        sent: Callable[[], int] = lambda: 0,
        domain: bytes = LOCAL,
        context: Context | None = None,
    ) -> None:
        self.socket = open_socket(kind, context)
        self._elsewhere = context is not None
        self.bound: list[str] = []
        self.connected: list[str] = []
        self._report = report
        self._most = most
        self._sent = sent
        self._sent_before: int | None = sent()  # the peer that is next; None: the last one's end is not carried out yet
        self._deaf = kind == zmq.PUSH  # nothing comes in that could be unread
        self._near = 0  # peers over inproc
        self._returning: set[str] = set()  # inproc names to connect to anew
        self._locks: dict[str, ipc.Lock] = {}  # of the ipc paths it is bound at
        for option, value in flags:
            self.socket.set(option, value)
        self._domain = domain
        encrypted = self.socket.get(zmq.MECHANISM) == zmq.CURVE
        if domain not in (LOCAL, ANYBODY):  # its peers are asked about wherever it meets them
            self.socket.set(zmq.ZAP_DOMAIN, domain)
            self.socket.named = True
        self._beyond = encrypted or self._domain == ANYBODY
        self.denials = Denials(encrypted, self._denied)
        self.monitor = Monitor(
            self.socket,
            self._heard,
            most=most,
            attached=self._has_attached,
            ended=self._look_after,
            failed=self._failed,
            shaking=self._shaking,
        )
        if kind == zmq.ROUTER and not self._elsewhere:
            self.socket.names = Names(self.monitor)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it is bound, with the real port, then where it is connected to."""
        return (*self.bound, *self.connected)

    @property
    def peers(self) -> int:
        """How many peers are connected now."""
        return self.monitor.peers + self._near

    def count_peers(self) -> int:
        """As `peers`, with what libzmq has told and nobody has read yet: a message in hand may come from a peer whose
        ``connected`` is still there."""
        self.monitor.drain()
        return self.peers

    # -- addresses -----------------------------------------------------------------------------------

    def open(self, bind: Iterable[str], connect: Iterable[str]) -> None:
        """Bind and connect; whatever fails closes the socket again and is raised."""
        try:
            for address in bind:
                self.bind(address)
            for address in connect:
                self.connect(address)
        except BaseException:
            self.close(linger=0, wait=False)
            raise

    def bind(self, address: str) -> None:
        """Bind; raises `AddressInUse`, `InsecureBind`, or `OSError` with the address for what else the system says."""
        self._guard(address, "bind")
        try:
            if address.startswith("ipc://"):
                self._bind_ipc(address)
            else:
                self._allow_ipv6(address)
                self.socket.bind(address)
        except (zmq.ZMQError, OSError) as error:
            if error.errno in (zmq.EADDRINUSE, errno.EWOULDBLOCK):
                raise AddressInUse(
                    f"{address} is taken: another socket is bound there. One socket binds an address; "
                    "for many on both sides let them connect to a forwarder, queue or streamer instead"
                ) from None
            named = isinstance(error, OSError) and error.filename  # a folder, or the lock
            why = f"{error.strerror}: {named}" if named else error.strerror
            raise OSError(error.errno, f"cannot bind {address}: {why}") from None
        if address.startswith("inproc://"):
            self.bound.append(address)
            inproc.bound(address, self)
        else:
            self.bound.append(self.socket.get(zmq.LAST_ENDPOINT).decode())

    def _bind_ipc(self, address: str) -> None:
        path = ipc.path_of(address)
        lock = None
        if path:
            ipc.make_folder(path)
            lock = self._locks[address] = ipc.take(path)
        try:
            if ipc.is_live(address):  # somebody who takes no lock is bound there
                raise zmq.ZMQError(zmq.EADDRINUSE)
            self.socket.bind(address)
        except BaseException:
            self._let_go(address)
            raise
        if lock is not None:
            self.monitor.drain()
            where = self.socket.get(zmq.LAST_ENDPOINT).decode()
            lock.bound(next(number for number, there in self.monitor.descriptors.items() if there == where))

    def _let_go(self, address: str) -> None:
        """The socket leaves a path: another may have it when libzmq has closed it."""
        lock = self._locks.pop(address, None)
        if lock is not None:
            lock.release()

    def connect(self, address: str) -> None:
        """Connect, now and again whenever the connection is lost. Raises `InsecureBind` as `bind` does."""
        self._guard(address, "connect")
        try:
            self._allow_ipv6(address)
            self.socket.connect(address)
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"cannot connect to {address}: {error.strerror}") from None
        self.monitor.expect(address)
        self.connected.append(address)
        if address.startswith("inproc://") and not self._join(address):
            self._return(address)

    def disconnect(self, address: str) -> None:
        """Stop being connected to, or bound at, an address; `ValueError` if it is neither."""
        if address in self.connected:
            self.connected.remove(address)
            self._returning.discard(address)
            if address.startswith("inproc://"):
                inproc.disconnected(address, self)
            self._part(address)
        elif address in self.bound:
            self.unbind(address)
        else:
            raise ValueError(f"not at {address!r}; it is at {', '.join(self.addresses) or 'no address'}")

    def unbind(self, address: str, *, closing: bool = False) -> None:
        """Stop being bound at an address; libzmq drops the connections that came in there."""
        self.bound.remove(address)
        self._quietly(self.socket.unbind, address)
        self._let_go(address)
        if address.startswith("inproc://"):
            inproc.unbound(address, self, closing)

    def rejoin(self) -> None:
        """Drop every connection that was made from here and make it anew."""
        for address in self.connected:
            if address.startswith("inproc://"):
                inproc.disconnected(address, self)
            self._connect_anew(address)
            if address.startswith("inproc://"):
                inproc.connected(address, self)

    def _allow_ipv6(self, address: str) -> None:
        if "[" in address:
            self.socket.set(zmq.IPV6, 1)

    # -- peers ---------------------------------------------------------------------------------------

    def _heard(self, kind: str, address: str, reason: str) -> None:
        if kind == "connected":
            self.denials.admitted(address)
            self.socket.readiness.deny("")
            self.attend()
        elif kind == "disconnected":
            # nothing more is sent to him; and a PAIR takes no other peer before this one's end is carried out
            self._sent_before = None
            self._attend(1 if self._most is None else ATTEND)
        self._report(self, kind, address, reason)

    def _has_attached(self) -> bool:
        """Has libzmq taken the peer that was accepted? A PAIR takes none before its last one is read and gone.

        It has if there is room to send; also if something was sent since the last one went, for then the queue may be
        full already.
        """
        room = bool(self.attend() & zmq.POLLOUT)
        before = self._sent_before
        return room or (before is not None and self._sent() > before) or self.socket.closed

    def attend(self) -> int:
        """Have libzmq attach the new peer now: a send within its millisecond of throttling would pass him by.

        What is possible then, as ``EVENTS`` says it.
        """
        if self._elsewhere:
            return 0
        ready = self.socket.readiness
        events = ready.events()
        ready.nudge()
        if self._sent_before is None and not events & zmq.POLLOUT:
            self._sent_before = self._sent()
        return events

    # -- the end -------------------------------------------------------------------------------------

    def close(self, *, linger: float | None, wait: bool = True) -> bool:
        """Close; with `wait` park until what was sent has left or `linger` seconds are over. False: it may not have."""
        try:
            return self._close(linger, wait)
        finally:
            for address in list(self._locks):
                self._let_go(address)

    def _close(self, linger: float | None, wait: bool) -> bool:
        far = not self.addresses or any(not address.startswith("inproc://") for address in self.addresses)
        for address in [a for a in self.bound if a.startswith("inproc://")]:
            self.unbind(address, closing=True)
        near = [a for a in self.connected if a.startswith("inproc://")]
        for address in near:
            if inproc.disconnected(address, self):  # now, not when libzmq's thread comes to it: its peer would send on
                self._quietly(self.socket.disconnect, address)
        if self.socket.closed:  # its context has ended
            self.monitor.close()
            return True
        milliseconds = -1 if linger is None else int(linger * 1000)
        if near and linger is not None:
            self.socket.readiness.hub.loop.timer(linger, ref=False).start(inproc.let_go, near)
        if self._elsewhere:  # its context is ending, and waits for what was sent
            self.socket.close()
            self.monitor.close()
            return True
        if not (wait and far):
            self.socket.monitor(None, 0)
            self.socket.close(milliseconds)
            self.monitor.close()
            return True
        began = monotonic()
        self.socket.close(milliseconds)
        self.monitor.readiness.hold()
        try:
            self.monitor.gone.wait(None if linger is None else linger + 0.5)
        finally:
            self.monitor.readiness.release()
        return linger is None or monotonic() - began < max(linger - 0.005, 0.005)  # libzmq counts in milliseconds

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections without a word to libzmq."""
        for descriptor in self.monitor.descriptors:
            try:
                os.close(descriptor)
            except OSError:
                continue
