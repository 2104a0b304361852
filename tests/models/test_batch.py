"""Open batches, against lists: what is put in comes out once, in order within its topic, within the bounds."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from models.effort import tried

from zbus.wire.batch import Batch, Batches
from zbus.wire.codec import Msgpack

MOST_BYTES = 16

topics = st.sampled_from([b"", b"", b"", b"a", b"b"])
headers = st.sampled_from([None, None, None, b"\x80", b"\x81\xa1a\x01"])
sizes = st.sampled_from([0, 1, 5, 13])  # values of 3, 4, 8 and 16 bytes


class Sender(RuleBasedStateMachine):
    """`open` and `closed` hold batches as ``(topic, headers, values)``, in the order in which they have to come out."""

    @initialize(messages=st.integers(1, 4))
    def opens(self, messages):
        self.messages = messages
        self.batches = Batches(Batch(messages=messages), max_bytes=MOST_BYTES)
        self.open: dict[bytes, tuple[bytes, bytes | None, list[bytes]]] = {}
        self.closed: list[tuple[bytes, bytes | None, list[bytes]]] = []
        self.serial = count()
        self.codec = Msgpack()

    def value(self, size: int) -> bytes:
        """A value unlike any other, of up to `MOST_BYTES`."""
        data = self.codec.encode([next(self.serial), "x" * size])
        return data if len(data) <= MOST_BYTES else self.codec.encode(next(self.serial))

    def took(self, value: bytes, headers: bytes | None, topic: bytes) -> None:
        before = self.open.get(topic)
        if before is not None and (headers != before[1] or len(b"".join([*before[2], value])) > MOST_BYTES):
            self.closed.append(self.open.pop(topic))
        self.open.setdefault(topic, (topic, headers, []))[2].append(value)
        if len(self.open[topic][2]) == self.messages:
            self.closed.append(self.open.pop(topic))

    @rule(size=sizes, headers=headers, topic=topics)
    def adds(self, size, headers, topic):
        value = self.value(size)
        at_once = self.batches.add(value, headers, topic)
        self.took(value, headers, topic)
        assert at_once == bool(self.closed)

    @rule(sizes=st.lists(sizes, min_size=1, max_size=3), first_headers=headers)
    def appends_to_the_plain_one_while_it_has_room(self, sizes, first_headers):
        """As senders do; with perhaps a value with headers before."""
        if first_headers is not None:
            self.adds(1, first_headers, b"")
        for size in sizes:
            value, plain = self.value(size), self.batches.plain
            if plain.left <= 0 or plain.room < len(value):
                self.adds(size, None, b"")
                continue
            plain.values.append(value)
            plain.left -= 1
            plain.room -= len(value)
            closed = len(self.closed)
            self.took(value, None, b"")
            assert len(self.closed) == closed

    @rule()
    def flushes(self):
        self.batches.close_all()
        self.closed += self.open.values()
        self.open = {}

    @rule(batches=st.integers(1, 4))
    def sends_some(self, batches):
        sending = self.batches.drain()
        for batch in sending:
            topic, headers, values = self.closed[0]
            assert (batch.topic, batch.headers, batch.values) == (topic, headers, values)
            assert 1 <= len(values) <= self.messages
            assert len(batch.body()) <= MOST_BYTES
            assert self.codec.decode_many(batch.body()) == list(map(self.codec.decode, values))
            batches -= 1
            if not batches:  # no room for this one: it stays the first
                break
            del self.closed[0]
        sending.close()

    @invariant()
    def counts_what_it_holds(self):
        held = [*self.open.values(), *self.closed]
        assert len(self.batches) == sum(len(values) for _, _, values in held)
        assert bool(self.batches) == bool(held)
        assert (Batches.NONE.left, Batches.NONE.room, Batches.NONE.values) == (0, 0, [])

    def teardown(self):
        if hasattr(self, "batches"):
            self.flushes()
            self.sends_some(1000)
            assert not self.batches
            assert not self.closed


@tried(3)
def test_what_is_put_in_comes_out_once_in_order_and_within_the_bounds(effort):
    run_state_machine_as_test(Sender, settings=effort)
