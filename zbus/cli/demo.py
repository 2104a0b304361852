"""``zbus demo``: every pattern in one process, over tcp on loopback, told as it happens and counted.

A line of the transcript is printed by what was received, never by what was meant to be sent. Each chapter holds what
the endpoints counted against what was due, and ends with a burst for the closing table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from .. import __version__
from ..errors import ZbusError
from ..wire.batch import Batch
from . import bursts, stories
from .transcript import Row, Transcript


class Chapter(NamedTuple):
    """One pattern: its name, what it shows in plain words, its story, and its burst.

    A story returns how many messages were due, and how many the endpoints received.
    """

    pattern: str
    about: str
    story: Callable[[Transcript], tuple[int, int]]
    burst: Callable[[], Row]


def add(verbs: argparse._SubParsersAction[Any]) -> None:
    """Tell the parser of this verb."""
    about = "every pattern in one process, in about three seconds: what crosses, and how fast"
    verbs.add_parser("demo", help=about, description=f"Shows {about}.").set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Tell it all on standard output; `ZbusError` at the end if anything went wrong."""
    began = monotonic()
    page = Transcript(sys.stdout)
    page.line(f"zbus {__version__}: the ZeroMQ patterns, in one process, over real tcp sockets")
    problems: list[str] = []
    rows: list[Row] = []
    crossed = 0
    for chapter in CHAPTERS:
        page.chapter(chapter.pattern, chapter.about)
        try:
            due, received = chapter.story(page)
            crossed += received
            row = chapter.burst()
            rows.append(row)
            page.good(_verdict(due, received, row))
        except ZbusError as error:
            page.bad(str(error))
            problems.append(f"{chapter.pattern}: {error}")
    page.table(f"in bursts of {bursts.SECONDS:g} s", rows)
    page.line()
    if problems:
        raise ZbusError(f"the demo failed: {'; '.join(problems)}")
    crossed += sum(row.received for row in rows)
    page.note(f"{crossed:,} messages, none lost, in {monotonic() - began:.1f} s. Sender and receiver share one thread")
    page.note("here, and in the table a message of REQUEST / REPLY is a call, there and back.")


def _verdict(due: int, received: int, row: Row) -> str:
    """How a chapter went; `ZbusError` if a message is missing."""
    if received != due:
        raise ZbusError(f"{due} messages were due, {received} came")
    if row.received != row.sent:
        raise ZbusError(f"{row.sent:,} messages were sent in the burst, {row.received:,} came")
    return f"{received} of {due} arrived; then {row.received:,} of {row.sent:,} in {row.seconds:.2f} s"


CHAPTERS = [
    Chapter("PAIR", "two ends of one line; either speaks whenever it likes", stories.pair, bursts.pair),
    Chapter(
        "REQUEST / REPLY",
        "many ask at once over one client; servers share the calls",
        stories.request_reply,
        bursts.request_reply,
    ),
    Chapter(
        "PUBLISH / SUBSCRIBE",
        "said once, heard by everyone who asked for the topic",
        stories.publish_subscribe,
        bursts.publish_subscribe,
    ),
    Chapter(
        "PUSH / PULL",
        "work is dealt out in turn; each piece goes to one worker",
        stories.push_pull,
        bursts.push_pull,
    ),
    Chapter(
        "PUSH / PULL, batched",
        "the same, with many messages in one frame",
        stories.push_pull_batched,
        lambda: bursts.push_pull(Batch()),
    ),
    Chapter(
        "DISPATCHER",
        "a callback for each command and each topic",
        stories.dispatch,
        bursts.dispatch,
    ),
]
