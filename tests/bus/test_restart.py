"""Whether and when what failed is started again, by a clock that stands until it is moved."""

from __future__ import annotations

import pytest

from zbus import Restart
from zbus.bus.restart import Failures


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_without_a_policy_every_failure_is_fatal():
    assert Failures(None).pause() is None


def test_it_waits_twice_as_long_each_time_up_to_the_longest():
    failures = Failures(Restart(limit=7, delay=0.1, max_delay=2.0), clock=Clock(), dice=lambda: 0.0)
    assert [failures.pause() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, None]


def test_chance_takes_up_to_half_of_it():
    assert Failures(Restart(delay=1.0), clock=Clock(), dice=lambda: 1.0).pause() == 0.5
    assert 0.5 < Failures(Restart(delay=1.0)).pause() <= 1.0


def test_failures_long_ago_are_forgotten():
    clock = Clock()
    failures = Failures(Restart(limit=2, within=10.0, delay=1.0), clock=clock, dice=lambda: 0.0)
    assert [failures.pause() for _ in range(3)] == [1.0, 2.0, None]
    clock.now += 10.0
    assert failures.pause() == 1.0


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"limit": 1.5}, ValueError),
        ({"limit": True}, ValueError),
        ({"within": 0}, ValueError),
        ({"delay": -1}, ValueError),
        ({"delay": "1"}, TypeError),
        ({"max_delay": float("nan")}, ValueError),
    ],
)
def test_what_is_no_policy_is_refused_by_name(given, error):
    with pytest.raises(error, match=next(iter(given))):
        Restart(**given)
