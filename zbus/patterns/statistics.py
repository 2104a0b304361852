"""What an endpoint counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts since the endpoint was opened, and how things stand now. What an endpoint does not have stays 0."""

    sent: int = 0  #: messages handed to libzmq: publications, requests (each attempt), replies
    received: int = 0  #: messages handed to the program
    malformed: int = 0  #: messages that came in but break the wire's rules; dropped
    dropped: int = 0  #: messages known to be lost on the way out
    missed: int = 0  #: publications that a sequenced publisher sent and we never saw
    repeated: int = 0  #: publications or calls that had come before, not delivered again
    unmatched: int = 0  #: publications that ZeroMQ's prefix let through and no pattern wanted
    retried: int = 0  #: attempts of a call after its first
    denied: int = 0  #: messages and subscriptions of users who may not
    refused: int = 0  #: calls that a stopping server would not take
    expired: int = 0  #: calls whose time was over
    late: int = 0  #: replies to calls that wait no more
    failed: int = 0  #: handlers and callbacks that raised
    running: int = 0  #: handlers at work now
    waiting: int = 0  #: what is queued here now: calls, values of a batch
    peers: int = 0  #: connections now
    silent: int = 0  #: servers among them that owe replies and gave none for 6 s: the process lives, its loop may not
    missed_wakeups: int = 0  #: a defect of zbus if it is not 0
