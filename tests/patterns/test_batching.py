"""Many messages in one frame: when a batch is sent, and that it loses nothing."""

from __future__ import annotations

import gevent
import msgpack
import pytest

import zbus

LONG = 5.0
#: A batch that its timer does not close while a test runs.
SLOW = {"seconds": 60.0}


@pytest.fixture
def linked(make, address):
    """Makes a push that batches and a pull that sees the frames, connected."""

    def linked(batch, **options):
        pull = make(zbus.Pull, bind=address, codec="frames")
        push = make(zbus.Push, connect=pull.addresses[0], batch=batch, **options)
        push.wait_for_peers(timeout=LONG)
        return push, pull

    return linked


def values(pull):
    """The values in the next frame."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(pull.recv(timeout=LONG).body[0])
    return list(unpacker)


def test_a_batch_is_sent_when_it_is_full(linked):
    push, pull = linked(zbus.Batch(messages=3, **SLOW))
    for number in range(7):
        push.send(number, timeout=LONG)
    assert values(pull) == [0, 1, 2]
    assert values(pull) == [3, 4, 5]
    assert push.statistics().sent == 7
    assert push.statistics().waiting == 1


def test_a_batch_is_sent_when_its_time_is_over(linked):
    push, pull = linked(zbus.Batch(messages=1000, seconds=0.005))
    push.send("one", timeout=LONG)
    push.send("two", timeout=LONG)
    assert values(pull) == ["one", "two"]
    push.send("three", timeout=LONG)
    assert values(pull) == ["three"]


def test_flush_sends_what_is_open(linked):
    push, pull = linked(zbus.Batch(**SLOW))
    push.flush(timeout=LONG)
    push.send("one", timeout=LONG)
    push.flush(timeout=LONG)
    push.flush(timeout=LONG)
    assert values(pull) == ["one"]
    assert push.statistics().waiting == 0


def test_close_sends_what_is_open(linked):
    push, pull = linked(zbus.Batch(**SLOW))
    for number in range(5):
        push.send(number, timeout=LONG)
    push.close()
    assert values(pull) == [0, 1, 2, 3, 4]


def test_other_headers_close_a_batch(linked, make):
    push, pull = linked(zbus.Batch(**SLOW))
    for number, headers in enumerate([None, None, {"a": 1}, {"a": 1}, {"a": 2}, None]):
        push.send(number, headers=headers, timeout=LONG)
    push.flush(timeout=LONG)
    got = [pull.recv(timeout=LONG).body for _ in range(4)]
    assert [frames[0] for frames in got] == [b"\x00\x01", b"\x02\x03", b"\x04", b"\x05"]
    assert [[msgpack.unpackb(frame) for frame in frames[1:]] for frames in got] == [[], [{"a": 1}], [{"a": 2}], []]


def test_headers_are_those_of_the_call(linked):
    push, pull = linked(zbus.Batch(**SLOW))
    headers = {"a": 1}
    push.send(1, headers=headers, timeout=LONG)
    headers["a"] = 2
    push.send(2, headers=headers, timeout=LONG)
    push.flush(timeout=LONG)
    assert [pull.recv(timeout=LONG).body[1] for _ in range(2)] == [b"\x81\xa1a\x01", b"\x81\xa1a\x02"]


def test_a_batch_stays_below_the_largest_message(linked):
    push, pull = linked(zbus.Batch(**SLOW), max_message_bytes=100)
    for _ in range(10):
        push.send(b"x" * 40, timeout=LONG)
    with pytest.raises(zbus.MessageTooLarge):
        push.send(b"x" * 100, timeout=LONG)
    push.flush(timeout=LONG)
    assert [values(pull) for _ in range(5)] == [[b"x" * 40] * 2] * 5


def test_batched_messages_arrive_one_by_one_in_order(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0], batch=zbus.Batch(messages=7))
    for number in range(100):
        push.send(number, headers={"half": number // 50}, timeout=LONG)
    got = [pull.recv(timeout=LONG) for _ in range(50)]
    got += [message for _, message in zip(range(50), pull, strict=False)]
    assert [message.body for message in got] == list(range(100))
    assert [message.headers["half"] for message in got] == [0] * 50 + [1] * 50
    assert pull.statistics().received == push.statistics().sent == 100
    assert pull.statistics().waiting == 0


def test_a_full_queue_reaches_the_sender_and_loses_nothing(make, address):
    pull = make(zbus.Pull, bind=address, high_water_mark=2)
    push = make(zbus.Push, connect=pull.addresses[0], high_water_mark=2, batch=zbus.Batch(messages=2, **SLOW))
    push.wait_for_peers(timeout=LONG)
    sent, body, full = 0, b"x" * 50_000, False
    with gevent.Timeout(LONG):
        while not full:
            try:
                push.send([sent, body], timeout=0.05)
                sent += 1
            except zbus.TimeoutExpired:
                full = True
    numbers = [pull.recv(timeout=LONG).body[0] for _ in range(sent - sent % 2)]
    assert numbers == list(range(sent - sent % 2))
    push.send([sent, body], timeout=LONG)
    push.flush(timeout=LONG)
    assert [pull.recv(timeout=LONG).body[0] for _ in range(sent + 1 - len(numbers))][-1] == sent
    with pytest.raises(zbus.TimeoutExpired):
        pull.recv(timeout=0.01)
    assert pull.statistics().received == push.statistics().sent


@pytest.mark.parametrize("messages", [1, 2, 3])
@pytest.mark.parametrize("way", ["on its own", "after a flush that expired", "after a flush that was killed"])
def test_what_was_taken_goes_out_once_there_is_room(make, address, messages, way):
    push = make(zbus.Push, bind=address, batch=zbus.Batch(messages=messages, seconds=0.005))
    for number in range(min(messages, 2)):
        push.send(number, timeout=LONG)
    if way == "after a flush that expired":
        with pytest.raises(zbus.TimeoutExpired):
            push.flush(timeout=0.05)
    elif way == "after a flush that was killed":
        flushing = gevent.spawn(push.flush)
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            flushing.join()
        flushing.kill()
    pull = make(zbus.Pull, connect=push.addresses[0])
    assert [pull.recv(timeout=LONG).body for _ in range(min(messages, 2))] == list(range(min(messages, 2)))


def test_close_sends_everything_while_others_still_send(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0], batch=zbus.Batch(messages=5, **SLOW))
    push.wait_for_peers(timeout=LONG)
    taken = []

    def send(who):
        try:
            for number in range(1000):
                push.send([who, number])
                taken.append([who, number])
        except zbus.Closed:
            return

    senders = [gevent.spawn(send, who) for who in range(3)]
    got = [pull.recv(timeout=LONG).body for _ in range(100)]
    push.close()
    gevent.joinall(senders, timeout=LONG, raise_error=True)
    got += [pull.recv(timeout=LONG).body for _ in range(len(taken) - len(got))]
    assert sorted(got)[: len(taken)] == sorted(taken)


def test_what_an_abandoned_iteration_left_is_received_next(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0], batch=zbus.Batch(messages=6, **SLOW))
    for number in range(6):
        push.send(number, timeout=LONG)
    for message in pull:
        assert message.body == 0
        break
    assert pull.statistics().waiting == 5
    assert pull.recv(timeout=LONG).body == 1
    seen = []

    def work():
        for message in pull:
            seen.append(message.body)
            gevent.sleep(60)

    worker = gevent.spawn(work)
    gevent.idle()
    worker.kill()
    assert seen == [2]
    assert [message.body for _, message in zip(range(3), pull, strict=False)] == [3, 4, 5]


@pytest.mark.parametrize("way", ["recv", "iter"])
def test_a_batch_is_shared_among_those_who_wait(make, address, way):
    """One takes the frame; the others do not wait for him to come back for the rest."""
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0], batch=zbus.Batch(messages=5, **SLOW))
    push.wait_for_peers(timeout=LONG)
    take = {"recv": lambda: pull.recv(timeout=LONG).body, "iter": lambda: next(iter(pull)).body}[way]
    takers = [gevent.spawn(take) for _ in range(5)]
    gevent.idle()
    for number in range(5):
        push.send(number, timeout=LONG)
    assert sorted(taker.get(timeout=2) for taker in takers) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cls", [zbus.Push, zbus.Publisher])
def test_a_batch_needs_a_codec_that_ends_its_values(cls):
    for codec in ("json", "raw", "frames"):
        with pytest.raises(ValueError, match="msgpack"):
            cls(bind="inproc://x", batch=zbus.Batch(), codec=codec)
    for batch in (5, True, {"messages": 5}):
        with pytest.raises(TypeError, match="Batch"):
            cls(bind="inproc://x", batch=batch)


@pytest.mark.parametrize("wrong", [{"messages": 0}, {"messages": 1.5}, {"seconds": 0}, {"seconds": -1}])
def test_a_batch_without_bounds_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        zbus.Batch(**wrong)
