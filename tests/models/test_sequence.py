"""Numbered publications, against who said what and who heard which: losses, restarts, repeats, late joiners."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from unittest import mock

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

from zbus.wire import sequence
from zbus.wire.sequence import LastValues, Numbering, Seen, Tracker

#: Ids remembered under a topic, so few that restarts come past it, and no fewer than there are publishers.
IDS = 2

Frame = tuple[str, bytes, int, int]  # topic, id, the first number, how many values

topics = st.sampled_from("aaab")


class Subscriber:
    """A tracker, and what it ought to know: the numbers heard of each id, by topic; the id heard longest ago first."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.heard: dict[str, dict[bytes, set[int]]] = defaultdict(dict)

    def hears(self, frame: Frame, said: int, peers: int) -> None:
        """Compare what the tracker says with what this id said under the topic before the frame: 1 to `said`."""
        topic, publisher, first, count = frame
        known = self.heard[topic]
        values = known.pop(publisher, set())
        told = self.tracker.observe(topic, publisher, first, count=count, peers=lambda: peers)
        if not values:
            restarted = len(known) >= peers
            assert told == Seen(fresh=True, missed=said if restarted else 0, restarted=restarted)
        elif first <= max(values):
            assert told == Seen(fresh=False)
        else:
            assert told == Seen(fresh=True, missed=len(set(range(max(values) + 1, said + 1))))
        if told.fresh:
            values |= set(range(first, first + count))
        known[publisher] = values
        if len(known) > IDS:
            del known[next(iter(known))]


class Air(RuleBasedStateMachine):
    """One or two publishers that keep their last values, and subscribers that come one by one."""

    @initialize(publishers=st.sampled_from([1, 2, 2]))
    def begins(self, publishers):
        self.ids = mock.patch.object(sequence, "MAX_PUBLISHERS", IDS)
        self.ids.start()
        self.serial = count(1)
        self.subscribers = [Subscriber()]
        self.publishers = [self.publisher() for _ in range(publishers)]
        self.frames: list[Frame] = []

    def teardown(self):
        if hasattr(self, "ids"):
            self.ids.stop()

    def publisher(self) -> Numbering:
        return Numbering(b"%08d" % next(self.serial))

    def reaches(self, subscriber: Subscriber, frame: Frame) -> None:
        subscriber.hears(frame, frame[2] - 1, len(self.publishers))

    @rule(which=st.integers(0, 1), topic=topics, count=st.integers(1, 3), data=st.data())
    def publishes(self, which, topic, count, data):
        publisher = self.publishers[which % len(self.publishers)]
        before = sum(n for t, p, _, n in self.frames if (t, p) == (topic, publisher.publisher))
        frame = (topic, *publisher.next(topic.encode(), count), count)
        assert frame[1:3] == (publisher.publisher, before + 1)
        self.frames.append(frame)
        for subscriber in self.subscribers:
            for _ in range(data.draw(st.sampled_from([0, 1, 1, 1, 2]))):
                self.reaches(subscriber, frame)

    @rule(which=st.integers(0, 1))
    def restarts(self, which):
        self.publishers[which % len(self.publishers)] = self.publisher()

    @precondition(lambda self: len(self.subscribers) < 4)
    @rule()
    def joins(self):
        """The last value of each topic is said again, to all, with the number of that very value."""
        self.subscribers.append(Subscriber())
        ids = [publisher.publisher for publisher in self.publishers]
        last = {(t, p): first + n - 1 for t, p, first, n in self.frames if p in ids}
        for (topic, publisher), number in last.items():
            for subscriber in self.subscribers:
                self.reaches(subscriber, (topic, publisher, number, 1))

    @precondition(lambda self: self.frames)
    @rule(data=st.data(), which=st.integers(0, 3))
    def an_old_frame_comes_again(self, data, which):
        frame = data.draw(st.sampled_from(self.frames))
        self.reaches(self.subscribers[which % len(self.subscribers)], frame)

    @rule(topic=topics, which=st.integers(0, 3))
    def a_topic_is_given_up(self, topic, which):
        subscriber = self.subscribers[which % len(self.subscribers)]
        subscriber.tracker.forget_unless(lambda known: known != topic)
        subscriber.heard.pop(topic, None)


@tried(3)
def test_what_is_reported_missed_is_what_was_lost_and_a_restart_is_no_gap(effort):
    run_state_machine_as_test(Air, settings=effort)


class Late(RuleBasedStateMachine):
    """`said` has each topic's last value, silent longest first; `wanted` the topics to be said again, in order."""

    @initialize(most=st.integers(1, 4))
    def begins(self, most):
        self.most = most
        self.values = LastValues(topics=most)
        self.serial = count()
        self.said: dict[bytes, tuple[bytes, bytes]] = {}
        self.wanted: set[bytes] = set()

    @rule(topic=st.sampled_from([b"a", b"a.b", b"a.c", b"b", b"b.c"]))
    def is_published(self, topic):
        self.said.pop(topic, None)
        self.said[topic] = value = (b"%d" % next(self.serial), b"\x80")
        self.values.keep(topic, *value)
        if len(self.said) > self.most:
            gone = next(iter(self.said))
            del self.said[gone]
            self.wanted.discard(gone)

    @rule(prefix=st.sampled_from([b"", b"a", b"a.", b"b", b"c"]))
    def somebody_subscribes(self, prefix):
        self.values.want(prefix)
        self.wanted |= {topic for topic in self.said if topic.startswith(prefix)}

    @rule(count=st.integers(1, 3))
    def some_go_out(self, count):
        due = self.values.due(count)
        assert len(due) == min(count, len(self.wanted))
        assert {topic for topic, _, _ in due} <= self.wanted
        assert all((body, headers) == self.said[topic] for topic, body, headers in due)
        assert len({topic for topic, _, _ in due}) == len(due)
        self.wanted -= {topic for topic, _, _ in due}

    @invariant()
    def holds_no_more_than_it_may_and_knows_what_is_left_to_say(self):
        assert len(self.values) == len(self.said) <= self.most
        assert self.values.waiting == len(self.wanted)


@tried(3)
def test_who_comes_late_is_due_the_newest_of_each_topic_once(effort):
    run_state_machine_as_test(Late, settings=effort)
