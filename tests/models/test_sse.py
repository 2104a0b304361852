"""One client's queue of events, against a list of all that was put in: sent, told as dropped, or waiting."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from models.effort import tried

from zbus.web.sse import HELLO, Client, event
from zbus.wire.subscription import Subscriptions


class Browser(RuleBasedStateMachine):
    """It reads only when there is something to read, so that it never waits."""

    @initialize(limit=st.integers(1, 4))
    def connects(self, limit):
        self.limit = limit
        self.client = Client(Subscriptions("#"), limit)
        self.chunks = self.client.chunks(60.0)
        assert next(self.chunks) == HELLO
        self.serial = count()
        self.put: list[bytes] = []
        self.gone = self.told = 0  # how many of `put` are out of the queue, and how many of those were told as dropped
        self.sent: list[bytes] = []
        self.open = True

    @precondition(lambda self: self.open)
    @rule(events=st.integers(1, 7))
    def gets(self, events):
        for _ in range(events):
            self.put.append(event("a", next(self.serial)))
            self.client.put(self.put[-1])

    @precondition(lambda self: len(self.put) > self.gone)
    @rule()
    def reads(self):
        waiting = self.put[self.gone :]
        dropped, kept = len(waiting[: -self.limit]), waiting[-self.limit :]
        told = event("dropped", dropped) if dropped else b""
        assert next(self.chunks) == told + b"".join(kept)
        self.gone, self.told = len(self.put), self.told + dropped
        self.sent += kept

    @rule()
    def is_closed(self):
        self.client.close()
        self.open = False

    @precondition(lambda self: not self.open and len(self.put) == self.gone)
    @rule()
    def reads_to_the_end(self):
        assert list(self.chunks) == []

    @invariant()
    def nothing_goes_uncounted(self):
        untold = max(len(self.put) - self.gone - self.limit, 0)
        assert self.client.dropped == self.told + untold
        assert len(self.sent) + self.told == self.gone
        assert self.sent == sorted(self.sent, key=self.put.index)


@tried()
def test_an_event_is_sent_once_in_order_or_told_as_dropped(effort):
    run_state_machine_as_test(Browser, settings=effort)
