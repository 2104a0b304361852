"""The demonstration: what it tells is what happened, it looks right wherever it is printed, and it notices a loss."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zbus
from zbus.cli import bursts, main, stories
from zbus.cli.transcript import Row, Transcript

ROOT = Path(zbus.__file__).resolve().parent.parent
PATTERNS = ["PAIR", "REQUEST / REPLY", "PUBLISH / SUBSCRIBE", "PUSH / PULL", "PUSH / PULL, batched", "DISPATCHER"]
FIGURES = re.compile(r"  (?P<pattern>[^\d\n]+?) +(?P<sent>[\d,]+) +(?P<received>[\d,]+) +(?P<rate>[\d,]+)  ")
ESCAPE = "\033"
QUICK = """
import sys
from zbus.cli import bursts, main, stories
bursts.SECONDS, stories.PACE, stories.WORK = 0.01, 0, 0.01
sys.exit(main(["demo"]))
"""


#: What of the surroundings would change how it looks, or when.
SHAPING = {"NO_COLOR", "PYTHONIOENCODING", "PYTHONUNBUFFERED"}


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in SHAPING}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "TERM": "xterm", **changes}


def quick_demo(**changes: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", QUICK], env=environment(**changes), capture_output=True, timeout=20)


def quick_demo_on_a_terminal(**changes: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", QUICK], env=environment(**changes), stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                more = os.read(ours, 65_536)
            except OSError:  # how Linux says that the other side of a terminal was closed
                break
            if not more:
                break
            shown += more
        os.close(ours)
        assert process.wait(20) == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bursts, "SECONDS", 0.01)
    monkeypatch.setattr(stories, "PACE", 0)
    monkeypatch.setattr(stories, "WORK", 0.01)


@pytest.fixture(scope="module")
def told() -> str:
    command = [sys.executable, "-m", "zbus", "demo"]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_every_pattern_has_a_chapter_and_a_row(told):
    headings = re.findall(r"^╭─ (.+?)  ", told, re.MULTILINE)
    assert headings == PATTERNS
    assert [row["pattern"] for row in FIGURES.finditer(told)] == PATTERNS


def test_what_was_sent_was_received_and_counted_alike_in_chapter_and_table(told):
    rows = [[int(row[key].replace(",", "")) for key in ("sent", "received", "rate")] for row in FIGURES.finditer(told)]
    chapters = re.findall(r"✓ (\d+) of (\d+) arrived; then ([\d,]+) of ([\d,]+) in", told)
    assert len(chapters) == len(rows) == len(PATTERNS)
    for (sent, received, rate), (came, due, burst_received, burst_sent) in zip(rows, chapters, strict=True):
        assert sent == received > 0
        assert rate > 0
        assert came == due
        assert (f"{sent:,}", f"{received:,}") == (burst_sent, burst_received)


def test_a_chapter_shows_as_many_messages_as_it_says(told):
    chapters = re.findall(r"╭─.*?╰─ ✓ (?P<came>\d+) of", told, re.DOTALL)
    arrows = [chapter.count("──→") for chapter in told.split("╭─")[1:]]
    assert arrows == [int(came) for came in chapters]


def test_the_total_adds_up(told):
    total = int(re.search(r"([\d,]+) messages, none lost", told)[1].replace(",", ""))
    bursts_received = sum(int(row["received"].replace(",", "")) for row in FIGURES.finditer(told))
    assert total == bursts_received + told.count("──→")


def test_both_servers_answer_and_both_workers_work(told):
    for name in ("east", "west"):
        assert re.search(rf"{name} +──→ ", told)
        assert re.search(rf"──→ +{name} ", told)
    for worker in ("worker 1", "worker 2"):
        assert told.count(f"──→  {worker}  job") == 6


def test_each_caller_gets_the_answer_to_his_question(told):
    asked = dict(re.findall(r"│  (\w+) +──→ +(?:east|west) +what is (\d+) squared", told))
    answered = dict(re.findall(r"(?:east|west) +──→ +(\w+) +(\d+)$", told, re.MULTILINE))
    assert len(asked) == 4
    assert {name: int(number) ** 2 for name, number in asked.items()} == {k: int(v) for k, v in answered.items()}


def test_a_late_subscriber_hears_the_last_value(told):
    assert told.index("late comes after all was said") < told.index("──→  late      weather.asia.tokyo")


def test_it_fits_80_columns_and_a_pipe_gets_no_escape_codes(told):
    assert max(map(len, told.splitlines())) <= 80
    assert ESCAPE not in told
    assert all(line == line.rstrip() for line in told.splitlines())


def test_an_encoding_without_boxes_gets_plain_signs():
    done = quick_demo(PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("ascii")
    assert re.findall(r"^\+- (.+?)  ", text, re.MULTILINE) == PATTERNS
    assert "alice    -->  bob " in text
    assert text.count("+- ok: ") == len(PATTERNS)
    assert max(map(len, text.splitlines())) <= 80


def test_a_terminal_gets_colour_that_adds_no_columns():
    text = quick_demo_on_a_terminal()
    assert f"{ESCAPE}[1mPAIR{ESCAPE}[0m" in text
    bare = re.sub(ESCAPE + r"\[\d+m", "", text)
    assert ESCAPE not in bare
    assert max(map(len, bare.splitlines())) <= 80


@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colour_gets_none(changes):
    text = quick_demo_on_a_terminal(**changes)
    assert ESCAPE not in text
    assert "──→" in text


def test_each_line_is_out_before_the_next_message_is_sent():
    process = subprocess.Popen(
        [sys.executable, "-c", "from zbus.cli import main, stories\nstories.PACE = 60\nmain(['demo'])"],
        env=environment(),
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert any(b"How many apples" in line for line in iter(process.stdout.readline, b""))
        finally:
            process.kill()


def test_a_message_that_is_lost_in_a_burst_is_told_and_exits_1(quick, monkeypatch, capsys):
    class Lossy(bursts.Push):
        def send(self, body, **keywords):
            if body == 7:
                self._sent += 1
            else:
                super().send(body, **keywords)

    monkeypatch.setattr(bursts, "PATIENCE", 1.0)  # long enough for what does come, on a busy machine
    monkeypatch.setattr(bursts, "Push", Lossy)
    assert main(["demo"]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert err.startswith("zbus: the demo failed: PUSH / PULL: ")
    assert "PAIR:" not in err
    assert len(re.findall(r"✗ [\d,]+ messages were sent in the burst, [\d,]+ came", out)) == 2
    assert out.count("✗ 1 lost") == 2
    assert "none lost" not in out


def test_a_message_that_is_lost_in_a_story_is_told_and_exits_1(quick, monkeypatch, capsys):
    class Mute(stories.Publisher):
        def publish(self, topic, body, **keywords):
            if topic != "weather.asia.tokyo":
                super().publish(topic, body, **keywords)

    monkeypatch.setattr(bursts, "PATIENCE", 1.0)  # long enough for what does come, on a busy machine
    monkeypatch.setattr(stories, "Publisher", Mute)
    assert main(["demo"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("zbus: the demo failed: PUBLISH / SUBSCRIBE: ")
    assert out.count("✗") == 1
    assert [row["pattern"] for row in FIGURES.finditer(out)] == [name for name in PATTERNS if "PUBLISH" not in name]


def test_a_message_that_is_changed_on_the_way_is_told_and_exits_1(quick, monkeypatch, capsys):
    class Wrong(stories.Replier):
        def __init__(self, handler, **keywords):
            super().__init__(lambda message: {**handler(message), "square": 0}, **keywords)

    monkeypatch.setattr(stories, "Replier", Wrong)
    assert main(["demo"]) == 1
    assert re.search(r"REQUEST / REPLY: (9|25|49|81) was due, 0 came$", capsys.readouterr().err)


def test_a_message_swapped_for_another_in_a_burst_is_noticed(quick, monkeypatch, capsys):
    class Swaps(bursts.Pair):
        def send(self, body, **keywords):
            super().send(body if self.statistics().sent else body + 1, **keywords)

    monkeypatch.setattr(bursts, "Pair", Swaps)
    assert main(["demo"]) == 1
    assert "PAIR: as many messages came as were sent" in capsys.readouterr().err


def test_a_table_without_rows_and_one_with_surplus_can_be_shown():
    stream = io.StringIO()
    page = Transcript(stream)
    page.table("nothing", [])
    page.table("surplus", [Row("PAIR", sent=1, received=2, seconds=0.5)])
    assert "✗ came more than once" in stream.getvalue()
    assert "           4  ✗" in stream.getvalue()
