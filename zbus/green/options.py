"""The one table of endpoint options: keyword, default, unit, the libzmq options behind it, what it means.

Constructors, their signatures, `help()` and the documentation all read it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import zmq

from ..wire.codec import Codec
from .authentication import ANYBODY, LOCAL

if TYPE_CHECKING:
    from .authentication import Security
    from .events import EndpointEvent

Timeout = float | None

Flags = Iterable[tuple[int, int | bytes]]

#: The socket types, so that nobody else needs zmq for their names.
PAIR, PUSH, PULL = int(zmq.PAIR), int(zmq.PUSH), int(zmq.PULL)
PUB, XPUB, SUB, XSUB = int(zmq.PUB), int(zmq.XPUB), int(zmq.SUB), int(zmq.XSUB)
DEALER, ROUTER = int(zmq.DEALER), int(zmq.ROUTER)
#: The name that a peer's ROUTER is to know a socket by.
ROUTING_ID = int(zmq.ROUTING_ID)
SUBSCRIBE, UNSUBSCRIBE = int(zmq.SUBSCRIBE), int(zmq.UNSUBSCRIBE)
#: Who a socket is, and whom it takes for its server.
CURVE_SERVER, CURVE_SERVERKEY = int(zmq.CURVE_SERVER), int(zmq.CURVE_SERVERKEY)
CURVE_PUBLICKEY, CURVE_SECRETKEY = int(zmq.CURVE_PUBLICKEY), int(zmq.CURVE_SECRETKEY)
#: An XPUB that leaves it to us whether a subscription is granted.
MANUAL = int(zmq.XPUB_MANUAL)
#: An XPUB that tells of every subscription and every end of one, not only of the first and last.
VERBOSE = ((zmq.XPUB_VERBOSER, 1),)
#: Messages that may wait on the way out and in, a peer.
SNDHWM, RCVHWM = int(zmq.SNDHWM), int(zmq.RCVHWM)
#: Replies that may wait for one client of a ROUTER. One that finds no room is lost, and its caller waits in vain, so
#: there is room for a burst that libzmq's thread is too busy to take, whatever the high-water mark of requests is.
REPLIES = 10_000
#: What a SUB or XSUB sends are subscriptions, and libzmq drops those for which there is no room, without a word.
SUBSCRIPTIONS = ((SNDHWM, 0),)
#: A socket that queues nothing for a peer that is not there. Not for one that receives messages of several frames:
#: libzmq 4.3.5 aborts (`!_more`, fq.cpp) where it drops what a lost connection brought between two of them.
IMMEDIATE = ((zmq.IMMEDIATE, 1),)


class Options(TypedDict, total=False):
    """The keywords that every endpoint takes; `TABLE` says what each means."""

    codec: str | Codec
    high_water_mark: int
    linger: float | None
    max_message_bytes: int
    heartbeat: float | None
    reconnect: tuple[float, float]
    security: Security | None
    insecure: bool
    name: str
    on_event: Callable[[EndpointEvent], object] | None


@dataclass(frozen=True)
class Option:
    """One row: a keyword, its default, what it sets on the socket, what it means, and how a bad value is refused."""

    keyword: str
    default: Any
    annotation: str
    meaning: str
    check: Callable[[Any], bool]
    wants: str
    flags: Callable[[Any], Flags] = lambda value: ()
    private: bool = False  #: what it was given instead may be a secret, which no text of an error shows


def _milliseconds(seconds: float | None) -> int:
    return -1 if seconds is None else max(int(seconds * 1000), 0)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 86_400


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31


def check_concurrency(value: int) -> None:
    """`ValueError` for what is no number of greenlets that may be at work at once."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"concurrency is a whole number of greenlets, 1 or more, not {value!r}")


def _keep_alive(seconds: float | None) -> Flags:
    """TCP's own probes: the peer's kernel answers them also while the peer does not read.

    ZMTP's pings are not for sockets that may stop reading: libzmq reads no answer while its queue is full, so
    backpressure of three intervals would cut off a healthy peer with what is on its way (tried: 30 of 115 arrived).
    """
    if seconds is None:
        return ((zmq.TCP_KEEPALIVE, 0),)
    interval = max(round(seconds), 1)
    return (
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, interval),
        (zmq.TCP_KEEPALIVE_INTVL, interval),
        (zmq.TCP_KEEPALIVE_CNT, 2),
    )


def pings(seconds: float | None) -> Flags:
    """ZMTP's pings, for a socket that is always read: they find a stopped process too.

    libzmq counts from the first ping that is not answered, and that may be a whole interval after the path died: four
    pings a heartbeat, or a peer would be dropped up to four heartbeats later and not three. The little above three is
    for a path on which ping and answer are late one after the other.
    """
    if seconds is None:
        return ()
    return (
        (zmq.HEARTBEAT_IVL, max(_milliseconds(seconds / 4), 1)),
        (zmq.HEARTBEAT_TIMEOUT, max(_milliseconds(3.15 * seconds), 3)),
    )


