"""How hard a model is tried: a little, and always the same, in the plain run; fifty times as hard, and each time anew,
in the soak."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

QUICK = settings(
    max_examples=15,
    stateful_step_count=40,
    phases=[Phase.generate],  # to find the shortest way to a failure takes minutes: the soak does
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # whatever the machine does beside it
)
FULL = settings(
    QUICK,
    max_examples=50 * QUICK.max_examples,
    phases=[Phase.generate, Phase.shrink],
    derandomize=False,
    print_blob=True,
)


def tried(times: int = 1) -> pytest.MarkDecorator:
    """Gives a test its `effort`, the settings to try its model with; a cheap model, or a deep one, so many `times`."""
    quick, full = (settings(one, max_examples=times * one.max_examples) for one in (QUICK, FULL))
    return pytest.mark.parametrize(
        "effort", [pytest.param(quick, id="quick"), pytest.param(full, id="full", marks=pytest.mark.soak)]
    )
