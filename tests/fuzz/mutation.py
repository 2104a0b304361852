"""Cases made from others, always the same for one seed: what is there cut, doubled, spliced, and lied about."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

Frames = list[bytes]

#: Bytes of one frame that a case is cut off at.
LONGEST = 65_536
#: What tends to matter: heads of msgpack values and lengths that lie, words of text files, marks of JSON.
_TOKENS = [
    *(bytes([byte]) for byte in (0, 1, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x91, 0x9F, 0xA0, 0xC0, 0xC1, 0xE0, 0xFF)),
    *(bytes.fromhex(text) for text in ("dcffff", "deffff", "dd00020000", "df00020000", "ddffffffff", "dbffffffff")),
    *(
        bytes.fromhex(text)
        for text in ("c9ffffffff01", "c70301", "d40131", "d6ff", "d7ff", "c70cff", "c72002", "a2fffe")
    ),
    *(b".", b"#", b"*", b"<x>", b"#.", b"*.", b"\n", b" ", b"\t", b"\r", b"public ", b"secret ", b"allow ", b"deny "),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"1e999", b"-", b"NaN", b"\xef\xbb\xbf"),
]


class Mutator:
    """Makes cases from `seeds`, without end."""

    def __init__(self, seeds: Sequence[Frames], seed: int) -> None:
        self._seeds = [frames for frames in seeds if sum(map(len, frames)) <= LONGEST] or [[b""]]
        self._dice = random.Random(seed)

    def __iter__(self) -> Iterator[Frames]:
        dice = self._dice
        while True:
            frames = list(dice.choice(self._seeds))
            for _ in range(dice.choice((1, 1, 2, 3, 6))):
                self._change(frames)
            yield frames or [b""]

    def _change(self, frames: Frames) -> None:
        dice = self._dice
        if dice.random() < 0.15:
            self._change_frames(frames)
            return
        if not frames:
            frames.append(b"")
        at = dice.randrange(len(frames))
        frames[at] = self._changed(frames[at])[:LONGEST]

    def _change_frames(self, frames: Frames) -> None:
        dice = self._dice
        kind = dice.randrange(4)
        if kind == 0:
            frames.insert(dice.randint(0, len(frames)), dice.choice((b"", b"\x80", b"\xc0", dice.randbytes(20))))
        elif kind == 1 and frames:
            del frames[dice.randrange(len(frames))]
        elif kind == 2 and frames:
            frames.extend([dice.choice(frames)] * dice.choice((1, 2, 8, 100)))
        else:
            frames.extend(dice.choice(self._seeds))
        del frames[200:]

    def _changed(self, data: bytes) -> bytes:
        dice = self._dice
        start, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
        kind = dice.randrange(8)
        if kind == 0 and data:
            at = dice.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
        if kind == 1:
            return data[:start] + dice.choice(_TOKENS) + data[start:]
        if kind == 2:
            return data[:start] + dice.choice(_TOKENS) + data[end:]
        if kind == 3:
            return data[:start] + dice.randbytes(dice.choice((1, 2, 4, 16, 300))) + data[end:]
        if kind == 4:
            return data[:start] + data[end:]
        if kind == 5:
            return data[:start] + data[start:end] * dice.choice((2, 3, 17, 300)) + data[end:]
        if kind == 6:
            other = dice.choice(dice.choice(self._seeds) or [b""])
            return data[:start] + other[dice.randint(0, len(other)) :]
        return dice.choice(_TOKENS) * dice.choice((1, 2, 50, 2000)) + data
