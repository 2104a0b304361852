"""A whole process is stopped, and goes on after its deadlines have passed: row CL-2."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from faults.is_stopped import CALLS, LISTENING
from faults.nursery import Nursery
from gevent.event import Event
from interop.process import Process
from waiting import until

from zbus import Message, Push, Replier, Requester

TCP = "tcp://127.0.0.1:*"
CLIENT = Path(__file__).with_name("is_stopped.py")
#: How long a process is stopped.
STOPPED = pytest.mark.parametrize("seconds", [1.5, pytest.param(10.0, marks=pytest.mark.soak)])


class Server:
    """In the test's own process: holds on to every call until it is told to go on."""

    def __init__(self) -> None:
        self.held = 0
        self.go_on = Event()
        self.replier = Replier(self._handle, bind=TCP, concurrency=CALLS)

    def _handle(self, message: Message) -> Any:
        self.held += 1
        self.go_on.wait()
        return message.body


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.replier:
        yield server
        server.go_on.set()


@pytest.fixture
def push() -> Iterator[Push]:
    with Push(bind=TCP, linger=0) as push:
        yield push


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def pause(process: Process) -> None:
    """SIGSTOP; returns when it stands still."""
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


def begun(client: Process) -> None:
    """It is connected, and then it waits for its calls."""
    assert client.line() == "connected"
    client.say("begin")
    assert client.line() == "waiting"


def ended_well(client: Process, listened: dict[str, int]) -> int:
    """All its calls were answered, also one more that it made then; how many it made again."""
    assert json.loads(client.line()) == {"came": CALLS}
    assert json.loads(client.line()) == listened
    assert client.line() == "and one more"
    retried = int(client.line())
    assert (client.ended(), client.complaint()) == (0, "")
    return retried


@STOPPED
def test_a_client_that_was_stopped_gets_what_came_meanwhile_also_where_its_time_is_over(
    seconds: float, server: Server, push: Push
) -> None:
    with Process(CLIENT, server.replier.addresses[0], push.addresses[0], seconds, 1) as client:
        begun(client)
        until(lambda: server.held == CALLS)
        pause(client)
        server.go_on.set()
        for number in range(LISTENING):
            push.send(number, timeout=5)
        until(lambda: server.replier.statistics().sent == CALLS)
        gevent.sleep(seconds)
        os.kill(client.pid, signal.SIGCONT)
        assert ended_well(client, {"came": LISTENING}) == 0


@STOPPED
def test_a_machine_that_slept_with_a_ping_unanswered_asks_again_what_may_be_repeated(
    seconds: float, nursery: Nursery, push: Push
) -> None:
    server = nursery.child("server")
    with Process(CLIENT, server.address, push.addresses[0], seconds, 3) as client:
        assert client.line() == "connected"
        server.pause()
        client.say("begin")
        assert client.line() == "waiting"
        gevent.sleep(0.3 * seconds)  # a ping is sent, and its time is not over
        pause(client)
        gevent.sleep(seconds)
        os.kill(client.pid, signal.SIGCONT)
        server.resume()
        assert ended_well(client, {"TimeoutExpired": LISTENING}) == CALLS


@STOPPED
@pytest.mark.parametrize(("attempts", "silence"), [(1, 3.0), (3, 0.3)], ids=["in time", "given up and asked again"])
def test_calls_to_a_server_that_was_stopped_are_answered(
    seconds: float, attempts: int, silence: float, nursery: Nursery
) -> None:
    """With `silence`, times as long as it is stopped, after which heartbeats give it up."""
    server = nursery.child("server")
    with Requester(connect=server.address, heartbeat=silence * seconds / 3, reconnect=(0.01, 0.05)) as client:
        client.wait_for_peers(timeout=5)
        server.pause()
        asking = [
            gevent.spawn(client.request, number, timeout=10 * seconds, attempts=attempts) for number in range(CALLS)
        ]
        gevent.sleep(seconds)
        assert client.peers == (1 if attempts == 1 else 0)
        server.resume()
        gevent.joinall(asking, timeout=10 * seconds)
        assert [call.value for call in asking] == [[server.pid, number] for number in range(CALLS)]
        assert client.statistics().retried == (0 if attempts == 1 else CALLS)
