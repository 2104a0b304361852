"""The seeded corpus: a file for each parser, a case a line.

``name: frame / frame``, each frame in hex in which spaces mean nothing, ``-`` for an empty one; ``91*100`` is a group
of bytes that stands so many times, ``'text'`` are its bytes.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"

_part = re.compile(r"'([^']*)'|([0-9a-f]+)\*(\d+)|([0-9a-f]+)|(-)")


def read(line: str) -> list[bytes]:
    """The frames that stand behind the name of a case."""
    return [_frame(frame.strip()) for frame in line.split(" / ")]


def _frame(text: str) -> bytes:
    made, end = b"", 0
    for found in _part.finditer(text):
        assert not text[end : found.start()].strip(), text
        end = found.end()
        said, repeated, times, octets, _ = found.groups()
        if said is not None:
            made += said.replace("\\n", "\n").encode()
        elif repeated:
            made += bytes.fromhex(repeated) * int(times)
        elif octets:
            made += bytes.fromhex(octets)
    assert not text[end:].strip(), text
    return made


@cache
def seeds(name: str) -> dict[str, list[bytes]]:
    """The cases of one parser, by name."""
    found = {}
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            title, _, frames = line.partition(": ")
            assert title not in found, title
            found[title] = read(frames)
    return found
