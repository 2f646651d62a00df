"""What a company's endpoint goes through, under load the whole time, on the whole real stack.

    .venv/bin/python -m benchmarks.drills [--only weights replaced replica broken database overload endpoint restart] [--json FILE]

Starts PostgreSQL and the stack on free ports in a temporary home, trains three versions of
`breast-cancer-mlp` (with two replicas each), goes through the drills and stops everything. A drill
holds if no request failed and what it shows besides is so; the exit code is 1 if one does not.
Hostile requests have a script of their own: `benchmarks/drills/hostile.py`.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.drills import faults, restart, traffic
from benchmarks.drills.traffic import Outcome
from benchmarks.drills.yard import Yard, yard

type Drill = Callable[[Yard, tuple[int, int, int]], Outcome]

DRILLS: dict[str, Drill] = {
    "weights": lambda at, versions: traffic.weights(at, versions[:2]),
    "replaced": lambda at, versions: traffic.replaced(at, versions[0], versions[2]),
    "replica": lambda at, versions: traffic.killed_replica(at, versions[0]),
    "broken": lambda at, versions: faults.broken_challenger(at, versions[0]),
    "database": lambda at, _versions: faults.database_away(at),
    "overload": lambda at, _versions: traffic.overload(at),
    "endpoint": lambda at, _versions: traffic.killed_endpoint(at),
    "restart": lambda at, versions: restart.restarted(at, versions[0], versions[1]),
}


def main() -> int:
    """Go through the drills and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(DRILLS), default=list(DRILLS))
    parser.add_argument("--json", type=Path, help="write the outcomes here too")
    options = parser.parse_args()
    outcomes = []
    with yard() as at:
        # The drill of too many requests has a model of its own.
        versions = (0, 0, 0) if options.only == ["overload"] else prepared(at)
        for name in options.only:
            outcomes.append(_held(name, at, versions))
            print(_line(outcomes[-1]), file=sys.stderr, flush=True)
    print("| drill | requests | failed | held | |\n|---|---|---|---|---|")
    print("\n".join(map(_line, outcomes)))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=2))
    return int(not all(one.held for one in outcomes))


def prepared(at: Yard) -> tuple[int, int, int]:
    """Train three versions; the first is served at once."""
    two = ("--set", "serve.replicas=2")
    print("training three versions", file=sys.stderr, flush=True)
    first = at.train(1, *two)
    return first, at.train(2, *two, "--no-deploy"), at.train(3, *two, "--no-deploy")


def _held(name: str, at: Yard, versions: tuple[int, int, int]) -> Outcome:
    """Do one drill; that it broke down is an outcome too, and the others go on."""
    try:
        return DRILLS[name](at, versions)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said
        return Outcome(name, 0, 0, held=False, note=f"{type(error).__name__}: {error}")


def _line(outcome: Outcome) -> str:
    held = "yes" if outcome.held else "no"
    note = outcome.note.replace("\n", " ")
    return f"| {outcome.drill} | {outcome.requests} | {outcome.failed} | {held} | {note} |"


if __name__ == "__main__":
    sys.exit(main())
