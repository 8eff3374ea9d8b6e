"""The yardsticks, a program of its own: each route as bare as it can be, and one as an ORM would have it.

``/bare/{route}/{tenant}``: FastAPI, asyncpg and row-level security; the very statements of the service, no token, no
query to check, no rate limit, rows dumped as they come. ``/orm/orders/{tenant}``: the list of orders written the way
SQLAlchemy's ORM and Pydantic answer models are taught.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Response

from app.commands import loop_factory
from app.core.database import Database
from app.core.servers import join_running
from app.core.settings import Settings
from app.domain.listing import OrderFilter, Window
from app.services import read_chat, read_orders
from app.services.sync_history import SyncHistory
from bench.api import orm
from bench.api.world import DIALOG, tenants

Statements = list[tuple[str, tuple[Any, ...]]]


async def noted(database: Database) -> dict[tuple[str, str], Statements]:
    """What the service asks the database for each route and tenant. The pool has one connection."""
    found: dict[tuple[str, str], Statements] = {}
    heard: Statements = []
    async with database.pool.acquire() as connection:
        raw = connection._con
    raw.add_query_logger(lambda record: heard.append((record.query, tuple(record.args))))
    history = SyncHistory(database, _Kind())  # type: ignore[arg-type]
    for tenant in tenants():
        for route in ("orders", "messages", "status"):
            heard.clear()
            if route == "orders":
                async with database.tenant(tenant) as scope:
                    await read_orders.list_orders(scope, OrderFilter(), Window(limit=50))
            elif route == "messages":
                async with database.tenant(tenant) as scope:
                    dialog = await read_chat.find_dialog(scope, DIALOG)
                    await read_chat.list_messages(scope, dialog["id"], 50, None)
            else:
                await history.status(tenant)
            found[route, tenant] = [
                (query, args) for query, args in heard if query.lstrip().startswith(("SELECT", "WITH", "\n"))
                and "set_config" not in query
            ]  # fmt: skip
    return found


class _Kind:
    """All that ``SyncHistory`` asks of the connectors."""

    kind = "native"


def bare_app(database: Database, statements: dict[tuple[str, str], Statements]) -> FastAPI:
    """Its routes."""
    app = FastAPI()

    @app.get("/bare/{route}/{tenant}")
    async def bare(route: str, tenant: str) -> Response:
        async with database.pool.acquire() as connection, connection.transaction():
            await connection.fetchval("SELECT set_config('app.tenant_id', $1, true)", tenant)
            answers = [await connection.fetch(query, *args) for query, args in statements[route, tenant]]
        return Response(
            orjson.dumps([[dict(row) for row in rows] for rows in answers], default=str),
            media_type="application/json",
        )

    return app


async def serve(settings: Settings, port: int) -> None:
    """Until it is told to end."""
    servers = join_running(settings)
    one = Database(servers.postgres, role=settings.postgres_app_role, pool_size=1)
    await one.open()
    statements = await noted(one)
    await one.close()
    database = Database(
        servers.postgres, role=settings.postgres_app_role, pool_size=settings.postgres_pool_size
    )
    await database.open()
    app = bare_app(database, statements)
    engine = orm.add_route(app, servers.postgres, settings)
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off", ws="none")
    try:
        await uvicorn.Server(config).serve()
    finally:
        await engine.dispose()
        await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(Settings(_env_file=None, data_dir=given.data_dir), given.port))
