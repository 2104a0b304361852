"""Peers as a stranger would write them: blocking pyzmq, msgpack or JSON, and nothing of zbus.

    python plain.py ROLE ADDRESS [ARGUMENT ...]

A role that binds says its address first, one that connects says ``ready``. Whatever else it has to tell is one JSON
value a line. Only one frame is read where only one belongs, and a second one ends the program.
"""

from __future__ import annotations

import json
import sys

import msgpack
import zmq

PATIENCE = 20_000  # milliseconds; whoever started this kills it long before


def opened(kind, address):
    """A socket at the address: bound if it ends in ``:*`` or starts with ``=``, connected otherwise."""
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    socket.rcvtimeo = socket.sndtimeo = PATIENCE
    if address.startswith("=") or address.endswith(":*"):
        socket.bind(address.lstrip("="))
        tell(socket.last_endpoint.decode())
    else:
        socket.connect(address)
        tell("ready")
    return socket


def tell(line):
    print(line, flush=True)


def only_frame(socket):
    """One frame, and no other behind it."""
    data = socket.recv()
    if socket.rcvmore:
        raise SystemExit("a second frame")
    return data


def req(address, *bodies):
    """Ask for each body in turn, given as JSON; tell each reply."""
    socket = opened(zmq.REQ, address)
    for body in bodies:
        socket.send(msgpack.packb(json.loads(body)))
        tell(json.dumps(msgpack.unpackb(only_frame(socket))))


def req_json(address, *bodies):
    """The same in JSON."""
    socket = opened(zmq.REQ, address)
    for body in bodies:
        socket.send_json(json.loads(body))
        tell(json.dumps(json.loads(only_frame(socket))))


def rep(address):
    """Answer each body with ``{"echo": body}``, but: ``die`` without an answer, ``wait`` for a line on stdin first."""
    socket = opened(zmq.REP, address)
    while True:
        body = msgpack.unpackb(only_frame(socket))
        if body == "die":
            return
        if body == "wait":
            tell("holding")
            sys.stdin.readline()
        socket.send(msgpack.packb({"echo": body}))


def rep_json(address):
    """The same in JSON."""
    socket = opened(zmq.REP, address)
    while True:
        socket.send_json({"echo": json.loads(only_frame(socket))})


def rep_raw(address):
    """Answer bytes with the same bytes backwards."""
    socket = opened(zmq.REP, address)
    while True:
        socket.send(only_frame(socket)[::-1])


def rep_headers(address):
    """Answer with how many frames came, and what the second holds."""
    socket = opened(zmq.REP, address)
    while True:
        frames = socket.recv_multipart()
        socket.send(msgpack.packb([len(frames), msgpack.unpackb(frames[-1])]))


def queue(address):
    """The queue device of the guide: a proxy between ROUTER and DEALER."""
    zmq.proxy(opened(zmq.ROUTER, address), opened(zmq.DEALER, address))


def bridge(front, back):
    """A proxy that connects on both sides: the servers' side of one queue to the clients' side of the next."""
    zmq.proxy(opened(zmq.ROUTER, front), opened(zmq.DEALER, back))


def publish(address, first, *topics):
    """Once somebody subscribed to the prefix ``first``, publish each topic under itself."""
    socket = opened(zmq.XPUB, address)  # PUB, but that it can tell who subscribed
    while socket.recv() != b"\1" + first.encode():
        continue
    for topic in topics:
        socket.send_multipart([topic.encode(), msgpack.packb({"topic": topic})])
    sys.stdin.readline()


def subscribe(address, prefix, count):
    """Tell the frames of so many publications: topic, body, headers."""
    socket = opened(zmq.SUB, address)
    socket.subscribe(prefix.encode())
    for _ in range(int(count)):
        topic, body, *rest = socket.recv_multipart()
        headers = [msgpack.unpackb(frame) for frame in rest]
        for header in headers:
            if "sequence" in header:
                header["sequence"][0] = header["sequence"][0].hex()
        tell(json.dumps([topic.decode(), msgpack.unpackb(body), *headers]))


def push(address, *bodies):
    """Push each body, given as JSON."""
    socket = opened(zmq.PUSH, address)
    for body in bodies:
        socket.send(msgpack.packb(json.loads(body)))
    sys.stdin.readline()


def push_many(address, *bodies):
    """Push all bodies as values of one frame."""
    socket = opened(zmq.PUSH, address)
    socket.send(b"".join(msgpack.packb(json.loads(body)) for body in bodies))
    sys.stdin.readline()


def push_json(address, *bodies):
    """Push each body as JSON text."""
    socket = opened(zmq.PUSH, address)
    for body in bodies:
        socket.send_json(json.loads(body))
    sys.stdin.readline()


def push_frames(address, *frames):
    """Push one message of these frames."""
    socket = opened(zmq.PUSH, address)
    socket.send_multipart([frame.encode() for frame in frames])
    sys.stdin.readline()


def pull(address, count):
    """Tell so many messages."""
    socket = opened(zmq.PULL, address)
    for _ in range(int(count)):
        tell(json.dumps(msgpack.unpackb(only_frame(socket))))


def pull_json(address, count):
    """Tell so many messages that came as JSON."""
    socket = opened(zmq.PULL, address)
    for _ in range(int(count)):
        tell(json.dumps(json.loads(only_frame(socket))))


def pull_frames(address, count):
    """Tell the frames of so many messages, each byte a character."""
    socket = opened(zmq.PULL, address)
    for _ in range(int(count)):
        tell(json.dumps([frame.decode("latin-1") for frame in socket.recv_multipart()]))


def pair(address, count):
    """Say hello, then send each of so many messages back."""
    socket = opened(zmq.PAIR, address)
    socket.send(msgpack.packb("hello"))
    for _ in range(int(count)):
        socket.send(only_frame(socket))
    sys.stdin.readline()


ROLES = {
    role.__name__: role
    for role in (
        req,
        req_json,
        rep,
        rep_json,
        rep_raw,
        rep_headers,
        queue,
        bridge,
        publish,
        subscribe,
        push,
        push_many,
        push_json,
        push_frames,
        pull,
        pull_json,
        pull_frames,
        pair,
    )
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
