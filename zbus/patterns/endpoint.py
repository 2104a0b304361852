"""What every pattern's ends have in common: bodies and headers as frames, and what is counted."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import MessageTooLarge, ProtocolError
from ..green.authentication import is_news
from ..green.events import EndpointEvent
from ..green.options import Options
from ..green.ports import Addresses, Ports
from ..green.service import CLOSED
from ..wire.codec import Msgpack, codec
from ..wire.message import encode_headers
from .statistics import Statistics

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Addresses", "Endpoint", "Headers"]

log = logging.getLogger("zbus")

_COMMAND = re.compile(r"[\w.-]{0,40}")

Headers = Mapping[str, Any] | None


class Endpoint(Ports):
    """One end of a pattern. See the classes for what each can do."""

    def __init__(self, *, bind: Addresses = (), connect: Addresses = (), **options: Unpack[Options]) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        self._codec = codec(self._options["codec"])
        self._packs = type(self._codec) is Msgpack
        self._pack = self._codec.pack if self._packs else self._codec.encode
        self._unpack = Msgpack.decode_single if self._packs else self._codec.decode
        self._headers_codec = Msgpack()
        self._max_bytes: int = self._options["max_message_bytes"]
        self._malformed = self._denied = 0

    # -- messages ------------------------------------------------------------------------------------

    def _encode(self, body: Any) -> bytes:
        try:
            data: bytes = self._pack(body)
        except Exception:
            if not self._packs:
                raise
            data = self._codec.encode(body)  # says what is wrong, and where
        if len(data) > self._max_bytes:
            raise self._too_large(data)
        return data

    def _decode(self, body: bytes) -> Any:
        """Raises `ProtocolError`, whatever the codec raised."""
        try:
            return self._unpack(body)
        except ProtocolError:
            raise
        except Exception as error:
            if self._packs:
                return self._codec.decode(body)  # says what is wrong with it
            raise ProtocolError(f"{type(self._codec).__name__} cannot decode it: {type(error).__name__}") from None

    def _too_large(self, data: bytes) -> MessageTooLarge:
        return MessageTooLarge(
            f"{len(data)} bytes; {self!r} sends at most {self._max_bytes}: raise max_message_bytes on both sides, "
            "or send it in parts"
        )

    def _frames(self, body: Any, headers: Headers) -> list[bytes]:
        """The frames of one message: body, and headers if there are any."""
        if self._options["codec"] == "frames":
            frames: list[bytes] = self._codec.encode(body)
            largest = max(frames, key=len)
            if len(largest) > self._max_bytes:
                raise self._too_large(largest)
            return frames
        if headers is None:
            return [self._encode(body)]
        return [self._encode(body), encode_headers(headers, self._headers_codec)]

    def _encode_headers(self, headers: Headers) -> bytes | None:
        return None if headers is None else encode_headers(headers, self._headers_codec)

    def _refuse(self, error: ProtocolError) -> None:
        """Count a message that breaks the rules; the first one is logged."""
        self._malformed += 1
        if self._malformed == 1:
            log.warning("%r dropped a message: %s; further ones are counted, not logged", self, error)

    # -- who sent it ---------------------------------------------------------------------------------

    def _may(self, user: str, verb: str, name: str) -> bool:
        """May this User-Id do that? If not it is counted, told, and logged once a second."""
        security = self._options["security"]
        if security is None or not security.rules or security.allows(user, verb, name):
            return True
        self._deny(user, verb, name)
        return False

    def _deny(self, user: str, verb: str, name: str) -> None:
        self._denied += 1
        who, what = user.partition(" ")[0], f"{verb} {_shown(verb, name)}"
        if is_news(f"{who} {verb}"):
            log.warning("%r: %s may not %s", self, who or "somebody without a key", what)
            self._tell(EndpointEvent("denied", " ".join(self._port.addresses), f"{who} may not {what}"))

    # -- what it looks like --------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. Does not open."""
        return Statistics(malformed=self._malformed)

    def _gauges(self) -> dict[str, int]:
        return {
            "peers": sum(port.peers for port in self._opened()) if self._state != CLOSED else 0,
            "missed_wakeups": self._missed_wakeups(),
            "dropped": self._dropped(),
            "malformed": self._malformed,
            "denied": self._denied,
        }


def _shown(verb: str, name: str) -> str:
    """A topic or the name of a command for people. A body that is any other text names a command, too, as far as rules
    go, and no log shows a body."""
    if verb in ("request", "send") and not _COMMAND.fullmatch(name):
        return "what names no command"
    return repr(name[:40])
