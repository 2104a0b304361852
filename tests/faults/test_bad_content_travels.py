"""Good ZMTP, bad content, where it goes on: to callbacks and across devices, and at what cost: rows IN-2 and ME-2."""

from __future__ import annotations

from contextlib import closing

import msgpack
import pytest
import zmq
from faults.corpus import BODIES, GOOD, LOST, ODD_HEADERS, PUBLICATIONS, STREAM, ZBUS
from faults.foreign import foreign, heard
from fuzz.cost import cost
from waiting import until

from zbus import (
    Dispatcher,
    ProtocolError,
    Publisher,
    Pull,
    Push,
    Replier,
    Requester,
    Subscriber,
    devices,
)

TCP = "tcp://127.0.0.1:*"


def test_a_mebibyte_of_empty_maps_is_refused_at_once() -> None:
    """Row ME-2, as far as an endpoint's own work goes."""
    body = BODIES["a mebibyte of empty maps in one array"]
    assert len(body) == 2**20
    with Pull(bind=TCP) as pull:
        spent = cost(lambda: pull._parse([body]), len(body), limit=0.005)
        assert spent.seconds < 0.005
        assert spent.peak < 5 * 2**20
        with pytest.raises(ProtocolError):
            pull._parse([body])


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS)
def test_headers_that_nobody_expects_are_headers(headers: bytes) -> None:
    with (
        Pull(bind=TCP) as pull,
        foreign(zmq.PUSH, connect=pull.addresses[0]) as peer,
        Replier(lambda message: message.body, bind=TCP) as echo,
        foreign(zmq.DEALER, connect=echo.addresses[0]) as client,
    ):
        peer.send_multipart([GOOD, headers])
        assert pull.recv(timeout=5).body == "good"
        client.send_multipart([ZBUS, b"", GOOD, headers])
        assert heard(client) == [ZBUS, b"", GOOD]
        assert (pull.statistics().malformed, echo.statistics().malformed) == (0, 0)


def test_a_dispatcher_calls_nobody_for_what_cannot_be_read() -> None:
    called: list[object] = []
    dispatcher = Dispatcher()
    dispatcher.default(called.append)
    dispatcher.command("good")(called.append)
    pull = dispatcher.add(Pull(bind=TCP))
    with closing(pull), dispatcher, foreign(zmq.PUSH, connect=pull.addresses[0]) as liar:
        for count, frames in enumerate(STREAM.values(), 1):
            liar.send_multipart(frames)
            liar.send(GOOD)
            until(lambda count=count: len(called) == count)
        assert pull.statistics().malformed == len(STREAM)


# -- devices ---------------------------------------------------------------------------------------


def test_a_streamer_moves_what_cannot_be_read_and_its_worker_counts_it() -> None:
    with (
        devices.streamer(TCP, TCP) as streamer,
        foreign(zmq.PUSH, connect=streamer.frontend.addresses[0]) as liar,
        Push(connect=streamer.frontend.addresses) as honest,
        Pull(connect=streamer.backend.addresses) as worker,
    ):
        for count, (name, frames) in enumerate(STREAM.items(), 1):
            liar.send_multipart(frames)
            liar.send(msgpack.packb(name))
            assert worker.recv(timeout=5).body == name
            honest.send(count, timeout=5)
            assert worker.recv(timeout=5).body == count
        assert worker.statistics().malformed == len(STREAM)


@pytest.mark.parametrize("last_value", [False, True])
def test_a_forwarder_moves_what_cannot_be_read_also_where_it_keeps_last_values(last_value: bool) -> None:
    with (
        devices.forwarder(TCP, TCP, last_value=last_value) as forwarder,
        foreign(zmq.XPUB, connect=forwarder.frontend.addresses[0]) as liar,
        Publisher(connect=forwarder.frontend.addresses) as honest,
        Subscriber(connect=forwarder.backend.addresses, topics="#") as subscriber,
    ):
        honest.wait_for_subscribers("a", timeout=5)
        assert heard(liar) == [b"\1"]
        for frames in PUBLICATIONS.values():
            liar.send_multipart(frames)
        liar.send_multipart([b"a", msgpack.packb("that was all")])
        while subscriber.recv(timeout=5).body != "that was all":
            continue
        assert subscriber.statistics().malformed == len(PUBLICATIONS)
        honest.publish("a", "good")
        assert subscriber.recv(timeout=5).body == "good"
        if last_value:
            with Subscriber(connect=forwarder.backend.addresses, topics="a") as late:
                assert late.recv(timeout=5).body == "good"


def test_a_queue_moves_what_cannot_be_read_both_ways() -> None:
    with (
        devices.queue(TCP, TCP) as queue,
        Replier(lambda message: message.body, connect=queue.backend.addresses) as echo,
        Requester(connect=queue.frontend.addresses) as honest,
        foreign(zmq.DEALER, connect=queue.frontend.addresses[0]) as liar,
    ):
        queue.backend.wait_for_peers(timeout=5)
        for count, frames in enumerate(LOST.values(), 1):
            liar.send_multipart(frames)
            assert honest.request(count, timeout=5) == count
        for body in BODIES.values():
            liar.send_multipart([b"", body])
            assert "error" in msgpack.unpackb(heard(liar)[-1])
        assert honest.request("after", timeout=5) == "after"
        assert echo.statistics().malformed == len(LOST) + len(BODIES)
