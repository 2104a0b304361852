"""Who watches a device slowly, stands still or is not there costs those who use it nothing: row DV-3."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Any

import gevent
import pytest
from waiting import LONG, until

import zbus
from zbus import devices
from zbus.devices.capture import WAITING

TCP = "tcp://127.0.0.1:*"
#: Calls, and the least part of its rate that a queue keeps: without a bound where other programs share the machine.
CALLS = pytest.mark.parametrize(("calls", "part"), [(700, 0.0), pytest.param(50_000, 0.33, marks=pytest.mark.soak)])


def calls_a_second(device: devices.Device, calls: int) -> float:
    """Twenty callers share so many calls; each gets its own reply."""

    def call(first: int) -> None:
        for number in range(first, calls, 20):
            assert client.request([number, bytes(2000)], timeout=4 * LONG)[0] == number

    with (
        zbus.Replier(lambda message: message.body, connect=device.backend.addresses) as server,
        zbus.Requester(connect=device.frontend.addresses) as client,
    ):
        client.request([0, b""], timeout=2 * LONG)
        began = monotonic()
        gevent.joinall([gevent.spawn(call, first) for first in range(20)], raise_error=True)
        took = monotonic() - began
        assert client.statistics().received == server.statistics().sent == calls + 1
    return calls / took


def keeps(rate: float, base: float, part: float) -> None:
    print(f"{rate:,.0f} calls a second, {base:,.0f} before")
    assert rate > base * part


@CALLS
@pytest.mark.parametrize("runs_in", ["greenlet", "process"])
def test_a_monitor_that_stands_still_or_leaves_holds_up_no_call(nursery, ipc_address, runs_in, calls, part):
    monitor = devices.Side(bind=ipc_address, high_water_mark=10)  # ipc: the kernel has room for little
    with devices.monitored_queue(TCP, TCP, monitor, runs_in=runs_in) as device:
        base = calls_a_second(device, calls)
        watcher = nursery.child("watcher", device.monitor.addresses[0])
        device.monitor.wait_for_peers(timeout=LONG)
        watcher.pause()
        keeps(calls_a_second(device, calls), base, part)
        watcher.kill()
        until(lambda: not device.monitor.peers)
        keeps(calls_a_second(device, calls), base, part)


CAPTURES: dict[str, Callable[[Any], object]] = {
    "slow": lambda message: gevent.sleep(0.1),
    "stuck": lambda message: gevent.sleep(600),
    "raises": lambda message: message.nothing,
}


@CALLS
@pytest.mark.parametrize("kind", CAPTURES)
def test_a_capture_that_does_not_keep_up_holds_up_no_call(kind, calls, part):
    with ExitStack() as stack:
        bare = stack.enter_context(devices.queue(TCP, TCP))
        device = devices.queue(TCP, TCP, capture=CAPTURES[kind])
        device.start()
        stack.callback(device.close)
        keeps(calls_a_second(device, calls), calls_a_second(bare, calls), part)
        until(lambda: device.statistics().messages_out >= calls + 1)
        counted = device.statistics()
    if kind == "raises":
        assert counted.capture_failed == counted.messages_in + counted.messages_out
    else:
        assert 0 < counted.capture_dropped <= 2 * (calls + 1) - WAITING
