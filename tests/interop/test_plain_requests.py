"""Request and reply with plain REQ and REP sockets in other processes, straight and through a plain queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing  # the queue never leaves, and `stop` would wait for it
from time import monotonic

import gevent
import pytest
from interop.process import plain

from zbus import Message, RemoteError, Replier, Requester, TimeoutExpired

TCP = "tcp://127.0.0.1:*"


def serve(message: Message) -> object:
    """Doubles numbers; raises for what is none."""
    if not isinstance(message.body, int):
        raise LookupError(f"{message.body} is no number")
    return {"twice": 2 * message.body}


@pytest.fixture
def through_queue() -> Iterator[tuple[str, str]]:
    """The two addresses of a plain queue device: for clients, for servers."""
    with plain("queue", TCP) as queue:
        yield queue.line(), queue.line()


def test_a_plain_req_is_served() -> None:
    with Replier(serve, bind=TCP) as replier, plain("req", replier.addresses[0], 1, 2, 3) as client:
        assert client.line() == "ready"
        assert [json.loads(client.line()) for _ in range(3)] == [{"twice": 2}, {"twice": 4}, {"twice": 6}]
        assert client.ended() == 0
        assert (replier.statistics().received, replier.statistics().sent) == (3, 3)


def test_a_plain_req_reads_an_error_in_one_frame_and_goes_on() -> None:
    with Replier(serve, bind=TCP) as replier, plain("req", replier.addresses[0], '"ten"', 10) as client:
        client.line()
        assert json.loads(client.line()) == {"error": {"type": "LookupError", "message": "ten is no number"}}
        assert json.loads(client.line()) == {"twice": 20}
        assert client.ended() == 0


def test_a_plain_req_in_json_is_served_and_reads_an_error_in_one_frame() -> None:
    with (
        Replier(serve, bind=TCP, codec="json") as replier,
        plain("req_json", replier.addresses[0], 1, "null") as client,
    ):
        client.line()
        assert json.loads(client.line()) == {"twice": 2}
        assert json.loads(client.line()) == {"error": {"type": "LookupError", "message": "None is no number"}}
        assert client.ended() == 0


def test_many_plain_reqs_are_served_while_each_handler_waits_for_the_others() -> None:
    arrived: list[object] = []
    everybody = gevent.event.Event()

    def gather(message: Message) -> object:
        arrived.append(message.body)
        if len(arrived) == 3:
            everybody.set()
        return [message.body, everybody.wait(5)]

    with Replier(gather, bind=TCP) as replier, ExitStack() as stack:
        clients = [stack.enter_context(plain("req", replier.addresses[0], number)) for number in range(3)]
        for number, client in enumerate(clients):
            client.line()
            assert json.loads(client.line()) == [number, True]


def test_a_plain_rep_answers_many_greenlets_that_share_a_client() -> None:
    with plain("rep", TCP) as server, Requester(connect=server.line()) as requester:
        calls = [gevent.spawn(requester.request, number, timeout=5) for number in range(50)]
        gevent.joinall(calls, timeout=10)
        assert [call.value for call in calls] == [{"echo": number} for number in range(50)]


@pytest.mark.parametrize(
    ("role", "codec", "body", "reply"),
    [
        ("rep", "msgpack", {"a": [1, None, b""]}, {"echo": {"a": [1, None, b""]}}),
        ("rep_json", "json", {"a": ["é", 1.5]}, {"echo": {"a": ["é", 1.5]}}),
        ("rep_raw", "raw", b"\xc1abc", b"cba\xc1"),
    ],
)
def test_a_plain_rep_answers_in_each_codec(role: str, codec: str, body: object, reply: object) -> None:
    with plain(role, TCP) as server, Requester(connect=server.line(), codec=codec) as requester:
        assert requester.request(body, timeout=5) == reply


def test_no_second_frame_goes_out_unasked_and_headers_do_when_asked() -> None:
    with plain("rep_headers", TCP) as server, Requester(connect=server.line()) as requester:
        assert requester.request("x", timeout=5) == [1, "x"]
        assert requester.request("x", timeout=5, headers={"time": 1}) == [2, {"time": 1}]


def test_a_plain_rep_that_is_slow_costs_a_timeout_and_its_late_reply_is_dropped() -> None:
    with plain("rep", TCP) as server, Requester(connect=server.line()) as requester:
        with pytest.raises(TimeoutExpired, match="no reply in"):
            requester.request("wait", timeout=0.05)
        assert server.line() == "holding"
        server.say("go on")
        assert requester.request("next", timeout=5) == {"echo": "next"}
        assert requester.statistics().late == 1
        assert requester.statistics().waiting == 0


def test_a_plain_rep_that_dies_costs_an_error_at_once_and_is_asked_again_when_it_is_back() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(plain("rep", TCP))
        address = server.line()
        requester = stack.enter_context(Requester(connect=address))
        began = monotonic()
        with pytest.raises(TimeoutExpired, match="connection was lost"):
            requester.request("die", timeout=20)
        assert monotonic() - began < 10
        stack.enter_context(plain("rep", f"={address}")).line()
        assert requester.request("hello", timeout=10) == {"echo": "hello"}


def test_a_call_with_attempts_outlives_a_plain_rep_that_is_killed_and_started_again() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(plain("rep", TCP))
        address = server.line()
        requester = stack.enter_context(Requester(connect=address))
        call = gevent.spawn(requester.request, "wait", timeout=20, attempts=2)
        assert server.line() == "holding"
        server.kill()
        again = stack.enter_context(plain("rep", f"={address}"))
        again.line()
        assert again.line() == "holding"
        again.say("go on")
        assert call.get(timeout=10) == {"echo": "wait"}
        assert requester.statistics().retried == 1


def test_a_plain_rep_is_asked_through_a_plain_queue(through_queue: tuple[str, str]) -> None:
    front, back = through_queue
    with plain("rep", back) as server, Requester(connect=front) as requester:
        server.line()
        calls = [gevent.spawn(requester.request, number, timeout=5) for number in range(20)]
        gevent.joinall(calls, timeout=10)
        assert [call.value for call in calls] == [{"echo": number} for number in range(20)]


def test_a_plain_req_is_served_through_a_plain_queue(through_queue: tuple[str, str]) -> None:
    front, back = through_queue
    with closing(Replier(serve, connect=back)) as replier, plain("req", front, 1, '"x"', 3) as client:
        replier.start()
        client.line()
        replies = [json.loads(client.line()) for _ in range(3)]
        assert replies == [
            {"twice": 2},
            {"error": {"type": "LookupError", "message": "x is no number"}},
            {"twice": 6},
        ]


def test_a_requester_and_a_replier_meet_through_a_plain_queue(through_queue: tuple[str, str]) -> None:
    front, back = through_queue
    with closing(Replier(serve, connect=back)) as replier, Requester(connect=front) as requester:
        replier.start()
        assert requester.request(4, timeout=5) == {"twice": 8}
        with pytest.raises(RemoteError, match="LookupError: no is no number"):
            requester.request("no", timeout=5)
        assert requester.request(5, timeout=5, attempts=3) == {"twice": 10}
        assert replier.statistics().received == 3


def test_two_plain_queues_in_a_row_are_invisible(through_queue: tuple[str, str]) -> None:
    front, middle = through_queue
    with ExitStack() as stack:
        second = stack.enter_context(plain("queue", TCP))
        other_front, back = second.line(), second.line()
        bridge = stack.enter_context(plain("bridge", middle, other_front))
        assert [bridge.line(), bridge.line()] == ["ready", "ready"]
        stack.enter_context(closing(Replier(serve, connect=back))).start()
        requester = stack.enter_context(Requester(connect=front))
        assert requester.request(21, timeout=5) == {"twice": 42}
        client = stack.enter_context(plain("req", front, 4))
        assert [client.line(), client.line()] == ["ready", '{"twice": 8}']
