"""What the tests of green sockets share: waiting by turning the loop, and programs in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import zmq

from zbus.green import Socket

ROOT = Path(__file__).resolve().parents[2]


def signalled(socket: Socket) -> None:
    """Wait, the hub standing still, for libzmq to signal the socket; nothing is taken from it."""
    assert zmq.zmq_poll([(socket.get(zmq.FD), zmq.POLLIN)], 5000), "libzmq signalled nothing"


def fill(socket: Socket, message: bytes = b"filling") -> int:
    """Send until there is no room; how many it took."""
    sent = 0
    while socket.offer([message]):
        sent += 1
    return sent


def command(source: str, *flags: str) -> list[str]:
    """The command line of a Python program that finds zbus."""
    found = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    forks_on_purpose = ("-W", "ignore:This process (pid:DeprecationWarning")  # beside libzmq's threads
    return [sys.executable, *forks_on_purpose, *flags, "-c", found + textwrap.dedent(source)]


def run(source: str, *arguments: str, flags: tuple[str, ...] = (), seconds: float = 20) -> str:
    """Run a program; it has to end well and to say nothing on stderr. What it printed."""
    ended = subprocess.run(
        [*command(source, *flags), *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout
