"""Plain pyzmq with msgpack, by hand: calls that block the whole thread, no gevent."""

import time
from itertools import cycle
from typing import Any

import zmq
from msgpack import packb, unpackb

from ..load import PLAIN, STRIDE, WARM_UP, Enough, Meter, marks
from ..stage import ANYWHERE, CROWD, HIGH_WATER_MARK, TOPICS, announce, play, report

CONTEXT = zmq.Context()


def open_socket(kind: int) -> Any:
    socket = CONTEXT.socket(kind)
    socket.set_hwm(HIGH_WATER_MARK)
    return socket


def push(address: str, seconds: float) -> None:
    push = open_socket(zmq.PUSH)
    push.connect(address)
    for mark in marks():
        for _ in range(STRIDE - 1):
            push.send(packb(PLAIN))
        push.send(packb(mark))


def flood(address: str, seconds: float) -> None:
    """The same, packed beforehand: faster than any of the receivers that it fills."""
    push = open_socket(zmq.PUSH)
    push.connect(address)
    plain = packb(PLAIN)
    for mark in marks():
        for _ in range(STRIDE - 1):
            push.send(plain)
        push.send(packb(mark))


def spread(address: str, seconds: float) -> None:
    """Floods many receivers in turn."""
    push = open_socket(zmq.PUSH)
    for each in address.split():
        push.connect(each)
    plain = packb(PLAIN)
    while True:
        push.send(plain)


def sink(address: str, seconds: float) -> None:
    """Empties the back of a device; decodes only the marks, for it has to be the quickest of the three."""
    receive(zmq.PULL, address, seconds, 0)


def audience(address: str, seconds: float) -> None:
    """The same of a forwarder, counting what arrives."""
    receive(zmq.SUB, address, seconds, 1)


def receive(kind: int, address: str, seconds: float, body: int) -> None:
    socket = open_socket(kind)
    if kind == zmq.SUB:
        socket.subscribe(b"")
    socket.connect(address)
    count, started, end = 0, 0.0, 0.0
    while True:
        socket.recv_multipart() if body else socket.recv()
        count += 1
        if count % STRIDE:
            continue
        now = time.perf_counter()
        if not started:
            started, end, count = now + WARM_UP, now + WARM_UP + seconds, 0
        elif now < started:
            count = 0
        elif now >= end:
            report({"rate": count / (now - started), "seconds": now - started})
            return


def cry(address: str, seconds: float) -> None:
    """Fills a forwarder."""
    publisher = open_socket(zmq.XPUB)
    publisher.setsockopt(zmq.XPUB_NODROP, 1)
    publisher.connect(address)
    publisher.recv()  # somebody listens
    body = packb(PLAIN)
    while True:
        publisher.send_multipart([b"px.eurusd", body])


def shout(address: str, seconds: float) -> None:
    """Floods a subscriber with publications under a hundred topics in turn; drops none."""
    publisher = open_socket(zmq.XPUB)
    publisher.setsockopt(zmq.XPUB_NODROP, 1)
    announce(f"tcp://127.0.0.1:{publisher.bind_to_random_port('tcp://127.0.0.1')}")
    publisher.recv()
    while publisher.poll(500):  # until it has subscribed to all that it wants
        publisher.recv()
    names, plain = cycle(f"px.{number}.eurusd".encode() for number in range(TOPICS)), packb(PLAIN)
    for mark in marks():
        for _ in range(STRIDE - 1):
            publisher.send_multipart([next(names), plain])
        publisher.send_multipart([next(names), packb(mark)])


def ask(address: str, seconds: float) -> None:
    """A hundred requests out at any time, through a queue."""
    asker = open_socket(zmq.DEALER)
    asker.connect(address)
    for _ in range(CROWD):
        asker.send_multipart([b"", packb(PLAIN)])
    started, count = 0.0, 0
    begin = time.perf_counter() + WARM_UP
    while True:
        asker.recv_multipart()
        asker.send_multipart([b"", packb(PLAIN)])
        count += 1
        now = time.perf_counter()
        if now >= begin and not started:
            started, count = now, 0
        elif started and now - started >= seconds:
            report({"rate": count / (now - started), "seconds": now - started})
            return


def answer(address: str, seconds: float) -> None:
    """Sends requests back as they are."""
    replier = open_socket(zmq.REP)
    replier.connect(address)
    while True:
        replier.send(replier.recv())


def proxy(front_kind: int, back_kind: int) -> None:
    """libzmq's own device."""
    front, back = open_socket(front_kind), open_socket(back_kind)
    front.bind(ANYWHERE)
    back.bind(ANYWHERE)
    announce(f"{front.last_endpoint.decode()} {back.last_endpoint.decode()}")
    zmq.proxy(front, back)


def stream(address: str, seconds: float) -> None:
    proxy(zmq.PULL, zmq.PUSH)


def forward(address: str, seconds: float) -> None:
    proxy(zmq.XSUB, zmq.XPUB)


def queue(address: str, seconds: float) -> None:
    proxy(zmq.ROUTER, zmq.DEALER)


def pull(address: str, seconds: float) -> None:
    pull = open_socket(zmq.PULL)
    pull.bind(ANYWHERE)
    announce(pull.last_endpoint.decode())
    meter = Meter(seconds)
    callback = meter.take
    try:
        while True:
            callback(unpackb(pull.recv()))
    except Enough:
        report(meter.figures())


if __name__ == "__main__":
    roles = (push, flood, spread, pull, sink, audience, cry, shout, ask, answer, stream, forward, queue)
    play({role.__name__: role for role in roles})
