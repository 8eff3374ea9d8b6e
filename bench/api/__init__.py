"""The API under load: 100 tenants, 2,000 and 200,000 orders, each route beside its yardsticks in the same run.

``python main.py`` serves (without jobs) from two databases, a small and a large one; beside each stands a bare
program on the same database (see ``bare``). Rounds are taken in turns, eight kept-alive connections each, every
request for another tenant. Costs are medians over rounds, p99 is over all answers of a route.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import asyncpg

from app.core.servers import join_running
from app.core.settings import Settings
from app.core.tokens import SharedSecretTokens
from bench.api.load import Round, load, postmaster
from bench.api.world import DIALOG, fill, tenants
from bench.goal import Goal
from tests.service import Service
from tests.stand import ROOT, Stand

SMALL, LARGE = 2_000, 200_000
REQUESTS = 500
"""A round: each tenant asks five times, as often as its rate limit lets it within the life of a verdict on a token."""
_SECRET = "a secret of the bench that is long enough for HS256"
_PATHS = {
    "orders": "/api/v1/orders?limit=50",
    "messages": f"/api/v1/chat/{DIALOG}/messages?limit=50",
    "status": "/api/v1/crm-sync/sync-status",
}
_NAMES = {
    "orders": "GET orders, 50 строк",
    "messages": "GET chat/…/messages, 50",
    "status": "GET sync-status",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--rounds", type=int, default=15)


async def run(only: Sequence[str] | None, *, rounds: int) -> list[Goal]:
    """``only``: ``orders``, ``messages`` or ``status``."""
    routes = [route for route in _PATHS if only is None or route in only]
    with tempfile.TemporaryDirectory() as folder, Stand.start("--projects", "1", "--orders", "1") as stand:
        async with (
            _side(Path(folder), stand, SMALL) as small,
            _side(Path(folder), stand, LARGE) as large,
        ):
            for number in range(rounds + 1):  # the first one warms up
                for route in routes:
                    for side, kind in ((small, "ours"), (large, "ours"), (large, "bare"), (large, "orm")):
                        if kind != "orm" or route == "orders":
                            await side.round(route, kind, counts=number > 0)
            return [goal for route in routes for goal in _goals(route, small, large)]


@dataclass(slots=True)
class Side:
    """A database, the service on it and the yardsticks beside."""

    ours: int
    bare: int
    pids: dict[str, int]
    database: int
    tokens: dict[str, str]
    rounds: dict[tuple[str, str], list[Round]] = field(default_factory=dict)

    async def round(self, route: str, kind: str, *, counts: bool) -> None:
        """One round of requests."""
        wanted = islice(cycle(self.tokens.items()), REQUESTS)
        requests = [
            (_PATHS[route] if kind == "ours" else f"/{kind}/{route}/{tenant}", token)
            for tenant, token in wanted
        ]
        if kind == "ours":
            found = await load(self.ours, requests, self.pids["ours"], self.database)
        else:
            found = await load(self.bare, requests, self.pids["bare"], self.database)
        if counts:
            self.rounds.setdefault((route, kind), []).append(found)

    def cost(self, route: str, kind: str) -> float:
        """CPU seconds of the server for one request."""
        return median(one.server for one in self.rounds[route, kind])

    def whole(self, route: str, kind: str) -> float:
        """With what PostgreSQL spent."""
        return median(one.server + one.database for one in self.rounds[route, kind])

    def p99(self, route: str, kind: str) -> float:
        """Seconds."""
        answers = sorted(answer for one in self.rounds[route, kind] for answer in one.answers)
        return answers[int(len(answers) * 0.99)]

    def n(self, route: str, kind: str) -> int:
        """Answers counted."""
        return sum(len(one.answers) for one in self.rounds[route, kind])


def _goals(route: str, small: Side, large: Side) -> list[Goal]:
    name = _NAMES[route]
    ours, bare = large.cost(route, "ours"), large.cost(route, "bare")
    tails = large.p99(route, "ours"), large.p99(route, "bare")
    growth = large.whole(route, "ours") / small.whole(route, "ours")
    n = large.n(route, "ours") + large.n(route, "bare")
    found = [
        Goal(f"{name}: процессор против голого маршрута", f"{ours * 1e3:.2f} и {bare * 1e3:.2f} мс: {ours / bare:.2f}",
             "≤ 1.4", ours <= 1.4 * bare, n),
        Goal(f"{name}: p99 против голого маршрута, 8 соединений", f"{tails[0] * 1e3:.1f} и {tails[1] * 1e3:.1f} мс: {tails[0] / tails[1]:.2f}",
             "≤ 1.6", tails[0] <= 1.6 * tails[1], n),
        Goal(f"{name}: рост от 2 000 до 200 000 заказов, процессор с PostgreSQL",
             f"{small.whole(route, 'ours') * 1e3:.2f} → {large.whole(route, 'ours') * 1e3:.2f} мс: {(growth - 1) * 100:+.0f} %",
             "≤ 20 %", growth <= 1.2, small.n(route, "ours") + large.n(route, "ours")),
    ]  # fmt: skip
    if route == "orders":
        orm = large.cost(route, "orm")
        found.append(
            Goal(f"{name}: во сколько раз дешевле, чем через ORM", f"{orm * 1e3:.2f} и {ours * 1e3:.2f} мс: {orm / ours:.1f}",
                 "≥ 2.5", orm >= 2.5 * ours, large.n(route, "ours") + large.n(route, "orm"))
        )  # fmt: skip
    return found


@asynccontextmanager
async def _side(folder: Path, stand: Stand, orders: int) -> AsyncIterator[Side]:
    folder = folder / str(orders)
    await asyncio.to_thread(folder.mkdir)
    service = Service(
        folder,
        stand,
        WORKER="false",
        RATE_LIMIT_PER_MINUTE="1000000",
        SECRET_KEY=_SECRET,
    )
    service.start()
    settings = Settings(_env_file=None, data_dir=folder / "data")
    bare_port = _free_port()
    bare = None
    try:
        connection = await asyncpg.connect(**join_running(settings).postgres.arguments())
        await fill(connection, orders)
        await connection.close()
        bare = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", "bench.api.bare", "--data-dir", str(folder / "data"), "--port", str(bare_port)],
            cwd=ROOT,
        )  # fmt: skip
        await _listening(bare_port, bare)
        issued = SharedSecretTokens(_SECRET, issuer="kwork-service", audience=None, minutes=600)
        assert service.process is not None
        yield Side(
            ours=service.port,
            bare=bare_port,
            pids={"ours": service.process.pid, "bare": bare.pid},
            database=postmaster(folder / "data"),
            tokens={
                tenant: issued.issue(
                    subject="bench", email="bench@example.com", tenant_id=tenant, role="viewer"
                )[0]
                for tenant in tenants()
            },
        )
    finally:
        if bare is not None:
            bare.kill()
            bare.wait()
        service.stop()


async def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise RuntimeError("the yardsticks did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
