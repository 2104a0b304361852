"""The text of an authorised file: what a line may be, and that any text at all is a value or a `ValueError`, soon."""

from __future__ import annotations

import re
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.effort import QUICK
from security.chain import shown

from zbus.green.curve import raw, z85
from zbus.security import users
from zbus.security.users import User, parse

ZOE, MAX = (z85(bytes([number]) * 32).decode() for number in (1, 2))
#: Good keys with the sign of a comment as far in front as it can be, and with that of an option.
HASH, DASH = "0#" + "0" * 38, "-" + "0" * 39
#: The longest text tried, and the seconds of this thread's own time that it may take; it is 0.05 on a slow machine.
LONGEST, SOON = 2**16, 0.5


def test_a_line_is_a_name_a_key_and_roles():
    text = f"zoe {ZOE}\n\n  max\t{MAX}  admin   sensors \r\n"
    assert parse(text) == {
        raw(ZOE): User("zoe", frozenset()),
        raw(MAX): User("max", frozenset({"admin", "sensors"})),
    }


def test_comments_stand_on_a_line_of_their_own_or_behind_and_a_key_may_hold_their_sign():
    text = f"# x {ZOE}\n#\n   # {ZOE}\nzoe {HASH} admin #{MAX} boss\nmax {MAX} # {ZOE}\n"
    assert parse(text) == {raw(HASH): User("zoe", frozenset({"admin"})), raw(MAX): User("max", frozenset())}


def test_no_key_starts_with_the_sign_of_a_comment():
    assert z85(b"\xff" * 32).startswith(b"%")  # the highest
    with pytest.raises(ValueError, match="beyond 32 bits"):
        raw("#" + "0" * 39)


def test_two_lines_may_share_a_name_each_with_its_own_roles():
    table = parse(f"zoe {ZOE} reader\nzoe {MAX}\nzoe {DASH} reader reader\n")
    assert [user.name for user in table.values()] == ["zoe"] * 3
    assert [len(user.roles) for user in table.values()] == [1, 0, 1]


@pytest.mark.parametrize("text", ["", "\n", "# nobody", "\n \t\r\n"])
def test_an_empty_file_authorises_nobody(text):
    assert parse(text) == {}


def test_the_example_in_the_docstring_is_good():
    example = [line for line in users.__doc__.split("\n") if line.startswith("    ")]
    assert [user.name for user in parse("\n".join(example)).values()] == ["zoe", "zoe", "plant"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("zoe", "a name without a key"),
        (ZOE, "a name without a key"),
        (f"{ZOE} zoe", "40 characters, not 3"),
        (f"{ZOE[:39]}% {MAX}", "a name or role is 1 to 64"),
        (f"zoe # {ZOE}", "a name without a key"),
        (f"zoe {ZOE[:39]}", "40 characters, not 39"),
        (f"zoe {ZOE[:20]} {ZOE[20:]}", "a name or role is|40 characters, not 20"),
        (f"zoe {ZOE[:39]}~", "not among Z85's"),
        (f"zoe {'%' * 40}", "beyond 32 bits"),
        (f"zoé {ZOE}", "a name or role is"),
        (f"{'z' * 65} {ZOE}", "a name or role is"),
        (f"zoe/max {ZOE}", "a name or role is"),
        (f"zoe {ZOE} {'r' * 65}", "a name or role is"),
        (f"zoe {ZOE} admin,reader", "a name or role is"),
        (f"zoe\0 {ZOE}", "a name or role is"),
        (f"max {MAX} admin", "the key of line 2 again"),
    ],
)
def test_one_bad_line_refuses_the_whole_and_is_named_by_file_and_number(line, wrong):
    with pytest.raises(ValueError, match=f"({wrong})") as caught:
        parse(f"# who\nmax {MAX}\n\n{line}\nzoe {DASH}\n", "keys/who")
    told = shown(caught.value)
    assert "keys/who, line 4: " in told
    assert ZOE[:8] not in told
    assert MAX[:8] not in told


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\r"])
def test_only_a_newline_ends_a_comment(sign):
    assert parse(f"# a comment{sign}zoe {ZOE}\n") == {}


words = ["zoe", "max", "#", "", " ", "\t", "\r", "\n", "\0", "é", "r" * 64, "r" * 65, "\ud800", ZOE, MAX, DASH, ZOE[1:]]
lines = [f"zoe {ZOE}\n", f"\nmax {MAX} r s", f"\nzoe {DASH} # r\n"]
pieces = st.sampled_from(words + lines) | st.text(max_size=4)
texts = st.tuples(st.lists(pieces, max_size=8), st.sampled_from([1, 1, 2, 1000, LONGEST]))


@settings(QUICK, max_examples=100)
@given(texts)
def test_any_text_is_users_or_a_value_error_soon(given):
    text = (" ".join(given[0]) * given[1])[:LONGEST]
    began = thread_time()
    table, error = {}, None
    try:
        table = parse(text)
    except ValueError as raised:
        error = raised
    assert thread_time() - began < SOON
    assert all(len(key) == 32 and user.name in text for key, user in table.items())
    assert error is None or (re.match("the authorised file, line [0-9]+: ", str(error)) and len(str(error)) < 200)


def test_as_many_users_as_fit_are_read_soon():
    many = "".join(f"u{number} {z85(number.to_bytes(32, 'big')).decode()} r\n" for number in range(1300))[:LONGEST]
    began = thread_time()
    assert len(parse(many[: many.rindex("\n")])) > 1200
    assert thread_time() - began < SOON
