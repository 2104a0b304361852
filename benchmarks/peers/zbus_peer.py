"""zbus as its users write it."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count

import gevent
from gevent.pywsgi import WSGIServer
from gevent.socket import create_connection, wait_read

import zbus
from zbus import devices
from zbus.devices.device import Device, RunsIn
from zbus.web import EventStream

from ..load import PLAIN, STRIDE, WARM_UP, Audience, Enough, Meter, Ticker, call_in_turn, marks, numbered
from ..stage import (
    ANYWHERE,
    BROWSERS,
    CROWD,
    ENDPOINTS,
    HIGH_WATER_MARK,
    IDLERS,
    PUBLICATIONS,
    TOPICS,
    announce,
    play,
    report,
)


def push(address: str, seconds: float) -> None:
    stream(zbus.Push(connect=address))


def push_batched(address: str, seconds: float) -> None:
    stream(zbus.Push(connect=address, batch=zbus.Batch()))


def stream(push: zbus.Push) -> None:
    with push:
        for mark in marks():
            for _ in range(STRIDE - 1):
                push.send(PLAIN)
            push.send(mark)


def pull(address: str, seconds: float) -> None:
    callback = Meter(seconds)
    drain(callback)
    report(callback.figures())


def tick(address: str, seconds: float) -> None:
    callback, ticker = Meter(seconds), Ticker()
    gevent.spawn(ticker.run)
    drain(callback)
    report(callback.figures() | ticker.figures(callback.started_at))


def drain(meter: Meter) -> None:
    callback = meter.take_message
    try:
        with zbus.Pull(bind=ANYWHERE) as pull:
            announce(pull.addresses[0])
            for message in pull:
                callback(message)
    except Enough:
        pass


def serve(address: str, seconds: float) -> None:
    replier = zbus.Replier(lambda message: message.body, bind=ANYWHERE)
    announce(replier.addresses[0])
    replier.run()


def call(address: str, seconds: float) -> None:
    ask(address, 1, seconds)


def call_crowd(address: str, seconds: float) -> None:
    ask(address, CROWD, seconds)


def ask(address: str, greenlets: int, seconds: float) -> None:
    with zbus.Requester(connect=address) as requester:
        report(call_in_turn(requester.request, greenlets, seconds))


def publish(address: str, seconds: float) -> None:
    with zbus.Publisher(bind=ANYWHERE) as publisher:
        announce(publisher.addresses[0])
        publisher.wait_for_subscribers("px.eurusd")
        for number in count(1):
            publisher.publish("px.eurusd", numbered(number))


def subscribe(address: str, seconds: float) -> None:
    listen(address, seconds, Audience)


def listen(address: str, seconds: float, kind: type[Meter] = Meter) -> None:
    """The bare loop, which is also what a dispatcher is measured beside."""
    meter = kind(seconds)
    callback = meter.take_message
    try:
        with zbus.Subscriber(connect=address, topics="px.#") as subscriber:
            for message in subscriber:
                callback(message)
    except Enough:
        report(meter.figures())


def dispatch(address: str, seconds: float, patterns: int = TOPICS) -> None:
    """A callback for each topic, among so many registered patterns."""
    meter = Meter(seconds)
    dispatcher = zbus.Dispatcher()

    @dispatcher.on_error
    def stop(message: zbus.Message, error: BaseException) -> None:
        report(meter.figures())
        dispatcher.stop()

    logging.getLogger("zbus").disabled = True  # `Enough` is no error
    if patterns == 1:
        dispatcher.topic("px.#")(meter.take_message)
    else:
        for number in range(patterns):
            dispatcher.topic(f"px.{number}.*")(meter.take_message)
    with dispatcher.add(zbus.Subscriber(connect=address)):
        dispatcher.run()


def gather(address: str, seconds: float, endpoints: int = ENDPOINTS) -> None:
    """One dispatcher, and what is sent to any of its endpoints."""
    count = 0

    def take(message: zbus.Message) -> None:
        nonlocal count
        count += message.body["number"] == 0

    with ExitStack() as stack:
        dispatcher = zbus.Dispatcher()
        pulls = [stack.enter_context(zbus.Pull(bind=ANYWHERE)) for _ in range(endpoints)]
        for pull in pulls:
            dispatcher.add(pull, take)
        stack.enter_context(dispatcher)
        announce(" ".join(pull.addresses[0] for pull in pulls))
        while not count:
            gevent.sleep(0.01)
        gevent.sleep(WARM_UP)
        before, started = count, time.perf_counter()
        gevent.sleep(seconds)
        report({"rate": (count - before) / (time.perf_counter() - started), "seconds": seconds})


def events(address: str, seconds: float) -> None:
    """Publishes the time, to browsers."""
    with zbus.Publisher(bind=ANYWHERE) as publisher:
        stream = EventStream(zbus.Subscriber(connect=publisher.addresses, topics="#"))
        server = WSGIServer(("127.0.0.1", 0), stream, log=None, backlog=BROWSERS)
        server.start()
        announce(str(server.server_port))
        filling = "x" * 1000
        while True:
            publisher.publish("now", [time.time(), filling])
            gevent.sleep(1 / PUBLICATIONS)


def browse(address: str, seconds: float) -> None:
    """As many browsers as there may be; the first asks and never reads."""
    late: list[float] = []

    def read(reads: bool) -> None:
        with create_connection(("127.0.0.1", int(address))) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if not reads:
                gevent.sleep(3600)
            for line in connection.makefile("rb"):
                if line.startswith(b"data: ["):
                    late.append(time.time() - float(line[7 : line.index(b",")]))

    readers = [gevent.spawn(read, number > 0) for number in range(BROWSERS)]
    gevent.sleep(1 + WARM_UP)
    late.clear()
    gevent.sleep(seconds)
    late.sort()
    report({"p99": 1000 * late[int(len(late) * 0.99)], "rate": len(late) / seconds, "seconds": seconds})
    gevent.killall(readers)


def device(kind: Callable[..., Device], runs_in: RunsIn = "greenlet") -> Device:
    one = kind(ANYWHERE, devices.Side(bind=ANYWHERE, high_water_mark=HIGH_WATER_MARK), runs_in=runs_in)
    announce(f"{one.frontend.addresses[0]} {one.backend.addresses[0]}")
    return one


def run_streamer(address: str, seconds: float) -> None:
    device(devices.streamer).run()


def run_streamer_in_thread(address: str, seconds: float) -> None:
    device(devices.streamer, "thread").run()


def run_forwarder(address: str, seconds: float) -> None:
    device(devices.forwarder).run()


def run_queue(address: str, seconds: float) -> None:
    device(devices.queue).run()


def stream_tick(address: str, seconds: float) -> None:
    """How late a greenlet runs beside a device that is given more than it can take."""
    streamer, ticker = device(devices.streamer), Ticker()
    while not streamer.statistics().messages_in:
        gevent.sleep(0.01)
    gevent.sleep(WARM_UP)
    before = streamer.statistics().messages_in
    gevent.spawn(ticker.run)
    gevent.sleep(seconds)
    report(ticker.figures(0) | {"rate": (streamer.statistics().messages_in - before) / seconds, "seconds": seconds})


def idle(address: str, seconds: float) -> None:
    """Pairs of every kind; each has passed a message and waits for the next one."""
    kept: list[object] = []
    for number in range(IDLERS // 2):
        kept.append(LINKS[number % len(LINKS)]())
    gevent.sleep(1)  # until handshakes and subscriptions have settled
    announce(thread=threading.get_native_id())
    wait_read(0)


def waiting(endpoint: "zbus.Pair | zbus.Pull | zbus.Subscriber") -> str:
    endpoint.start()
    gevent.spawn(list, endpoint)
    return endpoint.addresses[0]


def link_pair() -> object:
    here = zbus.Pair(bind=ANYWHERE)
    there = zbus.Pair(connect=waiting(here))
    there.send(PLAIN)
    return here, there


def link_pipeline() -> object:
    here = zbus.Pull(bind=ANYWHERE)
    there = zbus.Push(connect=waiting(here))
    there.send(PLAIN)
    return here, there


def link_publication() -> object:
    here = zbus.Publisher(bind=ANYWHERE)
    there = zbus.Subscriber(connect=here.addresses[0], topics="px.#")
    gevent.spawn(list, there)
    here.wait_for_subscribers("px.eurusd", timeout=10)
    here.publish("px.eurusd", PLAIN)
    return here, there


def link_request() -> object:
    here = zbus.Replier(lambda message: message.body, bind=ANYWHERE)
    there = zbus.Requester(connect=here.addresses[0])
    there.request(PLAIN)
    return here, there


LINKS = (link_pair, link_pipeline, link_publication, link_request)


if __name__ == "__main__":
    play(
        {
            "push": push,
            "push-batched": push_batched,
            "pull": pull,
            "tick": tick,
            "serve": serve,
            "call": call,
            "call-crowd": call_crowd,
            "publish": publish,
            "subscribe": subscribe,
            "listen": listen,
            "dispatch-1": partial(dispatch, patterns=1),
            "dispatch-100": dispatch,
            "gather": gather,
            "gather-1": partial(gather, endpoints=1),
            "events": events,
            "browse": browse,
            "dispatch-10000": partial(dispatch, patterns=10_000),
            "idle": idle,
            "stream": run_streamer,
            "stream-thread": run_streamer_in_thread,
            "forward": run_forwarder,
            "queue": run_queue,
            "stream-tick": stream_tick,
        }
    )
