"""How a demonstration looks: chapters, messages that cross, a table. At most 80 columns.

Colour goes to a terminal only, and not where NO_COLOR is set; box and arrows only where the encoding has them.
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from typing import TextIO

WIDTH = 80
#: Columns of the longest bar in the table.
BAR = 20

BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"


@dataclass(frozen=True)
class Signs:
    """What is drawn with."""

    top: str
    side: str
    bottom: str
    arrow: str
    good: str
    bad: str
    rule: str
    bar: str


PRETTY = Signs("╭─", "│", "╰─", "──→", "✓", "✗", "─", "━")
PLAIN = Signs("+-", "|", "+-", "-->", "ok:", "FAILED:", "-", "=")


@dataclass(frozen=True)
class Row:
    """One row of the table: what was sent and received of it in so many seconds."""

    pattern: str
    sent: int
    received: int
    seconds: float

    @property
    def rate(self) -> float:
        """Messages received a second."""
        return self.received / self.seconds


class Transcript:
    """Writes to `stream` line by line, each at once, so that it is live in a pipe too."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._signs = PRETTY if _carries(stream, "".join(astuple(PRETTY))) else PLAIN
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, text: str = "") -> None:
        """One line as it is."""
        print(text, file=self._stream, flush=True)

    def chapter(self, pattern: str, about: str) -> None:
        """A pattern begins: its name, and in plain words what it shows."""
        self.line()
        self.line(f"{self._paint(self._signs.top, DIM)} {self._paint(pattern, BOLD)}  {about}")

    def aside(self, text: str) -> None:
        """What one should know to follow the chapter."""
        self._inside(self._paint(text, DIM))

    def crossed(self, sender: str, receiver: str, body: str) -> None:
        """A message has crossed."""
        arrow = self._paint(self._signs.arrow, CYAN)
        self._inside(f"{sender:<8} {arrow}  {receiver:<8}  {body}")

    def good(self, text: str) -> None:
        """The chapter ends well."""
        self._end(self._paint(self._signs.good, GREEN), text)

    def bad(self, text: str) -> None:
        """The chapter ends badly."""
        self._end(self._paint(self._signs.bad, RED), text)

    def table(self, title: str, rows: list[Row]) -> None:
        """The figures of all patterns, with a bar for each rate."""
        fastest = max((row.rate for row in rows), default=0.0)
        self.line()
        self.line("  " + self._paint(f"{title:<22}{'sent':>10}{'received':>10}{'per second':>12}", BOLD))
        self.line("  " + self._paint(self._signs.rule * (WIDTH - 4), DIM))
        for row in rows:
            told = f"{row.pattern:<22}{row.sent:>10,}{row.received:>10,}{row.rate:>12,.0f}"
            length = max(round(BAR * row.rate / fastest), 1) if fastest else 0
            if row.sent == row.received:
                self.line(f"  {told}  {self._paint(self._signs.bar * length, CYAN)}")
            else:
                wrong = f"{row.sent - row.received:,} lost" if row.sent > row.received else "came more than once"
                self.line(f"  {self._paint(f'{told}  {self._signs.bad} {wrong}', RED)}")

    def note(self, text: str) -> None:
        """What one should know about the table."""
        self.line(f"  {self._paint(text, DIM)}")

    def _inside(self, text: str) -> None:
        self.line(f"{self._paint(self._signs.side, DIM)}  {text}")

    def _end(self, sign: str, text: str) -> None:
        self.line(f"{self._paint(self._signs.bottom, DIM)} {sign} {text}")

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text


def _carries(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
