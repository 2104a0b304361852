"""PUSH and PULL: one after the other, and each message to one of them."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import gevent
import pytest
from waiting import until

import zbus
from zbus.patterns.pipeline import Push

LONG = 5.0


def test_pulls_are_served_in_turn(make, address):
    push = make(zbus.Push, bind=address)
    pulls = [make(zbus.Pull, connect=push.addresses[0]) for _ in range(3)]
    push.wait_for_peers(3, timeout=LONG)
    for number in range(30):
        push.send(number, timeout=LONG)
    shares = [[pull.recv(timeout=LONG).body for _ in range(10)] for pull in pulls]
    assert sorted(chain(*shares)) == list(range(30))
    for share in shares:
        assert share == list(range(share[0], 30, 3))


def test_pushes_are_heard_fairly(make, address):
    pull = make(zbus.Pull, bind=address)
    pushes = [make(zbus.Push, connect=pull.addresses[0]) for _ in range(3)]
    for who, push in enumerate(pushes):
        push.wait_for_peers(timeout=LONG)
        for _ in range(100):
            push.send(who, timeout=LONG)
    heard = Counter(pull.recv(timeout=LONG).body for _ in range(300))
    assert heard == {0: 100, 1: 100, 2: 100}


def test_send_waits_until_there_is_a_pull(make, address):
    push = make(zbus.Push, bind=address)
    with pytest.raises(zbus.TimeoutExpired, match="there is no peer"):
        push.send("nobody", timeout=0)
    sending = [gevent.spawn(push.send, number, timeout=LONG) for number in range(5)]
    gevent.idle()
    pull = make(zbus.Pull, connect=push.addresses[0])
    assert [pull.recv(timeout=LONG).body for _ in range(5)] == [0, 1, 2, 3, 4]
    gevent.joinall(sending, timeout=LONG, raise_error=True)
    assert push.statistics().sent == 5


def test_a_connecting_push_keeps_its_queue_until_the_pull_is_there(make, address):
    if address.startswith("tcp"):
        with zbus.Pull(bind=address) as taken:
            address = taken.addresses[0]
    push = make(zbus.Push, connect=address)
    for number in range(100):
        push.send(number, timeout=0)
    pull = make(zbus.Pull, bind=address)
    assert [pull.recv(timeout=LONG).body for _ in range(100)] == list(range(100))


def test_a_pull_that_leaves_is_passed_over(make, address):
    push = make(zbus.Push, bind=address)
    leaving, staying = (make(zbus.Pull, connect=push.addresses[0]) for _ in range(2))
    push.wait_for_peers(2, timeout=LONG)
    leaving.close()
    until(lambda: push.peers == 1)
    in_a_row = 0
    while in_a_row < 2:  # libzmq tells of a lost peer a moment before it stops sending to it
        push.send("is he gone?", timeout=LONG)
        try:
            staying.recv(timeout=0.3)
            in_a_row += 1
        except zbus.TimeoutExpired:
            in_a_row = 0
    for number in range(10):
        push.send(number, timeout=LONG)
    assert [staying.recv(timeout=LONG).body for _ in range(10)] == list(range(10))


def test_many_greenlets_iterate_one_pull(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0])
    shares = [[] for _ in range(8)]

    def work(share):
        for message in pull:
            share.append(message.body)
            gevent.idle()

    workers = [gevent.spawn(work, share) for share in shares]
    for number in range(400):
        push.send(number, timeout=LONG)
    with gevent.Timeout(LONG):
        while sum(map(len, shares)) < 400:
            gevent.idle()
    assert sorted(chain(*shares)) == list(range(400))
    assert sum(map(bool, shares)) > 1
    push.close()
    pull.close()
    gevent.joinall(workers, timeout=LONG, raise_error=True)


def test_a_killed_reader_takes_no_message_with_it(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0])
    push.wait_for_peers(timeout=LONG)
    taken = []

    def work():
        while True:
            taken.append(pull.recv().body)

    for number in range(100):
        workers = [gevent.spawn(work) for _ in range(3)]
        gevent.sleep(0)
        push.send(number, timeout=LONG)
        gevent.killall(workers[:2], block=False)
        gevent.sleep(0)
        gevent.killall(workers)
    while len(taken) < 100:
        taken.append(pull.recv(timeout=LONG).body)
    assert taken == list(range(100))
    assert pull.statistics().missed_wakeups == 0


def test_gevent_timeouts_lose_nothing(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0])
    push.wait_for_peers(timeout=LONG)
    got = []
    for number in range(100):
        push.send(number, timeout=LONG)
        with gevent.Timeout(0.0005, False):
            while True:
                got.append(pull.recv().body)
    while len(got) < 100:
        got.append(pull.recv(timeout=LONG).body)
    assert got == list(range(100))


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xc1", b"\x93\x01", b"\x01\xc1", b"\x01\x02\x92", b"\xdd\xff\xff\xff\xff", b"\xa1\xff"],
    ids=["empty", "reserved", "short", "bad tail", "short tail", "lying length", "no UTF-8"],
)
def test_a_frame_with_a_bad_part_is_refused_whole(make, address, frame):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0], codec="raw")
    push.send(frame, timeout=LONG)
    push.send(b"\x2a", timeout=LONG)
    assert pull.recv(timeout=LONG).body == 42
    push.send(frame, timeout=LONG)
    push.send(b"\x2b", timeout=LONG)
    assert next(iter(pull)).body == 43
    assert pull.statistics().malformed == 2
    assert pull.statistics().received == 2


def test_too_many_frames_are_refused(make, address):
    pull = make(zbus.Pull, bind=address)
    push = make(zbus.Push, connect=pull.addresses[0], codec="frames")
    for frames in ([b"\x01", b"\x80", b"\x80"], [b"\x01"] * 100, [b"\x01", b"\x01"], [b"\x01", b""], [b"\x2a"]):
        push.send(frames, timeout=LONG)
    assert pull.recv(timeout=LONG).body == 42
    assert pull.statistics().malformed == 4


def test_frames_go_as_they_are(make, address):
    pull = make(zbus.Pull, bind=address, codec="frames")
    push = make(zbus.Push, connect=pull.addresses[0], codec="frames")
    for frames in ([b"one"], [b"a", b"", b"b"], [b""]):
        push.send(frames, timeout=LONG)
        assert pull.recv(timeout=LONG).body == frames


def test_only_what_it_can_do_is_there():
    assert not hasattr(Push, "recv")
    assert not hasattr(Push, "__iter__")
    assert not hasattr(zbus.Pull, "send")
    assert not hasattr(zbus.Pull, "flush")
