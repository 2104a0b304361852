"""``python -m fuzz PARSER [options of libFuzzer]``, in ``tests``: search by coverage for what breaks one parser.

It needs atheris (``pip install atheris``), which no test does. What it finds goes into the corpus, as the line that is
shown with the error. ``-max_total_time=60`` and ``-runs=100000`` bound the search.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("this search needs atheris: pip install atheris")

with atheris.instrument_imports(include=["zbus"]):
    from fuzz.oracle import judged
    from fuzz.parsers import PARSERS, Frames
from fuzz.seeds import seeds


def split(data: bytes) -> Frames:
    """Frames, each behind its length in two bytes; the last takes what is left."""
    frames = []
    while True:
        size = int.from_bytes(data[:2], "big")
        frames.append(data[2 : 2 + size])
        data = data[2 + size :]
        if not data:
            return frames


def joined(frames: Frames) -> bytes:
    """The other way round."""
    return b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)


def main() -> None:
    """Never returns."""
    if len(sys.argv) < 2 or sys.argv[1] not in PARSERS:
        sys.exit(f"which parser? {', '.join(PARSERS)}")
    parser = PARSERS[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory(prefix="zbus-fuzz-") as folder:
        for number, frames in enumerate(seeds(parser.name).values()):
            if max(map(len, frames)) < 2**16:
                Path(folder, str(number)).write_bytes(joined(frames))
        atheris.Setup([*sys.argv, folder], lambda data: judged(parser, split(data)) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
