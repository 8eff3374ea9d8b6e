"""From a new project on the exchange to a lead in the CRM, judged by the stand-ins' journals."""

from __future__ import annotations

import httpx2
import pytest

from app.core.database import Database
from app.domain.searches import SearchFilters
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.services.manage_searches import ManageSearches
from app.services.match_searches import MatchSearches
from app.services.read_categories import Categories
from app.services.sync import SyncRequest
from tests.accounts import TENANT
from tests.search_bed import caller
from tests.sync_bed import SyncBed

needs_chromium = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


async def save(bed: SyncBed, tenant_id: str, **filters: tuple[str, ...]) -> None:
    matching = MatchSearches(bed.database, bed.connectors)
    searches = ManageSearches(bed.database, Categories(bed.database), matching, most=5)
    await searches.add(
        caller(tenant_id), name="Боты", enabled=True, filters=SearchFilters(**filters), connection_ids=()
    )


def leads_of(bed: SyncBed, tenant_id: str) -> dict[str, dict[str, object]]:
    found = httpx2.get(f"{bed.stand.crm}/_demo/records", params={"tenant": tenant_id}).json()
    return {lead["external_id"]: lead for lead in found["leads"]}


@needs_chromium
async def test_a_new_project_is_a_lead_and_goes_on_with_its_project(web_sync_bed: SyncBed) -> None:
    bed, stand = web_sync_bed, web_sync_bed.stand
    await bed.run("project", full=True)
    await save(bed, TENANT, words_any=("рассылка",))
    new = stand.add_project(name="Рассылка в Telegram", price=9000)
    stand.add_project(name="Логотип", description="Нарисовать")
    await bed.run("project")
    key = f"kwork:project:{new['id']}"
    assert set(bed.leads()) == {key}
    assert (bed.leads()[key]["status"], bed.leads()[key]["metadata"]["kwork_searches"]) == ("new", "Боты")
    mark = stand.mark()
    await bed.run("project")
    assert stand.journal(surface="crm", since=mark) == []
    stand.change_project(new["id"], price_limit=12000)
    stand.reactivate(new["id"])
    await bed.run("project")
    assert set(bed.leads()) == {key}
    assert bed.leads()[key]["budget"] == 12000


@needs_chromium
async def test_the_exchange_is_asked_the_same_however_many_tenants_search(
    web_sync_bed: SyncBed, database: Database
) -> None:
    bed, stand = web_sync_bed, web_sync_bed.stand
    await bed.run("project", full=True)

    async def asked() -> int:
        mark = stand.mark()
        stand.add_project(name="Рассылка в Telegram")
        (run,) = await bed.sync.start(TENANT, SyncRequest(stream="orders", kinds=("project",)))
        await bed.sync.wait(TENANT, [run.id], 60)
        return len(stand.journal(surface="web", since=mark))

    await save(bed, TENANT, words_any=("рассылка",))
    for_one = await asked()
    async with database.shared() as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name) SELECT 't' || n, 't' FROM generate_series(1, 9) n"
        )
    for number in range(1, 10):
        await save(bed, f"t{number}", words_any=("рассылка",))
    assert await asked() == for_one
    assert for_one > 0
    await bed.deliveries.drain("t9")
    assert len(leads_of(bed, "t9")) == 1
    assert leads_of(bed, "t8") == {}, "its own push has not run yet"
