"""What must hold of every parser: a value or its own refusal, in time, and in memory that goes with its input."""

from __future__ import annotations

from fuzz.cost import Cost, cost
from fuzz.parsers import Frames, Parser


def judged(parser: Parser, frames: Frames) -> Cost:
    """What it cost. `AssertionError` with the input, or whatever the parser raised that it ought not to, noted."""
    try:
        spent = cost(lambda: parser.parse(frames), sum(map(len, frames)), refuses=parser.refuses)
    except BaseException as error:
        error.args = (*error.args, told(parser, frames))
        raise
    assert not spent.dear, f"{spent.dear}: {told(parser, frames)}"
    return spent


def told(parser: Parser, frames: Frames) -> str:
    """A case as a line of the corpus, if it is short enough to be read."""
    line = " / ".join(frame.hex() or "-" for frame in frames)
    return f"{parser.name}: {line[:2000]}{'…' if len(line) > 2000 else ''}"
