"""ZAP 1.0 (ZeroMQ RFC 27): what libzmq asks of whoever decides which peers may shake hands, and the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from ..errors import ProtocolError

VERSION = b"1.0"
#: Frames of the smallest question: version, serial, domain, address, routing id, mechanism.
_LEAST = 6
#: The most bytes of one field.
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Question:
    """May this peer shake hands?

    `domain` names the rules that the asked socket goes by, `address` is the peer's, as the system tells it: a number
    for tcp, and for ipc ``name:uid:gid:pid``. `mechanism` is ``NULL``, ``PLAIN``, ``CURVE`` or ``GSSAPI``, `key` the
    32 bytes of a CURVE peer's public key.
    """

    serial: bytes
    domain: bytes
    address: str
    mechanism: str
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """`user` may (with 200); he may not (400), for what `reason` says; or nobody could tell (500)."""

    code: int
    reason: str = ""
    user: str = ""

    def frames(self, serial: bytes) -> list[bytes]:
        """As the frames of a reply to the question with this `serial`."""
        return [VERSION, serial, b"%d" % self.code, self.reason.encode()[:_LONGEST], self.user.encode(), b""]


def parse(frames: list[bytes]) -> Question:
    """The question in these frames, the envelope's gone; `ProtocolError` for what is none."""
    if len(frames) < _LEAST or frames[0] != VERSION:
        raise ProtocolError(f"not a question of ZAP 1.0: {len(frames)} frames")
    _, serial, domain, address, _, mechanism = fixed = frames[:_LEAST]
    credentials = frames[_LEAST:]
    if max(map(len, fixed)) > _LONGEST:
        raise ProtocolError("a field of a ZAP question is too long")
    try:
        where, how = address.decode(), mechanism.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError("a ZAP question is not text where text belongs") from None
    if (how == "NULL" and credentials) or (how == "CURVE" and [len(key) for key in credentials] != [32]):
        raise ProtocolError(f"a ZAP question for {how[:6]} with {len(credentials)} credentials")
    return Question(serial, domain, where, how, credentials[0] if how == "CURVE" else b"")


def is_local(address: str, uid: int) -> bool:
    """Is the peer on this machine: over loopback, or over ipc and the user with this `uid`, or root?"""
    name, *numbers = address.rsplit(":", 3)
    if len(numbers) == 3 and name and ":" not in name and all(n.isascii() and n.isdigit() for n in numbers):
        return int(numbers[0]) in (uid, 0)
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback
