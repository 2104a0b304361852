"""Every test ends in time, and leaves nothing behind.

Both are seen to without being asked for. A test that takes longer than `LONGEST` seconds fails (`soak` ones may take
`LONGEST_SOAK`), as does one that leaves a greenlet, an open green socket, an open service or a file descriptor behind.

To ask for:

* ``address`` runs a test three times, with an address to bind to over inproc, ipc and tcp. The tcp one ends in ``:*``:
  connect to what the bound side says in ``addresses``, which is right for all three.
* ``inproc_address``, ``ipc_address`` are new at each test; the path of the second is short.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from itertools import count
from time import monotonic
from typing import Any

import gevent
import pytest

import zbus
from zbus.green.context import _sockets
from zbus.green.service import _services

#: Seconds that one test may take.
LONGEST, LONGEST_SOAK = 30, 7200
#: Seconds that libzmq and dying greenlets have after a test to let go of what they hold.
GRACE = 5.0

_greenlets: weakref.WeakSet[gevent.Greenlet] = weakref.WeakSet()
_serial = count(1)
_failed = pytest.StashKey[bool]()


class TooLong(gevent.Timeout):
    """A test that waits for what does not come."""

    def __str__(self) -> str:
        return f"the test was still waiting after {self.seconds} s"


def pytest_sessionstart() -> None:
    """Open what is opened once a process, so that its descriptors are nobody's leak."""
    gevent.Greenlet.add_spawn_callback(_greenlets.add)
    with zbus.Pull(bind="tcp://127.0.0.1:*"):
        pass
    gevent.get_hub().threadpool.apply(_make_hub)


def _make_hub() -> None:
    """In a thread of the pool: what needs one there makes it, and it stays as long as the thread."""
    gevent.get_hub()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember who failed: what a failed test leaves behind is no news."""
    report: Any = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(autouse=True)
def tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Bound the test's time; when it is over, see that nothing is left of it."""
    if "wire" in request.node.path.parts:  # it opens nothing: that layer imports neither gevent nor zmq
        yield
        return
    before = _Open()
    limit = TooLong(LONGEST_SOAK if request.node.get_closest_marker("soak") else LONGEST)
    limit.start()
    try:
        yield
    finally:
        limit.close()
    left = _Open().since(before)
    deadline = monotonic() + GRACE
    while left and monotonic() < deadline:
        gevent.sleep(0.002)
        left = _Open().since(before)
    if left:
        told = left.told()
        left.end()
        if not request.node.stash.get(_failed, False):
            pytest.fail(f"the test left behind: {told}", pytrace=False)


class _Open:
    """What is open in this process."""

    def __init__(self) -> None:
        self.greenlets = {one for one in _greenlets if not one.dead and one is not gevent.getcurrent()}
        self.services = set(_services)
        self.sockets = {one for one in _sockets if not one.closed}
        self.descriptors = _descriptors()

    def since(self, before: _Open) -> _Open:
        """What is open now and was not then."""
        self.greenlets -= before.greenlets
        self.services -= before.services
        self.sockets -= before.sockets
        self.descriptors = {k: v for k, v in self.descriptors.items() if k not in before.descriptors}
        return self

    def __bool__(self) -> bool:
        return bool(self.greenlets or self.services or self.sockets or self.descriptors)

    def told(self) -> str:
        """In words."""
        lists = {
            "greenlets": map(repr, self.greenlets),
            "open services": map(repr, self.services),
            "open sockets": map(repr, self.sockets),
            "descriptors": (f"{number} ({target})" for number, target in self.descriptors.items()),
        }
        named = {what: sorted(those) for what, those in lists.items()}
        return "; ".join(f"{len(those)} {what}: {', '.join(those)}" for what, those in named.items() if those)

    def end(self) -> None:
        """Clear away what can be, so that the next test has a clean start."""
        gevent.killall(self.greenlets, timeout=1)
        for service in self.services:
            with gevent.Timeout(3, False):
                service.close()
        for socket in self.sockets:
            socket.close(0)


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the listing's own, or one that was closed meanwhile
            continue
    # libev makes its epoll anew, under another number, whenever an event comes for a descriptor that was closed
    return {number: target for number, target in found.items() if target != "anon_inode:[eventpoll]"}


@pytest.fixture
def inproc_address() -> str:
    """An ``inproc://`` name that nobody had before."""
    return f"inproc://test.{next(_serial)}"


@pytest.fixture
def ipc_address() -> Iterator[str]:
    """An ``ipc://`` path in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="z") as directory:
        yield f"ipc://{directory}/s"


@pytest.fixture(params=["inproc", "ipc", "tcp"])
def address(request: pytest.FixtureRequest) -> str:
    """An address to bind to; with it a test runs once a transport."""
    if request.param == "tcp":
        return "tcp://127.0.0.1:*"
    found: str = request.getfixturevalue(f"{request.param}_address")
    return found
