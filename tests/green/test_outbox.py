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
    """An outbox over a PAIR; who was refused, and how often it was opened again."""

    def __init__(self, socket: Socket, wanted: Callable[[Any], bool] | None = None) -> None:
        self.refused: list[Any] = []
        self.reopened = 0
        self.outbox = Outbox(socket, wanted=wanted, refused=self._refuse)

    def _refuse(self, owner: Any) -> None:
        self.refused.append(owner)
        self.outbox.close_for_this_turn(self._reopen)

    def _reopen(self, _: None) -> None:
        self.reopened += 1


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


def test_it_says_once_that_it_takes_more_when_a_turn_that_it_was_closed_for_is_over(letters: Letters) -> None:
    """For room may have come in that turn, and whoever was told of it was turned away."""
    fill(letters.outbox._socket)
    letters.outbox.send([b"first"])
    for owner in ("a", "b"):
        letters.outbox.send([b"later"], owner)
    letters.outbox.flush()
    assert letters.reopened == 0
    until(lambda: letters.reopened)
    next_turn()
    assert letters.reopened == 1


def test_a_socket_that_is_closed_takes_no_letters_and_makes_no_noise(letters: Letters) -> None:
    letters.outbox.send([b"first"], "a")
    letters.outbox.send([b"second"], "b")
    letters.outbox._socket.close(0)
    letters.outbox.flush()
    assert letters.refused == []
    next_turn()
    with pytest.raises(Closed):
        letters.outbox.send([b"third"])
