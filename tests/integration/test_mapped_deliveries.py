"""Orders on their way to CRMs by the tenant's mapping: what the outbox holds is what Kwork said, what leaves is shaped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.core.database import Database
from app.domain.crm import LeadStatus
from app.services.push_projects import queue_projects
from tests.api import Api, add_project, build_api
from tests.connected import Row, Studio, keys
from tests.crm_stands import STANDS, CrmStand


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return build_api(database, data_dir=tmp_path, crm_api_key=None)


@pytest.fixture
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[getattr(request, "param", "bitrix24")].open() as opened:
        await opened.clear()
        yield opened


async def says(studio: Studio, made: Row, **mapping: Any) -> None:
    await studio.call("PUT", f"/{made['id']}/mapping", mapping)


async def change(studio: Studio, number: int, **fields: Any) -> None:
    """As a reading of Kwork does, then sent."""
    named = ", ".join(f"{name} = ${place}" for place, name in enumerate(fields, 2))
    await studio.owner.execute(f"UPDATE orders SET {named} WHERE id = $1", number, *fields.values())
    await studio.sync(number)


@pytest.mark.parametrize("stand", ["amocrm", "bitrix24", "native"], indirect=True)
async def test_each_lead_goes_out_as_the_mapping_says(studio: Studio, stand: CrmStand) -> None:
    """One alone, several in a batch where the CRM takes them."""
    made = await studio.connect(stand)
    await says(
        studio, made,
        templates={"name": "{{ lead.kwork_id }}: {{ lead.name }}"},
        responsible=[{"user_id": stand.user}], tags=[{"tags": ["Срочно"]}],
    )  # fmt: skip
    await studio.add_orders(1, 2, 3, title="Сайт")
    await studio.sync(1, 2, 3)
    leads = await stand.leads()
    assert sorted(lead.name for lead in leads) == ["1: Сайт", "2: Сайт", "3: Сайт"]
    assert {lead.responsible_id for lead in leads} == {stand.user}
    assert all("Срочно" in lead.texts for lead in leads)


@pytest.mark.parametrize("stand", ["amocrm", "bitrix24", "native"], indirect=True)
async def test_what_people_did_in_the_crm_survives_what_kwork_says(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand)
    await says(studio, made, protect={"changed_by_person": True})
    await studio.add_orders(1, title="Сайт", status="new")
    await studio.sync(1)
    (lead,) = await stand.leads()
    await stand.by_hand(lead.crm_id, name="Имя от менеджера", status=LeadStatus.ON_REVIEW)

    await change(studio, 1, title="Другое", price_kopecks=700_000, status="in_progress")
    (lead,) = await stand.leads()
    assert (lead.name, lead.status) == ("Имя от менеджера", LeadStatus.ON_REVIEW)
    assert lead.budget_kopecks == 700_000

    await change(studio, 1, status="done")
    (lead,) = await stand.leads()
    assert lead.status is LeadStatus.WON


async def test_a_stage_goes_on_in_a_batch_as_alone(studio: Studio, stand: CrmStand) -> None:
    await studio.connect(stand)
    await studio.add_orders(1, 2, 3, status="new")
    await studio.sync(1, 2, 3)
    first = next(lead for lead in await stand.leads() if lead.key == "kwork:order:1")
    await stand.by_hand(first.crm_id, status=LeadStatus.ON_REVIEW)
    await studio.owner.execute("UPDATE orders SET status = 'in_progress'")
    await studio.sync(1, 2, 3)
    found = {lead.key: lead.status for lead in await stand.leads()}
    assert found == {
        "kwork:order:1": LeadStatus.ON_REVIEW,
        "kwork:order:2": LeadStatus.IN_PROGRESS,
        "kwork:order:3": LeadStatus.IN_PROGRESS,
    }


async def test_an_unchanged_order_costs_no_call_after_the_mapping_changed(
    studio: Studio, stand: CrmStand
) -> None:
    made = await studio.connect(stand)
    await studio.add_orders(1)
    await studio.sync(1)
    await says(studio, made, templates={"name": "Другое"})
    stand.journal.clear()
    await studio.sync(1)
    assert stand.journal.entries == []


async def test_a_template_that_fails_parks_its_lead_alone_and_a_repeat_uses_the_mapping_of_now(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    loop = "{% for a in lead.description %}{% for b in lead.description %}x{% endfor %}{% endfor %}"
    await says(studio, made, templates={"description": loop})
    await studio.add_orders(1, details={"description": "я" * 5000})
    await studio.add_orders(2, 3, details={"description": "я"})
    await studio.sync(1, 2, 3)
    assert keys(await stand.leads()) == ["kwork:order:2", "kwork:order:3"]
    parked = await owner.fetchrow(
        "SELECT state, reason_code FROM deliveries WHERE external_id = 'kwork:order:1'"
    )
    assert parked is not None
    assert (parked["state"], parked["reason_code"]) == ("parked", "template_too_expensive")

    await says(studio, made, templates={"name": "Исправлено"})
    async with studio.api.admin(studio.tenant_id) as client:
        answer = await client.post("/api/v1/crm-sync/failures/replay", json={"filter": {}})
    assert answer.status_code == 200, answer.text
    await studio.api.deliveries.drain(studio.tenant_id)
    assert "Исправлено" in [lead.name for lead in await stand.leads()]


async def test_kinds_that_are_not_taken_are_never_queued(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    await studio.add_orders(1)
    await studio.sync(1)
    await says(studio, made, kinds=["project"])
    await studio.add_orders(2)
    await change(studio, 1, title="Новое имя")  # it stands in the CRM already
    await studio.sync(2)
    await add_project(owner, 5)
    async with studio.api.database.tenant(studio.tenant_id) as scope:
        targets = [one.id for one in await studio.api.connectors.targets(scope)]
        await queue_projects(scope, targets, None, [5])
    await studio.api.deliveries.drain(studio.tenant_id)
    leads = {lead.key: lead.name for lead in await stand.leads()}
    assert leads.keys() == {"kwork:order:1", "kwork:project:5"}
    assert leads["kwork:order:1"] == "Новое имя"


async def test_a_lead_taken_over_from_before_is_asked_where_it_stands(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    """Nothing is known of what was sent: the CRM's own word counts, finals above all."""
    await studio.connect(stand)
    await studio.add_orders(1, status="new")
    await studio.sync(1)
    await owner.execute("UPDATE crm_links SET sent = NULL, put_stage = NULL, seen_stage = NULL")
    (lead,) = await stand.leads()
    await stand.by_hand(lead.crm_id, status=LeadStatus.LOST)
    await change(studio, 1, status="in_progress", title="Новое")
    (lead,) = await stand.leads()
    assert (lead.status, lead.name) == (LeadStatus.LOST, "Новое")
    sent = await owner.fetchval("SELECT sent FROM crm_links WHERE entity = 'lead'")
    assert json.loads(sent)["name"] == "Новое"
