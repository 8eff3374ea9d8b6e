"""Several connections of a tenant, and tenants with different CRMs: judged by what each CRM has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.core.database import Database
from app.domain.errors import Conflict
from app.repositories.orders import Orders
from app.services.push_leads import PushChosenLeads
from app.services.push_orders import queue_orders
from tests.accounts import TENANT
from tests.api import Api, build_api
from tests.connected import Studio, body_for, keys
from tests.crm_stands.bitrix24 import Bitrix24Stand
from tests.crm_stands.interface import Call
from tests.crm_stands.native import NativeStand
from tests.sync_bed import SyncBed


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return build_api(database, data_dir=tmp_path, crm_api_key=None)


@pytest.fixture
async def ours() -> AsyncIterator[NativeStand]:
    async with NativeStand.open() as opened:
        await opened.clear()
        yield opened


@pytest.fixture
async def portal() -> AsyncIterator[Bitrix24Stand]:
    async with Bitrix24Stand.open() as opened:
        await opened.clear()
        yield opened


async def test_each_order_goes_to_every_connection_once(
    api: Api, owner: asyncpg.Connection, ours: NativeStand, portal: Bitrix24Stand
) -> None:
    studio = Studio(api, owner)
    first, second = await studio.connect(ours), await studio.connect(portal)
    portal.bad_day("drops_after_acting", on=Call.CREATE_LEAD, count=1)
    await studio.add_orders(1, 2)
    await studio.sync(1, 2)
    assert keys(await ours.leads()) == ["kwork:order:1", "kwork:order:2"]

    async with api.admin(studio.tenant_id) as client:
        shown = {row["kwork_id"]: row for row in (await client.get("/api/v1/orders")).json()["items"]}
        card = (await client.get("/api/v1/orders/order-1")).json()
    for row in shown.values():
        there = {lead["connection_id"]: (lead["connection"], lead["state"]) for lead in row["leads"]}
        assert there == {first["id"]: ("native", "synced"), second["id"]: ("bitrix24", "synced")}
        assert row["lead"]["id"] == row["leads"][0]["id"]
    assert card["leads"] == shown[1]["leads"]
    assert keys(await portal.leads()) == ["kwork:order:1", "kwork:order:2"]  # though an answer of it was lost

    seen = len(ours.journal.entries) + len(portal.writes())
    await studio.sync(1, 2)
    assert len(ours.journal.entries) + len(portal.writes()) == seen  # unchanged: nobody is called


async def test_tenants_have_crms_of_their_own(
    api: Api, owner: asyncpg.Connection, ours: NativeStand, portal: Bitrix24Stand
) -> None:
    one, other = Studio(api, owner, "one"), Studio(api, owner, "other")
    await one.connect(ours)
    await other.connect(portal)
    await one.add_orders(1)
    await other.add_orders(2)
    await asyncio.gather(one.sync(1), other.sync(2))
    assert keys(await ours.leads()) == ["kwork:order:1"]
    assert keys(await portal.leads()) == ["kwork:order:2"]
    [shown] = (await other.call("GET"))["items"]
    await one.call("GET", f"/{shown['id']}", status=404)


async def test_one_crm_that_is_away_does_not_keep_the_other_from_its_leads(
    api: Api, owner: asyncpg.Connection, ours: NativeStand, portal: Bitrix24Stand
) -> None:
    studio = Studio(api, owner)
    await studio.connect(ours)
    await studio.connect(portal)
    ours.bad_day("fails_before_acting")
    await studio.add_orders(1)
    await studio.sync(1)
    assert keys(await portal.leads()) == ["kwork:order:1"]
    ours.faults.clear()
    await owner.execute("UPDATE deliveries SET due_at = now() WHERE state <> 'done'")
    await api.deliveries.drain(studio.tenant_id)
    assert keys(await ours.leads()) == ["kwork:order:1"]


async def test_a_run_and_a_person_who_chooses_reach_the_settings_crm_and_the_tenants_own(
    sync_bed: SyncBed, owner: asyncpg.Connection, ours: NativeStand
) -> None:
    studio = Studio(sync_bed.api, owner, TENANT)
    made = await studio.connect(ours, live=False)
    await studio.switch(made, "live")  # from now on, and all orders of the stand-in are older
    run = await sync_bed.run("order")
    assert (run.state, len(sync_bed.leads())) == ("done", 16)
    assert await ours.leads() == []

    chosen = sorted(int(key.rpartition(":")[2]) for key in sync_bed.leads())[:2]
    push = PushChosenLeads(sync_bed.database, sync_bed.connectors, sync_bed.deliveries)
    states = await push.push(TENANT, project_ids=(), order_ids=chosen, wait_seconds=30)
    assert {state.state for state in states.values()} == {"synced"}
    assert keys(await ours.leads()) == [f"kwork:order:{number}" for number in chosen]

    fresh = sync_bed.stand.add_order(account=sync_bed.stand.username)
    await sync_bed.run("order")
    assert keys(await ours.leads()) == sorted(f"kwork:order:{number}" for number in (*chosen, fresh["id"]))


async def test_what_is_paused_in_the_middle_of_its_sending_sends_no_more(
    api: Api, owner: asyncpg.Connection, ours: NativeStand
) -> None:
    studio = Studio(api, owner)
    made = await studio.connect(ours)
    ours.bad_day("slow", on=Call.CREATE_CONTACT, seconds=0.5)
    await studio.add_orders(1)
    sending = asyncio.create_task(studio.sync(1))
    await ours.until(lambda: ours.journal.find(method="POST", path="/api/v1/contacts"))
    await studio.switch(made, "paused")
    await sending
    assert (len(await ours.contacts()), await ours.leads()) == (1, [])
    await studio.switch(made, "live")
    await api.deliveries.drain(studio.tenant_id)
    assert keys(await ours.leads()) == ["kwork:order:1"]


async def test_what_was_refused_goes_out_as_soon_as_the_right_secret_is_given(
    api: Api, owner: asyncpg.Connection, ours: NativeStand
) -> None:
    studio = Studio(api, owner)
    made = await studio.connect(ours)
    ours.crm_key = "a-new-key"
    await studio.add_orders(1)
    await studio.sync(1)
    assert await ours.leads() == []
    await studio.call("PUT", f"/{made['id']}", {"secrets": {"api_key": "a-new-key"}})
    await api.deliveries.drain(studio.tenant_id)
    assert keys(await ours.leads()) == ["kwork:order:1"]


async def test_a_worker_that_opened_the_old_settings_sends_nothing_more_with_them(
    api: Api, owner: asyncpg.Connection, ours: NativeStand
) -> None:
    studio = Studio(api, owner)
    made = await studio.connect(ours)
    async with NativeStand.open() as moved:
        await moved.clear()
        ours.bad_day("slow", on=Call.CREATE_CONTACT, seconds=0.5)
        await studio.add_orders(1)
        sending = asyncio.create_task(studio.sync(1))
        await ours.until(lambda: ours.journal.find(method="POST", path="/api/v1/contacts"))
        await studio.call("PUT", f"/{made['id']}", body_for(moved), status=409)
        await studio.call("PUT", f"/{made['id']}", body_for(moved, same_crm=True))
        await sending
        assert (len(await ours.contacts()), await ours.leads()) == (1, [])


async def test_a_run_that_goes_on_queues_nothing_for_what_went_back_to_preview_or_away(
    api: Api, owner: asyncpg.Connection, ours: NativeStand
) -> None:
    studio = Studio(api, owner)
    another = body_for(ours)["settings"] | {"tenant_id": "studio-2"}
    gone, back = await studio.connect(ours), await studio.connect(ours, name="back", settings=another)
    async with api.database.tenant(studio.tenant_id) as scope:
        targets = [one.id for one in await api.connectors.targets(scope)]
    await studio.call("DELETE", f"/{gone['id']}")
    await studio.switch(back, "preview")
    await studio.add_orders(1)
    async with api.database.tenant(studio.tenant_id) as scope:
        assert await queue_orders(scope, targets, None, await Orders(scope).by_ids([1])) == 0


async def test_another_kind_in_the_settings_stops_their_connection_only(
    database: Database, owner: asyncpg.Connection, ours: NativeStand, tmp_path: Path
) -> None:
    before = Studio(build_api(database, data_dir=tmp_path, crm_kind="bitrix24"), owner)
    await before.call("GET")  # the connection of the settings is made
    studio = Studio(build_api(database, data_dir=tmp_path), owner)
    await studio.add_orders(1)
    with pytest.raises(Conflict) as refused:
        await studio.sync(1)
    assert refused.value.code == "crm_kind_changed"
    await studio.connect(ours)
    await studio.sync(1)
    assert keys(await ours.leads()) == ["kwork:order:1"]
