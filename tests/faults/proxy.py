"""A TCP proxy that mistreats what passes through it: ``proxy.py HOST:PORT SEED``.

It says where it listens, and passes on to HOST:PORT what comes there. ``up`` is what the connecting side sends,
``down`` what it hears, ``both`` the one and the other counted together. Lines on its standard input steer it:

    slice LEAST MOST          single bytes, so many seconds apart
    delay SECONDS JITTER      every chunk is so late, more or less; order is kept
    late SHARE SECONDS        and this share of the chunks so much later still
    stall WAY, flow WAY       hold back what goes that way, the end of the stream too; let it go again
    reset WAY N, cut WAY N    the next session ends when byte N would pass: by RST, by FIN
    flip WAY N                in the next session one bit of byte N is another
    told                      nothing

Each is answered, once it is in force, by two numbers: the sessions so far, and those in which a ``reset``, ``cut``
or ``flip`` came about. What is random comes from the seed, the number of the session, and the way.
"""

from __future__ import annotations

import random
import struct
import sys
from dataclasses import dataclass, field
from time import monotonic

import gevent
from gevent import socket
from gevent.event import Event
from gevent.fileobject import FileObject
from gevent.queue import Queue

OTHER = {"up": "down", "down": "up"}


@dataclass
class Fate:
    """What is to become of one session, and at which byte."""

    verb: str
    way: str
    at: int


@dataclass
class Rules:
    """How every session is treated now, and what waits for the next."""

    gap: tuple[float, float] | None = None
    delay: tuple[float, float] = (0.0, 0.0)
    late: tuple[float, float] = (0.0, 0.0)
    flowing: dict[str, Event] = field(default_factory=lambda: {"up": Event(), "down": Event()})
    fate: Fate | None = None
    sessions: int = 0
    met: int = 0

    def obey(self, verb: str, *words: str) -> None:
        """One line."""
        if verb == "slice":
            self.gap = (float(words[0]), float(words[1]))
        elif verb in ("delay", "late"):
            setattr(self, verb, (float(words[0]), float(words[1])))
        elif verb == "stall":
            self.flowing[words[0]].clear()
        elif verb == "flow":
            self.flowing[words[0]].set()
        elif verb in ("reset", "cut", "flip"):
            self.fate = Fate(verb, words[0], int(words[1]))
        else:
            assert verb == "told", verb


class Session:
    """One connection that came in, and the one that was made for it."""

    def __init__(self, rules: Rules, client: socket.socket, target: tuple[str, int], seed: str) -> None:
        self._rules = rules
        self._fate, rules.fate = rules.fate, None
        rules.sessions += 1
        self._random = {way: random.Random(f"{seed} {rules.sessions} {way}") for way in OTHER}
        self._ends = {"down": client, "up": socket.create_connection(target)}
        self._passed = {"up": 0, "down": 0}
        for way, end in self._ends.items():
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            queue: Queue = Queue(10_000)
            gevent.spawn(self._read, OTHER[way], end, queue)
            gevent.spawn(self._write, OTHER[way], queue)

    def _read(self, way: str, source: socket.socket, queue: Queue) -> None:
        """Give each chunk the time at which it is due; none before the one in front of it."""
        due, chunk = 0.0, b"?"
        while chunk:
            try:
                chunk = source.recv(65_536)
            except OSError:
                chunk = b""
            due = max(due, monotonic() + self._lateness(way))
            queue.put((due, chunk))

    def _lateness(self, way: str) -> float:
        (delay, jitter), (share, more) = self._rules.delay, self._rules.late
        chance = self._random[way]
        return delay + chance.uniform(-jitter, jitter) + (more if chance.random() < share else 0.0)

    def _write(self, way: str, queue: Queue) -> None:
        while True:
            due, chunk = queue.get()
            if due > monotonic():
                gevent.sleep(due - monotonic())
            self._rules.flowing[way].wait()
            if not chunk:
                self.end()
                return
            try:
                self._pass(way, chunk)
            except OSError:  # who was to hear it has gone; his end of the other way tells of that
                return

    def _pass(self, way: str, chunk: bytes) -> None:
        gap = self._rules.gap
        for piece in (chunk,) if gap is None else (chunk[i : i + 1] for i in range(len(chunk))):
            if gap is not None:
                gevent.sleep(self._random[way].uniform(*gap))
                self._rules.flowing[way].wait()
            self._ends[way].sendall(self._mistreated(way, piece))

    def _mistreated(self, way: str, piece: bytes) -> bytes:
        """What is to pass of a piece; raises when that was the end."""
        fate = self._fate
        if fate is not None and fate.way in (way, "both"):
            room = fate.at - (sum(self._passed.values()) if fate.way == "both" else self._passed[way])
            if room < len(piece):
                self._fate = None
                self._rules.met += 1
                if fate.verb != "flip":
                    self._ends[way].sendall(piece[:room])
                    self.end(reset=fate.verb == "reset")
                    raise ConnectionAbortedError
                bit = 1 << self._random[way].randrange(8)
                piece = piece[:room] + bytes([piece[room] ^ bit]) + piece[room + 1 :]
        self._passed[way] += len(piece)
        return piece

    def end(self, reset: bool = False) -> None:
        """Close both connections."""
        for end in self._ends.values():
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()


def accept(listener: socket.socket, rules: Rules, target: tuple[str, int], seed: str) -> None:
    while True:
        client, _ = listener.accept()
        try:
            Session(rules, client, target, seed)
        except OSError:  # nobody is there
            client.close()


def main() -> None:
    target, seed = sys.argv[1:]
    host, port = target.rsplit(":", 1)
    rules = Rules()
    for way in rules.flowing.values():
        way.set()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        gevent.spawn(accept, listener, rules, (host, int(port)), seed)
        print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
        for line in FileObject(0, "rb", closefd=False):
            rules.obey(*line.decode().split())
            print(rules.sessions, rules.met, flush=True)


if __name__ == "__main__":
    main()
