"""zbus as its users write it."""

import threading
from collections.abc import Callable
from itertools import count

import gevent
from gevent.socket import wait_read

import zbus
from zbus import devices
from zbus.devices.device import Device, RunsIn

from ..load import PLAIN, STRIDE, WARM_UP, Audience, Enough, Meter, Ticker, call_in_turn, marks, numbered
from ..stage import ANYWHERE, CROWD, HIGH_WATER_MARK, IDLERS, announce, play, report


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
    audience = Audience(seconds)
    callback = audience.take_message
    try:
        with zbus.Subscriber(connect=address, topics="px.#") as subscriber:
            for message in subscriber:
                callback(message)
    except Enough:
        report(audience.figures())


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
            "idle": idle,
            "stream": run_streamer,
            "stream-thread": run_streamer_in_thread,
            "forward": run_forwarder,
            "queue": run_queue,
            "stream-tick": stream_tick,
        }
    )
