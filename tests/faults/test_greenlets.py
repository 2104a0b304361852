"""Many greenlets on one endpoint, and greenlets that are killed anywhere: rows GR-1 and GR-2."""

from __future__ import annotations

import random
from contextlib import ExitStack

import gevent
import pytest
from faults.history import History, duplicated, reordered
from green.rig import run
from waiting import LONG

import zbus

TCP = "tcp://127.0.0.1:*"

CROWD = """
import gevent, zbus
with zbus.Pull(bind="{address}", high_water_mark=2) as pull:
    with zbus.Push(connect=pull.addresses, high_water_mark=2) as push:
        came = []
        def send(who):
            for number in range({each}):
                push.send([who, number, b"x" * 5000], headers={{"number": number}}, timeout=20)
        def receive():
            while len(came) < 25 * {each}:
                try:
                    message = pull.recv(timeout=0.5)
                except zbus.TimeoutExpired:
                    continue
                came.append((message.body[0], message.body[1], len(message.body[2]), message.headers["number"]))
        crowd = [gevent.spawn(send, who) for who in range(25)] + [gevent.spawn(receive) for _ in range(25)]
        gevent.joinall(crowd, timeout=240, raise_error=True)
        last = {{}}
        for who, number, size, header in came:
            if (number, size) != (header, 5000) or number != last.get(who, -1) + 1:
                print("wrong", who, number, size, header, last.get(who))
            last[who] = number
        print(len(came), push.statistics().missed_wakeups, pull.statistics().missed_wakeups)
"""


@pytest.mark.parametrize("optimised", [(), ("-O",)], ids=["", "-O"])
@pytest.mark.parametrize("each", [40, pytest.param(2000, marks=pytest.mark.soak)])
def test_fifty_greenlets_at_the_high_water_mark_of_one_endpoint(optimised, each, address):
    """GR-1: whole messages, in the order of each sender. In a process, for ``python -O`` runs without assertions."""
    said = run(CROWD.format(address=address, each=each), flags=optimised, seconds=250)
    assert said.split() == [str(25 * each), "0", "0"]


class Chance:
    """Greenlets that are given up at random points, by a kill or by a timeout of gevent's."""

    def __init__(self) -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        self.random = random.Random(seed)

    def give_up(self, function, *arguments, longest=0.004):
        """Call it; it is over at some point soon, whatever it did by then."""
        if self.random.random() < 0.5:
            with gevent.Timeout(self.random.random() * longest, False):
                function(*arguments)
            return
        victim = gevent.spawn(function, *arguments)
        try:
            gevent.sleep(self.random.random() * longest)
        finally:
            victim.kill()

    def at_once(self, count, function, *, of=40):
        """Have `function(number)` run for each number, so many at a time."""

        def some(first):
            for number in range(first, count, of):
                function(number)

        gevent.joinall([gevent.spawn(some, first) for first in range(of)], timeout=300, raise_error=True)


many = pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.soak)])


@many
def test_calls_that_are_given_up_anywhere_cost_the_others_nothing(count, address):
    """GR-2, request: nobody gets another's reply, and nobody is left waiting."""
    chance, history = Chance(), History()

    def handle(message):
        if message.body % 3 == 0:
            gevent.sleep(0.001)
        return message.body

    def ask(number):
        history.call(number, requester.request, number, timeout=20)

    def both(number):
        chance.give_up(ask, 2 * number)
        ask(2 * number + 1)

    with zbus.Replier(handle, bind=address) as replier, zbus.Requester(connect=replier.addresses) as requester:
        chance.at_once(count, both)
        assert history.crossed(lambda key: key) == []
        assert {operation.key for operation in history.having("ok")} >= set(range(1, 2 * count, 2))
        assert history.failures() == {}
        assert history.having(""), "some were given up"
        for endpoint in (requester, replier):
            counted = endpoint.statistics()
            assert (counted.waiting, counted.missed_wakeups) == (0, 0)


@many
def test_messages_outlive_senders_and_receivers_that_are_given_up_anywhere(count, address):
    """GR-2, send and recv: what a send has returned from arrives once, in order, whoever was killed with it near."""
    chance, history = Chance(), History()
    came = []

    def send(number):
        history.call(number, push.send, number, timeout=20)

    def receive():
        came.append(pull.recv(timeout=20).body)

    def receive_for_ever():
        while True:
            chance.give_up(receive)

    with ExitStack() as stack:
        pull = stack.enter_context(zbus.Pull(bind=address, high_water_mark=5))
        push = stack.enter_context(zbus.Push(connect=pull.addresses, high_water_mark=5, linger=LONG))
        receivers = [gevent.spawn(receive_for_ever) for _ in range(5)]
        chance.at_once(count, lambda number: chance.give_up(send, number))
        gevent.killall(receivers)
        last = gevent.spawn(send, "last")
        while came[-1:] != ["last"]:
            receive()
        last.get(timeout=LONG)
        assert history.lost(came) == set()
        assert duplicated(came) == []
        assert reordered([(number % 40, number) for number in came[:-1]]) == []
        assert history.failures() == {}
        assert (push.statistics().missed_wakeups, pull.statistics().missed_wakeups) == (0, 0)
