"""Processes that are killed, stopped and started again; the other side goes on."""

from __future__ import annotations

from contextlib import ExitStack

import gevent
from faults.nursery import Nursery
from gevent.event import Event
from waiting import until

from zbus import EndpointEvent, Push, Replier, Requester, Subscriber

TCP = "tcp://127.0.0.1:*"
SOON = (0.01, 0.05)  # reconnect


# -- a client ----------------------------------------------------------------------------------------


def test_a_client_killed_while_its_call_runs_costs_the_server_one_reply(nursery: Nursery) -> None:
    begun, go_on = Event(), Event()

    def handle(message: object) -> str:
        begun.set()
        assert go_on.wait(10)
        return "done"

    with Replier(handle, bind=TCP) as replier:
        client = nursery.child("asker", replier.addresses[0])
        assert begun.wait(10)
        client.kill()
        until(lambda: replier.peers == 0)
        gevent.sleep(0.1)  # libzmq tells of a lost peer a moment before it lets go of him, and of that nothing tells
        go_on.set()
        with Requester(connect=replier.addresses[0]) as other:
            assert other.request("x", timeout=5) == "done"
        assert (replier.statistics().dropped, replier.statistics().sent) == (1, 1)


# -- a publisher -------------------------------------------------------------------------------------


def test_a_subscriber_hears_a_publisher_that_was_killed_and_restarted_and_is_told(nursery: Nursery) -> None:
    events: list[EndpointEvent] = []
    publisher = nursery.child("publisher")
    with Subscriber(connect=publisher.address, topics="px", reconnect=SOON, on_event=events.append) as subscriber:
        for restarts in range(4):
            assert [subscriber.recv(timeout=10).body for _ in range(3)] == [1, 2, 3]
            until(lambda count=restarts: [event.kind for event in events].count("restarted") == count)
            publisher.kill()
            publisher = nursery.child("publisher", publisher.address)
        kinds = [event.kind for event in events]
        assert "gap" not in kinds
        assert [event.missed for event in events if event.kind == "restarted"] == [0, 0, 0]
        assert subscriber.statistics().missed == 0


# -- workers -----------------------------------------------------------------------------------------


def test_work_goes_to_the_others_when_a_pull_is_killed(nursery: Nursery) -> None:
    with Push(bind=TCP) as push:
        workers = [nursery.child("worker", f"+{push.addresses[0]}") for _ in range(2)]
        push.wait_for_peers(2, timeout=5)
        workers[0].kill()
        until(lambda: push.peers == 1)
        in_a_row = 0
        while in_a_row < 2:  # libzmq tells of a lost peer a moment before it stops sending to it
            push.send("is he gone?", timeout=5)
            try:
                assert nursery.line(0.3) == "took is he gone?"
                in_a_row += 1
            except TimeoutError:
                in_a_row = 0
        for number in range(100):
            push.send(number, timeout=5)
        assert [nursery.line() for _ in range(100)] == [f"took {number}" for number in range(100)]


def test_a_push_keeps_what_it_is_given_while_its_pull_is_down(nursery: Nursery) -> None:
    with ExitStack() as stack:
        worker = nursery.child("worker")
        push = stack.enter_context(Push(connect=worker.address, reconnect=SOON))
        push.send("before", timeout=5)
        assert nursery.line() == "took before"
        worker.kill()
        until(lambda: push.peers == 0)
        for number in range(500):
            push.send(number, timeout=5)
        nursery.child("worker", worker.address)
        assert [nursery.line() for _ in range(500)] == [f"took {number}" for number in range(500)]
