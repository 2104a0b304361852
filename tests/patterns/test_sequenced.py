"""Numbered publications: gaps, restarts, last values."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from time import monotonic

import gevent
import msgpack
import pytest
import zmq

import zbus

LONG = 5.0


@pytest.fixture
def speak(make, address):
    def speak(**options):
        return make(zbus.Publisher, **{"bind": address, "sequenced": True, **options})

    return speak


def listen(make, speaker, events=None, topics="#", **options):
    listener = make(zbus.Subscriber, connect=speaker.addresses[0], topics=topics, on_event=events, **options)
    speaker.wait_for_subscribers("a", timeout=LONG)
    return listener


def drain(listener):
    """Every body up to "end"."""
    bodies = []
    while not bodies or bodies[-1] != "end":
        bodies.append(listener.recv(timeout=LONG).body)
    return bodies[:-1]


def test_a_gap_is_told_with_its_exact_count(make, events, speak):
    speaker = speak(high_water_mark=2)
    listener = listen(make, speaker, events, high_water_mark=2)
    body, received = b"x" * 100_000, []
    speaker.publish("a", [0])
    received.append(listener.recv(timeout=LONG).body[0])
    for number in range(1, 300):
        speaker.publish("a", [number, body])
    with gevent.Timeout(LONG):
        while received[-1] < 300:
            try:
                received.append(listener.recv(timeout=0.02).body[0])
            except zbus.TimeoutExpired:
                speaker.publish("a", [speaker.statistics().sent])
    lost = received[-1] + 1 - len(received)
    assert lost > 0
    assert listener.statistics().missed == lost
    gap = events.wait_for("gap")
    assert gap.address == speaker.addresses[0]
    assert gap.reason.startswith("a: ")
    told = [there - here - 1 for here, there in pairwise(received) if there > here + 1]
    events.wait_for("gap", len(told))
    assert [event.missed for event in events if event.kind == "gap"] == told


def test_who_comes_late_has_missed_nothing(make, events, speak):
    speaker = speak()
    for number in range(5):
        speaker.publish("a", number)
    listener = listen(make, speaker, events)
    speaker.publish("a", 5)
    speaker.publish("a", "end")
    assert drain(listener) == [5]
    assert listener.statistics().missed == 0
    assert "gap" not in events.kinds
    assert "restarted" not in events.kinds


def test_each_topic_counts_by_itself(make, events, speak):
    speaker = speak()
    listener = listen(make, speaker, events)
    for number in range(20):
        speaker.publish("a" if number % 3 else "b", number)
    speaker.publish("c", "end")
    assert drain(listener) == list(range(20))
    assert listener.statistics().missed == listener.statistics().repeated == 0


def test_what_passes_while_unsubscribed_is_not_missed(make, events, speak):
    speaker = speak()
    listener = listen(make, speaker, events, topics=["a", "z"])
    speaker.publish("a", 1)
    assert listener.recv(timeout=LONG).body == 1
    listener.unsubscribe("a")
    listener.subscribe("b")
    speaker.wait_for_subscribers("b", timeout=LONG)
    for number in range(5):
        speaker.publish("a", number)
    listener.subscribe("a")
    speaker.wait_for_subscribers("a", timeout=LONG)
    speaker.publish("a", "end")
    assert drain(listener) == []
    assert listener.statistics().missed == 0
    assert "gap" not in events.kinds


@pytest.mark.parametrize("last_value", [False, True])
def test_a_restart_of_the_publisher_is_no_gap(make, events, speak, last_value):
    speaker = speak(last_value=last_value)
    where = speaker.addresses[0]
    listener = listen(make, speaker, events)
    for number in range(3):
        speaker.publish("a", number)
        assert listener.recv(timeout=LONG).body == number
    speaker.close()
    events.wait_for("disconnected")
    again = speak(bind=where, last_value=last_value)
    again.wait_for_subscribers("a", timeout=LONG)
    again.publish("a", "first")
    assert listener.recv(timeout=LONG).body == "first"
    restarted = events.wait_for("restarted")
    assert restarted.missed == 0
    again.publish("a", "second")
    assert listener.recv(timeout=LONG).body == "second"
    assert events.kinds.count("restarted") == 1
    assert "gap" not in events.kinds
    assert listener.statistics().missed == 0


def test_what_a_restarted_publisher_said_before_we_came_back_is_counted(make, events, speak, inproc_address):
    speaker = speak()
    listener = listen(make, speaker, events)
    speaker.publish("a", 0)
    listener.recv(timeout=LONG)
    listener.disconnect(speaker.addresses[0])
    speaker.close()
    again = speak(bind=inproc_address + ".again")
    for number in range(4):
        again.publish("a", number)
    listener.connect(again.addresses[0])
    again.wait_for_subscribers("a", timeout=LONG)
    again.publish("a", "end")
    assert drain(listener) == []
    assert events.wait_for("restarted").missed == 4
    assert listener.statistics().missed == 4


def test_two_publishers_of_one_topic_are_told_apart(make, events, speak, inproc_address):
    speakers = [speak(), speak(bind=inproc_address + ".other")]
    listener = make(
        zbus.Subscriber, connect=[speaker.addresses[0] for speaker in speakers], topics="a", on_event=events
    )
    for speaker in speakers:
        speaker.wait_for_subscribers("a", timeout=LONG)
    for number in range(20):
        for speaker in speakers:
            speaker.publish("a", number)
    got = [listener.recv(timeout=LONG).body for _ in range(40)]
    assert sorted(got) == sorted([*range(20)] * 2)
    assert listener.statistics().missed == listener.statistics().repeated == 0
    events.wait_for("connected", 2)
    assert events.kinds == ["connected"] * 2


def test_who_speaks_before_his_connection_is_told_of_has_not_restarted(make, events, plain_socket):
    sockets = [plain_socket(zmq.XPUB) for _ in range(2)]
    ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in sockets]
    listener = make(zbus.Subscriber, connect=[f"tcp://127.0.0.1:{port}" for port in ports], topics="a", on_event=events)
    assert listener.peers == 0
    for number, socket in enumerate(sockets):
        assert socket.recv() == b"\x01a"  # blocks the hub, so that nobody reads that we are connected
        headers = {"sequence": [b"publish%d" % number, 100 + number]}
        socket.send_multipart([b"a", msgpack.packb(number), msgpack.packb(headers)])
        assert recv_without_the_hub(listener).body == number
    assert listener.statistics().missed == 0
    events.wait_for("connected", 2)
    assert events.kinds == ["connected"] * 2


@pytest.fixture
def plain_socket():
    context, sockets = zmq.Context(), []
    try:
        yield lambda kind: sockets.append(context.socket(kind)) or sockets[-1]
    finally:
        for socket in sockets:
            socket.close(0)
        context.term()


def recv_without_the_hub(listener):
    deadline = monotonic() + LONG
    while monotonic() < deadline:
        with contextlib.suppress(zbus.TimeoutExpired):
            return listener.recv(timeout=0)
    raise AssertionError("nothing came")


@pytest.mark.parametrize("batch", [None, zbus.Batch(messages=3, seconds=60.0)])
def test_the_newest_value_is_there_for_who_comes_late(make, events, speak, batch):
    speaker = speak(last_value=True, sequenced=False, batch=batch)
    for number in range(6):
        for topic in ("a", "b", "ab"):
            speaker.publish(topic, number)
    speaker.flush()
    listener = make(zbus.Subscriber, connect=speaker.addresses[0], topics=["a", "b"], on_event=events)
    got = [listener.recv(timeout=LONG) for _ in range(2)]
    assert {message.topic: message.body for message in got} == {"a": 5, "b": 5}
    assert all(message.headers["retained"] is True for message in got)
    for number in range(6, 9):
        speaker.publish("a", number)
    speaker.flush()
    got = [listener.recv(timeout=LONG) for _ in range(3)]
    assert [message.body for message in got] == [6, 7, 8]
    assert not any("retained" in message.headers for message in got)
    assert listener.statistics().missed == 0
    assert "gap" not in events.kinds


def test_a_last_value_reaches_a_subscriber_that_was_there_first(make, speak):
    speaker = speak(last_value=True)
    listener = listen(make, speaker)
    speaker.publish("a", 1)
    message = listener.recv(timeout=LONG)
    assert (message.body, "retained" in message.headers) == (1, False)


def test_those_who_had_it_do_not_get_it_again(make, speak):
    speaker = speak(last_value=True)
    early = listen(make, speaker)
    for number in range(3):
        speaker.publish("a", number)
        assert early.recv(timeout=LONG).body == number
    late = [make(zbus.Subscriber, connect=speaker.addresses[0], topics="a") for _ in range(3)]
    for listener in late:
        assert listener.recv(timeout=LONG).body == 2
    speaker.publish("a", "end")
    assert drain(early) == []
    assert [drain(listener) for listener in late] == [[], [], []]
    assert early.statistics().received == 4
    assert early.statistics().repeated >= 1


def test_many_last_values_all_come(make, speak):
    speaker = speak(last_value=True, high_water_mark=5000)
    for number in range(2000):
        speaker.publish(f"a.{number}", number)
    listener = make(zbus.Subscriber, connect=speaker.addresses[0], topics="a.*", high_water_mark=5000)
    assert {listener.recv(timeout=LONG).body for _ in range(2000)} == set(range(2000))


def test_headers_that_leave_no_room_for_the_number_are_refused_at_the_call(make, events, speak):
    """And take no number with them."""
    for batch in (None, zbus.Batch(messages=2, seconds=60.0)):
        with speak(last_value=True, batch=batch) as speaker:
            listener = listen(make, speaker, events)
            speaker.publish("a", 1)
            for size in range(3900, 4096, 10):
                try:
                    speaker.publish("a", 2, headers={"x": "y" * size})
                except ValueError:
                    break
            else:
                pytest.fail("headers of any size were taken")
            speaker.publish("a", "end")
            speaker.flush(timeout=LONG)
            drain(listener)
            assert listener.statistics().missed == 0
            assert listener.statistics().malformed == 0


def test_a_sequence_that_is_none_is_malformed(make, address):
    speaker = make(zbus.Publisher, bind=address)
    listener = make(zbus.Subscriber, connect=speaker.addresses[0], topics="a")
    speaker.wait_for_subscribers("a", timeout=LONG)
    for sequence in (None, 5, [], [b"id"], [b"id", 0], [b"id", "1"], [1, 1], ["id", 1], [b"id", 1, 2], [b"id", True]):
        speaker.publish("a", 1, headers={"sequence": sequence})
    speaker.publish("a", "end")
    assert len(drain(listener)) <= 1  # a true is a 1 to Python
    assert listener.statistics().malformed >= 9
