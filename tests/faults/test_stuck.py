"""A handler that blocks the whole loop of its process: row HB-1.

The process lives, its connections live, and nothing in it runs. It says so itself, and its peers can tell.
"""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest
from interop.process import Process

import zbus

#: Seconds of three lost heartbeats are far fewer than any block here.
FAST = {"heartbeat": 0.1}


@pytest.fixture
def stuck(seconds):
    with Process(Path(__file__).with_name("blocks.py"), seconds) as process:
        process.replier, process.pull = process.line().split()
        yield process


@pytest.mark.parametrize("seconds", [2.0, pytest.param(5.0, marks=pytest.mark.soak)])
def test_a_handler_that_blocks_the_loop_is_named_and_costs_nothing_but_time(stuck, seconds):
    kinds = []
    with (
        zbus.Requester(connect=stuck.replier, on_event=lambda event: kinds.append(event.kind), **FAST) as requester,
        zbus.Push(connect=stuck.pull, **FAST) as push,
    ):
        assert requester.request("hello", timeout=10) == "hello"
        blocked = gevent.spawn(requester.request, "block", timeout=30)
        assert stuck.line() == "blocking"
        for number in range(100):
            push.send(number, timeout=5)
        queued = [gevent.spawn(requester.request, number, timeout=30) for number in range(100)]
        with pytest.raises(zbus.TimeoutExpired, match=r"connected and has answered nobody for 0\.\d+ s"):
            requester.request("short", timeout=0.5)
        about = stuck.line()
        assert about.startswith("warned after ")
        assert float(about.split()[2]) < 1.5
        assert "handle has held up the loop" in about
        assert "secret" not in about
        assert blocked.get(timeout=30) == "block"
        assert [call.get(timeout=30) for call in queued] == list(range(100))
        assert [stuck.line() for _ in range(100)] == [f"took {number}" for number in range(100)]
        statistics = requester.statistics()
        assert (statistics.retried, statistics.expired, statistics.waiting) == (0, 1, 0)
        assert kinds == ["connected"], "its process was alive"


def test_a_server_whose_loop_stands_still_counts_as_silent(monkeypatch):
    """And one that lives and is slow with one call does not, as long as it answers others."""
    monkeypatch.setattr("zbus.patterns.servers.SILENT", 0.3)
    with Process(Path(__file__).with_name("blocks.py"), 1.5) as process:
        address, _ = process.line().split()
        with zbus.Requester(connect=address, **FAST) as requester:
            slow = gevent.spawn(requester.request, "slow", timeout=30)
            assert process.line() == "slow"
            gevent.sleep(0.4)
            assert requester.statistics().silent == 1
            assert requester.request("hello", timeout=10) == "hello"
            assert requester.statistics().silent == 0
            call = gevent.spawn(requester.request, "block", timeout=30)
            assert process.line() == "blocking"
            gevent.sleep(0.4)
            assert requester.statistics().silent == 1
            assert requester.peers == 1
            assert call.get(timeout=30) == "block"
            assert requester.statistics().silent == 0
            slow.kill()
