"""Everything at once, for an hour, while everything is killed, stopped and started at random: nothing is lost in
silence, nothing crosses, nothing grows. The quick form is a few seconds of the same: row LK-1, and all the others.

    $ pytest -m soak -n 0 -s -o faulthandler_timeout=0 tests/faults/test_soak.py
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Any

import gevent
import pytest
from faults.nursery import Child, Nursery
from faults.pace import FAST, PACE
from faults.vitals import Vitals, growth
from waiting import LONG, until

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"


class Soak:
    """One process with an end of everything in it, and the processes at the other ends."""

    def __init__(self, nursery: Nursery, stack: ExitStack, chance: random.Random) -> None:
        self.nursery, self.stack, self.chance = nursery, stack, chance
        self.children: dict[str, Child] = {}
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self.heard: dict[int, list[int]] = {}  # publisher -> first and last number, how many
        self.fed: dict[int, int] = {}  # feeder -> its last number
        self.greenlets: list[gevent.Greenlet] = []
        self.devices: dict[str, devices.Device] = {}

    def open(self, thing: Any) -> Any:
        return self.stack.enter_context(thing)

    def child(self, key: str, address: str = TCP) -> str:
        """Start the process of this name, ``role`` or ``role-anything``; returns its address."""
        self.nursery.say(f"{key.partition('-')[0]} {address}")
        while (line := self.nursery.line()).startswith("wrong"):
            self.wrong.append(line)
        pid, where = line.split()
        self.children[key] = Child(int(pid), address if address.startswith("+") else where)
        return where

    def device(self, key: str, front: str = TCP, back: str = TCP) -> devices.Device:
        """Start the device of this name, ``kind-place``."""
        kind, _, place = key.partition("-")
        made = getattr(devices, kind)(front, back, runs_in=place)
        made.start()
        self.devices[key] = made
        return made

    # -- the work ------------------------------------------------------------------------------------

    def begin(self) -> None:
        queues = [self.device(f"queue-{place}") for place in ("greenlet", "thread", "process")]
        servers = [self.child("server-1"), self.child("server-2")]
        for number, queue in enumerate(queues):
            self.child(f"server-behind-{number}", f"+{queue.backend.addresses[0]}")
            servers.append(queue.frontend.addresses[0])
        self.requester = self.open(zbus.Requester(connect=servers, **FAST))
        self.replier = self.open(zbus.Replier(lambda message: message.body, bind=TCP, **FAST))
        self.subscriber = zbus.Subscriber(connect=self.child("publisher"), **FAST)
        self.pull = zbus.Pull(bind=TCP, **FAST)
        self.publisher = self.open(zbus.Publisher(bind=TCP, sequenced=True, last_value=True, **FAST))
        streamer = self.device("streamer-process")
        self.push = self.open(zbus.Push(connect=streamer.frontend.addresses, **FAST))
        self.pair = self.open(zbus.Pair(bind=TCP, **FAST))
        self.dispatcher = zbus.Dispatcher()
        self.dispatcher.topic("px.#")(self.take_publication)
        self.dispatcher.add(self.open(self.subscriber))
        self.dispatcher.add(self.open(self.pull), self.take_work)
        self.open(self.dispatcher)
        self.child("caller", self.replier.addresses[0])
        self.child("listener", self.publisher.addresses[0])
        self.child("feeder-1", self.pull.addresses[0])
        self.child("feeder-2", self.pull.addresses[0])
        self.child("worker", f"+{streamer.backend.addresses[0]}")
        self.child("mate", self.pair.addresses[0])
        works = [self.publish, self.work, self.talk, self.listen, self.churn, *[self.ask] * 20, *[self.give_up] * 3]
        self.greenlets = [gevent.spawn(self.at_it, work) for work in works]

    def at_it(self, work: Callable[[int], None]) -> None:
        number = 0
        while True:
            number += 1
            work(number)
            self.done[work.__name__] += 1
            gevent.sleep(PACE)

    def check(self, holds: bool, *what: object) -> None:
        if not holds:
            self.wrong.append(" ".join(map(str, what)))

    def ask(self, number: int) -> None:
        answer = self.requester.request(number, timeout=60, attempts=1000)
        self.check(answer == number, "crossed:", answer, "for", number)

    def give_up(self, number: int) -> None:
        """Call, and be killed or time out at some point of it."""
        if number % 2:
            with gevent.Timeout(self.chance.random() * 0.01, False):
                self.ask(-number)
        else:
            call = gevent.spawn(self.ask, -number)
            try:
                gevent.sleep(self.chance.random() * 0.01)
            finally:
                call.kill()

    def publish(self, number: int) -> None:
        self.publisher.publish("news.today", number)

    def work(self, number: int) -> None:
        self.push.send(number, timeout=None)

    def talk(self, number: int) -> None:
        with suppress(zbus.TimeoutExpired):
            self.pair.send(number, timeout=0.1)

    def listen(self, number: int) -> None:
        with suppress(zbus.TimeoutExpired):
            answer = self.pair.recv(timeout=1).body
            self.check(answer > getattr(self, "said", 0), "pair went back to", answer)
            self.said = answer

    def take_publication(self, message: zbus.Message) -> None:
        pid, number = message.body
        heard = self.heard.setdefault(pid, [number if not self.heard else 1, number - 1, 0])
        self.check(number > heard[1], "publication", number, "after", heard[1])
        heard[1] = number
        heard[2] += 1
        self.done["subscriber"] += 1

    def take_work(self, message: zbus.Message) -> None:
        pid, number = message.body
        last = self.fed.get(pid, 0)
        self.check(number > last, "work", number, "after", last)
        self.done["work lost with a connection"] += number - last - 1
        self.fed[pid] = number
        self.done["pull"] += 1

    def churn(self, number: int) -> None:
        """Open two endpoints, use and close them; once in a while leave one to the collector."""
        address = [TCP, f"inproc://soak.{number}"][number % 2]
        with zbus.Pull(bind=address) as pull, zbus.Push(connect=pull.addresses) as push:
            push.send(number, timeout=LONG)
            answer = pull.recv(timeout=LONG).body
            self.check(answer == number, "churn:", answer, "for", number)
        gevent.sleep(0.1)

    # -- the faults ----------------------------------------------------------------------------------

    def strike(self) -> str:
        """Something ends, or stops for a while; returns what."""
        if self.chance.random() < 0.2:
            return self.strike_device(self.chance.choice(sorted(self.devices)))
        key = self.chance.choice(sorted(self.children))
        child = self.children[key]
        if self.chance.random() < 0.3:
            child.pause()
            gevent.sleep(self.chance.random() * 3)
            child.resume()
            return f"stopped {key}"
        child.kill()
        gevent.sleep(self.chance.random())
        self.child(key, child.address)
        return f"killed {key}"

    def strike_device(self, key: str) -> str:
        device = self.devices[key]
        front, back = device.frontend.addresses[0], device.backend.addresses[0]
        if key.endswith("process"):
            os.kill(device._engine._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
            until(lambda: device.state == "closed")
        else:
            device.stop(1)
        self.device(key, front, back)
        return f"ended {key}"

    # -- the end -------------------------------------------------------------------------------------

    def end(self) -> None:
        for key in ("publisher", "feeder-1", "feeder-2"):
            self.children[key].kill()
        for greenlet in self.greenlets:
            self.check(not greenlet.dead, greenlet, greenlet.exception)
        gevent.killall(self.greenlets)
        until(lambda: not self.dispatcher.statistics().waiting)
        missed = sum(last - first + 1 - count for first, last, count in self.heard.values())
        told = self.subscriber.statistics().missed
        self.check(told == missed, "missed", missed, "publications, told of", told)
        every = self.requester, self.replier, self.subscriber, self.pull, self.publisher, self.push, self.pair
        for endpoint in every:
            self.check(not endpoint.statistics().missed_wakeups, endpoint, endpoint.statistics())
        self.check(not self.requester.statistics().waiting, self.requester.statistics())
        self.check(not self.pull.statistics().malformed, self.pull.statistics())


@pytest.fixture
def soak() -> Iterator[Soak]:
    chance = random.Random(seed := random.randrange(2**32))
    print(f"seed {seed}")
    with ExitStack() as stack:
        nursery = stack.enter_context(Nursery("soaked.py"))
        made = Soak(nursery, stack, chance)
        try:
            yield made
        finally:
            nursery.kill()
            gevent.killall(made.greenlets)
            for device in made.devices.values():
                device.close()


@pytest.mark.parametrize("seconds", [5, pytest.param(3600, marks=pytest.mark.soak)])
def test_nothing_is_lost_in_silence_crossed_or_left_over(soak: Soak, seconds: float) -> None:
    soak.begin()
    samples: list[Vitals] = []
    strikes: Counter[str] = Counter()
    began = said = monotonic()
    while (now := monotonic()) < began + seconds:
        strikes[soak.strike()] += 1
        samples.append(Vitals.now())
        gevent.sleep(soak.chance.random())
        assert not soak.wrong
        if now > said + 60:
            said = now
            print(f"{now - began:.0f} s: {sum(strikes.values())} strikes, {samples[-1]}, {dict(soak.done)}", flush=True)
    soak.end()
    print(f"{dict(strikes)}\n{dict(soak.done)}\n{samples[0]} to {samples[-1]}", flush=True)
    assert not soak.wrong
    assert all(soak.done[work] for work in ("ask", "subscriber", "pull", "publish", "work", "talk", "churn"))
    if seconds > 60:
        grown = growth(samples)
        print(f"grown {grown}", flush=True)
        assert grown.kib < 8 * 1024
        assert max(grown.descriptors, grown.greenlets) <= 5
        assert grown.threads <= 1
