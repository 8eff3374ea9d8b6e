"""The fault run: a service of real processes, faults of sixteen kinds by a seeded script, a verdict from journals.

    python -m bench faults --orders 1000 --faults 200 --seed 1     the headline run
    python -m bench faults --orders 100 --faults 30 --seed 1       the short one, as in the tests
    python -m bench faults --sabotage blind-retry                  on a service without one safety: it must fail
    python -m bench faults --controls                              all eight of those, short
    python -m bench faults --script --seed 1                       prints what a seed plays, and plays nothing
    python -m bench faults --beside                                a poison record, a hanging CRM, giant and dripping answers

How it is judged: docs/fault-run.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from bench.faults.run import controlled, scripted, storm
from bench.faults.sabotage import VARIANTS
from bench.goal import Goal

_CONTROL_ORDERS, _CONTROL_FAULTS = 100, 20
_STARTED = time.monotonic()


def arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench takes beside ``--only``."""
    parser.add_argument("--orders", type=int, default=1000, help="сколько заказов будет у Kwork к концу")
    parser.add_argument("--faults", type=int, default=200, help="сколько сбоев; меньше 100 — короткий запуск")
    parser.add_argument("--seed", type=int, default=1, help="зерно: одно зерно — один и тот же сценарий")
    parser.add_argument(
        "--sabotage", choices=sorted(VARIANTS), help="со снятой защитой: запуск должен провалиться"
    )
    parser.add_argument("--controls", action="store_true", help="все восемь снятых защит, коротко")
    parser.add_argument("--script", action="store_true", help="только напечатать сценарий")
    parser.add_argument("--beside", action="store_true", help="ядовитая запись, висящая CRM, огромные ответы")


async def run(
    only: Sequence[str] | None,
    *,
    orders: int,
    faults: int,
    seed: int,
    sabotage: str | None,
    controls: bool,
    script: bool,
    beside: bool,
) -> list[Goal]:
    """``only``: with ``--controls``, these variants."""
    if script:
        return scripted(orders, faults, seed)
    if controls:
        names = list(only or VARIANTS)
        return await asyncio.to_thread(controlled, names, _CONTROL_ORDERS, _CONTROL_FAULTS, seed, say)
    if beside:
        from bench.faults.beside import measured  # noqa: PLC0415 - a run of its own

        return await asyncio.to_thread(measured, list(only) if only else None, seed, say)
    return await asyncio.to_thread(storm, orders, faults, seed, say, sabotage=sabotage)


def say(text: str) -> None:
    """Tells whoever waits; seconds since the start before it."""
    print(f"{time.monotonic() - _STARTED:6.1f} {text}", file=sys.stderr, flush=True)
