"""Who has subscribed to a publisher, and to what: read from its XPUB, and granted where there are rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ..green.authentication import Security
from ..green.messages import SocketError
from ..green.options import MANUAL, SUBSCRIBE, UNSUBSCRIBE
from ..green.retained import Retained
from ..green.socket import Socket


class Audience:
    """The subscriptions at one XPUB. `may` is asked, and so tells, of one that the rules do not grant."""

    def __init__(self, socket: Socket, security: Security | None, may: Callable[[str, str, str], object]) -> None:
        self._socket = socket
        self._rules = security if security is not None and security.rules else None
        self._may = may
        self._prefixes: Counter[bytes] = Counter()
        self._given: dict[bytes, list[bytes]] = {}  # what was granted of each subscription, where there are rules
        if self._rules is not None:
            socket.set(MANUAL, 1)

    def __len__(self) -> int:
        return len(self._prefixes)

    def count(self, topic: bytes) -> int:
        """How many subscriptions cover this topic."""
        return sum(times for prefix, times in self._prefixes.items() if topic.startswith(prefix))

    def listen(self, retained: Retained | None) -> None:
        """On the hub: read what subscribers ask for and give up. Those new get what is `retained`."""
        ready = self._socket.readiness
        count = 1
        while count & 15 or not ready.burst.over():
            count += 1
            try:
                frame = self._socket.take()[0]
            except SocketError:
                return
            prefix = frame[1:] if self._rules is None else self._granted(self._rules, frame)
            if prefix is None:
                continue
            if frame[:1] == b"\1":
                self._prefixes[prefix] += 1
                if retained is not None:
                    retained.want(prefix)
            elif frame[:1] == b"\0":
                self._prefixes[prefix] -= 1
                if self._prefixes[prefix] <= 0:
                    del self._prefixes[prefix]
        ready.resume_next_turn()

    def _granted(self, rules: Security, frame: bytes) -> bytes | None:
        """What a subscription, or the end of one, comes to; None: nothing."""
        user, asked = self._socket.user, frame[1:]
        if frame[:1] == b"\1":
            granted = rules.grant(user, asked)
            if granted is None:
                self._may(user, "subscribe", asked.decode(errors="replace"))
                return None
            self._given.setdefault(asked, []).append(granted)
            self._socket.set(SUBSCRIBE, granted)
            return granted
        given = self._given.get(asked)  # whose it was libzmq does not say of one who has gone
        if not given:
            return None
        ended = given.pop()
        if not given:
            del self._given[asked]
        self._socket.set(UNSUBSCRIBE, ended)
        return ended
