"""The servers that will not have us: why, what those who wait are told, and when we ask again."""

from __future__ import annotations

import random
from collections.abc import Callable

import zmq

_AUTH, _PROTOCOL = int(zmq.Event.HANDSHAKE_FAILED_AUTH), int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL)
_MISMATCH = int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
_CRYPTOGRAPHIC = int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)

#: Seconds before a server that denied us is asked again, doubling up to the longest.
FIRST, LONGEST = 1.0, 30.0
#: Handshakes cut short in a row that are no accident.
_IN_A_ROW = 2


def refusal(event: int, value: int, encrypted: bool) -> str:
    """Why a handshake failed that a peer began with us, as far as libzmq says it; empty if that is no news."""
    if event != _PROTOCOL or value not in (_MISMATCH, _CRYPTOGRAPHIC):
        return ""
    if value == _CRYPTOGRAPHIC:
        return "a peer that has another key for us than ours"
    return "a peer without a key, and one is wanted here" if encrypted else "a peer with a key, and we have none"


class Denials:
    """Of one socket, by the address that it connects to.

    `encrypted`: it has a key, and knows its server's. `tell` is called with an address and the reason at each denial.
    """

    def __init__(self, encrypted: bool, tell: Callable[[str, str], object]) -> None:
        self.encrypted = encrypted
        self._tell = tell
        self._cut_short: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self.reasons: dict[str, str] = {}

    def failed(self, address: str, event: int, value: int) -> None:
        """A handshake that we began with `address` failed: libzmq's event, and what it says of it."""
        reason = self._reason(address, event, value)
        if reason:
            self.refused(address, reason)

    def refused(self, address: str, reason: str) -> None:
        """We are not to speak with `address`."""
        self._times[address] = self._times.get(address, 0) + 1
        self.reasons[address] = reason
        self._tell(address, reason)

    def _reason(self, address: str, event: int, value: int) -> str:
        if event == _AUTH:
            if self.encrypted:
                return "the server does not know our key; have it authorised there: zbus keys authorise"
            return "the server admits no stranger without a key, or we do not admit it: it is not on this machine"
        if event == _PROTOCOL:
            if value != _MISMATCH:
                return ""
            if self.encrypted:
                return "the server is not encrypted, and we are: give it security=Curve.server(…)"
            return "the server is encrypted, and we are not: give security=Curve.client(…)"
        times = self._cut_short[address] = self._cut_short.get(address, 0) + 1
        if self.encrypted and (times >= _IN_A_ROW or address in self.reasons):
            return "wrong server key, or not a zbus port of this pattern"
        return ""

    def admitted(self, address: str) -> None:
        """We are connected."""
        for record in (self._cut_short, self._times, self.reasons):
            record.pop(address, None)

    def pause(self, address: str) -> float:
        """Seconds before we ask again; 0 if we were not denied."""
        times = self._times.get(address, 0)
        if not times:
            return 0.0
        return min(FIRST * 2.0 ** (times - 1), LONGEST) * random.uniform(1.0, 1.25)
