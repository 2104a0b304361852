"""One bit of a session is another on the way.

TCP without CURVE promises little here: its checksum finds most of what cables do and nothing of what a proxy or bad
memory does, and neither ZMTP nor zbus has a checksum of its own. So a changed body can arrive as good as any. Where a
length or a flag was hit, what follows is taken apart in the wrong places: it may come as a message that nobody sent, be
refused and counted, or be taken for the tail of another; a subscription that was hit asks for something else, or waits
for more bytes, until it is made anew. Only this is promised, and tested here: nothing breaks, no call hangs, other
connections see nothing, and it goes on, on this connection or on the next. Who needs more needs CURVE, which refuses
every changed byte.
"""

from __future__ import annotations

import itertools
import random
from contextlib import ExitStack, suppress
from typing import Any

import gevent
import pytest
from faults.lines import LINES, SOON, Calls, Line, Published, Pushed, content, is_whole
from faults.network import new_seed
from gevent.event import Event
from waiting import LONG, until

from zbus import Requester, ZbusError

SESSION = 401
#: Sessions side by side.
AT_ONCE = 12
#: Messages said behind the flipped bit: a length that was hit may swallow some.
BEHIND = 30
#: Where the numbers of each session begin.
OWN = 1_000_000


@pytest.mark.parametrize("how", ["some", pytest.param("all", marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", LINES)
def test_it_goes_on_behind_a_flipped_bit(kind, how):
    seed = new_seed()
    count = SESSION if how == "all" else AT_ONCE
    places = random.Random(seed).sample(range(SESSION), count)
    with kind(seed) as line:
        for first in range(0, count, AT_ONCE):
            flip_each(line, places[first : first + AT_ONCE])


def flip_each(line: Line, places: list[int]) -> None:
    """A session for each place, all at once; all of them go on."""
    struck = line.proxy.tell("told") + len(places)
    all_struck = Event()
    with ExitStack() as stack:
        talks = []
        for index, at in enumerate(places):
            line.proxy.doom("flip", "both", at)
            sessions = line.proxy.sessions  # as it is with the fate in force: another's second session may take it, too
            near = stack.enter_context(line.near())
            near.start()
            until(lambda sessions=sessions: line.proxy.tell("told") >= 0 and line.proxy.sessions > sessions)
            talks.append(gevent.spawn(talk, line, near, OWN * index, all_struck))
        until(lambda: line.proxy.tell("told") == struck, 3 * LONG)
        all_struck.set()
        gevent.joinall(talks, timeout=4 * LONG, raise_error=True)
        assert [at for at, one in zip(places, talks, strict=True) if not one.dead] == []


def talk(line: Line, near: Any, first: int, all_struck: Event) -> None:
    """Say messages until all are struck and some more, whatever becomes of them, and then more until some arrive."""
    numbers = itertools.count(first)
    while not all_struck.is_set():
        attempt(line, near, next(numbers))
    for _ in range(BEHIND):
        attempt(line, near, next(numbers))
    since = next(numbers)
    before = arrived(line, near, since)
    while arrived(line, near, since) < before + 3:
        if isinstance(
            line, Published
        ):  # what was hit may be the subscription, or its length, and nothing tells of that
            near.unsubscribe("px")
            near.subscribe("px")
        attempt(line, near, next(numbers))


def attempt(line: Line, near: Any, number: int) -> None:
    with suppress(ZbusError, AssertionError):  # lost, refused, or another body
        line.say(near, number, timeout=0.3)
    gevent.sleep(0.005)


def arrived(line: Line, near: Any, since: int) -> int:
    """How many messages of this session's came."""
    if isinstance(line, Pushed):
        return sum(
            is_whole(message) and message.body[0] // OWN == since // OWN and message.body[0] >= since
            for message in line.heard
        )
    received: int = near.statistics().received
    return received


def test_a_client_with_a_direct_connection_notices_nothing_of_bits_flipped_in_others():
    with Calls(new_seed()) as line, Requester(connect=line.far.addresses[0], **SOON) as direct:
        flipping = gevent.spawn(flip_each, line, random.Random(new_seed()).sample(range(SESSION), AT_ONCE))
        number = 0
        while number < 100 or not flipping.dead:
            assert direct.request(content(number), headers={"number": number}, timeout=LONG) == content(number)
            number += 1
            gevent.sleep(0.005)
        flipping.get()
        assert direct.statistics().sent == number
