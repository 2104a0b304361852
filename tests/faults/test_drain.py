"""SIGTERM while fifty handlers run and five hundred calls are queued behind them: row SH-1."""

from __future__ import annotations

import os
import signal
from collections import Counter
from time import monotonic

import gevent
import pytest
from interop.process import Process

import zbus

LONG = 10.0

SERVE = """
import gevent, zbus
from gevent.event import Event
from gevent.fileobject import FileObject
bus = zbus.Bus()
begun, go_on = [], Event()
def handle(message):
    begun.append(message.body)
    if len(begun) == 50:
        print("busy", flush=True)
    go_on.wait()
    print("done", flush=True)
    return message.body
{endpoints}
class Last:
    def start(self): pass
    def stop(self, timeout): print("stopping", flush=True)
bus.add(Last())  # and the first that is stopped
gevent.spawn(lambda: (FileObject(0, "rb", closefd=False).readline(), go_on.set()))
bus.start()
print(endpoint.addresses[0], flush=True)
bus.run()
print("state", bus.state, len(begun), flush=True)
"""
REPLIER = """
endpoint = bus.add(zbus.Replier(handle, bind="tcp://127.0.0.1:*", concurrency=50))
"""
DISPATCHER = """
dispatcher = bus.add(zbus.Dispatcher(concurrency=50))
endpoint = bus.add(zbus.Pull(bind="tcp://127.0.0.1:*"))
dispatcher.add(endpoint, handle)
"""


def ended_well(server: Process) -> list[str]:
    """What it said after SIGTERM, once it has ended well, in time, and in silence."""
    began = monotonic()
    os.kill(server.pid, signal.SIGTERM)
    assert server.line() == "stopping"
    server.say("go on")
    said = []
    while not (said and said[-1].startswith("state")):
        said.append(server.line())
    assert server.ended() == 0
    assert server.complaint() == ""
    assert monotonic() - began < LONG
    return said


def test_a_server_finishes_what_runs_and_refuses_what_is_queued() -> None:
    with Process("-c", SERVE.format(endpoints=REPLIER)) as server, zbus.Requester(connect=server.line()) as client:

        def call(number: int) -> str:
            try:
                return "replied" if client.request(number, timeout=2.0) == number else "wrong"
            except zbus.Unavailable:
                return "refused"

        calls = [gevent.spawn(call, number) for number in range(550)]
        assert server.line() == "busy"
        assert ended_well(server) == [*["done"] * 50, "state closed 50"]
        outcomes = Counter(each.get(timeout=LONG) for each in calls)
    assert outcomes == {"replied": 50, "refused": 500}


@pytest.mark.parametrize("signals", [1, 2])
def test_a_dispatcher_finishes_what_runs_unless_it_is_told_twice(signals: int) -> None:
    with (
        Process("-c", SERVE.format(endpoints=DISPATCHER)) as worker,
        zbus.Push(connect=worker.line(), linger=0) as push,
    ):
        for number in range(550):
            push.send(number, timeout=LONG)
        assert worker.line() == "busy"
        if signals == 1:
            assert ended_well(worker) == [*["done"] * 50, "state closed 50"]
        else:
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.line() == "stopping"
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.ended() == -signal.SIGTERM
            assert worker.complaint() == ""
