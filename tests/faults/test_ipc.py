"""ipc paths that are in use or left behind: row IP-1. Those that are too long are refused as any bad address is."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.nursery import Nursery

import zbus
from zbus import devices


def test_a_live_path_is_not_stolen_and_one_left_by_a_killed_process_is_taken_over(ipc_address: str) -> None:
    path = Path(ipc_address.removeprefix("ipc://"))
    with Nursery() as nursery, zbus.Requester(connect=ipc_address, reconnect=(0.01, 0.05)) as client:
        server = nursery.child("server", ipc_address)
        assert client.request("first", timeout=5) == [server.pid, "first"]
        with pytest.raises(zbus.AddressInUse, match=str(path)):
            zbus.Replier(print, bind=ipc_address).start()
        with pytest.raises(zbus.AddressInUse, match=str(path)):
            devices.queue(ipc_address, "inproc://back").start()
        assert client.request("still there", timeout=5) == [server.pid, "still there"]

        server.kill()
        assert path.exists()
        with zbus.Replier(lambda message: "taken over", bind=ipc_address):
            assert client.request("second", timeout=5, attempts=3) == "taken over"
