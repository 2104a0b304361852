"""A peer process as the benchmark sees it: started, listened to, gone afterwards."""

import json
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

#: Where both zbus and benchmarks can be imported from.
ROOT = Path(__file__).parent.parent


class PeerFailed(Exception):
    """A peer process ended before it said what was asked of it."""


class Peer:
    """A process that plays one role, and what it says."""

    def __init__(self, program: str, address: str, seconds: float, complaint: IO[str]) -> None:
        name, role = program.split()
        self.program = program
        self.complaint = complaint
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.peers.{name}", role, address, str(seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaint,
            text=True,
        )

    def hear(self, *, beside: "Peer | None" = None) -> dict[str, Any]:
        """The next thing it says; it is not waited for once the one beside it has failed."""
        stdout = self.process.stdout
        assert stdout is not None
        while not select.select([stdout], [], [], 0.1)[0]:
            if beside and beside.process.poll() is not None:
                raise beside.failure()
        line = stdout.readline()
        if not line:
            raise self.failure()
        words: dict[str, Any] = json.loads(line)
        return words

    def failure(self) -> PeerFailed:
        """Why it ended: the last line of its complaint."""
        status = self.process.wait()
        if status == -signal.SIGALRM:
            return PeerFailed(f"{self.program}: no figures in time")
        self.complaint.seek(0)
        last = (self.complaint.read().strip().splitlines() or [f"exit status {status}"])[-1]
        return PeerFailed(f"{self.program}: {last}")


@contextmanager
def peer(program: str, address: str, seconds: float) -> Iterator[Peer]:
    """A peer that is gone afterwards, whatever happens."""
    with tempfile.TemporaryFile("w+") as complaint:
        one = Peer(program, address, seconds, complaint)
        try:
            yield one
        finally:
            one.process.kill()
            one.process.communicate()
