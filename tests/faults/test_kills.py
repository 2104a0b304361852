"""Processes that are killed, stopped and started again; the other side goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic, sleep

import gevent
import pytest
import zmq
from faults.foreign import address_of, foreign, heard, until
from faults.nursery import Nursery
from gevent.event import Event

from zbus import EndpointEvent, Push, Replier, Requester, Subscriber, TimeoutExpired, Unavailable

TCP = "tcp://127.0.0.1:*"
SOON = (0.01, 0.05)  # reconnect


@pytest.fixture(scope="module")
def warm() -> Iterator[Nursery]:
    """One process to fork from, for all tests."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def nursery(warm: Nursery) -> Iterator[Nursery]:
    """Where a test gets its processes from; none outlives it."""
    try:
        yield warm
    finally:
        warm.clear()


# -- a server ----------------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_of_a_thousand_requests_and_restarted_costs_none(nursery: Nursery) -> None:
    first = nursery.child("server")
    midway = Event()
    answers: dict[int, int] = {}

    def ask(start: int) -> None:
        for number in range(start, 1000, 50):
            pid, body = requester.request(number, timeout=25, attempts=3)
            assert body == number
            answers[number] = pid
            if len(answers) == 300:
                midway.set()

    with Requester(connect=first.address, reconnect=SOON) as requester:
        callers = [gevent.spawn(ask, start) for start in range(50)]
        assert midway.wait(10)
        first.kill()
        second = nursery.child("server", first.address)
        gevent.joinall(callers, timeout=25, raise_error=True)
        assert sorted(answers) == list(range(1000))
        assert set(answers.values()) == {first.pid, second.pid}
        statistics = requester.statistics()
        assert (statistics.waiting, statistics.expired, statistics.missed_wakeups) == (0, 0, 0)
        assert statistics.sent == 1000 + statistics.retried


def test_without_attempts_each_call_that_was_out_fails_at_once_and_the_next_works(nursery: Nursery) -> None:
    first = nursery.child("server")
    with Requester(connect=first.address, reconnect=SOON) as requester:
        calls = [gevent.spawn(requester.request, "hold", timeout=25) for _ in range(50)]
        assert [nursery.line() for _ in calls] == ["holding"] * 50
        began = monotonic()
        first.kill()
        gevent.joinall(calls, timeout=10)
        assert monotonic() - began < 10
        assert [type(call.exception) for call in calls] == [TimeoutExpired] * 50
        second = nursery.child("server", first.address)
        assert requester.request("next", timeout=10) == [second.pid, "next"]
        assert requester.statistics().waiting == 0


def test_twenty_times_killed_while_handling_and_restarted(nursery: Nursery) -> None:
    server = nursery.child("server")
    with Requester(connect=server.address, reconnect=SOON) as requester:
        for cycle in range(20):
            call = gevent.spawn(requester.request, "hold", timeout=25)
            assert nursery.line() == "holding"
            server.kill()
            with pytest.raises(TimeoutExpired, match="connection was lost"):
                call.get(timeout=10)
            server = nursery.child("server", server.address)
            assert requester.request(cycle, timeout=10) == [server.pid, cycle]
        assert requester.statistics().received == 20


def test_calls_to_a_server_that_never_comes_back_end_at_their_deadline_and_did_not_run(nursery: Nursery) -> None:
    server = nursery.child("server")
    with Requester(connect=server.address, reconnect=SOON) as requester:
        requester.wait_for_peers(timeout=5)
        server.kill()
        until(lambda: requester.peers == 0)
        calls = [gevent.spawn(requester.request, 1, timeout=0.1, attempts=3) for _ in range(100)]
        gevent.joinall(calls, timeout=10)
        assert [type(call.exception) for call in calls] == [Unavailable] * 100
        with pytest.raises(TimeoutExpired):
            requester.wait_for_peers(timeout=0)
        assert requester.statistics().waiting == 0


def test_replies_that_came_before_the_connection_was_lost_reach_their_callers() -> None:
    with foreign(zmq.ROUTER, bind=TCP) as server, Requester(connect=address_of(server)) as requester:
        assert_answered(requester, server, 1)  # so that libzmq looks for more without being told to
        calls = [gevent.spawn(requester.request, number, timeout=5) for number in range(300)]
        asked = [heard(server) for _ in calls]
        for frames in asked:
            server.send_multipart(frames)
        server.close(1000)
        sleep(0.2)  # no greenlet runs: they have come, and the connection is gone, before one is read
        assert [call.get(timeout=5) for call in calls] == list(range(300))


def assert_answered(requester: Requester, server: zmq.Socket, body: object) -> None:
    call = gevent.spawn(requester.request, body, timeout=5)
    server.send_multipart(heard(server))
    assert call.get(timeout=5) == body


def test_the_calls_of_a_killed_server_go_to_another(nursery: Nursery) -> None:
    one, other = nursery.child("server"), nursery.child("server")
    with Requester(connect=[one.address, other.address]) as requester:
        requester.wait_for_peers(2, timeout=5)
        requester.request("warm", timeout=5)
        held = [gevent.spawn(requester.request, "hold", timeout=25) for _ in range(2)]
        assert [nursery.line(), nursery.line()] == ["holding"] * 2
        one.kill()
        until(lambda: any(call.dead for call in held))
        assert {requester.request(number, timeout=5)[0] for number in range(20)} == {other.pid}
        gevent.killall(held)


def test_callers_with_attempts_are_answered_by_another_while_a_server_is_stopped(nursery: Nursery) -> None:
    stopped, running = nursery.child("server"), nursery.child("server")
    with Requester(connect=[stopped.address, running.address], heartbeat=0.1, reconnect=SOON) as requester:
        requester.wait_for_peers(2, timeout=5)
        stopped.pause()
        calls = [gevent.spawn(requester.request, number, timeout=20, attempts=2) for number in range(40)]
        gevent.joinall(calls, timeout=20)
        assert [call.value for call in calls] == [[running.pid, number] for number in range(40)]
        until(lambda: requester.peers == 1)
        before = requester.statistics().retried
        assert before > 0
        assert {requester.request(number, timeout=5)[0] for number in range(10)} == {running.pid}
        assert requester.statistics().retried == before
        stopped.resume()
        requester.wait_for_peers(2, timeout=10)
        assert {requester.request(number, timeout=5)[0] for number in range(4)} == {running.pid, stopped.pid}


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
