"""What is dropped open, with nobody to close it, is told of and closed, and keeps no descriptor: row GC-1.

Endpoints and dispatchers have tests of their own beside their lifetimes; that no descriptor is left the fixture of all
tests sees.
"""

from __future__ import annotations

import gc

import gevent
import pytest
from waiting import until

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"


def forget(kept: list[object]) -> None:
    kept.clear()
    gc.collect()


def bound_again(address: str) -> bool:
    pull = zbus.Pull(bind=address)
    try:
        pull.start()
    except zbus.AddressInUse:
        return False
    finally:
        pull.close()
    return True


@pytest.mark.parametrize("runs_in", ["greenlet", "thread", "process"])
@pytest.mark.parametrize("make", [devices.queue, devices.forwarder, devices.streamer], ids=lambda make: make.__name__)
def test_a_device(make, runs_in):
    kept = [make(TCP, TCP, runs_in=runs_in)]
    kept[0].start()
    addresses = [*kept[0].frontend.addresses, *kept[0].backend.addresses]
    gevent.idle()
    with pytest.warns(ResourceWarning, match=f"unclosed.*{make.__name__}"):
        forget(kept)
    for address in addresses:
        until(lambda address=address: bound_again(address))


def test_a_bus_and_what_it_owns():
    kept = [zbus.Bus()]
    pull = kept[0].add(zbus.Pull(bind=TCP))
    kept[0].start()
    with pytest.warns(ResourceWarning, match="unclosed <Bus"):
        forget(kept)
    assert pull.state == "closed"
