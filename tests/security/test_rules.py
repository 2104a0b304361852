"""Who may do what: each sentence about rules by example, then decisions against a naive reading of the rules, and that
no subscription which is granted brings a topic that is not allowed."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.effort import QUICK, tried

from zbus.security import rules as module
from zbus.security.rules import VERBS, Rule, Rules, parse, read
from zbus.wire.topic import PatternTree

NOBODY: frozenset[str] = frozenset()
ADMIN = frozenset({"admin"})
#: The seconds of this thread's own time that what came from the network may take; it is 0.01 on a slow machine.
SOON = 0.5


def rules(*lines: str) -> Rules:
    return Rules(parse("\n".join(lines)))


# What a line may be


def test_a_rule_is_a_subject_an_effect_a_verb_and_a_pattern():
    text = "# who\n\nzoe allow publish a.*.b\n  @admin\tdeny  request #  \r\n   # * deny send #\n* allow subscribe a.#"
    assert parse(text) == (
        Rule("zoe", True, "publish", "a.*.b"),
        Rule("@admin", False, "request", "#"),
        Rule("*", True, "subscribe", "a.#"),
    )


def test_the_example_in_the_docstring_is_good():
    example = rules(*(line for line in module.__doc__.split("\n") if line.startswith("    ")))
    assert repr(example) == "<Rules: 5>"
    assert example.allows("plant", NOBODY, "publish", "plant.secret.core")
    assert example.allows("zoe", NOBODY, "subscribe", "plant.heat")
    assert not example.allows("zoe", ADMIN, "subscribe", "plant.secret.core")
    assert example.allows("zoe", ADMIN, "request", "reactor.2.start")
    assert not example.allows("zoe", ADMIN, "request", "reactor.2.stop")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("zoe", "1 words, not 4; write 'SUBJECT allow|deny VERB PATTERN'"),
        ("zoe allow publish", "3 words, not 4"),
        ("zoe allow publish a # b", "6 words, not 4; .* a comment on a line of its own"),
        ("@ allow publish a", "a name or role is 1 to 64"),
        ("@@a allow publish a", "a name or role is 1 to 64"),
        ("@* allow publish a", "a name or role is 1 to 64"),
        ("** allow publish a", "a name or role is 1 to 64"),
        ("zoé allow publish a", "a name or role is 1 to 64"),
        (f"{'z' * 65} allow publish a", "a name or role is 1 to 64"),
        ("\ufeff* allow publish a", "a name or role is 1 to 64"),
        ("zoe Allow publish a", "neither allow nor deny; write"),
        ("zoe publish allow a", "neither allow nor deny"),
        ("zoe deny call a", "no verb; write request, publish, subscribe or send"),
        ("zoe deny * a", "no verb"),
        ("zoe deny publish a.<x>", r"named word; write '\*'"),
        ("zoe deny publish <1>.a", "named word"),
        ("zoe deny publish a*", r"not for a part of one; write 'a.\*' or 'a.#'"),
        ("zoe deny publish a.#b.c", "not for a part of one"),
        ("zoe deny publish **", "not for a part of one"),
        (f"zoe deny publish {'é' * 128}", "at most 255 bytes and no NUL; write a shorter one"),
        ("zoe deny publish a\0", "at most 255 bytes and no NUL; .* one without it"),
        ("zoe deny publish a\udce9", "not UTF-8; save the rules as UTF-8"),
        ("zoe allow subscribe a.b", "ZeroMQ subscribes to prefixes.* write 'a.b.#'"),
        ("zoe allow subscribe a.*", "ZeroMQ subscribes to prefixes.* write 'a.#'"),
        ("zoe allow subscribe a.*.#", "ZeroMQ subscribes to prefixes.* write 'a.#'"),
        ("zoe allow subscribe a.#.b", "ZeroMQ subscribes to prefixes.* write 'a.#'"),
        ("zoe allow subscribe a.#.b.#", "ZeroMQ subscribes to prefixes.* write 'a.#'"),
        ("zoe allow subscribe #.b", "ZeroMQ subscribes to prefixes.* write '#'"),
        ("zoe allow subscribe *", "ZeroMQ subscribes to prefixes.* write '#'"),
        ("zoe allow subscribe .*", "ZeroMQ subscribes to prefixes.* write '.#'"),
    ],
)
def test_one_bad_line_refuses_the_whole_and_is_named_by_source_and_number(line, wrong):
    with pytest.raises(ValueError, match=wrong) as caught:
        parse(f"# who\n* allow publish #\n\n{line}\nmax deny send a\n", "etc/rules")
    assert str(caught.value).startswith("etc/rules, line 4: ")


@pytest.mark.parametrize("pattern", ["#", "a.#", "a.b.#", ".#", "a..#", "<.#"])
def test_what_can_be_subscribed_to_as_a_prefix_can_be_allowed(pattern):
    assert [rule.pattern for rule in parse(f"* allow subscribe {pattern}")] == [pattern]


@pytest.mark.parametrize("pattern", ["a", "*", "a.*.b", "#.b", "a.#.b"])
def test_any_pattern_of_topics_can_be_denied_or_stand_for_another_verb(pattern):
    lines = [f"* deny subscribe {pattern}", *(f"* allow {verb} {pattern}" for verb in VERBS if verb != "subscribe")]
    assert len(parse("\n".join(lines))) == 4


# Where they come from


def test_they_are_read_from_a_file_by_path(tmp_path):
    path = tmp_path / "rules"
    path.write_bytes(b"# Jos\xe9\n* allow send a\n")
    path.chmod(0o644)
    for one in (path, str(path)):
        assert read(one).allows("zoe", NOBODY, "send", "a")
    path.write_text("* allow send\n")
    with pytest.raises(ValueError, match=f"{path}, line 1: "):
        read(path)


def test_they_are_read_from_lines_with_or_without_their_ends():
    for lines in (["# a", "* allow send a"], ("# a\n", "* allow send a\n"), iter(["# a\n* allow send a"])):
        found = read(lines)
        assert (found.allows("zoe", NOBODY, "send", "a"), found.allows("zoe", NOBODY, "send", "b")) == (True, False)
    with pytest.raises(ValueError, match="the rules, line 2: "):
        read(["# a\n", "zoe\n"])
    with pytest.raises(TypeError, match="a line of rules is a str, not int"):
        read(b"* allow send a")


def test_a_file_that_others_may_write_or_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "rules"
    with pytest.raises(FileNotFoundError, match="write it, or give the rules as a list of lines"):
        read(path)
    path.write_text("* allow send a\n")
    path.chmod(0o664)
    with pytest.raises(PermissionError, match="chmod go-w"):
        read(path)


def test_a_file_without_a_rule_does_not_open_everything(tmp_path):
    path = tmp_path / "rules"
    path.write_text("# * allow send a\n\n")
    path.chmod(0o644)
    with pytest.raises(ValueError, match="it holds no rule: empty, or cut short"):
        read(path)


# What they allow


def test_without_a_rule_everything_is_allowed():
    for none in (Rules(), read([]), rules("# nothing")):
        assert not none
        assert none.allows("zoe", NOBODY, "publish", "a" * 1000)
        assert none.grant("zoe", NOBODY, b"a") == b"a"


def test_with_any_rule_what_no_rule_allows_is_denied():
    some = rules("zoe deny publish a")
    assert some
    assert not any(some.allows("max", ADMIN, verb, "b") for verb in VERBS)
    assert some.grant("max", ADMIN, b"b") is None


def test_a_deny_wins_over_an_allow_wherever_it_stands():
    for lines in (["* allow send #", "zoe deny send a"], ["zoe deny send a", "zoe allow send a", "* allow send #"]):
        some = rules(*lines)
        assert not some.allows("zoe", NOBODY, "send", "a")
        assert some.allows("zoe", NOBODY, "send", "b")
        assert some.allows("max", NOBODY, "send", "a")


def test_a_rule_is_for_a_user_for_those_with_a_role_or_for_everybody():
    some = rules("zoe allow send a", "@zoe allow send b", "* allow send c")
    who = [("zoe", NOBODY), ("max", frozenset({"zoe", "x"})), ("@zoe", NOBODY), ("*", NOBODY), ("", frozenset({""}))]
    assert ["".join(name for name in "abc" if some.allows(*one, "send", name)) for one in who] == [
        "ac",
        "bc",
        "c",
        "c",
        "c",
    ]


def test_a_rule_is_for_its_verb_only():
    some = rules("* allow publish a", "* deny send a", "* allow send #")
    assert [some.allows("zoe", NOBODY, verb, "a") for verb in [*VERBS, "", "x"]] == [False, True, *[False] * 4]


def test_a_message_that_names_no_command_is_for_the_wildcards():
    for pattern, allowed in [("#", True), ("*", True), ("a", False), ("a.#", False), ("*.*", False), ("a.*", False)]:
        assert rules(f"* allow request {pattern}").allows("zoe", NOBODY, "request", "") is allowed
        assert not rules("* allow request #", "* deny request *").allows("zoe", NOBODY, "request", "")


def test_any_name_from_the_network_is_decided_and_soon():
    some = rules(
        "* allow send #", "* deny send #.a.*.a.#.a.*.b", "* deny send a.#.a.#.a.#.*.c", "* deny send *.#.#.#.d"
    )
    began = thread_time()
    for name in ["*", "#", "<x>", "\0", "\udce9", "日本", "a" * 255, "." * 255, "a." * 127]:
        assert some.allows("zoe", NOBODY, "send", name)
    for name in ["a" * 256, "a." * 2**22]:
        assert not some.allows("zoe", NOBODY, "send", name)
    assert thread_time() - began < SOON


def test_decisions_are_kept_and_they_are_bounded(monkeypatch):
    looked = []
    match = PatternTree.match
    monkeypatch.setattr(module, "CACHE", 3)
    monkeypatch.setattr(PatternTree, "match", lambda tree, name: looked.append(name) or match(tree, name))
    some = rules("zoe allow send a", "* deny publish #")
    for name in "aabb":
        assert some.allows("zoe", NOBODY, "send", name) is (name == "a")
    assert looked == ["a", "b"]
    assert not some.allows("max", NOBODY, "send", "a")  # the same name, but not the same question
    assert not some.allows("zoe", ADMIN, "publish", "a")
    assert some.allows("zoe", ADMIN, "send", "a")
    for number in range(20):
        some.allows("zoe", NOBODY, "send", str(number))
        some.allows("zoe", NOBODY, "send", "x" * 1000)
        assert len(some._known) <= 3
        assert max(len(name) for *_, name in some._known) < 256


# What they grant


@pytest.mark.parametrize(
    ("lines", "asked", "granted"),
    [
        ("#", b"", b""),
        ("#", b"a", b"a"),
        ("a.#", b"a.", b"a."),
        ("a.#", b"a.b", b"a.b"),
        ("a.#", b"a.\xff\0", b"a.\xff\0"),
        ("a.#", b"a", b"a."),
        ("a.#", b"ab", None),
        ("a.#", b"", None),
        ("a.b.#", b"a.b", b"a.b."),
        ("a.b.#", b"a.", None),
        ("a.b.#", b"a", None),
        (".#", b"", b"."),
        (".#", b".a", b".a"),
        (".#", b"a", None),
        ("a..#", b"a.", b"a.."),
        ("é.#", "é".encode(), "é.".encode()),
        ("a.#,#", b"a", b"a"),
        ("a.#,b.#", b"b", b"b."),
    ],
)
def test_what_is_granted_is_covered_by_what_is_allowed(lines, asked, granted):
    some = rules(*(f"zoe allow subscribe {pattern}" for pattern in lines.split(",")))
    assert some.grant("zoe", NOBODY, asked) == granted
    assert some.grant("max", ADMIN, asked) is None


@pytest.mark.parametrize(
    ("denied", "asked", "granted"),
    [
        ("a.b", b"a", None),
        ("a.b", b"a.b.c", None),
        ("a.b", b"a.c", b"a.c"),
        ("a.b.#", b"a.b", None),
        ("a.b.#", b"a.bc", None),  # more than need be
        ("a.*.c", b"a.b", None),
        ("a.*.c", b"b", b"b"),
        ("*.c", b"a", None),
        ("#", b"a", None),
        ("ab", b"a", b"a."),  # as the narrower rule allows
        ("b.#", b"a", b"a"),
    ],
)
def test_a_deny_refuses_what_it_could_touch(denied, asked, granted):
    some = rules("* allow subscribe #", "* allow subscribe a.#", f"@admin deny subscribe {denied}", "* deny send #")
    assert some.grant("zoe", ADMIN, asked) == granted
    assert some.grant("zoe", NOBODY, asked) == asked


def test_a_prefix_is_narrowed_only_to_what_one_rule_allows():
    lines = ["* allow subscribe #", "* deny subscribe ab"]
    assert rules(*lines).grant("zoe", NOBODY, b"a") is None
    assert rules(*lines, "* allow subscribe a.b.#").grant("zoe", NOBODY, b"a") is None
    assert rules(*lines, "@admin allow subscribe a.#").grant("zoe", NOBODY, b"a") is None
    assert rules(*lines, "@admin allow subscribe a.#").grant("zoe", ADMIN, b"a") == b"a."


def test_only_rules_for_subscribers_grant_or_refuse():
    assert rules("* allow publish #").grant("zoe", NOBODY, b"a") is None
    assert rules("* allow subscribe #", "* deny publish #").grant("zoe", NOBODY, b"a") == b"a"


# Against a naive reading

#: Everybody there is; one name is a role's, too.
EVERYBODY = [
    (user, roles)
    for user in ("zoe", "max")
    for roles in (NOBODY, ADMIN, frozenset({"zoe", "x"}), frozenset({"zoe", "admin"}))
]


def joined(words: list[str], most: int) -> list[str]:
    return [".".join(some) for length in range(1, most + 1) for some in product(words, repeat=length)]


letters = ["a", "ab", ""]
TOPICS = joined(letters, 3)
topics = st.sampled_from(TOPICS)
PREFIXES = sorted({topic[:end].encode() for topic in TOPICS for end in range(len(topic) + 1)})
stems = st.just("#") | st.sampled_from(["#", *(f"{words}.#" for words in joined(letters, 2))])
patterns = st.sampled_from("*#") | st.sampled_from([pattern for pattern in joined([*letters, "*", "#"], 3) if pattern])
subjects = st.sampled_from(["*", "*", "zoe", "@zoe", "@admin", "max"])
some_rules = st.lists(
    st.builds(Rule, subjects, st.just(True), st.just("subscribe"), stems)
    | st.builds(Rule, subjects, st.just(False), st.just("subscribe"), patterns | topics.filter(bool))
    | st.builds(Rule, subjects, st.sampled_from([True, True, False]), st.just("send"), patterns),
    max_size=6,
)


def matches(pattern: list[str], said: list[str]) -> bool:
    if not pattern or not said:
        return set(pattern) <= {"#"} and not said
    if pattern[0] == "#":
        return matches(pattern[1:], said) or matches(pattern, said[1:])
    return pattern[0] in ("*", said[0]) and matches(pattern[1:], said[1:])


def may(rules: list[Rule], user: str, roles: frozenset[str], verb: str, name: str) -> bool:
    him = {"*", user, *("@" + role for role in roles)}
    found = [
        rule.allow
        for rule in rules
        if rule.subject in him and rule.verb == verb and matches(rule.pattern.split("."), name.split("."))
    ]
    return not rules or (True in found and False not in found)


@tried(8)
def test_what_is_allowed_is_what_a_naive_reading_of_the_rules_allows(effort):
    """Row AC-1: ten thousand pairs of rules and a topic."""
    seen: Counter[bool] = Counter()

    @effort
    @given(some_rules, st.sampled_from(["send", "subscribe"]), st.lists(topics, min_size=20, max_size=40))
    def check(listed, verb, said):
        made = Rules(listed)
        for (user, roles), name in product(EVERYBODY, said):
            wanted = may(listed, user, roles, verb, name)
            assert made.allows(user, roles, verb, name) is made.allows(user, roles, verb, name) is wanted
            seen[wanted] += bool(listed)

    check()
    assert min(seen[True], seen[False]) > 100
    assert seen.total() > 10_000


@tried(4)
def test_no_topic_comes_by_what_is_granted_that_is_not_allowed(effort):
    """Row AC-1."""
    seen: Counter[str] = Counter()

    @effort
    @given(some_rules)
    def check(listed):
        made = Rules(listed)
        for (user, roles), prefix in product(EVERYBODY, PREFIXES):
            granted = made.grant(user, roles, prefix)
            assert granted in (None, prefix, prefix + b".")
            seen["refused" if granted is None else "whole" if granted == prefix else "narrowed"] += 1
            for topic in TOPICS:
                if granted is not None and topic.encode().startswith(granted):
                    assert made.allows(user, roles, "subscribe", topic)
                    seen["came"] += bool(listed)

    check()
    assert min(seen[what] for what in ("refused", "whole", "narrowed", "came")) > 20


words = [
    "*",
    "zoe",
    "@r",
    "allow",
    "deny",
    *VERBS,
    "#",
    "a.#",
    "a.*",
    "<x>",
    "a*",
    "",
    "\n",
    "\r",
    "\0",
    "\ud800",
    "\x85",
]
good = [["* allow send #\n"], ["@r", "deny", "publish", "a.*"], ["zoe", "allow", "subscribe", "a.#"]]
pieces = st.sampled_from(good) | st.lists(st.sampled_from(words) | st.text(max_size=4), max_size=5)
texts = st.tuples(st.lists(pieces, max_size=4), st.sampled_from([1, 1, 2, 200]))


@settings(QUICK, max_examples=150)
@given(texts)
def test_any_text_is_rules_or_a_value_error_soon(drawn):
    text = "\n".join(" ".join(piece) for piece in drawn[0] * drawn[1])
    began = thread_time()
    found, error = (), None
    try:
        found = parse(text)
    except ValueError as raised:
        error = raised
    assert thread_time() - began < SOON
    assert parse("\n".join(f"{one[0]} {'allow' if one[1] else 'deny'} {one[2]} {one[3]}" for one in found)) == found
    assert error is None or (re.match("the rules, line [0-9]+: ", str(error)) and len(str(error)) < 300)
