"""What one socket sends in one turn of the loop, and who is told when there was no room for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import zmq
from green.rig import fill
from waiting import until

from zbus.errors import Closed
from zbus.green import Socket
from zbus.green.outbox import Outbox
from zbus.green.turn import Burst, turn


class Letters:
    """An outbox over a PAIR, and who was refused."""

    def __init__(self, socket: Socket, wanted: Callable[[Any], bool] | None = None) -> None:
        self.refused: list[Any] = []
        self.outbox = Outbox(socket, wanted=wanted, refused=self._refuse)

    def _refuse(self, owner: Any) -> None:
        self.refused.append(owner)
        self.outbox.close_for_this_turn()


@pytest.fixture
def letters(linked: Any) -> Letters:
    mine, _ = linked(SNDHWM=1, RCVHWM=1)
    return Letters(mine)


def next_turn() -> None:
    """Return when the loop has made a turn."""
    due: list[None] = []
    turn().call(Burst(turn()), due.append)
    until(lambda: due)


def test_the_first_goes_out_at_once_and_the_others_together(linked: Any) -> None:
    mine, other = linked()
    letters = Letters(mine)
    for number in range(3):
        assert letters.outbox.send([b"%d" % number], number)
    assert other.take() == [b"0"]
    with pytest.raises(zmq.Again):
        other.take()
    assert [other.receive(5.0) for _ in range(2)] == [[b"1"], [b"2"]]


def test_what_is_wanted_no_more_is_not_sent(linked: Any) -> None:
    mine, other = linked()
    letters = Letters(mine, wanted=lambda owner: owner != 1)
    for number in range(3):
        letters.outbox.send([b"%d" % number], number)
    assert [other.receive(5.0) for _ in range(2)] == [[b"0"], [b"2"]]


def test_who_waited_and_found_no_room_is_told_and_nobody_else_is_taken_in_that_turn(letters: Letters) -> None:
    fill(letters.outbox._socket)
    assert not letters.outbox.send([b"first"])
    for owner in ("a", "b"):
        assert letters.outbox.send([b"later"], owner)
    letters.outbox.flush()
    assert letters.refused == ["a", "b"]
    assert not letters.outbox.send([b"too late for this turn"], "c")


def test_room_that_comes_in_a_turn_that_is_closed_is_told_in_the_next(letters: Letters) -> None:
    told: list[int] = []
    letters.outbox.tell(lambda: told.append(0))
    assert told == [0]
    fill(letters.outbox._socket)
    letters.outbox.send([b"first"])
    letters.outbox.send([b"later"], "a")
    letters.outbox.flush()
    letters.outbox.tell(lambda: told.append(1))
    assert told == [0]
    next_turn()
    assert told == [0, 1]


def test_a_socket_that_is_closed_takes_no_letters_and_makes_no_noise(letters: Letters) -> None:
    letters.outbox.send([b"first"], "a")
    letters.outbox.send([b"second"], "b")
    letters.outbox._socket.close(0)
    letters.outbox.flush()
    assert letters.refused == []
    next_turn()
    with pytest.raises(Closed):
        letters.outbox.send([b"third"])
