"""``zbus doctor``: is this machine, this Python and this folder of keys fit for zbus? A line a finding."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ZbusError
from .checks import CHECKS
from .finding import Finding


def add(verbs: Any) -> None:
    """Tell the parser of this verb."""
    about = "versions, limits, who is kept out, forking and key files, with what to do about each"
    parser = verbs.add_parser("doctor", help=about, description=f"Checks {about}. Exits 1 if a check fails.")
    parser.add_argument("--keys", metavar="DIR", help="check the key files and the authorised file in this folder, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print what each of `CHECKS` finds, as it is found; `ZbusError` at the end if any of it is a failure."""
    failed = 0
    for check in CHECKS:
        for level, what, detail in _findings(check, arguments):
            print(f"{level:4}  {what}: {detail}", flush=True)
            failed += level == "FAIL"
    if failed:
        raise ZbusError(f"{failed} {'check' if failed == 1 else 'checks'} failed; see the lines with FAIL")


def _findings(check: Callable[[argparse.Namespace], Iterator[Finding]], arguments: argparse.Namespace) -> list[Finding]:
    found = []
    try:
        for finding in check(arguments):
            found.append(finding)
    except Exception as error:  # a check that breaks is a finding, and the others are still to come
        told = f"the check broke with {type(error).__name__}: {error}"
        found.append(Finding("FAIL", check.__name__.replace("_", " "), told))
    return found
