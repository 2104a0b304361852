"""pyzmq's verbs on a green socket: whole messages, a ROUTER that waits for nobody, and the end."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import pytest
import zmq
import zmq.green
from green.rig import fill, run, signalled
from waiting import until

from zbus.errors import Closed, TimeoutExpired, Unsupported
from zbus.green import Context, Socket, messages


@pytest.fixture
def parting(
    opened: Callable[..., Socket], inproc_address: str
) -> tuple[Socket, Callable[[], None], Callable[[], Socket]]:
    """A bound PUSH with one peer, a way to part it from that peer, and one to give it a new one."""
    push, first = opened(zmq.PUSH), opened(zmq.PULL)
    push.bind(inproc_address)
    first.connect(inproc_address)
    assert push.poll(5000, zmq.POLLOUT)

    def part() -> None:
        first.close(0)
        signalled(push)
        push.get(zmq.EVENTS)

    def join() -> Socket:
        peer = opened(zmq.PULL)
        peer.connect(inproc_address)
        return peer

    return push, part, join


def test_it_is_a_zmq_green_socket_of_a_zmq_green_context(opened: Any) -> None:
    socket = opened(zmq.PAIR)
    assert isinstance(socket, zmq.green.Socket)
    assert isinstance(socket.context, zmq.green.Context)


# -- whole messages ----------------------------------------------------------------------------------------


def test_a_message_whose_peer_goes_between_two_frames_is_lost_whole(parting: Any) -> None:
    push, part, join = parting
    push.send(b"head", zmq.SNDMORE)
    part()
    told = 0
    try:
        push.send(b"tail")  # libzmq tells of it only while the parting is under way; after that it drops in silence
    except zmq.Again:
        told = 1
    assert push.lost == told
    peer = join()
    push.send_multipart([b"next head", b"next tail"], timeout=5)
    assert peer.recv_multipart(timeout=5) == [b"next head", b"next tail"]
    with pytest.raises(TimeoutExpired):
        peer.recv(timeout=0)


def test_no_frame_of_a_lost_message_reaches_a_peer_that_comes_between_two_frames(parting: Any) -> None:
    push, part, join = parting
    push.send(b"1", zmq.SNDMORE)
    part()
    peer = join()
    push.send(b"2", zmq.SNDMORE)
    push.send(b"3", zmq.SNDMORE)
    with suppress(zmq.Again):
        push.send(b"4")
    push.send(b"whole", timeout=5)
    assert peer.recv_multipart(timeout=5) == [b"whole"]


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("verb", ["send_multipart", "transmit"])
def test_a_message_that_is_sent_whole_is_sent_again_whole(
    parting: Any, monkeypatch: pytest.MonkeyPatch, cut: int, verb: str
) -> None:
    push, part, join = parting
    handed = 0

    def cutting(socket: Socket, frame: bytes, flags: int) -> None:
        nonlocal handed
        handed += 1
        if handed != cut + 1:
            zmq.backend.Socket.send(socket, frame, flags)
            return
        part()
        zmq.backend.Socket.send(socket, frame, flags)
        raise zmq.Again  # as libzmq did, unless the parting was over already

    monkeypatch.setattr(messages, "send_frame", cutting)
    message = [b"1", b"2", b"3", b"4"]
    sending = gevent.spawn(getattr(push, verb), message, timeout=5)
    until(lambda: push.readiness.writers)
    peer = join()
    sending.get(timeout=5)
    assert peer.recv_multipart(timeout=5) == message
    push.send(b"next")
    assert peer.recv_multipart(timeout=5) == [b"next"]
    assert push.lost == 1


def test_a_frame_that_cannot_be_one_refuses_the_message_before_any_of_it_is_sent(linked: Any) -> None:
    mine, other = linked()
    for bad in ("text", 5, None):
        with pytest.raises(TypeError):
            mine.send_multipart([b"head", bad])
        with pytest.raises(TypeError):
            mine.send_multipart([bad, b"tail"])
        with pytest.raises(TypeError):
            mine.send(bad)
    mine.send_multipart([b"whole", b"message"])
    assert other.recv_multipart(timeout=5) == [b"whole", b"message"]


def test_many_greenlets_send_and_receive_whole_messages_at_the_high_water_mark(linked: Any) -> None:
    mine, other = linked(SNDHWM=2, RCVHWM=2)
    got = []

    def write(number: int) -> None:
        for serial in range(20):
            mine.send_multipart([b"%d" % number, b"%d" % serial, b"end"], timeout=10)

    def read() -> None:
        while len(got) < 200:
            got.append(other.recv_multipart())

    readers = [gevent.spawn(read) for _ in range(5)]
    writers = [gevent.spawn(write, number) for number in range(10)]
    gevent.joinall(writers, timeout=10, raise_error=True)
    until(lambda: len(got) == 200)
    gevent.killall(readers)
    assert {len(message) for message in got} == {3}
    for number in range(10):
        assert [int(m[1]) for m in got if int(m[0]) == number] == list(range(20))


def test_frames_that_are_sent_and_received_one_by_one_make_up_messages(linked: Any) -> None:
    mine, other = linked()
    for _ in range(2):
        mine.send(b"1", zmq.SNDMORE)
        mine.send(b"2", zmq.SNDMORE)
        mine.send(b"3")
        assert other.recv(timeout=5) == b"1"
        assert other.get(zmq.RCVMORE)
        assert other.recv(timeout=5) == b"2"
        assert other.recv_multipart(timeout=5) == [b"3"]
        assert not other.get(zmq.RCVMORE)


HAS_RECV_INTO = hasattr(zmq.Socket, "recv_into")  # since pyzmq 26.4

# -- the verbs ---------------------------------------------------------------------------------------------


def test_every_inherited_verb_waits_as_a_greenlet(linked: Any) -> None:
    mine, other = linked()
    verbs: list[tuple[Callable[[], object], Callable[[], object], object]] = [
        (other.recv, lambda: mine.send(b"a"), b"a"),
        (other.recv_multipart, lambda: mine.send_multipart((b"a", memoryview(b"b"))), [b"a", b"b"]),
        (other.recv_string, lambda: mine.send_string("ä"), "ä"),
        (other.recv_json, lambda: mine.send_json({"a": 1}), {"a": 1}),
        (
            lambda: other.recv_serialized(lambda frames: frames[0]),
            lambda: mine.send_serialized("x", lambda value: [value.encode()]),
            b"x",
        ),
        (lambda: other.recv(copy=False).bytes, lambda: mine.send(bytearray(b"b")), b"b"),
        (lambda: other.recv_multipart(copy=False)[1].bytes, lambda: mine.send_multipart([b"", b"c"], copy=False), b"c"),
    ]
    if HAS_RECV_INTO:
        verbs.append((lambda: other.recv_into(bytearray(9)), lambda: mine.send(b"four"), 4))
    for receive, send, value in verbs:
        receiving = gevent.spawn(receive)
        until(lambda: other.readiness.readers)
        send()
        assert receiving.get(timeout=5) == value


def test_a_tracked_message_says_when_it_may_be_forgotten(linked: Any) -> None:
    mine, other = linked()
    for send in (lambda: mine.send(b"x" * 10, copy=False, track=True), lambda: mine.send_multipart([b"x"], track=True)):
        tracker = send()
        other.recv(timeout=5)
        until(lambda found=tracker: found.done)


def test_a_call_that_shall_not_wait_raises_again_as_pyzmq_does(linked: Any) -> None:
    mine, _ = linked(SNDHWM=1, RCVHWM=1)
    for receive in (mine.recv, mine.recv_multipart, mine.recv_string):
        with pytest.raises(zmq.Again):
            receive(flags=zmq.NOBLOCK)
    if HAS_RECV_INTO:
        with pytest.raises(zmq.Again):
            mine.recv_into(bytearray(1), flags=zmq.NOBLOCK)
    fill(mine)
    with pytest.raises(zmq.Again):
        mine.send(b"", zmq.NOBLOCK)
    with pytest.raises(zmq.Again):
        mine.send_multipart([b"", b""], zmq.NOBLOCK)


def test_pickles_are_neither_sent_nor_received(linked: Any) -> None:
    mine, other = linked()
    mine.send(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(Unsupported):
        other.recv_pyobj()
    with pytest.raises(Unsupported):
        mine.send_pyobj({})


def test_draft_keywords_are_refused(linked: Any) -> None:
    mine, _ = linked()
    with pytest.raises(Unsupported):
        mine.send(b"", routing_id=5)
    with pytest.raises(Unsupported):
        mine.send_multipart([b""], group="a")


# -- a ROUTER waits for nobody ----------------------------------------------------------------------------


@pytest.fixture
def router(opened: Callable[..., Socket], address: str) -> tuple[Socket, Socket, Socket]:
    """A ROUTER and two clients that it knows, ``stuck`` and ``fine``."""
    bound = opened(zmq.ROUTER, SNDHWM=5, RCVHWM=5)
    bound.bind(address)
    clients = []
    for name in (b"stuck", b"fine"):
        client = opened(zmq.DEALER, ROUTING_ID=name, SNDHWM=5, RCVHWM=5, SNDBUF=4096, RCVBUF=4096)
        client.connect(bound.get(zmq.LAST_ENDPOINT).decode())
        client.send(b"here")
        assert bound.recv_multipart(timeout=5) == [name, b"here"]
        clients.append(client)
    return bound, clients[0], clients[1]


@pytest.mark.parametrize("verb", ["send_multipart", "transmit", "offer", "frames"])
def test_a_client_that_stops_reading_holds_up_nobody(router: Any, verb: str) -> None:
    bound, stuck, fine = router
    big = b"x" * 100_000

    def send(frames: list[bytes]) -> None:
        if verb == "frames":
            for frame in frames[:-1]:
                bound.send(frame, zmq.SNDMORE)
            bound.send(frames[-1])
        else:
            getattr(bound, verb)(frames)

    served = 0
    for number in range(300):
        send([b"stuck", b"", big])
        if number % 10 == 0:
            send([b"fine", b"", b"%d" % number])
            assert fine.recv_multipart(timeout=5) == [b"", b"%d" % number]
            served += 1
    assert served == 30
    got = 0
    while True:
        try:
            assert stuck.recv_multipart(timeout=0.3) == [b"", big]
        except TimeoutExpired:
            break
        got += 1
    assert 0 < got < 300
    assert got + bound.lost == 300
    send([b"stuck", b"", b"again"])
    assert stuck.recv_multipart(timeout=5) == [b"", b"again"]


@pytest.mark.parametrize("verb", ["send_multipart", "transmit", "offer", "frames"])
def test_what_is_for_an_unknown_client_is_dropped_and_counted(router: Any, verb: str) -> None:
    bound, _, fine = router
    if verb == "frames":
        bound.send(b"nobody", zmq.SNDMORE)
        bound.send(b"", zmq.SNDMORE)
        bound.send(b"fine")
    else:
        getattr(bound, verb)([b"nobody", b"", b"fine"])
    assert bound.lost == 1
    bound.send_multipart([b"fine", b"whole"])
    assert fine.recv_multipart(timeout=5) == [b"whole"]


def test_the_hub_lives_while_a_router_drops(router: Any) -> None:
    bound, _, _ = router
    hub = gevent.get_hub()
    before = hub.loop.iteration
    for _ in range(20_000):
        bound.send_multipart([b"stuck", b""])
    assert hub.loop.iteration > before


# -- the end ----------------------------------------------------------------------------------------------

VERBS: dict[str, Callable[[Socket], object]] = {
    "recv": lambda socket: socket.recv(),
    "recv_once": lambda socket: socket.recv(zmq.NOBLOCK),
    "recv_multipart": lambda socket: socket.recv_multipart(),
    "recv_string": lambda socket: socket.recv_string(),
    "receive": lambda socket: socket.receive(),
    "send": lambda socket: socket.send(b""),
    "send_once": lambda socket: socket.send(b"", zmq.NOBLOCK),
    "send_multipart": lambda socket: socket.send_multipart([b"", b""]),
    "send_json": lambda socket: socket.send_json(1),
    "transmit": lambda socket: socket.transmit([b""]),
    "offer": lambda socket: socket.offer([b""]),
    "poll": lambda socket: socket.poll(),
    "get": lambda socket: socket.get(zmq.EVENTS),
    "getsockopt": lambda socket: socket.getsockopt(zmq.TYPE),
    "set": lambda socket: socket.set(zmq.LINGER, 0),
    "setsockopt": lambda socket: socket.setsockopt(zmq.LINGER, 0),
    "bind": lambda socket: socket.bind("inproc://closed"),
    "connect": lambda socket: socket.connect("inproc://closed"),
    "unbind": lambda socket: socket.unbind("inproc://closed"),
    "disconnect": lambda socket: socket.disconnect("inproc://closed"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_use_after_close_says_so(opened: Any, verb: str) -> None:
    socket = opened(zmq.PAIR)
    socket.close()
    socket.close()
    assert socket.closed
    with pytest.raises(Closed):
        VERBS[verb](socket)


def test_a_context_that_ends_wakes_everybody_with_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = gevent.get_hub()
    noise: list[object] = []
    context = Context()
    full, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for socket in (full, other):
        socket.set(zmq.SNDHWM, 1)
        socket.set(zmq.RCVHWM, 1)
        socket.set(zmq.LINGER, 0)
    full.bind("inproc://ending")
    other.connect("inproc://ending")
    fill(full)
    raised: list[BaseException] = []

    def wait(verb: Callable[[], object]) -> None:
        try:
            verb()
        except Closed as error:
            raised.append(error)

    verbs = [full.recv, full.recv, full.recv_multipart, full.poll, lambda: full.send(b""), lambda: full.send(b"")]
    waiting = [gevent.spawn(wait, verb) for verb in verbs]
    until(lambda: len(full.readiness.readers) == 4)
    until(lambda: len(full.readiness.writers) == 2)
    monkeypatch.setattr(hub, "handle_error", lambda *error: noise.append(error))
    ending = hub.threadpool.spawn(context.term)
    gevent.joinall(waiting, timeout=5)
    assert len(raised) == 6
    assert noise == []
    full.close()
    other.close()
    ending.get(timeout=5)


def test_a_socket_that_is_dropped_gives_everything_back(opened: Any) -> None:
    context = opened(zmq.PAIR).context
    dropped = context.socket(zmq.PAIR)
    with pytest.raises(TimeoutExpired):
        dropped.recv(timeout=0.001)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del dropped
        gc.collect()
    assert [warning.category for warning in told] == [ResourceWarning]


def test_descriptors_above_a_thousand_are_as_good_as_any() -> None:
    said = run(
        """
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        held = [os.dup(0) for _ in range(1100)]
        import gevent, zmq, zbus
        from zbus.green.context import open_socket
        a, b = open_socket(zmq.PAIR), open_socket(zmq.PAIR)
        a.bind("inproc://high"); b.connect("inproc://high")
        assert a.get(zmq.FD) > 1023
        g = gevent.spawn(a.recv, timeout=5)
        gevent.sleep(0)
        b.send(b"hello")
        print(g.get(), a.poll(10))
        try:
            a.recv(timeout=0.01)
        except zbus.TimeoutExpired:
            print("expired")
        with zbus.Pull(bind="tcp://127.0.0.1:*") as pull, zbus.Push(connect=pull.addresses) as push:
            push.send(1)
            print(pull.recv(timeout=5).body)
        a.close(); b.close()
        """
    )
    assert said.split() == ["b'hello'", "0", "expired", "1"]
