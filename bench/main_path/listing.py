"""``GET orders`` of 50 rows beside a bare FastAPI route: the same statements, the same row-level security."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import FastAPI, Response

from app.api.app import create_app
from app.core.limits import RateLimits
from app.core.passwords import Passwords
from app.core.tokens import SharedSecretTokens
from app.marketplaces.kwork.browser import KworkBrowser
from app.services.authenticate import Authenticator, TenantRules
from app.services.container import Services
from app.services.kwork_client import KworkClients
from app.services.log_in import Login
from app.services.read_categories import Categories
from app.services.read_exchange import ReadExchange
from bench.api.bare import STATEMENTS
from bench.goal import Goal
from bench.main_path.bed import TENANT, Bed

REQUESTS = 60
ROUNDS = 15
_SECRET = "a secret of the bench that is long enough for HS256"


async def measure(bed: Bed) -> list[Goal]:
    """One goal: at most 1.6 times the bare route's CPU.

    Medians of many short rounds taken in turns: other people's load comes in bursts.
    """
    await _fill(bed)
    ours, token = _ours(bed)
    bare = _bare(bed)
    headers = [(b"authorization", f"Bearer {token}".encode())]
    costs: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        costs["ours"].append(await _cpu(ours, "/api/v1/orders", headers))
        costs["bare"].append(await _cpu(bare, "/bare", headers))
    mine, theirs = sorted(costs["ours"])[ROUNDS // 2], sorted(costs["bare"])[ROUNDS // 2]
    measured = f"{mine * 1e3:.2f} и {theirs * 1e3:.2f} мс: {mine / theirs:.2f}"
    return [
        Goal(
            "GET orders, 50 строк: процессор против голого маршрута",
            measured,
            "≤ 1.6",
            mine <= 1.6 * theirs,
            2 * ROUNDS * REQUESTS,
        )
    ]


async def _fill(bed: Bed) -> None:
    clients = KworkClients(bed.settings, KworkBrowser(bed.settings), None)
    await ReadExchange(bed.database, clients.signed_out).read(full=True)


def _ours(bed: Bed) -> tuple[FastAPI, str]:
    tokens = SharedSecretTokens(_SECRET, issuer="kwork-service", audience=None, minutes=60)
    services = Services(
        database=bed.database,
        authenticator=Authenticator(bed.database, tokens, TenantRules("default", allow_default=False)),
        limits=RateLimits(None),
        login=Login(bed.database, tokens, Passwords(), RateLimits(None), per_minute=10),
        api_keys=None,  # type: ignore[arg-type]
        audit=None,  # type: ignore[arg-type]
        categories=Categories(bed.database),
        accounts=None,  # type: ignore[arg-type]
        push_leads=None,  # type: ignore[arg-type]
        read_account=None,  # type: ignore[arg-type]
        sync=None,
        streams=None,  # type: ignore[arg-type]
        webhooks=None,  # type: ignore[arg-type]
        searches=None,  # type: ignore[arg-type]
        writes=None,  # type: ignore[arg-type]
        files=None,  # type: ignore[arg-type]
        receive_files=None,  # type: ignore[arg-type]
        attachments=None,  # type: ignore[arg-type]
        connections=None,  # type: ignore[arg-type]
        backfill=None,  # type: ignore[arg-type]
        mappings=None,  # type: ignore[arg-type]
        previews=None,  # type: ignore[arg-type]
        crm_events=None,  # type: ignore[arg-type]
        sync_history=None,  # type: ignore[arg-type]
        failures=None,  # type: ignore[arg-type]
    )
    token, _ = tokens.issue(subject="bench", email="bench@example.com", tenant_id=TENANT, role="admin")
    return create_app(services, bed.settings), token


def _bare(bed: Bed) -> FastAPI:
    app = FastAPI()

    @app.get("/bare")
    async def listing() -> Response:
        async with bed.database.pool.acquire() as connection, connection.transaction():
            await connection.fetchval("SELECT set_config('app.tenant_id', $1, true)", TENANT)
            answers = [await connection.fetch(statement, TENANT) for statement in STATEMENTS["orders"]]
        return Response(
            orjson.dumps([[dict(row) for row in rows] for rows in answers], default=str),
            media_type="application/json",
        )

    return app


async def _cpu(app: Callable[..., Awaitable[None]], path: str, headers: list[tuple[bytes, bytes]]) -> float:
    await _get(app, path, headers)
    started = time.process_time()
    for _ in range(REQUESTS):
        await _get(app, path, headers)
    return (time.process_time() - started) / REQUESTS


async def _get(app: Callable[..., Awaitable[None]], path: str, headers: list[tuple[bytes, bytes]]) -> None:
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"limit=50", "root_path": "",
        "headers": [(b"host", b"bench"), *headers], "client": ("127.0.0.1", 1), "server": ("bench", 80), "state": {},
    }  # fmt: skip
    status = 0
    size = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, size
        status = message.get("status", status)
        size += len(message.get("body", b""))

    await app(scope, receive, send)
    if status != 200 or size < 10_000:
        raise RuntimeError(f"{path} answered {status}, {size} bytes")
