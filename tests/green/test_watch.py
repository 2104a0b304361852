"""What the watching thread makes of what it sees; the thread itself is in `faults/test_stuck.py`."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from zbus import Message, Routes
from zbus.green.watch import BLOCKED, PERIOD, Watched, callback_of


def inner(message: Any = None) -> Any:
    return sys._getframe()


def callback(message: Message) -> Any:
    return inner()


def frame_within(called: Any) -> Any:
    """The innermost frame of a stack in which zbus has called this."""
    routes = Routes()
    routes.default(called)
    return routes.dispatch(Message("do it"))


def test_the_callback_is_what_zbus_called_and_not_what_that_called():
    for called in (callback, inner):
        found = callback_of(frame_within(called))
        assert found is not None
        assert found.f_code.co_name == called.__name__
    assert callback_of(callback(Message())) is None


class Looks:
    """A loop that turns when it is told to, and looks at it a period apart."""

    def __init__(self) -> None:
        self.loop = SimpleNamespace(iteration=1)
        self.now = 100.0
        self.watched = Watched(self.loop, self.now)
        self.frame = frame_within(callback)

    def for_seconds(self, seconds: float, frame: Any = ..., turning: bool = False) -> None:
        for _ in range(round(seconds / PERIOD)):
            self.loop.iteration += turning
            self.now += PERIOD
            self.watched.look(self.frame if frame is ... else frame, self.now)


@pytest.fixture
def looks(caplog: pytest.LogCaptureFixture) -> Looks:
    caplog.set_level(logging.WARNING, "zbus")
    return Looks()


def test_one_that_holds_up_the_loop_is_named_once_and_when_it_is_over(looks, caplog):
    looks.for_seconds(BLOCKED)
    assert not caplog.messages
    looks.for_seconds(5)
    (said,) = caplog.messages
    assert f"{__name__}.callback has held up the loop for 0." in said
    assert f"{__file__}:" in said
    looks.for_seconds(PERIOD, turning=True)
    assert len(caplog.messages) == 2
    assert "held up the loop for" in caplog.messages[1]


@pytest.mark.parametrize("frame", [None, inner()], ids=["ended", "not ours"])
def test_a_loop_that_waits_or_has_not_begun_is_not_held_up(looks, caplog, frame):
    looks.for_seconds(10, frame)
    assert not caplog.messages


def test_callbacks_one_after_the_other_do_not_hold_it_up(looks, caplog):
    looks.for_seconds(10, turning=True)
    assert not caplog.messages


def test_a_process_that_was_stopped_did_not_hold_it_up(looks, caplog):
    looks.for_seconds(PERIOD * 2)
    looks.now += 10
    looks.for_seconds(PERIOD * 2)
    assert not caplog.messages
