"""``python -m bench NAME``: prints a table, then one line that sums it up; exit code 1 when a goal is missed."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys

from app.commands import loop_factory

BENCHES = {
    "api": "bench.api",
    "faults": "bench.faults",
    "fuzz-api": "bench.fuzz_api",
    "freshness": "bench.freshness",
    "isolation": "bench.isolation",
    "log-noise": "bench.log_noise",
    "main-path": "bench.main_path",
    "scale": "bench.scale",
    "secrets": "bench.secrets",
    "sync": "bench.sync",
    "writes": "bench.writes",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Измерения: отношения, снятые рядом за один запуск."
    )
    parser.add_argument("name", choices=sorted(BENCHES))
    parser.add_argument("--only", help="только эти измерения, через запятую")
    named = next((argument for argument in sys.argv[1:] if argument in BENCHES), None)
    bench = importlib.import_module(BENCHES[named]) if named else None
    if hasattr(bench, "arguments"):
        bench.arguments(parser)
    given = parser.parse_args()
    bench = importlib.import_module(BENCHES[given.name])
    more = {name: value for name, value in vars(given).items() if name not in ("name", "only")}
    with asyncio.Runner(
        loop_factory=loop_factory()
    ) as runner:  # ours and the yardsticks: as the service runs
        goals = runner.run(bench.run(given.only.split(",") if given.only else None, **more))
    width = max(len(goal.what) for goal in goals)
    for goal in goals:
        print(
            f"{'✓' if goal.met else '✗'} {goal.what:<{width}}  {goal.measured:<34}  цель: {goal.wanted}  (n={goal.n})"
        )
    missed = [goal.what for goal in goals if not goal.met]
    print(
        f"{given.name}: целей {len(goals)}, достигнуто {len(goals) - len(missed)}, измерений {sum(goal.n for goal in goals)}"
        + (f"; {bench.summary(goals)}" if hasattr(bench, "summary") else "")
        + (f"; не достигнуто: {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
