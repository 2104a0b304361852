"""The plain run leaves out the faults and nothing else."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def test_every_folder_of_tests_but_the_faults_is_in_the_plain_run(pytestconfig: pytest.Config) -> None:
    folders = {str(path.parent.relative_to(TESTS.parent)) for path in TESTS.rglob("test_*.py")}
    assert folders - set(pytestconfig.getini("testpaths")) == {"tests", "tests/faults"}
