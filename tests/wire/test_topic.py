"""Topics, patterns, and the tree of them."""

from __future__ import annotations

import pytest
from fuzz.cost import cost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zbus.errors import ProtocolError
from zbus.wire.topic import MAX_TOPIC_BYTES, Pattern, PatternTree, decode_topic, encode_topic

moderate = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

words = st.sampled_from(["a", "b", "ab", "", "é"])
topics = st.lists(words, min_size=1, max_size=6).map(".".join).filter(bool)


def tree(*texts: str) -> PatternTree[str]:
    found: PatternTree[str] = PatternTree()
    for text in texts:
        found.add(Pattern(text), text)
    return found


# -- topics ------------------------------------------------------------------------------------------


@moderate
@given(topics)
def test_a_topic_goes_there_and_back(topic):
    assert decode_topic(encode_topic(topic)) == topic


def test_a_topic_may_be_as_long_as_the_limit_in_bytes():
    assert encode_topic("x" * MAX_TOPIC_BYTES) == b"x" * MAX_TOPIC_BYTES
    assert decode_topic(b"x" * MAX_TOPIC_BYTES) == "x" * MAX_TOPIC_BYTES
    for topic in ("x" * (MAX_TOPIC_BYTES + 1), "é" * (MAX_TOPIC_BYTES // 2 + 1), "x" * 65_536):
        with pytest.raises(ValueError, match="at most 255 bytes"):
            encode_topic(topic)
        with pytest.raises(ProtocolError, match="limit"):
            decode_topic(topic.encode())


@pytest.mark.parametrize("topic", ["*", "#", "a.*", "a.#.b", "a.<b>", "<b>"])
def test_nobody_publishes_under_a_wildcard(topic):
    with pytest.raises(ValueError, match="wildcard"):
        encode_topic(topic)


@pytest.mark.parametrize("topic", ["a*", "*a", "a.#b", "<>", "a.<b", "<a.b>", "..", "."])
def test_a_star_or_hash_within_a_word_is_a_letter(topic):
    assert decode_topic(encode_topic(topic)) == topic


@pytest.mark.parametrize("topic", ["", "a\0b", "\ud800"])
def test_what_is_no_topic_is_refused_at_the_call(topic):
    with pytest.raises(ValueError):
        encode_topic(topic)


@pytest.mark.parametrize("topic", [b"a", None, 5, ["a"]])
def test_a_topic_is_text(topic):
    with pytest.raises(TypeError, match="a topic is a str"):
        encode_topic(topic)


@pytest.mark.parametrize("data", [b"\xff", b"a.\xc3", b"\xed\xa0\x80", b"\0", b"a\0b", b"x" * 256, b"x" * 65_536])
def test_a_bad_topic_frame_is_a_protocol_error(data):
    with pytest.raises(ProtocolError) as caught:
        decode_topic(data)
    assert len(str(caught.value)) < 100


def test_an_empty_topic_frame_is_an_empty_topic():
    assert decode_topic(b"") == ""


# -- patterns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("px.a", b"px.a"),
        ("px.#", b"px"),
        ("px.*", b"px."),
        ("px.*.a", b"px."),
        ("px.a.#.b", b"px.a"),
        ("px.<name>.#", b"px."),
        ("#", b""),
        ("*", b""),
        ("#.a", b""),
        ("*.a", b""),
        ("é.#", "é".encode()),
        (".*", b"."),
        (".#", b""),
        ("a*.b", b"a*.b"),
    ],
)
def test_zeromq_is_asked_for_the_literal_start(pattern, prefix):
    assert Pattern(pattern).prefix == prefix


def test_named_words_stand_for_one_word_each_and_keep_their_names():
    pattern = Pattern("orders.<region>.<kind>.#")
    assert pattern.names == ("region", "kind")
    assert pattern.words == ("orders", "*", "*", "#")


@pytest.mark.parametrize("text", ["", "a.<1>", "a.<b c>", "<a>.<a>", "a\0", "x" * 256, "\ud800"])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(ValueError):
        Pattern(text)


def test_a_pattern_is_text():
    with pytest.raises(TypeError):
        Pattern(b"a")


# -- the tree ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("px.a", ["px.a"], ["px.ab", "px", "px.a.b", "px.a.", "PX.a"]),
        ("px.#", ["px", "px.a", "px.a.b", "px."], ["pxa", "p", "a.px"]),
        ("px.*", ["px.a", "px."], ["px", "px.a.b"]),
        ("#", ["px", "px.a.b", "."], []),
        ("*", ["px"], ["px.a"]),
        ("#.a", ["a", "b.a", "a.a", "b.b.a"], ["a.b", "ba"]),
        ("a.#.b", ["a.b", "a.x.b", "a.x.y.b", "a.b.b"], ["a", "b", "a.x", "ab"]),
        ("#.#", ["a", "a.b"], []),
        ("*.#", ["a", "a.b"], []),
        ("#.*.#", ["a", "a.b.c"], []),
        ("*.*", ["a.b", "."], ["a", "a.b.c"]),
        ("a..b", ["a..b"], ["a.b", "a.x.b"]),
    ],
)
def test_which_topics_match(pattern, yes, no):
    one = tree(pattern)
    assert [topic for topic in yes if not one.match(topic)] == []
    assert [topic for topic in no if one.match(topic)] == []


def test_wildcards_in_a_topic_that_came_in_are_letters():
    one = tree("a.b", "a.*", "#")
    assert sorted(one.match("a.*")) == ["#", "a.*"]
    assert sorted(one.match("a.#")) == ["#", "a.*"]
    assert tree("#.b").match("#.c") == []


def test_the_same_pair_may_stand_twice_and_goes_once_at_a_time():
    one = tree("a.*", "a.*")
    assert one.match("a.b") == ["a.*", "a.*"]
    one.remove(Pattern("a.<x>"), "a.*")
    assert one.match("a.b") == ["a.*"]


def test_removing_what_is_not_there_is_a_key_error_and_changes_nothing():
    one = tree("a.b")
    for pattern, value in (("a.b", "other"), ("a", "a"), ("a.b.c", "a.b.c"), ("x", "x")):
        with pytest.raises(KeyError):
            one.remove(Pattern(pattern), value)
    assert one.match("a.b") == ["a.b"]


def test_many_hashes_cost_no_more_than_words_times_branches():
    one = tree(".".join(["#", "a"] * 50))
    assert one.match(".".join(["a"] * 120)) != []
    assert one.match(".".join(["a"] * 120 + ["b"])) == []


def test_a_run_of_hashes_is_one():
    assert Pattern("a.#.#.b.#").words == Pattern("a.#.b.#.#").words == ("a", "#", "b", "#")
    assert Pattern("#.#.<x>.#").words_in("a.b") == {"x": "a"}
    assert tree("a.#.#").match("a") == ["a.#.#"]


@pytest.mark.parametrize(
    "patterns",
    [
        [".".join("#" * 128)],
        [".".join("#" * before + "a" + "#" * (127 - before)) for before in range(128)],
        [".".join(["#", "*"] * 64)],
        [".".join(["a", "#"] * length) for length in range(1, 65)],
    ],
    ids=["hashes", "a word anywhere among hashes", "hashes and stars", "words and hashes"],
)
def test_patterns_as_long_as_can_be_cost_little_to_match(patterns):
    topic = ".".join("a" * 128)
    found = tree(*patterns)
    assert sorted(found.match(topic)) == sorted(patterns)
    assert not cost(lambda: found.match(topic), len(topic)).dear