def _reconnect(interval: tuple[float, float]) -> Flags:
    first, longest = interval
    first *= random.uniform(0.5, 1.5)  # libzmq has no jitter of its own: a herd would come back as one
    return (
        (zmq.RECONNECT_IVL, max(_milliseconds(first), 1)),
        (zmq.RECONNECT_IVL_MAX, _milliseconds(max(first, longest))),
    )


TABLE: tuple[Option, ...] = (
    Option(
        "codec",
        "msgpack",
        "str | Codec",
        'how bodies become bytes: "msgpack", "json", "raw", "frames", or an object with encode and decode',
        lambda value: True,
        "",
    ),
    Option(
        "high_water_mark",
        1000,
        "int",
        "messages that may wait, a peer and direction; libzmq's SNDHWM and RCVHWM",
        _is_count,
        "a whole number of messages, 1 or more",
        lambda value: ((zmq.SNDHWM, value), (zmq.RCVHWM, value)),
    ),
    Option(
        "linger",
        1.0,
        "float | None",
        "seconds that close() waits for what was sent to leave this process; None: as long as it takes",
        lambda value: value is None or (value == 0 and value is not False) or _is_seconds(value),
        "seconds, 0 or more, or None",
        lambda value: ((zmq.LINGER, _milliseconds(value)),),
    ),
    Option(
        "max_message_bytes",
        2**20,
        "int",
        "bytes in one frame; over it a sender raises MessageTooLarge, and a peer that sends more is cut off",
        _is_count,
        "a whole number of bytes, 1 or more",
        lambda value: ((zmq.MAXMSGSIZE, value),),
    ),
    Option(
        "heartbeat",
        2.0,
        "float | None",
        "seconds; a peer that is silent for three times as long is dropped; None: no probes. A Requester "
        "sends ZMTP pings, which find a stopped process too; others TCP keep-alive, which backpressure cannot upset",
        lambda value: value is None or _is_seconds(value),
        "seconds above 0, or None",
        _keep_alive,
    ),
    Option(
        "reconnect",
        (0.1, 1.0),
        "tuple[float, float]",
        "seconds before the first attempt to reconnect (varied by half), and the most between two, doubling",
        lambda value: isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_seconds, value)),
        "two numbers of seconds above 0: (first, longest)",
        _reconnect,
    ),
    Option(
        "security",
        None,
        "Security | None",
        "Curve.server(…) or Curve.client(…): tcp and ipc are encrypted, and both sides know who the other is; None: "
        "only peers on this machine",
        lambda value: value is None or hasattr(value, "flags"),
        "Curve.server(…), Curve.client(…) or None",
        lambda value: () if value is None else value.flags(),
        private=True,
    ),
    Option(
        "insecure",
        False,
        "bool",
        "True: speak to other machines without encryption, and to whoever reaches the address",
        lambda value: isinstance(value, bool),
        "True or False",
    ),
    Option(
        "name",
        "",
        "str",
        "what to call this endpoint in logs and repr",
        lambda value: isinstance(value, str),
        "a str",
    ),
    Option(
        "on_event",
        None,
        "Callable[[EndpointEvent], object] | None",
        "called with an EndpointEvent when a peer connects, disconnects, is refused, or messages were missed",
        lambda value: value is None or callable(value),
        "something to call with an EndpointEvent, or None",
    ),
)
_ROWS = {row.keyword: row for row in TABLE}

#: What every socket gets: seconds for a peer's handshake, and that it insists on the ZAP domain that it is bound with:
#: else libzmq takes any bytes, a web page's POST too, for messages of ZMTP 1.0, and any key for a good one.
ALWAYS: Flags = ((zmq.HANDSHAKE_IVL, 5000), (zmq.ZAP_ENFORCE_DOMAIN, 1))


def checked(given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Every option, those not given at their defaults; `TypeError` for an unknown one, `ValueError` for a bad value."""
    for keyword in given:
        if keyword not in _ROWS:
            raise TypeError(f"{owner} has no option {keyword!r}; there are {', '.join(_ROWS)}")
    options = {row.keyword: given.get(row.keyword, row.default) for row in TABLE}
    for keyword, value in options.items():
        row = _ROWS[keyword]
        if not row.check(value):
            shown = f"a {type(value).__qualname__}" if row.private else repr(value)
            raise ValueError(f"{keyword}={shown}: {owner} wants {row.wants}")
    return options


def flags(options: Mapping[str, Any]) -> list[tuple[int, int | bytes]]:
    """The libzmq options, as number and value, that these keywords stand for."""
    return [*ALWAYS, *(flag for row in TABLE for flag in row.flags(options[row.keyword]))]


def domain(options: Mapping[str, Any]) -> bytes:
    """The ZAP domain of a socket with these keywords: the policy that says who may connect to it."""
    security: Security | None = options["security"]
    if security is not None and security.domain:
        return security.domain
    return ANYBODY if options["insecure"] else LOCAL
