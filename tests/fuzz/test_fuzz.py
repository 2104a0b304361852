"""Whatever comes in from outside is a value or refused, soon, and in memory that goes with its size.

The corpus and cases made from it by a seed, and values that hypothesis thinks of; in the plain run a few thousand, in
the soak a million. ``python -m fuzz`` in ``tests`` searches on by coverage, with atheris.
"""

from __future__ import annotations

from itertools import islice, repeat
from time import monotonic

import msgpack
import pytest
from fuzz.mutation import Mutator
from fuzz.oracle import judged
from fuzz.parsers import PARSERS, Frames, Parser
from fuzz.seeds import FOLDER, seeds
from hypothesis import given
from hypothesis import strategies as st
from models.effort import tried

#: Cases from one seed: in the plain run for each parser, in the soak for all of them together.
FEW, MANY = 300, 1_000_000

every = pytest.mark.parametrize("name", PARSERS)

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.builds(msgpack.ExtType, st.integers(0, 5), st.binary(max_size=40)),
    st.builds(
        msgpack.ExtType,
        st.integers(1, 4),
        st.one_of(st.decimals().map(str), st.uuids().map(str), st.dates().map(str), st.times().map(str)).map(
            str.encode
        ),
    ),
    st.builds(msgpack.Timestamp, st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**9 - 1)),
)
keys = leaves.filter(lambda key: key == key)
bodies = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.lists(st.tuples(keys, inner), max_size=6).map(
            lambda pairs: {key: value for key, value in pairs}  # noqa: C416 - as a map is sent
        )
    ),
    max_leaves=20,
).map(msgpack.packb)


def frames_for(name: str) -> st.SearchStrategy[Frames]:
    """Frames of the corpus, values, text and any bytes, cut off anywhere or not."""
    known = [frame for frames in seeds(name).values() for frame in frames if len(frame) < 5000]
    whole = st.one_of(st.sampled_from(known), bodies, st.text(max_size=60).map(lambda text: text.encode()), st.binary())
    cut = st.tuples(whole, st.integers(1, 8)).map(lambda one: one[0][: -one[1]])
    return st.lists(whole | cut, min_size=1, max_size=7) | st.sampled_from(list(seeds(name).values()))


def test_each_parser_has_its_corpus() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(PARSERS)
    assert all(len(seeds(name)) > 5 for name in PARSERS)


@every
def test_the_corpus_and_what_is_made_from_it(name: str) -> None:
    parser = PARSERS[name]
    for frames in seeds(name).values():
        judged(parser, frames)
    for frames in islice(Mutator(list(seeds(name).values()), seed=1), FEW):
        judged(parser, frames)


@tried()
@every
def test_what_looks_like_it(name: str, effort) -> None:
    parser = PARSERS[name]

    @effort
    @given(frames_for(name))
    def look(frames: Frames) -> None:
        judged(parser, frames)

    look()


@pytest.mark.soak
def test_a_million_cases() -> None:
    began, done, slowest, largest = monotonic(), 0, (0.0, ""), (0.0, "")
    each = MANY // len(PARSERS) + 1
    for name, parser in PARSERS.items():
        for frames in islice(Mutator(list(seeds(name).values()), seed=2), each):
            spent = judged(parser, frames)
            done += 1
            slowest = max(slowest, (spent.seconds, f"{name}, {spent.size} bytes"))
            if spent.size > 4096:
                largest = max(largest, (spent.peak / spent.size, f"{name}, {spent.size} bytes"))
    seconds = monotonic() - began
    print(f"{done:,} cases in {seconds:.0f} s; slowest {slowest[0] * 1000:.1f} ms: {slowest[1]}; ", end="")
    print(f"most memory {largest[0]:.1f} times the input: {largest[1]}")
    assert done >= MANY


def test_a_parser_that_is_slow_greedy_or_wrong_is_found_out() -> None:
    def burn() -> None:
        sum(repeat(1, 20_000_000))

    def hoard() -> list[bytes]:
        return [bytes(1000) for _ in range(30_000)]

    for parse, says in ((burn, " ms"), (hoard, " MiB")):
        with pytest.raises(AssertionError, match=f"{says} for 3 bytes: it: 010203"):
            judged(Parser("it", lambda frames, parse=parse: parse(), ()), [b"\1\2\3"])
    with pytest.raises(KeyError, match="it: 01"):
        judged(Parser("it", lambda frames: {}[1], (ValueError,)), [b"\1"])
