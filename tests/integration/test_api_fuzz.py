"""Made-up requests to every operation, right and wrong: nothing breaks, and every answer is one the document names."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import asyncpg

from app.core.database import Database
from bench.fuzz_api.fuzzing import Known, fuzz
from tests.api import Shop, build_api, stock, token
from tests.served import served

SEED = 20260520
EXAMPLES = 3


async def test_no_made_up_request_breaks_the_service(
    database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    api = build_api(
        database, data_dir=tmp_path, chromium_path=tmp_path / "none", login_limit_per_minute=1_000_000
    )
    known = known_ids(await stock(owner, "a", 501))
    numbers = itertools.count()
    async with served(api.app) as url:
        report = await asyncio.to_thread(
            fuzz,
            api.app.openapi(),
            url,
            lambda: token("a", jti=f"fuzz-{next(numbers)}"),
            known=known,
            seed=SEED,
            examples=EXAMPLES,
            boundaries=False,
        )
    print(report.summary())
    assert report.failures == {}, "\n".join(report.lines())
    described = {
        f"{method.upper()} {path}" for path, item in api.app.openapi()["paths"].items() for method in item
    }
    assert report.operations == described
    assert report.requests > 2 * len(described)
    assert report.statuses[200] > report.requests / 10, "ids that exist must be met"


def known_ids(shop: Shop) -> Known:
    """The ids of what ``stock`` made."""
    return {
        "/api/v1/orders/": {"id": f"order-{shop.order_id}"},
        "/api/v1/gigs/": {"id": str(shop.gig_id)},
        "/api/v1/chat/": {"dialog_id": str(shop.dialog_id), "message_id": str(shop.order_id)},
        "/api/v1/accounts/": {"id": str(shop.account_id)},
        "/api/v1/writes/": {"id": str(shop.write_id)},
        "/api/v1/offers/": {"id": str(shop.order_id)},
        "/api/v1/searches/": {"id": str(shop.search_id)},
        "/api/v1/files/": {"id": str(shop.file_id)},
        "/api/v1/webhooks/": {"id": str(shop.webhook_id), "delivery_id": str(shop.delivery_id)},
        "/api/v1/crm/connection/": {"id": str(shop.connection_id)},
        "/api/v1/api-keys/": {"id": str(shop.api_key_id)},
        "/api/v1/crm-sync/runs/": {"id": str(shop.run_id)},
        "/api/v1/crm-sync/failures/": {"id": str(shop.failure_id)},
    }
