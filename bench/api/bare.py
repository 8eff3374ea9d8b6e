"""The yardsticks, a program of its own: each route as bare as it can be, and one as an ORM would have it.

``/bare/{route}/{tenant}``: FastAPI, asyncpg and row-level security; what the answer tells in statements as one writes them
first, rows dumped as they come; no token, no query to check, no rate limit, no log. ``/orm/orders/{tenant}``: the list of orders written the way
SQLAlchemy's ORM and Pydantic answer models are taught.
"""

from __future__ import annotations

import argparse
import asyncio

import orjson
import uvicorn
from fastapi import FastAPI, Response

from app.commands import loop_factory
from app.core.database import Database
from app.core.servers import join_running
from app.core.settings import Settings
from bench.api import orm
from bench.api.world import DIALOG

_DELIVERIES = "FROM deliveries WHERE tenant_id = $1"
STATEMENTS: dict[str, tuple[str, ...]] = {
    "orders": (
        """
        WITH p AS (
            SELECT * FROM (
                (SELECT 'project' AS kind, 1 AS rank, id, NULL::uuid AS account_id, title, description, status,
                        price_kopecks, max_price_kopecks, currency, buyer_id, buyer_username, category_id, url, created_at,
                        active_at, expires_at, NULL::timestamptz AS deadline_at, offers, missing_since IS NULL AS listed,
                        active_at AS at
                 FROM market_projects ORDER BY active_at DESC NULLS LAST, id DESC LIMIT 51)
                UNION ALL
                (SELECT 'order', 0, id, account_id, title, NULL, status, price_kopecks, NULL, currency, buyer_id,
                        buyer_username, NULL, url, created_at, NULL, NULL, deadline_at, NULL,
                        CASE WHEN gone_at IS NOT NULL THEN false END, created_at
                 FROM orders WHERE tenant_id = $1 ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 51)
            ) u ORDER BY at DESC NULLS LAST, rank, id DESC LIMIT 51
        ), c AS (SELECT id FROM crm_connections WHERE tenant_id = $1 ORDER BY created_at LIMIT 1)
        SELECT (SELECT count(*) FROM market_projects) + (SELECT count(*) FROM orders WHERE tenant_id = $1) AS total,
               p.*, l.crm_id, d.state, d.reason
        FROM p
        LEFT JOIN LATERAL (SELECT crm_id FROM crm_links WHERE tenant_id = $1 AND connection_id = (SELECT id FROM c)
            AND entity = 'lead' AND external_id = 'kwork:' || p.kind || ':' || p.id LIMIT 1) l ON true
        LEFT JOIN LATERAL (SELECT state, reason FROM deliveries WHERE tenant_id = $1 AND connection_id = (SELECT id FROM c)
            AND entity = 'lead' AND external_id = 'kwork:' || p.kind || ':' || p.id
            AND state NOT IN ('done', 'discarded') LIMIT 1) d ON true
        ORDER BY p.at DESC NULLS LAST, p.rank, p.id DESC
        """,
    ),
    "messages": (
        f"SELECT * FROM dialogs WHERE tenant_id = $1 AND username = '{DIALOG}'",
        "SELECT m.id, m.incoming, m.sent_at, m.text, m.details FROM messages m JOIN dialogs d ON d.id = m.dialog_id "
        f"WHERE m.tenant_id = $1 AND d.username = '{DIALOG}' ORDER BY m.sent_at DESC, m.id DESC LIMIT 51",
        "SELECT count(*) FROM messages m JOIN dialogs d ON d.id = m.dialog_id "
        f"WHERE m.tenant_id = $1 AND d.username = '{DIALOG}'",
    ),
    "status": (
        "SELECT DISTINCT ON (account_id, stream) * FROM sync_runs WHERE tenant_id = $1 "
        "ORDER BY account_id, stream, started_at DESC",
        "SELECT account_id, stream, max(finished_at) FROM sync_runs WHERE tenant_id = $1 AND state = 'done' GROUP BY 1, 2",
        "SELECT account_id, stream, min(next_at) FROM account_schedule WHERE tenant_id = $1 GROUP BY 1, 2",
        "SELECT d.connection_id, r.account_id, r.stream, d.state, count(*), min(d.created_at) FROM deliveries d "
        "LEFT JOIN sync_runs r ON r.tenant_id = d.tenant_id AND r.id = d.run_id "
        "WHERE d.tenant_id = $1 AND d.state IN ('pending', 'retry', 'unknown', 'in_flight', 'parked') GROUP BY 1, 2, 3, 4",
        f"SELECT entity, state, count(*) {_DELIVERIES} GROUP BY 1, 2",
        "SELECT id, entity, external_id, reason_code, reason, attempts, created_at "
        f"{_DELIVERIES} AND state = 'parked' ORDER BY id DESC LIMIT 20",
        "SELECT id, title, state, state_code, state_detail FROM accounts WHERE tenant_id = $1 ORDER BY created_at, id",
        "SELECT id, kind, name, mode FROM crm_connections WHERE tenant_id = $1 ORDER BY created_at, id",
        "SELECT * FROM crm_health WHERE tenant_id = $1",
        "SELECT * FROM crm_problems WHERE tenant_id = $1 AND closed_at IS NULL ORDER BY last_seen_at DESC LIMIT 20",
        "SELECT state, finished_at FROM market_reads WHERE $1::text IS NOT NULL AND stream = 'projects'",
    ),
}  # fmt: skip


def bare_app(database: Database) -> FastAPI:
    """Its routes."""
    app = FastAPI()

    @app.get("/bare/{route}/{tenant}")
    async def bare(route: str, tenant: str) -> Response:
        async with database.pool.acquire() as connection, connection.transaction():
            await connection.fetchval("SELECT set_config('app.tenant_id', $1, true)", tenant)
            answers = [await connection.fetch(statement, tenant) for statement in STATEMENTS[route]]
        return Response(
            orjson.dumps([[dict(row) for row in rows] for rows in answers], default=str),
            media_type="application/json",
        )

    return app


async def serve(settings: Settings, port: int) -> None:
    """Until it is told to end."""
    servers = join_running(settings)
    database = Database(
        servers.postgres, role=settings.postgres_app_role, pool_size=settings.postgres_pool_size
    )
    await database.open()
    app = bare_app(database)
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
