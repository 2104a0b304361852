"""`zmq.green` with msgpack, by hand."""

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import gevent
import zmq.green as zmq
from gevent.socket import wait_read
from msgpack import packb, unpackb

from ..load import PLAIN, STRIDE, Audience, Enough, Meter, Ticker, call_in_turn, marks, numbered
from ..stage import ANYWHERE, HIGH_WATER_MARK, IDLERS, announce, play, report

CONTEXT = zmq.Context()


def open_socket(kind: int, *, connect: str = "") -> Any:
    """A socket that is bound to a free port, or connected."""
    socket = CONTEXT.socket(kind)
    socket.set_hwm(HIGH_WATER_MARK)
    if connect:
        socket.connect(connect)
    else:
        socket.bind(ANYWHERE)
    return socket


def address_of(socket: Any) -> str:
    return str(socket.last_endpoint.decode())


def push(address: str, seconds: float) -> None:
    push = open_socket(zmq.PUSH, connect=address)
    for mark in marks():
        for _ in range(STRIDE - 1):
            push.send(packb(PLAIN))
        push.send(packb(mark))


def pull(address: str, seconds: float) -> None:
    meter = Meter(seconds)
    drain(meter)
    report(meter.figures())


def tick(address: str, seconds: float) -> None:
    meter, ticker = Meter(seconds), Ticker()
    gevent.spawn(ticker.run)
    drain(meter)
    report(meter.figures() | ticker.figures(meter.started_at))


def drain(meter: Meter) -> None:
    pull = open_socket(zmq.PULL)
    announce(address_of(pull))
    callback = meter.take
    try:
        while True:
            callback(unpackb(pull.recv()))
    except Enough:
        pass


def serve(address: str, seconds: float) -> None:
    replier = open_socket(zmq.REP)
    announce(address_of(replier))
    answer(replier)


def answer(replier: Any) -> None:
    while True:
        replier.send(packb(unpackb(replier.recv())))


def call(address: str, seconds: float) -> None:
    requester = open_socket(zmq.REQ, connect=address)

    def request(body: dict[str, Any]) -> dict[str, Any]:
        requester.send(packb(body))
        reply: dict[str, Any] = unpackb(requester.recv())
        return reply

    report(call_in_turn(request, 1, seconds))


def publish(address: str, seconds: float) -> None:
    publisher = open_socket(zmq.XPUB)
    announce(address_of(publisher))
    publisher.recv()  # the subscription has come: nobody joins late
    for number in count(1):
        publisher.send_multipart([b"px.eurusd", packb(numbered(number))])


def subscribe(address: str, seconds: float) -> None:
    subscriber = open_socket(zmq.SUB, connect=address)
    subscriber.subscribe(b"px.")
    audience = Audience(seconds)
    callback = audience.take
    try:
        while True:
            _topic, body = subscriber.recv_multipart()
            callback(unpackb(body))
    except Enough:
        report(audience.figures())


def idle(address: str, seconds: float) -> None:
    """Pairs of every kind; each has passed a message and waits for the next one."""
    kept: list[Any] = []
    for number in range(IDLERS // 2):
        receives, sends, wait = LINKS[number % len(LINKS)]
        here = open_socket(receives)
        there = open_socket(sends, connect=address_of(here))
        gevent.spawn(wait, here)
        if sends == zmq.XPUB:
            there.recv()
        there.send(packb(PLAIN))
        if sends == zmq.REQ:
            there.recv()
        kept += [here, there]
    gevent.sleep(1)  # until handshakes have settled
    announce(thread=threading.get_native_id())
    wait_read(0)


def device(front: Any, back: Any) -> None:
    announce(f"{address_of(front)} {address_of(back)}")
    zmq.device(zmq.QUEUE, front, back)  # of whatever type


def stream(address: str, seconds: float) -> None:
    device(open_socket(zmq.PULL), open_socket(zmq.PUSH))


def forward(address: str, seconds: float) -> None:
    device(open_socket(zmq.XSUB), open_socket(zmq.XPUB))


def queue(address: str, seconds: float) -> None:
    device(open_socket(zmq.ROUTER), open_socket(zmq.DEALER))


def wait(receiver: Any) -> None:
    if receiver.type == zmq.SUB:
        receiver.subscribe(b"")
    while True:
        unpackb(receiver.recv())


LINKS: tuple[tuple[int, int, Callable[[Any], None]], ...] = (
    (zmq.PAIR, zmq.PAIR, wait),
    (zmq.PULL, zmq.PUSH, wait),
    (zmq.SUB, zmq.XPUB, wait),
    (zmq.REP, zmq.REQ, answer),
)


if __name__ == "__main__":
    play(
        {
            "push": push,
            "pull": pull,
            "tick": tick,
            "serve": serve,
            "call": call,
            "publish": publish,
            "subscribe": subscribe,
            "idle": idle,
            "stream": stream,
            "forward": forward,
            "queue": queue,
        }
    )
