"""ipc paths that are in use or left behind: row IP-1. Those that are too long are refused as any bad address is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Literal

import pytest
from faults.nursery import Nursery
from waiting import until

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


def test_of_many_processes_that_bind_a_path_at_once_one_has_it(nursery: Nursery, ipc_address: str) -> None:
    """Row IP-1: to ask whether somebody listens there, and then to bind, lets in several."""
    for number in range(5):
        when = monotonic() + 0.3
        for _ in range(8):
            nursery.child("racer", f"{ipc_address}{number}", when)
        assert Counter(nursery.line() for _ in range(8)) == {"bound": 1, "taken": 7}
        nursery.clear()


@pytest.mark.parametrize("role", ["worker", "parent"])
def test_who_is_killed_lets_go_of_his_path_also_if_a_child_of_his_lives_on(
    nursery: Nursery, ipc_address: str, role: str
) -> None:
    """Row IP-1."""
    holder = nursery.child(role, ipc_address)
    with pytest.raises(zbus.AddressInUse):
        zbus.Pull(bind=ipc_address).start()
    lock = Path(ipc_address.removeprefix("ipc://") + ".lock")
    holder.kill()
    assert lock.exists()
    with zbus.Pull(bind=ipc_address):
        assert lock.exists()
    assert not lock.exists()


@pytest.mark.parametrize("runs_in", ["greenlet", "thread", "process"])
def test_a_device_holds_its_path_wherever_it_runs(
    ipc_address: str, runs_in: Literal["greenlet", "thread", "process"]
) -> None:
    """Row IP-1."""
    lock = Path(ipc_address.removeprefix("ipc://") + ".lock")
    for _ in range(2):
        with devices.streamer(ipc_address, f"{ipc_address}.back", runs_in=runs_in):
            assert lock.exists()
            with pytest.raises(zbus.AddressInUse):
                zbus.Pull(bind=ipc_address).start()
        until(lambda: not lock.exists())
