"""A network that stands still one way, and one that is slow and uneven: rows NE-3 and NE-4.

Who sends ZMTP's pings notices a path that is dead one way: that is a requester. The others have TCP's own probes, which
the kernels at both ends of a proxy answer whatever it holds back: that those notice a dead path a proxy cannot show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import gevent
import pytest
from faults.lines import LINES, SOON, TCP, Calls, Published
from faults.network import Proxy, new_seed
from waiting import LONG, until

from zbus import EndpointEvent, Replier, Requester

SOAK = pytest.mark.soak
DEFAULT = 2.0
#: Requesters that connect one after the other, so that a stall finds them at as many points between two pings.
PHASES = 10


# -- a stall: NE-3 -----------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Replier]:
    with Replier(lambda message: message.body, bind=TCP) as made:
        yield made


@pytest.mark.parametrize("heartbeat", [0.2, pytest.param(DEFAULT, marks=SOAK)])
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_path_that_is_dead_one_way_is_noticed_in_time(server, way, heartbeat):
    noticed: list[float] = []

    def hear(event: EndpointEvent) -> None:
        if event.kind == "disconnected":
            noticed.append(monotonic() - began)

    with Proxy(server.addresses[0], new_seed()) as proxy, ExitStack() as stack:
        for _ in range(PHASES):
            requester = stack.enter_context(Requester(connect=proxy.address, heartbeat=heartbeat, on_event=hear))
            requester.wait_for_peers(timeout=LONG)
            gevent.sleep(heartbeat / PHASES)
        began = monotonic()
        proxy.tell("stall", way)
        until(lambda: len(noticed) == PHASES, 10 * heartbeat + LONG)
        print("noticed after", *(f"{seconds:.2f}" for seconds in noticed))
        assert max(noticed) < 3 * heartbeat + 1


@pytest.mark.parametrize("heartbeat", [0.2, pytest.param(DEFAULT, marks=SOAK)])
@pytest.mark.parametrize("way", ["up", "down"])
def test_calls_with_attempts_go_to_another_server_when_the_path_to_one_is_dead_one_way(server, way, heartbeat):
    with (
        Replier(lambda message: message.body, bind=TCP) as other,
        Proxy(server.addresses[0], new_seed()) as proxy,
        Requester(connect=[proxy.address, other.addresses[0]], heartbeat=heartbeat, **SOON) as requester,
    ):
        requester.wait_for_peers(2, timeout=LONG)
        proxy.tell("stall", way)
        began = monotonic()
        calls = [gevent.spawn(requester.request, number, timeout=60, attempts=2) for number in range(20)]
        until(lambda: requester.peers == 1, 4 * heartbeat + LONG)
        assert monotonic() - began < 3 * heartbeat + 1
        assert [call.get(timeout=LONG) for call in calls] == list(range(20))
        assert requester.statistics().retried == 10
        proxy.tell("flow", way)
        requester.wait_for_peers(2, timeout=2 * LONG)


# -- late, and more so: NE-4 -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "heartbeat", "scale"), [(3, 0.5, 0.1), pytest.param(120, DEFAULT, 1.0, marks=SOAK)]
)
@pytest.mark.parametrize("kind", LINES)
def test_a_slow_and_uneven_path_costs_no_connection_and_no_message(kind, seconds, heartbeat, scale):
    """Ping and answer that are both among the late ones take longer than any time-out of three heartbeats allows:
    in the full form a seed in some twenty has such a pair."""
    events: list[str] = []
    with kind(new_seed()) as line:
        line.proxy.tell("delay", 0.2 * scale, 0.15 * scale)
        line.proxy.tell("late", 0.05, 3 * scale)
        with line.near(heartbeat=heartbeat, on_event=lambda event: events.append(event.kind)) as near:
            near.wait_for_peers(timeout=6 * LONG)
            if isinstance(line, Published):
                line.far.wait_for_subscribers("px", timeout=6 * LONG)
            how = {"timeout": 60} if isinstance(line, Calls) else {}
            end, said = monotonic() + seconds, 0
            while monotonic() < end:
                line.say(near, said, **how)
                said += 1
                gevent.sleep(0.02)
            until(lambda: len(line.heard) == said, 6 * LONG)
            assert events == ["connected"]
        assert line.numbers == list(range(said))
        print(said, "messages")
