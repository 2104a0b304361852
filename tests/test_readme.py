"""What README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]


def test_the_first_program_prints_what_stands_behind_it():
    (_, program), (_, printed) = BLOCKS[:2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_python(program):
    compile(program, "README.md", "exec")


def test_every_link_within_it_leads_somewhere():
    titles = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", README, re.M)
    }
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 10
    for link in links:
        where, _, title = link.partition("#")
        assert not title or title in titles, link
        assert not where or (Path(__file__).parent.parent / where).exists(), link
