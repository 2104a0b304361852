"""Nobody who waits is forgotten: whatever takes libzmq's signal, those who are parked hear of it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest
import zmq
from gevent.monkey import get_original
from green.rig import fill, run, signalled
from waiting import until

import zbus
from zbus.errors import Closed, TimeoutExpired, WrongThread
from zbus.green import Socket

TAKERS: dict[str, Callable[[Socket], object]] = {
    "getsockopt": lambda socket: socket.getsockopt(zmq.EVENTS),
    "get": lambda socket: socket.get(zmq.EVENTS),
    "attribute": lambda socket: socket.EVENTS,
    "poll": lambda socket: socket.poll(0),
    "poll_out": lambda socket: socket.poll(0, zmq.POLLOUT),
    "connect": lambda socket: socket.connect("tcp://127.0.0.1:1"),
    "bind": lambda socket: socket.bind("tcp://127.0.0.1:*"),
    "writable": lambda socket: socket.readiness.writable(),
}


def burnt(seconds: float) -> None:
    """Keep the hub from running for so long."""
    end = monotonic() + seconds
    while monotonic() < end:
        pass


def parked_writer(linked: Any, message: bytes = b"last", timeout: float = 3) -> tuple[Socket, Socket, gevent.Greenlet]:
    """A greenlet that waits for room to send, and room that libzmq has signalled and nobody has seen."""
    mine, other = linked(SNDHWM=2, RCVHWM=2)
    full = fill(mine)
    writer = gevent.spawn(mine.send, message, timeout=timeout)
    until(lambda: mine.readiness.writers)
    for _ in range(full):
        other.recv(zmq.NOBLOCK)
    signalled(mine)
    return mine, other, writer


@pytest.mark.parametrize("taker", TAKERS)
def test_a_parked_reader_hears_of_a_signal_that_another_call_took(linked: Any, taker: str) -> None:
    mine, other = linked()
    reader = gevent.spawn(mine.recv, timeout=3)
    until(lambda: mine.readiness.readers)
    other.send(b"hello")
    signalled(mine)
    TAKERS[taker](mine)
    assert reader.get(timeout=5) == b"hello"
    assert mine.readiness.missed_wakeups == 0


@pytest.mark.parametrize("taker", [name for name in TAKERS if name != "writable"])  # whose caller tries again
def test_a_parked_writer_hears_of_a_signal_that_another_call_took(linked: Any, taker: str) -> None:
    mine, other, writer = parked_writer(linked)
    TAKERS[taker](mine)
    writer.get(timeout=2)
    assert other.recv(timeout=3) == b"last"


def test_a_readers_failed_try_does_not_take_the_signal_from_a_parked_writer(linked: Any) -> None:
    mine, _, writer = parked_writer(linked)
    with pytest.raises(zmq.Again):
        mine.recv(zmq.NOBLOCK)
    writer.get(timeout=2)


def test_a_reader_that_parks_does_not_take_the_signal_from_a_parked_writer(linked: Any) -> None:
    mine, _, writer = parked_writer(linked)
    with pytest.raises(TimeoutExpired):
        mine.recv(timeout=0.5)
    assert writer.ready()


def test_a_writers_failed_try_does_not_take_the_signal_from_a_parked_reader(linked: Any) -> None:
    mine, other = linked(SNDHWM=2, RCVHWM=2)
    reader = gevent.spawn(mine.recv, timeout=3)
    until(lambda: mine.readiness.readers)
    fill(mine)
    other.send(b"hello")
    signalled(mine)
    assert not mine.offer([b"no room"])
    assert reader.get(timeout=5) == b"hello"
    assert mine.readiness.missed_wakeups == 0


def test_one_who_reads_without_waiting_does_not_take_the_signal_from_a_parked_reader(linked: Any) -> None:
    mine, other = linked()
    reader = gevent.spawn(mine.recv, timeout=3)
    until(lambda: mine.readiness.readers)
    for message in (b"1", b"2", b"3"):
        other.send(message)
    signalled(mine)
    assert mine.recv(zmq.NOBLOCK) == b"1"
    assert mine.receive(0) == [b"2"]
    assert reader.get(timeout=5) == b"3"
    assert mine.readiness.missed_wakeups == 0


@pytest.mark.parametrize("batched", [False, True])
def test_one_who_iterates_does_not_take_the_signal_from_a_parked_reader(inproc_address: str, batched: bool) -> None:
    batch = zbus.Batch(messages=2) if batched else None
    with zbus.Pull(bind=inproc_address) as pull, zbus.Push(connect=inproc_address, batch=batch) as push:
        messages = iter(pull)
        reader = gevent.spawn(pull.recv, timeout=3)
        until(lambda: pull._port.socket.readiness.readers)
        for number in range(4):
            push.send(number, headers=None if batched else {"number": number})
        push.flush()
        signalled(pull._port.socket)
        taken = [next(messages).body]
        taken.append(reader.get(timeout=5).body)
        assert len(set(taken)) == 2
        assert pull.statistics().missed_wakeups == 0


def test_a_publisher_in_flow_hears_of_a_late_subscription(address: str) -> None:
    with zbus.Publisher(bind=address) as publisher:
        over = False

        def flow() -> None:
            while not over:
                publisher.publish("flow", 1)

        publishing = gevent.spawn(flow)
        until(lambda: publisher.statistics().sent > 1000)
        with zbus.Subscriber(connect=publisher.addresses, topics="late") as late:
            publisher.wait_for_subscribers("late", timeout=5)
            publisher.publish("late", "here")
            assert late.recv(timeout=5).body == "here"
        over = True
        publishing.get(timeout=5)


def test_readers_are_served_in_the_order_they_came(linked: Any) -> None:
    mine, other = linked()
    got: list[tuple[int, bytes]] = []
    readers = []
    for number in range(5):
        readers.append(gevent.spawn(lambda n=number: got.append((n, mine.recv()))))
        until(lambda: len(mine.readiness.readers) == len(readers))
    for number in range(5):
        other.send(b"%d" % number)
    gevent.joinall(readers, timeout=5, raise_error=True)
    assert got == [(number, b"%d" % number) for number in range(5)]


def test_a_wake_up_for_nothing_costs_no_reader_his_place(opened: Any, inproc_address: str) -> None:
    mine = opened(zmq.PULL)
    mine.bind(inproc_address)
    readers = [gevent.spawn(mine.recv) for _ in range(3)]
    until(lambda: len(mine.readiness.readers) == 3)
    others = []
    for number in range(3):
        first = mine.readiness.readers[0]
        others.append(opened(zmq.PUSH))
        others[-1].connect(inproc_address)  # signals, and there is nothing to receive
        until(lambda head=first: mine.readiness.readers[0] is not head)
        others[-1].send(b"%d" % number)
        assert readers[number].get(timeout=5) == b"%d" % number


@pytest.mark.parametrize("killed", [0, 1, 2])
def test_a_reader_that_is_killed_as_its_message_comes_leaves_it_to_the_next(linked: Any, killed: int) -> None:
    mine, other = linked()
    readers = [gevent.spawn(mine.recv, timeout=3) for _ in range(3)]
    until(lambda: len(mine.readiness.readers) == 3)
    other.send(b"1")
    other.send(b"2")
    signalled(mine)
    readers.pop(killed).kill(block=False)
    assert [reader.get(timeout=5) for reader in readers] == [b"1", b"2"]
    assert mine.readiness.missed_wakeups == 0
    assert not mine.readiness.readers


def test_a_reader_that_is_thrown_out_by_a_foreign_timeout_leaves_its_message_to_the_next(linked: Any) -> None:
    mine, other = linked()

    def impatient() -> bytes | None:
        with gevent.Timeout(0.02, False):
            return mine.recv()

    first = gevent.spawn(impatient)
    until(lambda: mine.readiness.readers or first.dead)
    second = gevent.spawn(mine.recv, timeout=3)
    until(lambda: len(mine.readiness.readers) == 2 - first.dead)
    burnt(0.2)
    other.send(b"1")
    assert {first.get(timeout=5), second.get(timeout=5) if first.value is None else b"1"} <= {None, b"1"}
    second.kill()
    assert mine.readiness.missed_wakeups == 0


@pytest.mark.parametrize("verb", ["send", "send_multipart", "transmit"])
def test_writers_at_the_high_water_mark_are_served_in_the_order_they_came(linked: Any, verb: str) -> None:
    mine, other = linked(SNDHWM=1, RCVHWM=1)
    full = fill(mine)

    def write(number: int) -> None:
        message = b"%d" % number
        getattr(mine, verb)(message if verb == "send" else [message])

    writers = []
    for number in range(20):
        writers.append(gevent.spawn(write, number))
        until(lambda: len(mine.readiness.writers) == len(writers))
    got = [other.recv(timeout=5) for _ in range(full + 20)]
    assert got[full:] == [b"%d" % number for number in range(20)]
    gevent.joinall(writers, timeout=5, raise_error=True)


@pytest.mark.parametrize("verb", ["send", "send_multipart", "transmit"])
def test_a_writer_that_finds_others_parked_queues_behind_them(linked: Any, verb: str) -> None:
    mine, other, first = parked_writer(linked, b"first", timeout=5)
    getattr(mine, verb)(b"second" if verb == "send" else [b"second"], timeout=5)
    first.get(timeout=5)
    assert [other.recv(timeout=5) for _ in range(2)] == [b"first", b"second"]


def test_a_writer_that_is_killed_as_room_comes_leaves_it_to_the_next(linked: Any) -> None:
    mine, other = linked(SNDHWM=2, RCVHWM=2)
    full = fill(mine)
    writers = [gevent.spawn(mine.send, b"%d" % number) for number in range(3)]
    until(lambda: len(mine.readiness.writers) == 3)
    for _ in range(full):
        other.recv(zmq.NOBLOCK)
    signalled(mine)
    writers[0].kill(block=False)
    gevent.joinall(writers, timeout=5)
    assert [other.recv(timeout=5) for _ in range(2)] == [b"1", b"2"]


def test_a_message_that_is_there_wins_over_a_deadline_that_is_over(linked: Any) -> None:
    mine, other = linked()
    reader = gevent.spawn(mine.recv, timeout=0.1)
    until(lambda: mine.readiness.readers)
    other.send(b"just in time")
    burnt(0.2)
    assert reader.get(timeout=5) == b"just in time"
    assert mine.readiness.missed_wakeups == 0


def test_room_that_is_there_wins_over_a_deadline_that_is_over(linked: Any) -> None:
    mine, other = linked(SNDHWM=2, RCVHWM=2)
    full = fill(mine)
    writer = gevent.spawn(mine.send, b"just in time", timeout=0.1)
    until(lambda: mine.readiness.writers)
    for _ in range(full):
        other.recv(zmq.NOBLOCK)
    burnt(0.2)
    writer.get(timeout=5)
    assert other.recv(timeout=5) == b"just in time"


@pytest.mark.parametrize("timeout", [-1, 0, 0.01])
def test_a_wait_that_is_over_raises_our_own_error_and_leaves_nobody_parked(linked: Any, timeout: float) -> None:
    mine, _ = linked(SNDHWM=1, RCVHWM=1)
    for verb in (mine.recv, mine.recv_multipart, mine.receive):
        with pytest.raises(TimeoutExpired):
            verb(timeout=timeout)
    fill(mine)
    for verb in (lambda **words: mine.send(b"", **words), lambda **words: mine.send_multipart([b"", b""], **words)):
        with pytest.raises(TimeoutExpired):
            verb(timeout=timeout)
    assert not mine.readiness.readers
    assert not mine.readiness.writers
    assert mine.readiness.holds == 0


def test_a_foreign_timeout_passes_through(linked: Any) -> None:
    mine, _ = linked()
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.01) as foreign:
        mine.recv(timeout=5)
    assert caught.value is foreign
    assert not mine.readiness.readers


def test_many_impatient_readers_beside_a_flood_miss_nothing(linked: Any) -> None:
    mine, other = linked(zmq.PULL, zmq.PUSH)
    total = 4000
    got: list[bytes] = []

    def read(patience: float) -> None:
        while len(got) < total:
            try:
                got.append(mine.recv(timeout=patience))
            except TimeoutExpired:
                continue

    readers = [gevent.spawn(read, 0.0005 * (1 + number % 4)) for number in range(12)]
    for number in range(total):
        other.send(b"%d" % number)
        if number % 97 == 0:
            gevent.sleep(0.001)
    gevent.joinall(readers, timeout=20, raise_error=True)
    assert sorted(map(int, got)) == list(range(total))
    assert mine.readiness.missed_wakeups == 0


def test_both_directions_at_the_high_water_mark_at_once_keep_flowing(linked: Any) -> None:
    ends = linked(SNDHWM=3, RCVHWM=3)
    got: dict[int, list[int]] = {0: [], 1: []}

    def write(end: int, first: int) -> None:
        for number in range(first, 300, 5):
            ends[end].send(b"%d" % number, timeout=10)

    def read(end: int) -> None:
        while len(got[end]) < 300:
            got[end].append(int(ends[end].recv(timeout=10)))

    crowd = [gevent.spawn(write, end, first) for end in (0, 1) for first in range(5)]
    crowd += [gevent.spawn(read, end) for end in (0, 1)]
    gevent.joinall(crowd, timeout=20, raise_error=True)
    assert sorted(got[0]) == sorted(got[1]) == list(range(300))
    assert [end.readiness.missed_wakeups for end in ends] == [0, 0]


@pytest.mark.parametrize("flags", [zmq.POLLIN, zmq.POLLIN | zmq.POLLOUT])
def test_poll_waits_for_a_message(linked: Any, flags: int) -> None:
    mine, other = linked(SNDHWM=1, RCVHWM=1)
    fill(mine)
    polled = gevent.spawn(mine.poll, 5000, flags)
    until(lambda: mine.readiness.readers)
    other.send(b"")
    assert polled.get(timeout=5) == zmq.POLLIN


@pytest.mark.parametrize("flags", [zmq.POLLOUT, zmq.POLLIN | zmq.POLLOUT])
def test_poll_waits_for_room(linked: Any, flags: int) -> None:
    mine, other = linked(SNDHWM=1, RCVHWM=1)
    full = fill(mine)
    polled = gevent.spawn(mine.poll, 5000, flags)
    until(lambda: mine.readiness.readers or mine.readiness.writers)
    for _ in range(full):
        other.recv(timeout=1)
    assert polled.get(timeout=5) == zmq.POLLOUT


def test_poll_returns_nothing_when_its_time_is_over(linked: Any) -> None:
    mine, _ = linked()
    assert mine.poll(0) == 0
    assert mine.poll(10) == 0


@pytest.mark.parametrize("fairness", ["fresh", "turn used up"])
def test_waiting_in_another_os_thread_is_refused(linked: Any, fairness: str) -> None:
    mine, _ = linked()
    with pytest.raises(TimeoutExpired):
        mine.recv(timeout=0)
    if fairness != "fresh":
        mine.readiness.left = 0
        mine.readiness.burst._end = 0.0
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            mine.receive(timeout=1)
        except BaseException as error:
            raised.append(error)
        finally:
            gevent.get_hub().destroy()

    thread = get_original("threading", "Thread")(target=elsewhere)
    thread.start()
    thread.join(5)
    assert [type(error) for error in raised] == [WrongThread]


def test_waiting_on_the_hub_is_refused(linked: Any) -> None:
    mine, _ = linked()
    raised: list[BaseException] = []

    def on_the_hub() -> None:
        try:
            mine.recv(timeout=1)
        except BaseException as error:
            raised.append(error)

    gevent.get_hub().loop.run_callback(on_the_hub)
    until(lambda: raised)
    assert type(raised[0]) is RuntimeError


def test_close_wakes_everybody(linked: Any) -> None:
    mine, _ = linked(SNDHWM=1, RCVHWM=1)
    fill(mine)
    waiting = [gevent.spawn(mine.recv) for _ in range(3)]
    waiting += [gevent.spawn(mine.send, b"") for _ in range(3)]
    waiting += [gevent.spawn(mine.poll), gevent.spawn(mine.poll, None, zmq.POLLOUT)]
    until(lambda: len(mine.readiness.readers) == 4)
    until(lambda: len(mine.readiness.writers) == 4)
    mine.close()
    gevent.joinall(waiting, timeout=5)
    assert [type(one.exception) for one in waiting] == [Closed] * 8


def test_an_idle_socket_is_not_watched(linked: Any) -> None:
    mine, _ = linked()
    with pytest.raises(TimeoutExpired):
        mine.recv(timeout=0.001)
    assert not mine.readiness._watcher.active


def test_endpoints_that_are_open_and_idle_neither_keep_the_hub_alive_nor_wake_it() -> None:
    said = run(
        """
        import gevent, zbus
        hub = gevent.get_hub()
        ends = [
            zbus.Pair(bind="tcp://127.0.0.1:*"), zbus.Pull(bind="tcp://127.0.0.1:*"), zbus.Push(bind="tcp://127.0.0.1:*"),
            zbus.Publisher(bind="tcp://127.0.0.1:*"), zbus.Requester(connect="tcp://127.0.0.1:1"),
        ]
        for end in ends:
            end.start()
        ends.append(zbus.Push(connect=ends[1].addresses))
        ends.append(zbus.Subscriber(connect=ends[3].addresses, topics="a"))
        ends[-1].start()
        ends[-2].wait_for_peers(timeout=5)
        ends[3].wait_for_subscribers("a", timeout=5)
        gevent.sleep(0.2)
        before = hub.loop.iteration
        gevent.sleep(0.5)
        woken = hub.loop.iteration - before
        print(hub.join(timeout=5), woken < 10, woken if woken >= 10 else "")
        for end in ends:
            end.close()
        """
    )
    assert said.split() == ["True", "True"]
