"""What was opened in one OS thread is refused in another, whatever it is and whatever is asked of it: row TH-1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from conformance.conftest import COMMON

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"
LIFETIME: dict[str, Callable[[Any], object]] = {
    "start": lambda one: one.start(),
    "with": lambda one: one.__enter__(),
    "close": lambda one: one.close(),
    "stop": lambda one: one.stop(),
}
RUNS = {"run": lambda one: one.run()}
SIDE = {
    "addresses": lambda device: device.frontend.addresses,
    "peers": lambda device: device.backend.peers,
    "wait_for_peers": lambda device: device.frontend.wait_for_peers(timeout=5),
}


def elsewhere(use: Callable[[Any], object], one: Any) -> str:
    """What `use` says in another OS thread."""

    def call() -> str:
        try:
            return f"returned {use(one)!r}"
        except zbus.ZbusError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    return str(gevent.get_hub().threadpool.apply(call))


def refused(one: Any, verbs: dict[str, Callable[[Any], object]]) -> None:
    said = {name: elsewhere(use, one) for name, use in verbs.items()}
    assert {name: text for name, text in said.items() if not text.startswith("WrongThread: ")} == {}
    assert all(repr(one).split()[0] in text and "another OS thread" in text for text in said.values())
    assert one.state == "open"


def test_an_endpoint(kind, make, inproc_address):
    endpoint = make(kind.make, bind=inproc_address)
    endpoint.start()
    refused(endpoint, {**LIFETIME, **COMMON, **kind.verbs})


@pytest.fixture(params=["greenlet", "thread", "process"])
def device(request: pytest.FixtureRequest) -> Iterator[devices.Device]:
    with devices.streamer(TCP, TCP, runs_in=request.param) as device:
        yield device


def test_a_device(device):
    refused(device, {**LIFETIME, **RUNS, **SIDE})


def test_a_device_that_can_pause():
    with devices.streamer(TCP, TCP) as device:
        refused(device, {"pause": lambda one: one.pause(), "resume": lambda one: one.resume()})


def test_a_dispatcher_and_a_bus(make, inproc_address):
    pull = make(zbus.Pull, bind=inproc_address)
    with zbus.Dispatcher() as dispatcher, zbus.Bus() as bus:
        dispatcher.add(pull, print)
        refused(dispatcher, {**LIFETIME, **RUNS, "iter": iter})
        refused(bus, {**LIFETIME, **RUNS})
        other = make(zbus.Pull, bind=inproc_address + ".other")
        refused(dispatcher, {"add": lambda one: one.add(other, print), "remove": lambda one: one.remove(pull)})
        refused(bus, {"add": lambda one: one.add(other), "spawn": lambda one: one.spawn(print)})
