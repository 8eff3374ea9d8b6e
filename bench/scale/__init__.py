"""1,000 accounts of 100 tenants polled once a minute by one worker process against the stand-in.

Each size has a database of its own. Measured is the process ``python main.py worker`` between two moments of a steady
state: its CPU time and memory, how old each account's reading is (looked at every few seconds), and what arrived at
the stand-in by its journal. Hourly readings (offers, gigs, profiles of buyers) run beside the polls.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from bench.goal import Goal
from bench.scale.judge import judge
from bench.scale.measure import Measured, measure

POLL_SECONDS = 60.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--sizes", default="100,300,1000", help="сколько аккаунтов, через запятую")
    parser.add_argument("--minutes", type=float, default=2.0, help="сколько измерять каждый размер")


async def run(only: Sequence[str] | None, *, sizes: str, minutes: float) -> list[Goal]:
    """Every size by one worker, the largest by two as well. ``only``: ``one`` or ``two`` workers."""
    numbers = [int(size) for size in sizes.split(",")]
    found: list[Measured] = []
    for accounts, workers in [*((number, 1) for number in numbers), (numbers[-1], 2)]:
        if only is not None and ("one", "two")[workers - 1] not in only:
            continue
        found.append(await measure(accounts, workers, poll_seconds=POLL_SECONDS, seconds=60 * minutes))
        print(found[-1].described(), flush=True)
        await asyncio.sleep(0)
    return judge(found, POLL_SECONDS)
