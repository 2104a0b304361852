"""Plain pyzmq with msgpack, by hand: calls that block the whole thread, no gevent."""

from typing import Any

import zmq
from msgpack import packb, unpackb

from ..load import PLAIN, STRIDE, Enough, Meter, marks
from ..stage import ANYWHERE, HIGH_WATER_MARK, announce, play, report

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
    play({"push": push, "flood": flood, "pull": pull})
