"""A client that a test stops and continues: it asks and listens once it is told to, and says how that went.

Its arguments are where it asks, where it is sent something, how long it will be stopped, and how often a call may be
handed out.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent

import zbus

CALLS, LISTENING = 50, 3


def outcome(wait: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    try:
        wait(*arguments, **keywords)
    except zbus.ZbusError as error:
        return type(error).__name__
    return "came"


def main(server: str, feeder: str, seconds: float, attempts: int) -> None:
    """What it listens for is due while it is stopped, and so are two calls in five, unless they may be repeated.

    On one core: libzmq's thread may begin to read what came only after all that is due was noticed.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with zbus.Requester(connect=server, heartbeat=seconds / 5) as requester, zbus.Pull(connect=feeder) as pull:
        for endpoint in (requester, pull):
            endpoint.wait_for_peers(timeout=10)
        print("connected", flush=True)
        sys.stdin.readline()
        calls = []
        for number in range(CALLS):
            part = number / CALLS
            timeout = seconds * (10 if attempts > 1 else 0.6 + part if part < 0.4 else 1.2 + part)
            calls.append(gevent.spawn(outcome, requester.request, number, timeout=timeout, attempts=attempts))
        waits = [gevent.spawn(outcome, pull.recv, timeout=seconds * 0.7) for _ in range(LISTENING)]
        gevent.idle()
        print("waiting", flush=True)
        for greenlets in (calls, waits):
            print(json.dumps(Counter(greenlet.get() for greenlet in greenlets)), flush=True)
        answer = requester.request("and one more", timeout=10, attempts=3)
        print(answer[-1] if isinstance(answer, list) else answer, flush=True)
        print(requester.statistics().retried, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
