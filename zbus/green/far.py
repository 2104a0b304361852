"""A socket's connections over tcp and ipc: who may be spoken to, and how a connection that is over is made anew."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

import zmq

from ..errors import Closed, InsecureBind
from . import authentication, ipc
from .address import is_local
from .denials import Denials, refusal
from .events import Monitor
from .socket import Socket

log = logging.getLogger("zbus")

#: How often, five milliseconds apart, to look after a connection that is being dropped.
ATTEND = 10
#: Seconds after which a connection that libzmq has given up is made anew.
_ANEW = 0.5
#: Seconds after which a handshake is asked after.
_SHAKING = 1.1 * authentication.HANGS


class Far:
    """The part of a port that is a party to connections over tcp and ipc."""

    socket: Socket
    monitor: Monitor
    bound: list[str]
    connected: list[str]
    denials: Denials
    _elsewhere: bool
    _beyond: bool
    _domain: bytes
    _asked_after = False

    @property
    def peers(self) -> int:
        """How many peers are connected now."""
        raise AttributeError

    def attend(self) -> int:
        """Have libzmq carry out what is due on the socket; what is possible then."""
        raise AttributeError

    def _heard(self, kind: str, address: str, reason: str) -> None:
        """Something happened to a connection."""

    # -- before a connection -------------------------------------------------------------------------

    def _guard(self, address: str, verb: str) -> None:
        """`InsecureBind` unless what is beyond this machine is encrypted, or spelled out as open.

        Who connects is asked about where he is let in, not here too, where he connects: the address says who the server
        is, and of a socket that is closed before the answer libzmq 4.3.5 keeps the connection for ever.
        """
        if address.startswith("inproc://"):
            return
        if not self._beyond and not is_local(address):
            raise InsecureBind(
                f"{verb} {address}: that is beyond this machine, and not encrypted. Give security=Curve.server(…) "
                "or Curve.client(…); or insecure=True, and whoever reaches the address can read and write"
            )
        if verb == "bind" and self._domain == authentication.ANYBODY and not is_local(address):
            log.warning("%s is open: whoever reaches it can read and write, for insecure=True says so", address)
        if address.startswith("ipc://") and not self._beyond:
            (ipc.check_folder if verb == "bind" else ipc.check_owner)(address)
        if verb == "bind":
            self.socket.set(zmq.ZAP_DOMAIN, self._domain)
        if verb == "bind" or self._domain not in (authentication.LOCAL, authentication.ANYBODY):
            authentication.guard(self.socket)

    def _shaking(self, address: str, descriptor: int, ours: bool) -> None:
        """A handshake begins. With one who came: see after a while that it is not held up by a policy that hangs. With
        one whom we came to over ipc: see who he is."""
        if ours:
            self._look_at(address, descriptor)
        elif self.bound and not self._asked_after:
            self._asked_after = True
            self.socket.readiness.hub.loop.timer(_SHAKING, ref=False).start(self._ask_after)

    def _ask_after(self) -> None:
        self._asked_after = False
        if not self.socket.closed:
            authentication.look_after(self.socket)

    def _look_at(self, address: str, descriptor: int) -> None:
        """Leave a server that is another user's: his socket may stand where ours was."""
        if not self._beyond and address.startswith("ipc://"):
            who = ipc.stranger(descriptor)
            if who:
                self.monitor.refuse(descriptor)
                self.denials.refused(address, f"the server there is {who}; see who may write to its folder")

    # -- a handshake that failed ---------------------------------------------------------------------

    def _failed(self, address: str, ours: bool, event: int, value: int) -> None:
        if ours:
            self.denials.failed(address, event, value)
            return
        refused = [f"{peer}: {reason}" for peer, reason in authentication.refusals(self._domain)]
        reason = refusal(event, value, self.denials.encrypted)
        if reason and authentication.is_news(f"{address} {reason}"):
            refused.append(reason)
        for text in refused:
            log.warning("refused at %s: %s", address, text)
            self._heard("denied", address, text)

    def _denied(self, address: str, reason: str) -> None:
        log.warning("denied by %s: %s", address, reason)
        self.socket.readiness.hub.loop.run_callback(self._stand_back, address)
        if not self.peers and not self.bound and all(where in self.denials.reasons for where in self.connected):
            self.socket.readiness.deny(f"{address}: {reason}")
        self._heard("denied", address, reason)

    def _stand_back(self, address: str) -> None:
        """Leave a server that denied us, for libzmq would come back at once and for ever; ask again in a while."""
        if self.socket.closed or self._elsewhere or address not in self.denials.reasons:
            return
        if address in self.connected:
            self._part(address)
            self._after(self.denials.pause(address), self._ask_again, address)

    def _ask_again(self, address: str) -> None:
        if address in self.connected and not self.socket.closed:
            self._connect_anew(address)

    # -- a connection that is over -------------------------------------------------------------------

    def _connect_anew(self, address: str) -> None:
        self._part(address)
        self.monitor.expect(address)
        self.socket.connect(address)

    def _look_after(self, address: str) -> None:
        """A connection that we made is over. libzmq makes it again if the peer ended it, never if it did so itself, for
        what came in: a frame over the limit, bytes that are no ZMTP."""
        if not self._elsewhere:
            self._after(_ANEW, self._unless_retried, address)

    def _unless_retried(self, address: str) -> None:
        self.monitor.drain()
        if address in self.monitor.given_up and address in self.connected and not self.socket.closed:
            self._connect_anew(address)

    def _part(self, address: str) -> None:
        self._quietly(self.socket.disconnect, address)
        self.monitor.forget(address)
        self._attend(ATTEND)

    def _attend(self, turns: int) -> None:
        """Have libzmq carry out what was asked: it does so in calls on the socket, and there may be none for long."""
        if turns and not self.socket.closed:
            self.attend()
            self._after(0.005, self._attend, turns - 1)

    def _after(self, seconds: float, callback: Callable[..., object], *arguments: object) -> None:
        self.socket.readiness.hub.loop.timer(seconds, ref=False).start(callback, *arguments)

    def _quietly(self, verb: Callable[[str], object], address: str) -> None:
        try:
            verb(address)
        except Closed:
            return
        except zmq.ZMQError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTSOCK, errno.EINVAL, zmq.ENOTSOCK):
                raise
