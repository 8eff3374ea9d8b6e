"""The main path: reading, storing, leads, listing, footprint; each beside its yardstick in the same run."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.goal import Goal
from bench.main_path import footprint, leads, listing, reading
from bench.main_path.bed import Bed
from tests.stand import Stand

PARTS: dict[str, Callable[[Bed], Awaitable[list[Goal]]]] = {
    "reading": reading.measure,
    "leads": leads.measure,
    "listing": listing.measure,
    "footprint": footprint.measure,
}


async def run(only: Sequence[str] | None) -> list[Goal]:
    """All parts, or those named."""
    goals: list[Goal] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Stand.start("--projects", "571", "--orders", "1000") as stand,
    ):
        async with Bed.made(Path(folder), stand) as bed:
            for name, measure in PARTS.items():
                if only is None or name in only:
                    goals += await measure(bed)
    return goals
