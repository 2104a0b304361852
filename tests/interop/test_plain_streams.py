"""PUSH, PULL and PAIR with plain peers in other processes, in each codec."""

from __future__ import annotations

import json

import gevent
import pytest
from interop.process import plain

from zbus import Batch, Message, Pair, Pull, Push

TCP = "tcp://127.0.0.1:*"


def bodies(pull: Pull | Pair, count: int) -> list[object]:
    return [pull.recv(timeout=5).body for _ in range(count)]


def test_what_a_plain_push_sends_is_received() -> None:
    with Pull(bind=TCP) as pull, plain("push", pull.addresses[0], 1, '{"a": [null, "é"]}', "2.5"):
        assert bodies(pull, 3) == [1, {"a": [None, "é"]}, 2.5]
        assert pull.statistics().received == 3


def test_a_pull_that_connects_receives_too() -> None:
    with plain("push", TCP, 1, 2) as peer, Pull(connect=peer.line()) as pull:
        assert bodies(pull, 2) == [1, 2]


def test_several_values_in_one_frame_are_several_messages() -> None:
    with Pull(bind=TCP) as pull, plain("push_many", pull.addresses[0], 1, '"two"', "[3]", "null"):
        assert bodies(pull, 4) == [1, "two", [3], None]
        assert pull.statistics().waiting == 0


def test_several_values_in_one_frame_are_iterated_over_one_by_one() -> None:
    with Pull(bind=TCP) as pull, plain("push_many", pull.addresses[0], 1, 2, 3):
        found = []
        for message in pull:
            found.append(message.body)
            if message.body == 3:
                break
        assert found == [1, 2, 3]


def test_a_plain_pull_receives_one_frame_a_message() -> None:
    with Push(bind=TCP) as push, plain("pull", push.addresses[0], 3) as peer:
        for body in (1, {"a": None}, "é"):
            push.send(body, timeout=5)
        assert peer.line() == "ready"
        assert [json.loads(peer.line()) for _ in range(3)] == [1, {"a": None}, "é"]
        assert peer.ended() == 0


def test_a_push_that_connects_before_the_plain_pull_is_bound_loses_nothing() -> None:
    with plain("pull", TCP, 1) as reserved:
        address = reserved.line()
    with Push(connect=address) as push:
        for number in range(20):
            push.send(number, timeout=5)
        with plain("pull", f"={address}", 20) as peer:
            peer.line()
            assert [json.loads(peer.line()) for _ in range(20)] == list(range(20))


def test_headers_are_a_second_frame_and_only_where_asked_for() -> None:
    with Push(bind=TCP) as push, plain("pull_frames", push.addresses[0], 2) as peer:
        push.send(1, timeout=5)
        push.send(1, timeout=5, headers={"a": 2})
        peer.line()
        assert [json.loads(peer.line()) for _ in range(2)] == [["\x01"], ["\x01", "\x81\xa1a\x02"]]


def test_a_batch_is_one_frame_to_a_plain_pull() -> None:
    with (
        Push(bind=TCP, batch=Batch(messages=3, seconds=60)) as push,
        plain("pull_frames", push.addresses[0], 1) as peer,
    ):
        for number in (1, 2, 3):
            push.send(number, timeout=5)
        peer.line()
        assert json.loads(peer.line()) == ["\x01\x02\x03"]


def test_a_plain_pair_is_answered_both_ways() -> None:
    with Pair(bind=TCP) as pair, plain("pair", pair.addresses[0], 2) as peer:
        assert peer.line() == "ready"
        assert pair.recv(timeout=5) == Message("hello")
        for body in ({"n": 1}, [None, b"\0"]):
            pair.send(body, timeout=5)
            assert pair.recv(timeout=5).body == body


def test_a_pair_that_connects_to_a_plain_one_sends_and_receives_at_once() -> None:
    with plain("pair", TCP, 50) as peer, Pair(connect=peer.line()) as pair:
        sender = gevent.spawn(lambda: [pair.send(number, timeout=5) for number in range(50)])
        assert bodies(pair, 51) == ["hello", *range(50)]
        sender.get(timeout=5)


def test_a_plain_push_in_json_is_received() -> None:
    with Pull(bind=TCP, codec="json") as pull, plain("push_json", pull.addresses[0], '{"a": "é"}', "[1, 2]"):
        assert bodies(pull, 2) == [{"a": "é"}, [1, 2]]


def test_a_plain_pull_in_json_receives() -> None:
    with Push(bind=TCP, codec="json") as push, plain("pull_json", push.addresses[0], 2) as peer:
        push.send({"a": "é"}, timeout=5)
        push.send([1, 2], timeout=5)
        peer.line()
        assert [json.loads(peer.line()) for _ in range(2)] == [{"a": "é"}, [1, 2]]


def test_raw_bytes_come_and_go_as_they_are() -> None:
    with Pull(bind=TCP, codec="raw") as pull, plain("push_frames", pull.addresses[0], "not msgpack"):
        assert pull.recv(timeout=5).body == b"not msgpack"
    with Push(bind=TCP, codec="raw") as push, plain("pull_frames", push.addresses[0], 1) as peer:
        push.send(b"as it is", timeout=5)
        peer.line()
        assert json.loads(peer.line()) == ["as it is"]


@pytest.mark.parametrize("count", [1, 2, 12])
def test_the_frames_of_a_foreign_message_come_and_go_as_they_are(count: int) -> None:
    frames = ["", *map(str, range(count - 1))]
    with Pull(bind=TCP, codec="frames") as pull, plain("push_frames", pull.addresses[0], *frames):
        assert pull.recv(timeout=5).body == [frame.encode() for frame in frames]
    with Push(bind=TCP, codec="frames") as push, plain("pull_frames", push.addresses[0], 1) as peer:
        push.send([frame.encode() for frame in frames], timeout=5)
        peer.line()
        assert json.loads(peer.line()) == frames
