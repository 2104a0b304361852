"""How a figure is taken: fresh processes each time, contenders in turn, medians over the rounds."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .load import Figures
from .process import Peer, PeerFailed, peer

#: What stands for all rounds is the median, but for these the worst of them.
WORST = {"max", "wake_ups"}

#: Contenders that may not be there, and what brings them.
COMES_WITH = {"zerorpc": "zbus-green[bench]"}


@dataclass(frozen=True)
class Contender:
    """A library in a row: who opens (binds, and says where) and who joins, as "peer role"."""

    label: str
    opens: str
    joins: str = ""

    @property
    def absence(self) -> str:
        """What to install so that it can run; empty if nothing."""
        comes_with = COMES_WITH.get(self.label)
        if comes_with is None or find_spec(self.label):
            return ""
        return f"{self.label} not installed: pip install {comes_with}"


#: How the processes of one measurement come together.
Way = Callable[[Contender, float], Figures]


def opener_tells(contender: Contender, seconds: float) -> Figures:
    """One opens and receives, the other joins and sends: the receiver has the figures."""
    with (
        peer(contender.opens, "", seconds) as opener,
        peer(contender.joins, opener.hear()["address"], seconds) as joiner,
    ):
        return opener.hear(beside=joiner)


def joiner_tells(contender: Contender, seconds: float) -> Figures:
    """One opens and serves or publishes, the other joins and calls or subscribes: it has them."""
    with (
        peer(contender.opens, "", seconds) as opener,
        peer(contender.joins, opener.hear()["address"], seconds) as joiner,
    ):
        return joiner.hear(beside=opener)


def far_end_tells(contender: Contender, seconds: float) -> Figures:
    """A device opens, one fills its front with messages, one empties its back: that one has the figures."""
    with through(contender, seconds) as (device, _, back):
        return back.hear(beside=device)


def near_end_tells(contender: Contender, seconds: float) -> Figures:
    """The same, but one asks at the front, one answers at the back: who asks has them."""
    with through(contender, seconds) as (device, front, _):
        return front.hear(beside=device)


def device_tells(contender: Contender, seconds: float) -> Figures:
    """The same, but the device has them: of what else its process does."""
    with through(contender, seconds) as (device, front, _):
        return device.hear(beside=front)


@contextmanager
def through(contender: Contender, seconds: float) -> Iterator[tuple[Peer, Peer, Peer]]:
    """A device and who joins it, at the front and at the back."""
    front, _, back = contender.joins.partition(", ")
    with peer(contender.opens, "", seconds) as device:
        near, far = device.hear()["address"].split()
        with peer(back, far, seconds) as receiver, peer(front, near, seconds) as sender:
            yield device, sender, receiver


def vigil(contender: Contender, seconds: float) -> Figures:
    """One process waits; how often its hub's thread got onto a processor is read from outside."""
    with peer(contender.opens, "", seconds) as sleeper:
        thread = sleeper.hear()["thread"]
        record = Path(f"/proc/{sleeper.process.pid}/task/{thread}/schedstat")
        if not record.exists():
            raise PeerFailed("needs /proc/<pid>/task/<tid>/schedstat, as Linux has it")
        before = [int(word) for word in record.read_text().split()]
        time.sleep(seconds)
        after = [int(word) for word in record.read_text().split()]
    return {
        "wake_ups": after[2] - before[2],
        "cpu": (after[0] - before[0]) / 1e6,
        "seconds": seconds,
    }


@dataclass
class Outcome:
    """All rounds of one row: figures by contender, who is not installed, and who failed and why."""

    rounds: dict[str, list[Figures]]
    absent: dict[str, str]
    failed: dict[str, str]

    def summary(self, label: str) -> Figures:
        rounds = self.rounds[label]
        return {
            key: max(one[key] for one in rounds) if key in WORST else statistics.median(one[key] for one in rounds)
            for key in rounds[0]
        }

    def ratios(self, figure: str, label: str, peer: str) -> list[float]:
        """How many times the peer's figure, round by round."""
        pairs = zip(self.rounds[label], self.rounds[peer], strict=False)
        return [mine[figure] / theirs[figure] for mine, theirs in pairs if theirs[figure]]


def take_rounds(
    contenders: Sequence[Contender],
    way: Way,
    seconds: float,
    rounds: int,
    progress: Callable[[str], None],
) -> Outcome:
    """Measure each contender in turn, again and again. One that fails sits out the rest."""
    outcome = Outcome(
        rounds={one.label: [] for one in contenders},
        absent={one.label: one.absence for one in contenders if one.absence},
        failed={},
    )
    for number in range(1, rounds + 1):
        for contender in contenders:
            label = contender.label
            if label in outcome.absent or label in outcome.failed:
                continue
            progress(f"round {number} of {rounds}: {label}")
            try:
                outcome.rounds[label].append(way(contender, seconds))
            except PeerFailed as failure:
                outcome.failed[label] = f"failed: {failure}"
    return outcome
