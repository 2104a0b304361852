"""What was measured, as a table for people and as JSON for programs."""

import os
import platform
import statistics
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import zmq

from .measure import Outcome
from .rows import Bar, Row

VERDICTS = {"aim": "aim reached", "ok": "ok", "missed": "MISSED"}

HEADING = f"{'':<72}{'reached':>8} {'(low–high)':<16} {'must':<13} {'aim':<12}"


def surroundings() -> dict[str, str]:
    """What the figures depend on."""
    words = {
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        "cores": str(os.cpu_count()),
    }
    for package in ("zbus-green", "pyzmq", "gevent", "msgpack", "zerorpc"):
        try:
            words[package] = version(package)
        except PackageNotFoundError:
            words[package] = "-"
    return words


def judge(row: Row, outcome: Outcome, bar: Bar) -> dict[str, Any] | None:
    """One bar beside what was reached; nothing if a contender has no figure."""
    if bar.peer:
        values = outcome.ratios(row.figure, "zbus", bar.peer)
    else:
        values = [one[row.figure] for one in outcome.rounds["zbus"]]
    if not values:
        return None
    if bar.peer:
        reached = statistics.median(values)
        verdict = "aim" if reached >= bar.aim else "ok" if reached >= bar.must else "missed"
    else:
        reached = outcome.summary("zbus")[row.figure]
        verdict = "aim" if reached <= bar.aim else "ok" if reached <= bar.must else "missed"
    return {
        "peer": bar.peer,
        "reached": reached,
        "low": min(values),
        "high": max(values),
        "must": bar.must,
        "aim": bar.aim,
        "verdict": verdict,
    }


def record(row: Row, outcome: Outcome) -> dict[str, Any]:
    """Everything about one row, ready for JSON."""
    return {
        "name": row.name,
        "title": row.title,
        "figure": row.figure,
        "unit": row.unit,
        "bars": [found for bar in row.bars if (found := judge(row, outcome, bar))],
        "rounds": outcome.rounds,
        "absent": outcome.absent,
        "failed": outcome.failed,
    }


def lines(row: Row, outcome: Outcome) -> list[str]:
    """One row of the table: its title, then a line for each contender."""
    found = {bar["peer"] or "zbus": bar for bar in record(row, outcome)["bars"]}
    told = [f"{row.name}: {row.title}"]
    for label, rounds in outcome.rounds.items():
        why = outcome.absent.get(label) or outcome.failed.get(label)
        figures = why or (row.show(outcome.summary(label)) if rounds else "-")
        told.append(f"  {label:<16}{figures:<54}{compared(row, found.get(label))}".rstrip())
    return told


def brief(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def compared(row: Row, bar: dict[str, Any] | None) -> str:
    """What zbus reached, what it must reach, what it aims at, and whether it does."""
    if bar is None:
        return ""
    if bar["peer"]:
        reached, sign, unit = f"{bar['reached']:.2f}x", "≥", "x"
    else:
        reached, sign, unit = brief(bar["reached"]), "≤", f" {row.unit}"
    span = f"({brief(bar['low'])}–{brief(bar['high'])})"
    must, aim = f"{sign} {bar['must']:g}{unit}", f"{bar['aim']:g}{unit}"
    return f"{reached:>8} {span:<16} {must:<13} {aim:<12} {VERDICTS[bar['verdict']]}"
