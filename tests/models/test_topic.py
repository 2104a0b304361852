"""Which topics a subscriber gets, against the rules of AMQP word by word, while patterns come and go."""

from __future__ import annotations

from unittest import mock

import pytest
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

from zbus.wire import subscription
from zbus.wire.subscription import Subscriptions
from zbus.wire.topic import Pattern, PatternTree

#: Verdicts kept, so few that a run comes past it.
CACHE = 3

letters = st.sampled_from(["a", "b", "ab", "", "é", "<", "日本"])
topics = st.lists(letters | st.sampled_from("*#"), min_size=1, max_size=5).map(".".join)
parts = st.one_of(letters, letters, st.sampled_from("*##"), st.sampled_from(["<x>", "<y>"]))
patterns = (
    st.lists(parts, min_size=1, max_size=5)
    .filter(lambda words: words.count("<x>") < 2 and words.count("<y>") < 2)
    .map(".".join)
    .filter(bool)
)
prefixes = topics.map(str.encode).flatmap(lambda data: st.integers(0, len(data)).map(lambda end: data[:end]))


def named(word: str) -> bool:
    return word in ("<x>", "<y>", "<z>")


def stands_for(asked: list[str], said: list[str]) -> dict[str, str] | None:
    """The rules as they are written: the word for each name, with every ``#`` as short as it can be; None: no match."""
    if not asked:
        return None if said else {}
    if asked[0] == "#":
        ways = (stands_for(asked[1:], said[taken:]) for taken in range(len(said) + 1))
        return next((found for found in ways if found is not None), None)
    if not said or not (asked[0] in ("*", said[0]) or named(asked[0])):
        return None
    rest = stands_for(asked[1:], said[1:])
    return {asked[0][1:-1]: said[0], **rest} if rest is not None and named(asked[0]) else rest


def found(pattern: str, topic: str) -> dict[str, str] | None:
    return stands_for(pattern.split("."), topic.split("."))


class Subscriber(RuleBasedStateMachine):
    """`asked` is what was subscribed to and not given up; `registered` what stands in a tree: pattern and number."""

    @initialize(said=st.lists(topics, min_size=2, max_size=5, unique=True))
    def listens(self, said):
        self.cache = mock.patch.object(subscription, "CACHE", CACHE)
        self.cache.start()
        self.said: list[str] = said
        self.asked: list[str | bytes] = []
        self.subscriptions = Subscriptions()
        self.tree: PatternTree[int] = PatternTree()
        self.registered: list[tuple[str, int]] = []

    def teardown(self):
        if not hasattr(self, "cache"):
            return
        self.cache.stop()
        for topic in self.asked:
            self.subscriptions.remove(topic)
        for text, value in self.registered:
            self.tree.remove(Pattern(text), value)
        for tree in (self.tree, self.subscriptions._tree):
            assert not tree._root.children
        assert not self.subscriptions
        assert not list(self.subscriptions.prefixes)

    @rule(data=st.data())
    def subscribes_to_what_is_said(self, data):
        """A pattern that may well match: a topic with some of its words replaced, or more of them."""
        words = data.draw(st.sampled_from(self.said)).split(".") + data.draw(st.sampled_from([[], ["#"], ["*"]]))
        pattern = ".".join(
            data.draw(st.sampled_from([word, word, "*", "#", "<z>" if n == 1 else word]))
            for n, word in enumerate(words)
        )
        if pattern:
            self.subscribes(pattern)
            self.registers(pattern, 1)

    @rule(topic=patterns | prefixes)
    def subscribes(self, topic):
        self.subscriptions.add(topic)
        self.asked.append(topic)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def takes_back(self, data):
        topic = data.draw(st.sampled_from(self.asked))
        self.subscriptions.remove(topic)
        self.asked.remove(topic)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def subscribes_again(self, data):
        self.subscribes(data.draw(st.sampled_from(self.asked)))

    @rule(topic=patterns | prefixes | st.sampled_from(["", "<1>", "a\0"]))
    def takes_back_or_asks_for_what_is_not_there(self, topic):
        if topic not in self.asked:
            with pytest.raises(ValueError):
                self.subscriptions.remove(topic)
        if topic in ("", "<1>", "a\0"):
            with pytest.raises(ValueError):
                self.subscriptions.add(topic)

    @rule(text=patterns, value=st.integers(1, 2))
    def registers(self, text, value):
        self.tree.add(Pattern(text), value)
        self.registered.append((text, value))

    @precondition(lambda self: self.registered)
    @rule(data=st.data())
    def is_removed(self, data):
        one = data.draw(st.sampled_from(self.registered))
        self.tree.remove(Pattern(one[0]), one[1])
        self.registered.remove(one)

    @rule(text=patterns, value=st.integers(1, 3))
    def is_not_there_to_be_removed(self, text, value):
        pattern = Pattern(text)
        if (pattern.words, value) not in [(Pattern(other).words, its) for other, its in self.registered]:
            with pytest.raises(KeyError):
                self.tree.remove(pattern, value)

    @invariant()
    def gets_what_the_rules_say(self):
        for topic in self.said:
            name = topic.encode()
            wanted = any(
                name.startswith(asked) if isinstance(asked, bytes) else found(asked, topic) is not None
                for asked in self.asked
            )
            assert self.subscriptions.match(name) == (topic if wanted else None)
            matching = [asked for asked in self.asked if isinstance(asked, str) and found(asked, topic) is not None]
            assert all(name.startswith(Pattern(asked).prefix) for asked in matching)
            values = [value for text, value in self.registered if found(text, topic) is not None]
            assert sorted(self.tree.match(topic)) == sorted(values)

    @invariant()
    def each_name_stands_for_its_word(self):
        for text in {text for text, _ in self.registered}:
            for topic in self.said:
                words = found(text, topic)
                assert words is None or Pattern(text).words_in(topic) == words

    @invariant()
    def zeromq_is_asked_once_for_each_prefix_and_the_cache_is_bounded(self):
        asked = [topic if isinstance(topic, bytes) else Pattern(topic).prefix for topic in self.asked]
        assert sorted(self.subscriptions.prefixes) == sorted(set(asked))
        assert all(self.subscriptions.times(prefix) == asked.count(prefix) for prefix in asked)
        assert len(self.subscriptions._known) <= CACHE


@tried()
def test_a_topic_comes_exactly_when_what_is_subscribed_to_matches_it(effort):
    run_state_machine_as_test(Subscriber, settings=effort)
