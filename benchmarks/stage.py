"""What a peer process and the benchmark that started it say to each other.

A peer is `python -m benchmarks.peers.NAME ROLE ADDRESS SECONDS`. On its standard output it says one
JSON object a line: where it can be reached, once it can, and the figures, once it has them. It is
killed when it is no longer needed, and ends by itself if nobody does that.
"""

import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from .load import Figures

#: A part to play, given the other's address ("" for who goes first) and the seconds to measure.
Role = Callable[[str, float], None]

#: Where who goes first binds: a free port of the loopback.
ANYWHERE = "tcp://127.0.0.1:*"
#: Messages a peer and direction, for every library.
HIGH_WATER_MARK = 1000
#: Greenlets that share one client.
CROWD = 100
#: Endpoints that one dispatcher reads.
ENDPOINTS = 100
#: Browsers that one event stream serves, one of them stalled; and publications a second to each.
BROWSERS, PUBLICATIONS = 200, 50
#: Topics that are published in turn.
TOPICS = 100
#: Endpoints that do nothing.
IDLERS = 100


def announce(address: str = "", *, thread: int = 0) -> None:
    """Say that the other may come, and where; or which thread to watch."""
    _say({"address": address, "thread": thread})


def report(figures: Figures) -> None:
    """Say what was measured."""
    _say(figures)


def play(roles: Mapping[str, Role]) -> NoReturn:
    """Play the role that the command line asks for."""
    role, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    signal.alarm(20 + int(4 * seconds))
    roles[role](address, seconds)
    sys.exit()


def _say(words: Mapping[str, object]) -> None:
    print(json.dumps(words), flush=True)
