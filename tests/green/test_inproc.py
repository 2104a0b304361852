"""The registry of inproc names: who is told of whom, in whatever order they come and go."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from waiting import until

import zbus
from zbus.errors import AddressInUse, TimeoutExpired
from zbus.green import inproc

NAME = "inproc://registry"


class Party:
    """Counts its peers; admits at most so many."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.peers = 0
        self.reconnected = 0

    def admit(self, address: str) -> bool:
        if self.most is not None and self.peers >= self.most:
            return False
        self.peers += 1
        return True

    def has_room(self) -> bool:
        return self.most is None or self.peers < self.most

    def attend(self) -> None:
        pass

    def leave(self, address: str) -> None:
        self.peers -= 1

    def reconnect(self, address: str, closing: bool = False) -> bool:
        self.reconnected += 1
        return True


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    yield
    assert NAME not in inproc._names


@pytest.mark.parametrize("order", list(permutations("bcd")))
def test_everybody_is_told_in_whatever_order_they_come(order: tuple[str, ...]) -> None:
    bound, first, second = Party(), Party(), Party()
    come = {
        "b": lambda: inproc.bound(NAME, bound),
        "c": lambda: inproc.connected(NAME, first),
        "d": lambda: inproc.connected(NAME, second),
    }
    for who in order:
        come[who]()
    assert (bound.peers, first.peers, second.peers) == (2, 1, 1)
    inproc.disconnected(NAME, first)
    assert (bound.peers, first.peers, second.peers) == (1, 0, 1)
    inproc.unbound(NAME, bound)
    assert (bound.peers, second.peers, second.reconnected) == (0, 0, 1)
    inproc.disconnected(NAME, second)


def test_a_connected_one_waits_for_the_next_that_binds() -> None:
    waiting = Party()
    inproc.connected(NAME, waiting)
    for times in range(3):
        bound = Party()
        inproc.bound(NAME, bound)
        assert (bound.peers, waiting.peers, waiting.reconnected) == (1, 1, times)
        inproc.unbound(NAME, bound)
        assert (bound.peers, waiting.peers) == (0, 0)
    inproc.disconnected(NAME, waiting)


def test_one_that_is_not_admitted_comes_in_when_another_leaves() -> None:
    bound, first, second = Party(most=1), Party(), Party()
    inproc.bound(NAME, bound)
    inproc.connected(NAME, first)
    inproc.connected(NAME, second)
    assert (first.peers, second.peers) == (1, 0)
    inproc.disconnected(NAME, first)
    assert (bound.peers, first.peers, second.peers, second.reconnected) == (1, 0, 1, 1)
    inproc.disconnected(NAME, second)
    inproc.unbound(NAME, bound)


def test_who_is_not_there_can_leave_without_harm() -> None:
    inproc.unbound(NAME, Party())
    inproc.disconnected(NAME, Party())
    bound = Party()
    inproc.bound(NAME, bound)
    inproc.unbound(NAME, Party())
    inproc.disconnected(NAME, Party())
    inproc.unbound(NAME, bound)


KINDS: list[tuple[Any, Any]] = [(zbus.Pair, zbus.Pair), (zbus.Pull, zbus.Push), (zbus.Push, zbus.Pull)]


@pytest.mark.parametrize("bound_first", [True, False])
@pytest.mark.parametrize(("bound", "connected"), KINDS)
def test_either_side_may_start_first(inproc_address: str, bound: Any, connected: Any, bound_first: bool) -> None:
    ends = [bound(bind=inproc_address), connected(connect=inproc_address)]
    for end in ends if bound_first else reversed(ends):
        end.start()
    for end in ends:
        end.wait_for_peers(timeout=5)
        assert end.peers == 1
    sender, receiver = ends if hasattr(ends[0], "send") else reversed(ends)
    sender.send("hello", timeout=5)
    assert receiver.recv(timeout=5).body == "hello"
    ends[0].close()
    until(lambda: ends[1].peers == 0)
    ends[1].close()


@pytest.mark.parametrize(("bound", "connected"), KINDS)
def test_a_rebind_brings_the_connected_side_back_again_and_again(
    inproc_address: str, bound: Any, connected: Any
) -> None:
    with connected(connect=inproc_address) as staying:
        for number in range(6):
            with bound(bind=inproc_address) as coming:
                staying.wait_for_peers(timeout=5)
                coming.wait_for_peers(timeout=5)
                sender, receiver = (staying, coming) if hasattr(staying, "send") else (coming, staying)
                sender.send(number, timeout=5)
                assert receiver.recv(timeout=5).body == number
                if bound is zbus.Pair:
                    coming.send("back", timeout=5)
                    assert staying.recv(timeout=5).body == "back"
            until(lambda: staying.peers == 0)


@pytest.mark.parametrize(("bound", "connected"), [(zbus.Pair, zbus.Pair), (zbus.Push, zbus.Pull)])
def test_what_the_bound_side_sent_before_it_closed_is_read_after(
    inproc_address: str, bound: Any, connected: Any
) -> None:
    with connected(connect=inproc_address) as receiver:
        for times in range(3):
            with bound(bind=inproc_address) as sender:
                for number in range(10):
                    sender.send((times, number), timeout=5)
            assert [receiver.recv(timeout=5).body for _ in range(10)] == [[times, number] for number in range(10)]
        with pytest.raises(TimeoutExpired):
            receiver.recv(timeout=0)


@pytest.mark.parametrize(("bound", "connected"), [(zbus.Pair, zbus.Pair), (zbus.Pull, zbus.Push)])
def test_what_the_connected_side_sent_before_it_closed_is_read_after(
    inproc_address: str, bound: Any, connected: Any
) -> None:
    with bound(bind=inproc_address) as receiver:
        for times in range(3):
            with connected(connect=inproc_address) as sender:
                for number in range(10):
                    sender.send((times, number), timeout=5)
            assert [receiver.recv(timeout=5).body for _ in range(10)] == [[times, number] for number in range(10)]


def test_what_was_unread_and_what_comes_from_the_next_are_both_read_in_order(inproc_address: str) -> None:
    with zbus.Pair(connect=inproc_address) as staying:
        with zbus.Pair(bind=inproc_address) as first:
            first.send("old", timeout=5)
        with zbus.Pair(bind=inproc_address) as second:
            assert staying.recv(timeout=5).body == "old"
            second.send("new", timeout=5)
            assert staying.recv(timeout=5).body == "new"


def test_one_name_is_bound_by_one(inproc_address: str) -> None:
    with zbus.Pull(bind=inproc_address):
        second = zbus.Pull(bind=inproc_address)
        with pytest.raises(AddressInUse) as told:
            second.start()
        assert inproc_address in str(told.value)
        assert second.state == "declared"
    with second, zbus.Push(connect=inproc_address) as push:
        push.send("now", timeout=5)
        assert second.recv(timeout=5).body == "now"
