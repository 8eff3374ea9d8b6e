"""Secrets stay where they belong: the real service at DEBUG, driven through good and bad paths with secrets that are
found again wherever they lie, in whatever form they are written.

A zero beside its control: one leak is planted for every surface and form, and the search must find each.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.goal import Goal
from tests.canaries.drive import drive
from tests.canaries.forms import FORMS, Hit, planted, search
from tests.canaries.world import World
from tests.external_postgres import ExternalPostgres
from tests.stand import Stand

_WORLD = ("--projects", "20", "--orders", "8", "--accounts", "2", "--gigs", "3", "--dialogs", "3")
_SHOWN = 20


def summary(goals: Sequence[Goal]) -> str:
    """What the last line tells beside the goals."""
    return "; ".join(f"{goal.what}: {goal.measured}" for goal in goals)


async def run(_only: Sequence[str] | None) -> list[Goal]:
    """One world, one drive, one search."""
    return await asyncio.to_thread(_run)


def _run() -> list[Goal]:
    with tempfile.TemporaryDirectory() as name, Stand.start(*_WORLD) as stand:
        folder = Path(name)
        for part in ("postgres", "service"):
            (folder / part).mkdir()
        postgres = ExternalPostgres(folder / "postgres")
        postgres.create()
        postgres.start()
        try:
            with World.made(folder / "service", stand, postgres) as world:
                drive(world)
                sealed = world.unsealed()
                secrets, surfaces = {**world.secrets, **sealed}, world.surfaces()
                answers = len(world.statuses)
        finally:
            postgres.stop()
    hits, (found, n) = search(secrets, surfaces), planted(secrets, surfaces)
    for surface, text in surfaces.items():
        print(f"  {surface:<32} {len(text):>8} байт")
    _print(hits)
    searched = len(secrets) * len(FORMS) * len(surfaces)
    return [
        Goal(
            "секреты × формы × места, найдено",
            f"{len(secrets)} × {len(FORMS)} × {len(surfaces)}, найдено {len(hits)}",
            "0",
            not hits,
            searched,
        ),
        Goal("подложенных утечек найдено", f"{found} из {n}", f"{n} из {n}", found == n, n),
        Goal("ответов API, хороших и плохих", str(answers), "≥ 80", answers >= 80, answers),
        Goal("открыто из зашифрованного", str(len(sealed)), "≥ 15", len(sealed) >= 15, len(sealed)),
    ]


def _print(hits: Sequence[Hit]) -> None:
    for hit in hits[:_SHOWN]:
        print(f"  ✗ {hit.secret} ({hit.form}) — {hit.surface}")
