"""Who may shake hands: the one OS thread of a context that answers libzmq's questions about it (ZAP, RFC 27).

A greenlet would not do: while the loop is busy nobody could connect. The thread reads a table of policies that the hub
swaps whole, and touches nothing else. It fails closed: a policy that raises has refused; one that hangs is left behind
by `look_after`, which refuses in its place and lets another thread go on.
"""

from __future__ import annotations

import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Protocol

import zmq
from gevent.monkey import get_original

from ..errors import InsecureBind, ProtocolError
from ..wire import zap
from ..wire.zap import Answer, Question

log = logging.getLogger("zbus")

_start: Callable[..., int] = get_original("_thread", "start_new_thread")
_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")

#: Where libzmq asks, in every context.
ADDRESS = "inproc://zeromq.zap.01"
#: The domains of sockets without a key: peers on this machine; anybody.
LOCAL, ANYBODY = b"zbus.local", b"zbus.anybody"
#: Seconds that a policy may take, and that the thread has to start.
HANGS, STARTS = 0.5, 5.0
#: An address of nobody (RFC 5737), whom every policy of ours refuses.
_NOBODY = "203.0.113.1"


class Policy(Protocol):
    """Decides who may connect to the sockets of one domain."""

    def judge(self, question: Question) -> Answer:
        """Called in the thread, at each handshake. What it raises refuses."""


class Security(Protocol):
    """What ``security=`` takes: the options that encrypt a socket.

    `domain` is of the policy that was given to `enforce`; empty for one that needs none, for it lets in nobody.
    """

    domain: bytes
    #: Says nothing but what a process needs to make the same again: paths and public keys.
    spec: dict[str, Any]

    @property
    def rules(self) -> bool:
        """Are there rules of who may do what?"""

    def allows(self, user: str, verb: str, name: str) -> bool:
        """May this User-Id ``request``, ``publish`` or ``send`` what has this name?"""

    def grant(self, user: str, prefix: bytes) -> bytes | None:
        """What this User-Id is granted of a subscription; None: nothing."""

    def flags(self) -> Iterable[tuple[int, int | bytes]]:
        """As number and value; read when a socket is opened. `OSError` or `ValueError` for its files."""


class _Local:
    def judge(self, question: Question) -> Answer:
        if question.mechanism == "NULL" and zap.is_local(question.address, os.getuid()):
            return Answer(200)
        return Answer(400, "only peers on this machine connect without a key")


class _Anybody:
    def judge(self, question: Question) -> Answer:
        return Answer(200) if question.mechanism == "NULL" else Answer(400, "no key is wanted here")


_policies: Mapping[bytes, Policy] = {LOCAL: _Local(), ANYBODY: _Anybody()}


#: What was refused and nobody has asked about yet, by domain; the newest.
_refused: dict[bytes, deque[tuple[str, str]]] = {}
_told: dict[str, float] = {}
#: Seconds between two words about one peer.
_QUIET = 1.0


def enforce(domain: bytes, policy: Policy) -> None:
    """Have the sockets of `domain` go by `policy`, from the next handshake on."""
    global _policies
    _policies = {**_policies, domain: policy}


def is_news(of: str) -> bool:
    """Is it a second since this was asked? For what may come a thousand times and is said once."""
    now = monotonic()
    if now - _told.get(of, 0.0) < _QUIET:
        return False
    if len(_told) > 1000:
        _told.clear()
    _told[of] = now
    return True


def refusals(domain: bytes) -> list[tuple[str, str]]:
    """The peers refused by the policy of `domain` since somebody asked, and why; each at most once a second."""
    waiting = _refused.get(domain) or deque[tuple[str, str]]()
    found = [waiting.popleft() for _ in range(len(waiting))]
    return [(peer, reason) for peer, reason in found if is_news(peer)]


def decide(frames: list[bytes]) -> list[bytes]:
    """The reply to one question, whatever it is: refusal, unless its domain's policy says otherwise."""
    serial = frames[1] if len(frames) > 1 else b""
    try:
        question = zap.parse(frames)
        policy = _policies.get(question.domain)
        answer = Answer(400, "no such domain") if policy is None else policy.judge(question)
        if answer.code != 200 and question.address != _NOBODY:
            _refused.setdefault(question.domain, deque(maxlen=100)).append((question.address, answer.reason))
        return answer.frames(serial)
    except ProtocolError:
        return Answer(400, "not a question").frames(serial)
    except BaseException as error:
        return Answer(500, f"the policy raised {type(error).__name__}").frames(serial)


