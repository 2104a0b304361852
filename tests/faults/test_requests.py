"""Servers that are killed, stopped and started again under their callers: rows RR-1 to RR-5."""

from __future__ import annotations

from time import monotonic, sleep

import gevent
import pytest
import zmq
from faults.foreign import address_of, foreign, heard
from faults.history import History
from faults.nursery import Nursery
from faults.vitals import Vitals
from gevent.event import Event
from waiting import until

from zbus import Replier, Requester, TimeoutExpired, Unavailable

TCP = "tcp://127.0.0.1:*"
SOON = (0.01, 0.05)  # reconnect


@pytest.mark.parametrize(
    ("calls", "callers", "gap", "options"),
    [(1000, 50, 0.0, {"reconnect": SOON}), pytest.param(10_000, 200, 1.0, {}, marks=pytest.mark.soak)],
)
def test_a_server_killed_in_the_middle_of_its_calls_and_restarted_costs_none(nursery, calls, callers, gap, options):
    """RR-1."""
    first = nursery.child("server")
    midway = Event()
    history = History()

    def ask(start: int) -> None:
        for number in range(start, calls, callers):
            history.call(number, requester.request, number, timeout=25, attempts=3)
            if len(history.operations) >= calls / 3:
                midway.set()

    with Requester(connect=first.address, **options) as requester:
        asking = [gevent.spawn(ask, start) for start in range(callers)]
        assert midway.wait(20)
        first.kill()
        gevent.sleep(gap)
        second = nursery.child("server", first.address)
        again = monotonic()
        gevent.joinall(asking, timeout=60, raise_error=True)
        answered = history.having("ok")
        assert sorted(operation.key for operation in answered) == list(range(calls))
        assert [operation for operation in answered if operation.value[1] != operation.key] == []
        assert {operation.value[0] for operation in answered} == {first.pid, second.pid}
        assert history.first_after(again) < 2
        statistics = requester.statistics()
        assert (statistics.waiting, statistics.expired, statistics.missed_wakeups) == (0, 0, 0)
        assert statistics.sent == calls + statistics.retried
        print(f"first reply {history.first_after(again):.3f} s after the restart, {statistics}")


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


@pytest.mark.parametrize("cycles", [15, pytest.param(100, marks=pytest.mark.soak)])
def test_killed_while_handling_and_restarted_again_and_again(nursery: Nursery, cycles: int) -> None:
    """RR-2."""
    server = nursery.child("server")
    with Requester(connect=server.address, reconnect=SOON) as requester:
        for cycle in range(cycles):
            call = gevent.spawn(requester.request, "hold", timeout=25)
            assert nursery.line() == "holding"
            server.kill()
            with pytest.raises(TimeoutExpired, match="connection was lost"):
                call.get(timeout=10)
            server = nursery.child("server", server.address)
            assert requester.request(cycle, timeout=10) == [server.pid, cycle]
        assert requester.statistics().received == cycles


@pytest.mark.parametrize("many", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_calls_to_a_server_that_never_comes_back_end_at_their_deadline_and_did_not_run(nursery, many):
    """RR-3."""
    server = nursery.child("server")
    with Requester(connect=server.address, reconnect=SOON) as requester:
        requester.wait_for_peers(timeout=5)
        server.kill()
        until(lambda: requester.peers == 0)
        history = History()
        kib = 0

        def ask(number: int) -> None:
            for attempts in (1, 3):
                with pytest.raises(Unavailable):
                    history.call(number, requester.request, number, timeout=0.2, attempts=attempts)

        for start in range(0, many // 2, 250):
            calls = [gevent.spawn(ask, start + number) for number in range(250)]
            gevent.joinall(calls, timeout=20, raise_error=True)
            kib = kib or Vitals.now().kib
        assert history.failures() == {"Unavailable": len(history.operations)}
        assert len(history.operations) >= many
        took = sorted(operation.ended - operation.began for operation in history.operations)
        assert took[0] >= 0.19
        assert took[-1] < 2
        grown = Vitals.now().kib - kib
        assert grown < 10 * 1024
        print(f"{len(took)} calls of 0.2 s took {took[len(took) // 2]:.3f} to {took[-1]:.3f} s; {grown} KiB more")
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


def test_a_call_that_comes_twice_runs_once() -> None:
    """RR-4: the same id while it runs, and after its reply."""
    ran = []
    begun, go = Event(), Event()

    def handle(message: object) -> str:
        ran.append(1)
        begun.set()
        assert go.wait(10)
        return "done"

    with Replier(handle, bind=TCP) as replier, foreign(zmq.DEALER, connect=replier.addresses[0]) as client:
        correlation = b"c" * 16 + (1 << 31 | 60_000).to_bytes(4, "big")
        for _ in range(3):
            client.send_multipart([correlation, b"", b"\x01"])
        assert begun.wait(10)
        until(lambda: replier.statistics().repeated == 2)
        go.set()
        first = [heard(client) for _ in range(3)]
        client.send_multipart([correlation, b"", b"\x01"])
        assert [*first, heard(client)] == [[correlation, b"", b"\xa4done"]] * 4
        assert (len(ran), replier.statistics().repeated) == (1, 3)


def test_callers_with_attempts_are_answered_by_another_while_a_server_is_stopped(nursery: Nursery) -> None:
    """RR-5."""
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
