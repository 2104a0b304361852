"""Every parser of bytes that come from outside, by name, and how each refuses what it does not take."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from zbus import Message, ProtocolError, Pull, Subscriber
from zbus.filters.times import microseconds
from zbus.green import authentication
from zbus.patterns.audience import Audience
from zbus.patterns.grants import Grants
from zbus.security import authorised, keyfile, rules, users
from zbus.web.events import EventStream
from zbus.web.sse import Client, event
from zbus.wire import zap
from zbus.wire.codec import Json, Msgpack
from zbus.wire.message import command_of, decode_headers
from zbus.wire.request import Arrival, error_reply, failure, read_error, read_reply
from zbus.wire.sequence import LastValues, Tracker
from zbus.wire.subscription import Subscriptions
from zbus.wire.topic import Pattern, PatternTree, decode_topic

Frames = list[bytes]

_codec, _json = Msgpack(), Json()
PARSERS: dict[str, Parser] = {}


@dataclass(frozen=True)
class Parser:
    """`parse` takes frames, one where it reads one, and returns or raises one of `refuses`."""

    name: str
    parse: Callable[[Frames], Any]
    refuses: tuple[type[Exception], ...]


def parser(*refuses: type[Exception]) -> Callable[[Callable[[Frames], Any]], Callable[[Frames], Any]]:
    """The function below is one."""

    def add(parse: Callable[[Frames], Any]) -> Callable[[Frames], Any]:
        PARSERS[parse.__name__] = Parser(parse.__name__, parse, refuses)
        return parse

    return add


# -- bodies and headers --------------------------------------------------------------------------------


@parser(ProtocolError)
def msgpack(frames: Frames) -> Any:
    """One value, and what every receiver asks of it."""
    value = _codec.decode(frames[0])
    return value, command_of(value)


@parser(ProtocolError)
def msgpack_many(frames: Frames) -> Any:
    """Several."""
    return _codec.decode_many(frames[0])


@parser(ProtocolError)
def shown(frames: Frames) -> Any:
    """What may be logged of a message: never its body. Short ones only: it is packed again to know its size."""
    return repr(Message(_codec.decode(frames[0][:2000])))


@parser(ProtocolError)
def json(frames: Frames) -> Any:
    """One value in JSON."""
    return _json.decode(frames[0])


@parser(ProtocolError)
def headers(frames: Frames) -> Any:
    """A frame of headers."""
    return decode_headers(frames[0])


# -- messages ------------------------------------------------------------------------------------------

_pull = Pull(bind="tcp://127.0.0.1:*")
_subscriber = Subscriber(bind="tcp://127.0.0.1:*", topics=["#", "a.*.<x>", b"raw"])
_subscriber._tracker = Tracker()
_subscriber._port = SimpleNamespace(addresses=(), count_peers=lambda: 1)


@parser(ProtocolError)
def stream(frames: Frames) -> Any:
    """A message of PUSH or PAIR."""
    return _pull._parse(frames)


@parser(ProtocolError)
def publication(frames: Frames) -> Any:
    """A message of PUB, with its number if it has one."""
    return _subscriber._parse(frames)


@parser(ProtocolError)
def request(frames: Frames) -> Any:
    """What a ROUTER gets, and the reply that says how it failed."""
    arrival = Arrival([b"identity", *frames], now=0.0)
    error_reply(arrival, "Unavailable", "no", _codec)
    error_reply(arrival, "Unavailable", "no", _json)
    return None if arrival.headers is None else decode_headers(arrival.headers), _codec.decode(arrival.body)


@parser(ProtocolError)
def reply(frames: Frames) -> Any:
    """What a DEALER gets, and what its caller is told."""
    _, body, its_headers = read_reply(frames)
    error = None if its_headers is None else read_error(its_headers)
    if isinstance(error, dict):
        return error.get("type") == "Unavailable", bool(error.get("hops")), str(failure(error))
    return _codec.decode(body)


# -- subscriptions and topics --------------------------------------------------------------------------

_RULES = rules.read(["* allow subscribe a.#", "* deny subscribe a.secret.#", "* allow publish #"])


class _Door:
    """An XPUB, and the connections that subscriptions come over."""

    user = "zoe trader"
    connections = dict.fromkeys(range(3), 1)

    def set(self, option: int, value: int | bytes) -> None:
        """Nothing."""

    def drain(self) -> None:
        """Nothing."""

    def cut(self, descriptor: int) -> None:
        """Nothing."""


@parser()
def subscriptions(frames: Frames) -> Any:
    """What subscribers ask a publisher for, without rules and with them."""
    last = LastValues()
    for topic in (b"a", b"a.b", b""):
        last.keep(topic, b"\xc0", b"")
    door: Any = _Door()
    granting: Any = SimpleNamespace(rules=True, grant=lambda user, prefix: _RULES.grant("zoe", frozenset(), prefix))
    port: Any = SimpleNamespace(socket=door, monitor=door)
    for grants in (None, Grants(port, granting, lambda *_: None, lambda _: None)):
        audience = Audience(door, grants)
        for number, frame in enumerate(frames):
            audience.hear(frame, number % 5 - 1, last)  # type: ignore[arg-type]
        audience.count(b"a.b")
    return last.due(10)


_tree: PatternTree[int] = PatternTree()
for _number, _text in enumerate(["#", "a.#.b", "*.*", "#.a.#.b.#", ".".join(["#", "*"] * 12)]):
    _tree.add(Pattern(_text), _number)


@parser(ProtocolError)
def topic(frames: Frames) -> Any:
    """A publication's topic."""
    found = decode_topic(frames[0])
    return _tree.match(found), _RULES.allows("zoe", frozenset({"trader"}), "publish", found)


