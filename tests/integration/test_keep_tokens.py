"""OAuth tokens in the database: one renewal among all workers, and a worker that dies does not keep the lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.crypto import SecretBox, new_key
from app.core.database import Database
from app.crm.registry import build_connector
from app.domain.crm import CrmConnector, Entity
from app.repositories.leases import Leases
from app.services.keep_tokens import TokensInDatabase
from tests.api import Api
from tests.connected import Row, Studio, keys
from tests.crm_stands.amocrm import AmoStand

TENANT = "studio"
GRANTS = "/oauth2/access_token"
BOX = SecretBox(new_key("test"))


@pytest.fixture
async def stand() -> AsyncIterator[AmoStand]:
    async with AmoStand.open() as opened:
        await opened.clear()
        yield opened


@pytest.fixture
async def connection_id(database: Database, owner: asyncpg.Connection) -> UUID:
    await owner.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", TENANT)
    found: UUID = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name, origin) VALUES ($1, 'amocrm', 'amo', 'api') RETURNING id",
        TENANT,
    )
    return found


def oauth(stand: AmoStand, **secrets: str) -> tuple[Row, dict[str, str]]:
    """Settings and secrets of an integration."""
    settings = {**stand.settings(), "look_before_create": False}
    del settings["api_key"]
    settings["oauth"] = {"client_id": stand.tokens.client_id, "redirect_uri": stand.tokens.redirect_uri}
    given = secrets or {"oauth.code": stand.tokens.code}
    return settings, {"oauth.client_secret": stand.tokens.client_secret, **given}


def worker(stand: AmoStand, database: Database, connection_id: UUID) -> CrmConnector:
    settings, secrets = oauth(stand)
    access: dict[str, Any] = {name.removeprefix("oauth."): secret for name, secret in secrets.items()}
    settings["oauth"] |= access
    return build_connector("amocrm", settings, TokensInDatabase(database, BOX, TENANT, connection_id))


async def works(crm: CrmConnector) -> bool:
    return await crm.find(Entity.LEAD, "kwork:order:1") is None


def grants(stand: AmoStand) -> int:
    return len(stand.journal.find(path=GRANTS))


async def test_two_workers_that_renew_at_once_spend_one_refresh_token(
    stand: AmoStand, database: Database, connection_id: UUID, owner: asyncpg.Connection
) -> None:
    both = [worker(stand, database, connection_id) for _ in range(2)]
    assert await works(both[0])
    assert await works(both[1])
    assert grants(stand) == 1  # the code
    stand.tokens.revoke_access()
    assert await asyncio.gather(*(works(one) for one in both)) == [True, True]
    assert grants(stand) == 2
    sealed = await owner.fetchval("SELECT sealed FROM crm_tokens")
    kept = await TokensInDatabase(database, BOX, TENANT, connection_id).load()
    assert kept is not None
    assert kept.access.encode() not in sealed
    assert kept.refresh.encode() not in sealed
    for one in both:
        await one.aclose()


async def test_a_worker_that_died_with_the_lock_holds_the_others_up_until_its_lease_ends(
    stand: AmoStand, database: Database, connection_id: UUID, owner: asyncpg.Connection
) -> None:
    async with database.tenant(TENANT) as scope:
        assert await Leases(scope).take(f"tokens/{connection_id}", "the dead one", 3600) is not None
    crm = worker(stand, database, connection_id)
    task = asyncio.create_task(works(crm))
    _, waiting = await asyncio.wait([task], timeout=0.3)
    assert (waiting, grants(stand)) == ({task}, 0)
    await owner.execute("UPDATE sync_leases SET expires_at = now()")
    assert await task
    assert grants(stand) == 1
    await crm.aclose()


async def test_tokens_of_another_connection_do_not_open(
    stand: AmoStand, database: Database, connection_id: UUID, owner: asyncpg.Connection
) -> None:
    crm = worker(stand, database, connection_id)
    assert await works(crm)
    await crm.aclose()
    other: UUID = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name, origin) VALUES ($1, 'amocrm', 'b', 'api') RETURNING id",
        TENANT,
    )
    await owner.execute("UPDATE crm_tokens SET connection_id = $1", other)
    assert await TokensInDatabase(database, BOX, TENANT, other).load() is None


async def test_the_check_that_spends_the_code_keeps_what_it_brought(
    api: Api, owner: asyncpg.Connection, stand: AmoStand
) -> None:
    studio = Studio(api, owner)
    settings, secrets = oauth(stand)
    body = {"kind": "amocrm", "name": "amo", "settings": settings, "secrets": secrets}
    made = await studio.call("PUT", "", body, status=201)
    assert (made["check"]["ok"], grants(stand)) == (True, 1)
    await studio.switch(made, "live", announce_from="2000-01-01T00:00:00Z")
    await studio.switch((await studio.call("GET"))["items"][0], "preview")  # the one of the settings
    await studio.add_orders(1)
    await studio.sync(1)
    assert keys(await stand.leads()) == ["kwork:order:1"]
    assert grants(stand) == 1

    wrong = {"secrets": {"oauth.code": "never given"}}
    refused = await studio.call("PUT", f"/{made['id']}", wrong, status=409)
    assert refused["code"] == "connection_check_failed"
    await studio.add_orders(2)
    await studio.sync(2)  # with the tokens it had
    assert keys(await stand.leads()) == ["kwork:order:1", "kwork:order:2"]
