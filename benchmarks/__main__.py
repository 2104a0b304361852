"""The command: `python -m benchmarks`. Exit status 1 if a *must* was missed or a peer failed."""

import argparse
import json
import sys
from typing import Any

from .measure import take_rounds
from .report import HEADING, lines, record, surroundings
from .rows import ROWS, Row


def chosen(names: str) -> list[Row]:
    """The rows that were asked for, in the table's order."""
    known = {row.name for row in ROWS}
    wanted = set(names.split(","))
    if wanted - known:
        strange, all_names = ", ".join(sorted(wanted - known)), ", ".join(row.name for row in ROWS)
        raise argparse.ArgumentTypeError(f"no row {strange}; there are {all_names}")
    return [row for row in ROWS if row.name in wanted]


def fell_short(row: dict[str, Any]) -> bool:
    return bool(row["failed"]) or any(bar["verdict"] == "missed" for bar in row["bars"])


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks", description="zbus beside its peers.")
    parser.add_argument("--rows", type=chosen, default=ROWS, metavar="NAME,NAME", help="only these")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of each (5)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="times as long (1)")
    parser.add_argument("--json", action="store_true", help="all figures of all rounds, as JSON")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("--rounds wants at least 1 and --scale more than 0")

    around = surroundings()
    if not arguments.json:
        print(", ".join(f"{name} {value}" for name, value in around.items()))
        print(HEADING)
    records = []
    for row in arguments.rows:

        def progress(words: str, name: str = row.name) -> None:
            if sys.stderr.isatty():
                print(f"\r\033[K{name}, {words}", end="", file=sys.stderr, flush=True)

        rounds = min(arguments.rounds, row.rounds)
        outcome = take_rounds(row.contenders, row.way, row.seconds * arguments.scale, rounds, progress)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if not arguments.json:
            print("\n".join(lines(row, outcome)), flush=True)
        records.append(record(row, outcome))
    if arguments.json:
        print(json.dumps({"surroundings": around, "rows": records}, indent=2))
    return int(any(fell_short(each) for each in records))


if __name__ == "__main__":
    sys.exit(main())
