"""Tenants never see each other: the matrix of operations and probes, each layer alone, a walk over one connection.

The probes are those of the test suite (``tests/isolation``); here they run longer, with their counts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from app.core.database import SCHEMA, Database, DatabaseAddress
from app.core.embedded import EmbeddedServers
from app.core.migrate import migrate
from bench.goal import Goal
from tests.api import build_api
from tests.isolation.cases import SAMPLE
from tests.isolation.layers import show_layers
from tests.isolation.matrix import probe_all
from tests.isolation.operations import operations
from tests.isolation.repositories import OF_NO_TENANT, methods
from tests.isolation.tenants import make_shop
from tests.isolation.unfiltered import WithoutLayers
from tests.isolation.walk import walk

ROLE = "kwork_service"
PARTS = ("matrix", "layers", "walk")
_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument(
        "--steps", type=int, default=5000, help="сколько шагов у прогулки по одному соединению"
    )
    parser.add_argument("--seed", type=int, default=1, help="зерно прогулки")


async def run(only: Sequence[str] | None, *, steps: int, seed: int) -> list[Goal]:
    """All parts, or those named: ``matrix``, ``layers``, ``walk``; each with an empty database."""
    goals: list[Goal] = []
    chosen = [part for part in PARTS if only is None or part in only]
    with tempfile.TemporaryDirectory() as folder:
        if "matrix" in chosen:
            goals += await _matrix(Path(folder) / "matrix")
        if "layers" in chosen:
            goals += await _layers(Path(folder) / "layers")
        if "walk" in chosen:
            goals += await _walk(Path(folder) / "walk", steps, seed)
    return goals


def summary(goals: Sequence[Goal]) -> str:
    """What the last line tells beside the goals."""
    return "; ".join(f"{goal.what}: {goal.measured}" for goal in goals)


@asynccontextmanager
async def _database(
    folder: Path, pool_size: int, kind: type[Database] = Database
) -> AsyncIterator[tuple[Database, asyncpg.Connection]]:
    servers = EmbeddedServers(folder, postgres=True, valkey=False)
    await servers.start()
    try:
        found = servers.postgres
        assert found is not None
        address = DatabaseAddress(host=found.host, port=found.port, user=found.user, database=found.database)
        await migrate(address, ROLE)
        database = kind(address, role=ROLE if kind is Database else None, pool_size=pool_size)
        await database.open()
        owner = await asyncpg.connect(**address.arguments(), server_settings={"search_path": SCHEMA})
        try:
            yield database, owner
        finally:
            await owner.close()
            await database.close()
    finally:
        await servers.stop()


async def _matrix(folder: Path) -> list[Goal]:
    async with _database(folder, 5) as (database, owner):
        api = build_api(database, data_dir=folder / "data")
        found = operations(api.app.openapi())
        report = await probe_all(api, owner)
    async with _database(folder / "bare", 5, WithoutLayers) as (database, owner):
        control = await probe_all(build_api(database, data_dir=folder / "bare-data"), owner, SAMPLE)
    seen = [name for name in SAMPLE if any(leak.startswith(name) for leak in control.leaks)]
    for kind, n in sorted(report.probes.items()):
        print(f"  {kind:<28} {n:>5} проб")
    _print([*report.leaks, *report.unclassified, *report.blind])
    return [
        Goal(
            "матрица: операции × пробы, утечек",
            f"{len(found)} операций, {report.n} проб, утечек {len(report.leaks)}",
            "0",
            not report.leaks,
            report.n,
        ),
        Goal(
            "матрица: не классифицировано",
            str(len(report.unclassified)),
            "0",
            not report.unclassified,
            len(found),
        ),
        Goal(
            "без обоих слоёв: операций с видимой утечкой",
            f"{len(seen)} из {len(SAMPLE)}",
            f"{len(SAMPLE)} из {len(SAMPLE)}",
            len(seen) == len(SAMPLE),
            control.n,
        ),
        Goal("матрица: слепых проб", str(len(report.blind)), "0", not report.blind, report.n),
    ]


async def _layers(folder: Path) -> list[Goal]:
    async with _database(folder, 2) as (database, owner):
        found = await show_layers(build_api(database, data_dir=folder / "data"), owner)
    n = len(methods()) - len(OF_NO_TENANT)
    _print([*found.leaks, *found.unclassified, *found.blind])
    return [
        Goal(
            "слои: каждый держит в одиночку",
            f"{len(found.shown)} из {n}, утечек {len(found.leaks)}",
            f"{n} из {n}",
            len(found.shown) == n and not found.leaks,
            n,
        ),
        Goal(
            "слои: без обоих утечка видна",
            f"{n - len(found.blind) - len(found.unclassified)} из {n}",
            f"{n} из {n}",
            not found.blind and not found.unclassified,
            n,
        ),
    ]


async def _walk(folder: Path, steps: int, seed: int) -> list[Goal]:
    async with _database(folder, 1) as (database, owner):
        api = build_api(database, data_dir=folder / "data")
        shops = [await make_shop(api, owner, tenant, 500 + 100 * n) for n, tenant in enumerate("abcd")]
        done = await walk(api, shops, seed=seed, steps=steps)
    for kind, n in sorted(done.steps.items()):
        print(f"  {kind:<28} {n:>5} шагов")
    _print(done.leaks)
    total = done.steps.total()
    return [
        Goal(
            "прогулка по одному соединению",
            f"{total} шагов, утечек {len(done.leaks)}",
            "0",
            not done.leaks,
            total,
        )
    ]


def _print(wrong: Sequence[str]) -> None:
    for one in wrong[:_SHOWN]:
        print(f"  ✗ {one[:300]}")
