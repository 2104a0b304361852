"""What is closed from inside one of its own callbacks: who waits wakes with `Closed`, and nothing is said. Row SH-3."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from gevent.event import Event
from waiting import LONG, until

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"


@dataclass
class Stage:
    """What is there, what a callback closes, and who waits then."""

    stack: ExitStack
    victim: Any = None
    closed: Event = field(default_factory=Event)
    waits: list[Callable[[], object]] = field(default_factory=list)

    def close(self, *arguments: object, **keywords: object) -> None:
        """The callback; the second time is fine, too."""
        self.victim.close()
        self.victim.close()
        self.closed.set()

    def open(self, service: Any) -> Any:
        self.stack.callback(service.close)
        service.start()
        return service


def handler(stage: Stage) -> Callable[[], object]:
    server = stage.victim = stage.open(zbus.Replier(stage.close, bind=TCP))
    client = stage.open(zbus.Requester(connect=server.addresses))
    stage.waits = [lambda: server.wait_for_peers(9)]
    return lambda: gevent.spawn(asked, client)


def asked(client: zbus.Requester) -> None:
    with pytest.raises((zbus.TimeoutExpired, zbus.Closed)):
        client.request("close", timeout=LONG)


def handler_that_closes_its_caller(stage: Stage) -> Callable[[], object]:
    server = stage.open(zbus.Replier(stage.close, bind=TCP))
    client = stage.victim = stage.open(zbus.Requester(connect=server.addresses))
    stage.waits = [lambda: client.request("close", timeout=LONG), lambda: client.wait_for_peers(9)]
    return lambda: None


def told_of_a_peer(stage: Stage) -> Callable[[], object]:
    pull = stage.victim = stage.open(zbus.Pull(bind=TCP, on_event=stage.close))
    stage.waits = [pull.recv, lambda: pull.wait_for_peers(9)]
    return lambda: stage.open(zbus.Push(connect=pull.addresses, linger=0))


def dispatcher(stage: Stage) -> Callable[[], object]:
    dispatcher = stage.victim = stage.open(zbus.Dispatcher())
    return commanded(stage, dispatcher, zbus.Pull(bind=TCP))


def dispatcher_in_its_pool(stage: Stage) -> Callable[[], object]:
    dispatcher = stage.victim = stage.open(zbus.Dispatcher(concurrency=3))
    return commanded(stage, dispatcher, zbus.Pull(bind=TCP))


def endpoint_of_a_dispatcher(stage: Stage) -> Callable[[], object]:
    pull = stage.victim = stage.open(zbus.Pull(bind=TCP))
    return commanded(stage, stage.open(zbus.Dispatcher()), pull)


def bus(stage: Stage) -> Callable[[], object]:
    bus = stage.victim = stage.open(zbus.Bus())
    idle = bus.add(zbus.Pull(bind=TCP))
    stage.waits = [idle.recv]
    return commanded(stage, bus.add(zbus.Dispatcher()), bus.add(zbus.Pull(bind=TCP)))


def commanded(stage: Stage, dispatcher: zbus.Dispatcher, pull: zbus.Pull) -> Callable[[], object]:
    stage.stack.callback(pull.close)
    dispatcher.add(pull, stage.close)
    if stage.victim is pull:
        stage.waits = [lambda: pull.wait_for_peers(9)]
    push = stage.open(zbus.Push(connect=pull.addresses, linger=0))
    return lambda: push.send("close", timeout=LONG)


def capture_of_a_device(stage: Stage) -> Callable[[], object]:
    device = stage.victim = stage.open(devices.streamer(TCP, TCP, capture=stage.close))
    stage.waits = [lambda: device.frontend.wait_for_peers(9), lambda: device.backend.wait_for_peers(9)]
    push = stage.open(zbus.Push(connect=device.frontend.addresses, linger=0))
    stage.open(zbus.Pull(connect=device.backend.addresses))
    return lambda: push.send("close", timeout=LONG)


CASES = [
    handler,
    handler_that_closes_its_caller,
    told_of_a_peer,
    dispatcher,
    dispatcher_in_its_pool,
    endpoint_of_a_dispatcher,
    bus,
    capture_of_a_device,
]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))
def test_a_callback_may_close_what_called_it(
    case: Callable[[Stage], Callable[[], object]],
    stage: Stage,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    trigger = case(stage)
    waiting = [gevent.spawn(outcome, wait) for wait in stage.waits]
    gevent.idle()
    trigger()
    assert stage.closed.wait(LONG)
    until(lambda: stage.victim.state == "closed")
    assert [greenlet.get(timeout=LONG) for greenlet in waiting] == ["Closed"] * len(stage.waits)
    stage.victim.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr().err == ""


def outcome(wait: Callable[[], object]) -> str:
    try:
        return repr(wait())
    except Exception as error:
        return type(error).__name__
