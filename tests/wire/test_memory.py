"""A server's memory of recent calls: what it knows, what it forgets, and when."""

from __future__ import annotations

from zbus.wire.memory import Memory

A, B, C = [b"a", b""], [b"b", b""], [b"c", b""]


def test_a_new_call_runs_and_its_repeat_gets_the_reply():
    memory = Memory()
    assert memory.begin("", b"k", A, 0.0) is False
    assert memory.finish("", b"k", [b"reply"], 1.0) == []
    assert memory.begin("", b"k", B, 2.0) == [b"reply"]
    assert memory.begin("", b"k", C, 3.0) == [b"reply"]
    assert len(memory) == 1


def test_a_repeat_that_comes_while_the_call_runs_joins_it():
    memory = Memory()
    memory.begin("", b"k", A, 0.0)
    assert memory.begin("", b"k", B, 0.1) is True
    assert memory.begin("", b"k", C, 0.2) is True
    assert memory.finish("", b"k", [b"reply"], 1.0) == [B, C]
    assert memory.begin("", b"k", B, 2.0) == [b"reply"]


def test_the_same_key_of_another_user_is_another_call():
    memory = Memory()
    memory.begin("ann", b"k", A, 0.0)
    assert memory.begin("bob", b"k", B, 0.0) is False
    memory.finish("ann", b"k", [b"for ann"], 0.0)
    assert memory.begin("bob", b"k", C, 0.0) is True
    assert memory.finish("bob", b"k", [b"for bob"], 0.0) == [C]
    assert memory.begin("ann", b"k", A, 0.0) == [b"for ann"]


def test_a_call_that_was_dropped_may_run_again():
    memory = Memory()
    memory.begin("", b"k", A, 0.0)
    memory.begin("", b"k", B, 0.0)
    assert memory.drop("", b"k") == [B]
    assert len(memory) == 0
    assert memory.begin("", b"k", C, 0.0) is False


def test_a_reply_is_forgotten_when_its_time_is_over():
    memory = Memory(seconds=10.0)
    memory.begin("", b"k", A, 0.0)
    memory.finish("", b"k", [b"reply"], 5.0)
    assert memory.begin("", b"k", B, 14.9) == [b"reply"]
    assert memory.begin("", b"k", C, 15.0) is False


def test_what_runs_is_never_forgotten():
    memory = Memory(calls=1, seconds=1.0, size=1)
    memory.begin("", b"long", A, 0.0)
    for number in range(20):
        key = b"%d" % number
        memory.begin("", key, B, number)
        memory.finish("", key, [b"x" * 100], number)
    assert memory.begin("", b"long", C, 1000.0) is True
    assert memory.finish("", b"long", [b"y"], 1000.0) == [C]


def test_past_the_number_of_calls_the_oldest_reply_goes():
    memory = Memory(calls=2)
    for key in (b"1", b"2", b"3"):
        memory.begin("", key, A, 0.0)
        memory.finish("", key, [key], 0.0)
    assert memory.begin("", b"3", A, 0.0) == [b"3"]
    assert memory.begin("", b"2", A, 0.0) == [b"2"]
    assert memory.begin("", b"1", A, 0.0) is False


def test_past_the_bytes_of_replies_the_oldest_goes():
    memory = Memory(size=100)
    for key in (b"1", b"2", b"3"):
        memory.begin("", key, A, 0.0)
        memory.finish("", key, [b"x" * 20, b"y" * 20], 0.0)
    assert len(memory) == 2
    assert memory.begin("", b"1", A, 0.0) is False


def test_a_reply_larger_than_all_the_room_is_given_and_not_kept():
    memory = Memory(size=100)
    memory.begin("", b"k", A, 0.0)
    memory.begin("", b"k", B, 0.0)
    assert memory.finish("", b"k", [b"x" * 101], 0.0) == [B]
    assert len(memory) == 0
    assert memory.begin("", b"k", C, 0.0) is False
