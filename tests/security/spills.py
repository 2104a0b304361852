"""Everything that can go wrong, with payloads and keys that are to be seen nowhere: ``spills.py FOLDER MARK``.

The folder has the key files. Logs at their most talkative go to standard error, reprs and errors to standard output.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import msgpack
import zmq
from faults.corpus import BODIES
from faults.foreign import foreign
from waiting import LONG, until

import zbus
from zbus import devices

TCP: Any = "tcp://127.0.0.1:*"
FOLDER, MARK = Path(sys.argv[1]), sys.argv[2]
BODY = {"command": "go", "text": MARK, "bytes": MARK.encode(), "list": [MARK] * 3}
RULES = ("alice allow request go", "alice allow send go", "alice allow subscribe news.#", "alice allow publish news.#")
SERVER = zbus.Curve.server(FOLDER / "server.key", authorised=FOLDER / "authorised", rules=RULES)
PLAIN = zbus.Curve.server(FOLDER / "server.key", authorised=FOLDER / "authorised")
ALICE = zbus.Curve.client(FOLDER / "alice.key", server=FOLDER / "server.pub")
MALLORY = zbus.Curve.client(FOLDER / "mallory.key", server=FOLDER / "server.pub")
EVENTS: list[zbus.EndpointEvent] = []


class Worse(Exception):
    """What a handler may raise; its text is its own affair."""


def show(*things: object) -> None:
    for thing in things:
        print(repr(thing), str(thing))


def attempt(verb: Callable[..., object], *arguments: object, **keywords: Any) -> None:
    """It goes wrong; show everything of the error."""
    try:
        verb(*arguments, **keywords)
    except Exception as error:
        show(error, error.__cause__, error.__context__)
        traceback.print_exc()
    else:
        raise AssertionError(f"{verb} went well")


def fail(message: zbus.Message, **words: Any) -> object:
    show(message)
    raise Worse("no")


def notice(event: zbus.EndpointEvent) -> None:
    EVENTS.append(event)
    show(event)
    raise Worse("a bad listener")


def malformed() -> list[bytes]:
    return [*(body + MARK.encode() for body in BODIES.values()), msgpack.packb(BODY)[:-3], MARK.encode()]


def requests() -> None:
    with zbus.Replier(fail, bind=TCP, security=SERVER, on_event=notice, max_message_bytes=5000) as server:
        where: Any = server.addresses
        with zbus.Requester(connect=where, security=ALICE, max_message_bytes=5000) as client:
            for body in (f"do {MARK}", {**BODY, "command": "stop"}, BODY, [MARK], MARK):
                attempt(client.request, body, timeout=LONG)
            for body, headers in ((object(), None), ([MARK] * 1000, None), (1, {"text": object()})):
                attempt(client.request, {"text": MARK, "more": body}, headers=headers)
            show(server, client, client.statistics(), server.statistics())
        with zbus.Requester(connect=where, security=MALLORY) as client:
            attempt(client.request, BODY, timeout=LONG)
        for answer in (object(), [MARK] * 1000):
            server._handler = lambda message, answer=answer: [MARK, answer]
            with zbus.Requester(connect=where, security=ALICE) as client:
                attempt(client.request, BODY, timeout=LONG)
    with zbus.Replier(fail, bind=TCP) as server, foreign(zmq.DEALER, connect=server.addresses[0]) as liar:
        for body in malformed():
            liar.send_multipart([b"", body])
            liar.send_multipart([MARK.encode(), body])
            liar.send_multipart([b"", b"\xc0", body])
        until(lambda: server.statistics().malformed > len(BODIES))
    waiting = zbus.Requester(connect="tcp://127.0.0.1:9")
    asking = gevent.spawn(attempt, waiting.request, BODY)
    gevent.idle()
    waiting.close()
    asking.get()


def streams() -> None:
    with zbus.Pull(bind=TCP, security=SERVER, on_event=notice) as pull:
        with zbus.Push(connect=pull.addresses, security=ALICE) as push:
            for body in ({**BODY, "command": "stop"}, MARK, BODY):
                push.send(body, headers={"text": MARK})
            show(pull.recv(timeout=LONG), pull, push)
        with zbus.Push(connect=pull.addresses, security=MALLORY, linger=0) as push:
            attempt(push.wait_for_peers, timeout=LONG)
    for kind in (zbus.Pull, zbus.Pair):
        liars = {zbus.Pull: zmq.PUSH, zbus.Pair: zmq.PAIR}
        with kind(bind=TCP) as endpoint, foreign(liars[kind], connect=endpoint.addresses[0]) as liar:
            for body in malformed():
                liar.send(body)
                liar.send_multipart([b"\xc0", body])
            with suppress(zbus.TimeoutExpired):
                while True:
                    show(endpoint.recv(timeout=0.3))
    for batch in (None, zbus.Batch(messages=3)):
        push = zbus.Push(connect="tcp://127.0.0.1:9", linger=0.01, batch=batch)
        push.send(BODY)
        show(push)
        push.close()
    with zbus.Pair(bind=TCP, high_water_mark=1) as pair:
        attempt(pair.send, BODY, timeout=0)


def publications() -> None:
    topics = ("news.#", "else")
    with (
        zbus.Publisher(bind=TCP, security=SERVER, on_event=notice, last_value=True) as publisher,
        zbus.Subscriber(connect=publisher.addresses, topics=topics, security=ALICE) as listener,
    ):
        publisher.wait_for_subscribers("news.x", timeout=LONG)
        publisher.publish("news.x", BODY, headers={"text": MARK})
        show(listener.recv(timeout=LONG), listener, publisher)
        attempt(publisher.publish, "news.x", {"text": MARK, "more": object()})
        attempt(publisher.publish, "news.*", BODY)
    with zbus.Subscriber(bind=TCP, topics="#") as listener, foreign(zmq.PUB, connect=listener.addresses[0]) as liar:
        listener.wait_for_peers(timeout=LONG)
        until(lambda: liar.send_multipart([b"a", b"\xc1" + MARK.encode()]) or listener._port.socket.poll(0))
        for body in malformed():
            liar.send_multipart([b"a", body])
        with suppress(zbus.TimeoutExpired):
            while True:
                listener.recv(timeout=0.3)


def callbacks() -> None:
    bus = zbus.Bus()
    dispatcher = bus.add(zbus.Dispatcher())
    pull = dispatcher.add(zbus.Pull(bind=TCP))
    dispatcher.command("go")(fail)
    dispatcher.default(fail)
    dispatcher.on_error(lambda message, error: show(message, error) or fail(message))
    bus.start()
    with zbus.Push(connect=pull.addresses) as push:
        for body in (BODY, MARK, [MARK]):
            push.send(body)
        until(lambda: dispatcher.statistics().failed == 3)
        show(bus, dispatcher, pull, bus.statistics())
    bus.spawn(fail, zbus.Message(BODY), restart=zbus.Restart(limit=1, delay=0.01))
    attempt(bus.run)


def all_devices() -> None:
    for runs_in in ("greenlet", "thread", "process"):
        front = devices.Side(bind=TCP, security=PLAIN)
        with zbus.Replier(fail, bind=TCP, security=PLAIN) as server:
            back = devices.Side(connect=server.addresses, security=ALICE)
            capture: Any = {"capture": fail} if runs_in == "greenlet" else {}
            with devices.queue(front, back, runs_in=runs_in, **capture) as queue:
                show(queue, front, back, queue.frontend)
                with zbus.Requester(connect=queue.frontend.addresses, security=ALICE) as client:
                    attempt(client.request, BODY, timeout=LONG)
                with zbus.Requester(connect=queue.frontend.addresses, security=MALLORY) as client:
                    attempt(client.request, BODY, timeout=LONG)


def keys() -> None:
    show(SERVER, ALICE, vars(zbus)["Curve"], SERVER.spec, SERVER._rules)
    for key, server in (("alice.pub", "server.pub"), ("alice.key", "server.key"), ("alice.key", "cut.pub")):
        attempt(zbus.Curve.client, FOLDER / key, server=FOLDER / server)
    secret = (FOLDER / "alice.key").read_text().split()[-1]
    for wrong in (secret + "x", secret[:-1]):
        attempt(zbus.Curve.client, FOLDER / "alice.key", server=wrong)
    attempt(zbus.Pull, bind=TCP, security=secret)


def left_open() -> None:
    """With messages that are not sent, and nobody to close it but the end."""
    push = zbus.Push(connect="tcp://127.0.0.1:9", linger=0.01, batch=zbus.Batch(messages=3, seconds=9))
    push.send(BODY)


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    warnings.simplefilter("always")
    for what in (requests, streams, publications, callbacks, all_devices, keys, left_open):
        what()
        print("done:", what.__name__)
