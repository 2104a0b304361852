"""The wall clock of a process jumps while everything that takes time is under way in it: row CL-1."""

from __future__ import annotations

import json
import mmap
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import time

import pytest
from interop.process import Process

HERE = Path(__file__).parent
#: How long each thing takes; more than the half second after which libev looks at the wall clock again.
SECONDS = 1.0
#: By how much a busy machine may be late.
SLACK = 3.0
JUMPS = {"an hour on": 3600, "an hour back": -3600, "to 1970": 60 - int(time()), "to 2106": 2**32 + 60 - int(time())}


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What puts a program's wall clock ahead."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler, and without one no way to change the clock of one process")
    library = tmp_path_factory.mktemp("clock") / "clock_ahead.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "clock_ahead.c", "-ldl"], check=True)
    return library


@pytest.fixture
def jump(preloaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Puts the wall clock of each program that is started from now on ahead by so many seconds."""
    ahead = tmp_path / "ahead"
    ahead.write_bytes(struct.pack("l", 0))
    monkeypatch.setenv("LD_PRELOAD", str(preloaded))
    monkeypatch.setenv("CLOCK_AHEAD", str(ahead))

    def jump(seconds: int) -> None:
        with ahead.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[:] = struct.pack("l", seconds)

    return jump


@pytest.mark.parametrize("seconds", JUMPS.values(), ids=JUMPS)
def test_a_jump_of_the_wall_clock_moves_nothing(seconds: int, jump: Callable[[int], None]) -> None:
    with Process(HERE / "takes_time.py", SECONDS) as program:
        assert program.line() == "waiting"
        jump(seconds)
        found = json.loads(program.line(20))
        assert program.ended() == 0
        assert program.complaint() == ""
    assert found["moved"] == pytest.approx([seconds] * 2, abs=1), "both Python's and the loop's"
    took = found["seconds"]
    assert len(took) == 7
    assert {name: value for name, value in took.items() if not SECONDS - 0.01 <= value < SECONDS + SLACK} == {}
    assert found["disconnected"] == 0
    assert found["remembered"] == 1
