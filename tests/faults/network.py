"""The parent's side of a bad network; see `proxy.py` for what it does to what passes."""

from __future__ import annotations

import os
import random
from pathlib import Path

from interop.process import Process


def new_seed() -> int:
    """For whatever is random; what a failed test printed, given back as ``FAULTS_SEED``, repeats it."""
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(2**32)))
    print(f"FAULTS_SEED={seed}")
    return seed


class Proxy(Process):
    """A proxy in front of one address, mistreating nothing until it is told to."""

    def __init__(self, target: str, seed: int) -> None:
        super().__init__(Path(__file__).with_name("proxy.py"), target.removeprefix("tcp://"), seed)
        self.address = f"tcp://{self.line()}"
        self.sessions = self._before = 0

    def tell(self, *words: object) -> int:
        """One line; returns, when it is in force, how many fates were met so far."""
        self.say(" ".join(map(str, words)))
        self.sessions, met = map(int, self.line().split())
        return met

    def doom(self, verb: str, way: str, at: int) -> None:
        """Have the next session meet its fate at a byte."""
        self._before = self.tell(verb, way, at)

    def struck(self) -> bool:
        """Has it?"""
        return self.tell("told") > self._before
