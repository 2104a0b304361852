"""A network that slices, and connections that are reset in the middle of anything: rows NE-1 and NE-2."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import gevent
import pytest
from faults.lines import LINES, SOON, TCP, Calls, Line, Published, Pulled, Pushed
from faults.network import new_seed
from waiting import LONG, until

from zbus import Pull, Push, Requester, TimeoutExpired

#: Bytes of a session: the greeting of each side has 64, READY behind it some 30; then come messages.
GREETING, READY, SESSION = 64, 100, 401
SOAK = pytest.mark.soak


@pytest.fixture
def seed() -> int:
    """Of all that is random in a test; it is in the output of one that fails."""
    return new_seed()


@pytest.fixture
def line(request: pytest.FixtureRequest, seed: int) -> Iterator[Line]:
    """One way of sending messages, through a proxy."""
    with request.param(seed) as made:
        yield made


def each_line(*lines: Callable[[int], Line]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("line", lines, indirect=True, ids=lambda kind: kind.__name__)


def fates(how: str, seed: int, *ways: str) -> list[tuple[str, str, int]]:
    """How, which way counted and at which byte to strike: all there are, or some in each part of a session."""
    every = itertools.product(["reset", "cut"], ways, range(SESSION))
    if how == "all":
        return list(every)
    chance = random.Random(seed)
    parts = [range(GREETING), range(GREETING, READY), range(READY, 2 * READY), range(2 * READY, SESSION)]
    some = [0, 10, GREETING - 1, GREETING, *(at for part in parts for at in chance.sample(part, 3))]
    return [(chance.choice(["reset", "cut"]), chance.choice(ways), at) for at in some]


everywhere = pytest.mark.parametrize("how", ["some", pytest.param("all", marks=SOAK)])


# -- slices: NE-1 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "least", "most"), [(6, 0.0, 0.0005), pytest.param(1000, 0.001, 0.003, marks=SOAK)]
)
@each_line(*LINES)
def test_messages_in_single_bytes_arrive_whole_and_in_order(line, messages, least, most):
    line.proxy.tell("slice", least, most)
    with line.near() as near:
        near.wait_for_peers(timeout=2 * LONG)
        if isinstance(line, Published):
            line.far.wait_for_subscribers("px", timeout=2 * LONG)
        for number in range(messages):
            line.say(near, number)
        until(lambda: len(line.heard) == messages, messages)
        assert line.numbers == list(range(messages))
        assert near.statistics().malformed == line.far.statistics().malformed == 0
    assert line.proxy.tell("told") == 0
    assert line.proxy.sessions == 1


# -- resets: NE-2 ------------------------------------------------------------------------------------


@everywhere
@each_line(Calls)
def test_a_call_with_attempts_is_answered_wherever_its_connection_breaks_and_runs_once(line, how, seed):
    numbers = itertools.count()
    for fate in fates(how, seed, "up", "down"):
        line.proxy.doom(*fate)
        with line.near() as near:
            while not line.proxy.struck():
                line.say(near, next(numbers), attempts=3)
    assert line.numbers == list(range(next(numbers)))


@everywhere
@each_line(Calls)
def test_a_call_without_attempts_fails_at_once_where_its_connection_breaks_and_the_next_works(line, how, seed):
    numbers = itertools.count()
    failed = set()
    for fate in fates(how, seed, "up", "down"):
        line.proxy.doom(*fate)
        with line.near() as near:
            while not line.proxy.struck():
                number = next(numbers)
                if not answered(line, near, number):
                    failed.add(number)
            line.say(near, next(numbers))
            assert near.statistics().expired <= 1, fate
    assert line.numbers == sorted(set(line.numbers))
    assert set(range(next(numbers))) - set(line.numbers) <= failed


def answered(line: Line, near: Requester, number: int) -> bool:
    """Make a call; was it answered, and not lost with its connection?"""
    try:
        line.say(near, number)
    except TimeoutExpired as error:
        if "connection was lost" in str(error):
            return False
        raise
    return True


@everywhere
@each_line(Pushed, Pulled, Published)
def test_messages_go_on_wherever_their_connection_breaks_and_none_is_half_or_twice(line, how, seed):
    numbers = itertools.count()
    for fate in fates(how, seed, "both"):
        line.proxy.doom(*fate)
        with line.near() as near:
            while not line.proxy.struck():
                line.say(near, next(numbers))
            struck = next(numbers)
            with gevent.Timeout(2 * LONG, AssertionError(f"nothing came after {fate}")):
                while not line.heard or line.heard[-1].body[0] <= struck:
                    line.say(near, next(numbers))
                    gevent.sleep(0.001)
            assert near.statistics().malformed == line.far.statistics().malformed == 0, fate
    assert line.numbers == sorted(set(line.numbers))


def test_a_push_that_connects_by_name_keeps_its_queue_while_its_pull_is_down_for_long():
    with Pull(bind=TCP) as pull:
        address = pull.addresses[0]
        push = Push(connect=address.replace("127.0.0.1", "localhost"), linger=0.05, **SOON)
        push.wait_for_peers(timeout=LONG)
    with push:
        until(lambda: push.peers == 0)
        for number in range(100):
            push.send(number, timeout=LONG)
        gevent.sleep(0.8)  # longer than a connection that libzmq has given up is left alone
        with Pull(bind=address) as pull:
            assert [pull.recv(timeout=LONG).body for _ in range(100)] == list(range(100))