@parser(ValueError)
def pattern(frames: Frames) -> Any:
    """What a browser subscribes an event stream to, one a frame, against topics that are as bad as can be."""
    asked = Subscriptions([frame.decode("utf-8", "surrogateescape") for frame in frames])
    one = Pattern(frames[0].decode("utf-8", "surrogateescape"))
    return [(asked.match(name), one.words_in(name.decode())) for name in (b"a.b", b".".join([b"a"] * 128))]


_stream = EventStream(_subscriber)
_stream._stream = "0123456789ab"
_stream._last[b"a"] = (7, b"data: 7\n\n")


@parser()
def last_event_id(frames: Frames) -> Any:
    """What a browser says that it saw last."""
    said = frames[0].decode("latin-1")
    client = Client(Subscriptions("#"), 10)
    return _stream._missed(client, said), _stream._missed(client, f"{_stream._stream}-{said}")


@parser(ProtocolError, TypeError, ValueError, RecursionError)
def as_event(frames: Frames) -> Any:
    """What is received, as the event that browsers get."""
    return event("a", _codec.decode(frames[0]), "1")


@parser(ProtocolError, TypeError, ValueError, ArithmeticError)
def message_time(frames: Frames) -> Any:
    """The time that a message carries, for the filters that go by it."""
    return microseconds(_codec.decode(frames[0]))


# -- who comes in --------------------------------------------------------------------------------------


@parser(ProtocolError)
def zap_question(frames: Frames) -> Any:
    """What libzmq asks of a handshake; whatever it is, there is an answer."""
    answer = authentication.decide(frames)
    assert len(answer) == 6
    assert answer[2] in (b"200", b"400", b"500")
    question = zap.parse(frames)
    return zap.is_local(question.address, 1000)


#: Bytes of a file that are read here: each line is a few calls, and its owner wrote it.
_FILE = 8192
_folder = tempfile.TemporaryDirectory(prefix="zbus-fuzz-")
atexit.register(_folder.cleanup)
_path = os.path.join(_folder.name, "it.key")


@parser(ValueError, OSError)
def key_file(frames: Frames) -> Any:
    """A file with a key."""
    descriptor = os.open(_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, frames[0])
    os.close(descriptor)
    try:
        return keyfile.read_secret(_path)
    except ValueError:
        return keyfile.read_public(_path)


@parser(ValueError)
def authorised_file(frames: Frames) -> Any:
    """A file of those who may come in."""
    return users.parse(authorised._text(frames[0][:_FILE]))


@parser(ValueError)
def rules_file(frames: Frames) -> Any:
    """A file of who may do what, and a decision by it."""
    found = rules.Rules(rules.parse(frames[0][:_FILE].decode("utf-8", "surrogateescape")))
    found.grant("zoe", frozenset({"admin"}), b"a.b")
    return found.allows("zoe", frozenset({"admin"}), "request", "a.b")
