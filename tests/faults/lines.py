"""Each way of sending messages, over a connection that goes through a proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from faults.network import Proxy
from waiting import LONG

from zbus import Denied, Message, Publisher, Pull, Push, Replier, Requester, Subscriber

TCP = "tcp://127.0.0.1:*"
SOON: Any = {"reconnect": (0.01, 0.05)}


def content(number: int) -> list[object]:
    """What message `number` says, in lengths that differ; its headers say the number once more."""
    return [number, "x" * (number % 40), number]


def is_whole(message: Message) -> bool:
    """Has it all its frames, and are they what was sent?"""
    number = message.headers.get("number")
    return isinstance(number, int) and message.body == content(number)


class Line:
    """A bound endpoint, a proxy in front of it, and what those heard who connect through it, or it of them."""

    def __init__(self, seed: int) -> None:
        self.heard: list[Message] = []
        self.far = self._far()
        self.proxy = Proxy(self.far.addresses[0], seed)

    @property
    def numbers(self) -> list[int]:
        """What was heard, as numbers; fails if any of it was not whole."""
        assert all(map(is_whole, self.heard)), [message.body for message in self.heard if not is_whole(message)]
        return [message.body[0] for message in self.heard]

    @contextmanager
    def near(self, **options: Any) -> Iterator[Any]:
        """One that connects through the proxy, and a greenlet to hear whoever hears."""
        with self._near(connect=self.proxy.address, **{**SOON, **options}) as near, self._listening(near):
            yield near

    @contextmanager
    def _listening(self, near: Any) -> Iterator[None]:
        listener = gevent.spawn(self._listen, self._listener(near))
        try:
            yield
        finally:
            listener.kill()

    def _listen(self, listener: Iterable[Message]) -> None:
        while True:
            try:
                for message in listener:
                    self.heard.append(message)
            except Denied:  # as a greeting that was hit may say; it comes in by itself once it is not
                gevent.sleep(0.02)
            else:
                return

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: Any) -> None:
        with self.far:
            self.proxy.__exit__(*exception)

    def _far(self) -> Any:
        raise NotImplementedError

    def _near(self, **options: Any) -> Any:
        raise NotImplementedError

    def _listener(self, near: Any) -> Iterable[Message]:
        return ()

    def say(self, near: Any, number: int, **how: Any) -> None:
        """Send one message, from whichever side it is that sends."""
        raise NotImplementedError


class Calls(Line):
    """REQUEST and REPLY: a reply is the request's body."""

    def _far(self) -> Replier:
        return Replier(self._handle, bind=TCP)

    def _near(self, **options: Any) -> Requester:
        return Requester(**options)

    def _handle(self, message: Message) -> object:
        self.heard.append(message)
        return message.body

    def say(self, near: Requester, number: int, **how: Any) -> None:
        how.setdefault("timeout", 2 * LONG)
        assert near.request(content(number), headers={"number": number}, **how) == content(number)


class Pushed(Line):
    """PUSH to a bound PULL."""

    def _far(self) -> Pull:
        return Pull(bind=TCP)

    def _near(self, **options: Any) -> Push:
        return Push(**options)

    def _listener(self, near: Push) -> Pull:
        return self.far

    def say(self, near: Push, number: int, **how: Any) -> None:
        near.send(content(number), headers={"number": number}, timeout=2 * LONG)


class Pulled(Line):
    """PULL from a bound PUSH."""

    def _far(self) -> Push:
        return Push(bind=TCP)

    def _near(self, **options: Any) -> Pull:
        return Pull(**options)

    def _listener(self, near: Pull) -> Pull:
        return near

    def say(self, near: Pull, number: int, **how: Any) -> None:
        self.far.send(content(number), headers={"number": number}, timeout=2 * LONG)


class Published(Line):
    """SUBSCRIBE at a bound PUBLISHER."""

    def _far(self) -> Publisher:
        return Publisher(bind=TCP)

    def _near(self, **options: Any) -> Subscriber:
        return Subscriber(topics="px", **options)

    def _listener(self, near: Subscriber) -> Subscriber:
        return near

    def say(self, near: Subscriber, number: int, **how: Any) -> None:
        self.far.publish("px", content(number), headers={"number": number})


LINES = (Calls, Pushed, Pulled, Published)
