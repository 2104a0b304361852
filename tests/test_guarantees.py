"""Each promise in `docs/guarantees.md` names a test, and each test that it names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "guarantees.md"

named = re.compile(r"`([\w/]+\.py)::(\w+)`")


def promises():
    """The rows of the page's tables, without their heads."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and not line.startswith(("| | proved", "| when |")):
            yield line


def names_in(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_each_promise_names_a_test():
    found = list(promises())
    assert len(found) > 50
    assert [line for line in found if not named.search(line)] == []


def test_each_test_that_is_named_is_there():
    absent = [
        f"{path}::{name}"
        for path, name in named.findall(PAGE.read_text())
        if f"test_{name}" not in names_in(TESTS / path)
    ]
    assert absent == []