class _Socket(zmq.Socket[bytes]):
    """Closed by the thread that uses it, and by nobody else: in a forked child it is the parent's."""

    def __del__(self) -> None:
        """Nothing."""


class Authenticator:
    """The thread of one context. It ends when the context does."""

    def __init__(self, context: zmq.Context[Any]) -> None:
        self._context: zmq.Context[Any] = zmq.Context.shadow(context.underlying)
        self._turn = _lock()  # held by who sends an answer
        self._asked: list[bytes] | None = None  # the question in hand
        self._since = 0.0
        self._generation = 0  # of the thread that may answer
        self._ended = False
        self._socket: _Socket | None = None

    def start(self) -> None:
        """Return when questions are answered as they ought to be. `InsecureBind` if they are not."""
        bound = _lock()
        bound.acquire()
        _start(self._open, (bound,))
        bound.acquire(timeout=STARTS)
        self._check()

    def _check(self) -> None:
        """Ask, as libzmq would, whether somebody on another machine may connect."""
        question = [b"", zap.VERSION, b"check", LOCAL, _NOBODY.encode(), b"", b"NULL"]
        with self._context.socket(zmq.DEALER, socket_class=zmq.Socket) as socket:
            socket.set(zmq.LINGER, 0)
            socket.connect(ADDRESS)
            socket.send_multipart(question)
            answer = socket.recv_multipart() if socket.poll(int(STARTS * 1000)) else []
        if answer[3:4] != [b"400"]:
            told = f"it said {answer[3].decode()!r}" if len(answer) > 3 else "nobody answers"
            raise InsecureBind(
                f"who may connect is not looked after: asked about a stranger at {ADDRESS}, {told}. Nothing is opened"
            )

    def look_after(self) -> None:
        """On the hub: if the thread ended, or a policy hangs in it, let another one go on."""
        with self._turn:
            hangs = self._asked is not None and monotonic() - self._since >= HANGS
            if self._socket is None or self._socket.closed or not (hangs or self._ended):
                return
            self._generation += 1
            self._ended = False
            if self._asked is not None:
                log.error("the policy of %r hangs; who asked is refused", self._asked[2:3])
                self._answer(Answer(500, "the policy hangs").frames(self._asked[1] if len(self._asked) > 1 else b""))
            _start(self._serve, (self._generation,))

    # -- in the thread -------------------------------------------------------------------------------

    def _open(self, bound: Any) -> None:
        try:
            self._socket = self._context.socket(zmq.REP, socket_class=_Socket)
            self._socket.set(zmq.LINGER, 0)
            self._socket.bind(ADDRESS)
        finally:
            bound.release()
        self._serve(0)

    def _serve(self, generation: int) -> None:
        socket = self._socket
        assert socket is not None
        try:
            while True:
                try:
                    frames = socket.recv_multipart()
                except zmq.ZMQError as error:
                    if error.errno == errno.EINTR:
                        continue
                    with self._turn:
                        socket.close(0)
                    return
                with self._turn:
                    self._asked, self._since = frames, monotonic()
                reply = decide(frames)
                with self._turn:
                    if generation != self._generation:
                        return
                    self._answer(reply)
        except BaseException:  # nothing was answered, so nobody comes in; `look_after` starts another
            pass
        finally:
            if generation == self._generation:
                self._ended = True

    def _answer(self, reply: list[bytes]) -> None:
        assert self._socket is not None
        self._asked = None
        try:
            self._socket.send_multipart(reply)
        except zmq.ZMQError:  # the context ends
            self._socket.close(0)


_starting = _lock()


def guard(socket: zmq.Socket[Any]) -> None:
    """Before a socket is bound or connected beyond this process: see that the thread of its context runs, and that
    libzmq will ask it. `InsecureBind` if not."""
    if not bytes(socket.get(zmq.ZAP_DOMAIN)).strip(b"\0") or not socket.get(zmq.ZAP_ENFORCE_DOMAIN):
        raise InsecureBind("the socket has no ZAP domain, or does not insist on it: libzmq would let in who wants to")
    context: Any = socket.context
    with _starting:
        if context.authenticator is None:
            authenticator = Authenticator(context)
            authenticator.start()
            context.authenticator = authenticator
    context.authenticator.look_after()


def look_after(socket: zmq.Socket[Any]) -> None:
    """If the thread that answers for this socket ended or hangs, have another one go on."""
    context: Any = socket.context
    if context.authenticator is not None:
        context.authenticator.look_after()
