"""A connection's mapping and previews at the API, against stand-ins whose journals tell that nothing was sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.core.database import Database
from app.domain.crm import Lead
from tests.api import Api, add_project, build_api
from tests.connected import Row, Studio
from tests.crm_stands import STANDS, CrmStand


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return build_api(database, data_dir=tmp_path, crm_api_key=None)


@pytest.fixture
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[getattr(request, "param", "bitrix24")].open() as opened:
        await opened.clear()
        yield opened


async def put(studio: Studio, made: Row, mapping: Row, status: int = 200) -> Row:
    return await studio.call("PUT", f"/{made['id']}/mapping", mapping, status=status)


async def preview(studio: Studio, made: Row, status: int = 200, **body: Any) -> Row:
    return await studio.call("POST", f"/{made['id']}/preview", body, status=status)


async def lead_preview(studio: Studio, made: Row, **body: Any) -> Row:
    records = (await preview(studio, made, **body))["records"]
    found: Row = next(one for one in records if one["entity"] == "lead")
    return found


async def test_a_mapping_is_kept_and_shown_with_the_crms_stages(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand, live=False)
    empty = await studio.call("GET", f"/{made['id']}/mapping")
    assert (empty["mapping"]["stages"], empty["stages"]) == ({}, None)

    said = {"stages": {"in_progress": "EXECUTING", "won": "keep"}, "tags": [{"tags": ["Kwork"]}]}
    kept = await put(studio, made, said)
    assert {"PREPARATION", "WON"} <= {stage["id"] for stage in kept["stages"]}
    shown = await studio.call("GET", f"/{made['id']}/mapping?stages=true", role="USER")
    assert shown["mapping"]["stages"] == said["stages"]
    assert shown["mapping"]["finals_are_final"] is True
    assert shown["stages"] == kept["stages"]
    rows = await owner.fetch("SELECT actor, details FROM audit WHERE action = 'crm_connection.mapped'")
    assert [json.loads(row["details"]) for row in rows] == [{"parts": ["stages", "tags"]}]
    assert stand.writes() == []


@pytest.mark.parametrize(
    ("mapping", "field", "code"),
    [
        ({"stages": {"won": "EXECUTIN"}}, "body.stages.won", "crm_stage_unknown"),
        ({"back": [{"stage": "В работе!", "action": "take_order"}]}, "body.back.item0.stage", "crm_stage_unknown"),
        ({"responsible": [{"user_id": "Иванов"}]}, "body.responsible.item0.user_id", "crm_id_impossible"),
        ({"templates": {"name": "{{ lead.name"}}, "body.templates.name", "template_syntax"),
        ({"templates": {"note": "{{ secrets.key }}"}}, "body.templates.note", "template_secret"),
        ({"stages": {"sold": "WON"}}, "body.stages", "unknown_status"),
        ({"back": [{"stage": "WON", "action": "deliver"}]}, "body.back.item0.action", "action_not_automatic"),
    ],
)  # fmt: skip
async def test_a_mapping_that_cannot_work_is_refused_and_not_kept(
    studio: Studio, stand: CrmStand, mapping: Row, field: str, code: str
) -> None:
    made = await studio.connect(stand, live=False)
    refused = await put(studio, made, mapping, status=422)
    assert [(one["field"], one["code"]) for one in refused["errors"]] == [(field, code)]
    if code == "crm_stage_unknown":
        assert "EXECUTING" in refused["nearest"]
    assert (await studio.call("GET", f"/{made['id']}/mapping"))["mapping"]["stages"] == {}


@pytest.mark.parametrize("stand", ["native"], indirect=True)
async def test_what_this_crm_cannot_is_told(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    refused = await put(studio, made, {"notes": {"messages": True}}, status=422)
    assert refused["code"] == "notes_unsupported"


async def test_a_crm_that_does_not_answer_keeps_the_old_mapping(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    await put(studio, made, {"stages": {"won": "WON"}})
    stand.bad_day("fails_before_acting")
    assert (await put(studio, made, {"stages": {"won": "LOSE"}}, status=503))["retryable"]
    assert (await studio.call("GET", f"/{made['id']}/mapping"))["mapping"]["stages"] == {"won": "WON"}


async def test_only_an_administrator_changes_a_mapping(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    refused = await studio.call("PUT", f"/{made['id']}/mapping", {}, status=403, role="MANAGER")
    assert refused["code"] == "role_too_low"


@pytest.mark.parametrize("stand", sorted(STANDS), indirect=True)
async def test_a_sample_is_shown_before_anything_goes_live(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    stand.journal.clear()
    records = (await preview(studio, made, sample=True))["records"]
    assert [(one["entity"], one["action"]) for one in records] == [("contact", "create"), ("lead", "create")]
    lead = records[1]
    assert {"field": "name", "before": None, "after": "Бот для записи клиентов"} in lead["differences"]
    (request,) = lead["requests"]
    assert request["method"] == "POST"
    assert "Бот для записи клиентов" in json.dumps(request["body"], ensure_ascii=False)
    assert stand.secret not in json.dumps(records)
    assert stand.journal.entries == []


async def test_a_mapping_is_tried_without_being_kept(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    await studio.add_orders(7, title="Сайт")
    tried = {"templates": {"name": "№{{ lead.kwork_id }} {{ lead.name }}"}, "stages": {"in_progress": "NEW"}}
    lead = await lead_preview(studio, made, order="order-7", mapping=tried)
    assert (lead["record"]["name"], lead["record"]["stage"]) == ("№7 Сайт", "NEW")
    assert lead["requests"][0]["body"]["fields"]["stageId"] == "NEW"
    assert (await lead_preview(studio, made, order="7"))["record"]["name"] == "Сайт"


async def test_a_changed_order_shows_what_differs_from_what_was_sent(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    await put(studio, made, {"templates": {"name": "Kwork: {{ lead.name }}"}})
    await studio.add_orders(7, title="Сайт")
    await studio.sync(7)
    (stored,) = await stand.leads()
    assert stored.name == "Kwork: Сайт"
    assert (await lead_preview(studio, made, order="order-7"))["code"] == "unchanged"

    await owner.execute("UPDATE orders SET title = 'Магазин', status = 'on_review' WHERE id = 7")
    written = len(stand.writes())
    lead = await lead_preview(studio, made, order="order-7", lookup=True)
    assert (lead["action"], lead["crm_id"]) == ("update", stored.crm_id)
    assert {one["field"]: (one["before"], one["after"]) for one in lead["differences"]} == {
        "name": ("Kwork: Сайт", "Kwork: Магазин"),
        "status": ("in_progress", "on_review"),
        "metadata.kwork_status": ("in_progress", "on_review"),
    }
    assert lead["requests"][0]["body"]["fields"]["title"] == "Kwork: Магазин"
    assert len(stand.writes()) == written


async def test_what_a_connection_does_not_take_is_skipped(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand, live=False)
    await add_project(owner, 5)
    lead = await lead_preview(studio, made, project="project-5", mapping={"kinds": ["order"]})
    assert (lead["action"], lead["code"]) == ("skip", "kind_not_taken")
    assert (await lead_preview(studio, made, project="5"))["action"] == "create"


async def test_a_record_that_the_crm_has_already_is_taken_as_it_is(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    await studio.add_orders(7)
    crm = stand.connector()
    saved = await crm.create_lead(Lead("kwork:order:7", "Сайт"))
    await crm.aclose()
    assert (await lead_preview(studio, made, order="7"))["action"] == "create"
    lead = await lead_preview(studio, made, order="7", lookup=True)
    assert (lead["action"], lead["code"], lead["crm_id"]) == ("skip", "found_in_crm", saved.crm_id)


async def test_what_cannot_be_told_without_asking_is_said(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False, settings={"entity": "auto"})
    refused = await preview(studio, made, sample=True, status=409)
    assert refused["code"] == "portal_mode_unknown"
    assert (await lead_preview(studio, made, sample=True, lookup=True))["action"] == "create"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "one_of"),
        ({"sample": True, "order": "1"}, 422, "one_of"),
        ({"order": "order-404"}, 404, "not_found"),
        ({"order": "project-1"}, 404, "not_found"),
        ({"project": "404"}, 404, "not_found"),
        ({"order": "1; drop"}, 422, "malformed_id"),
        ({"sample": True, "mapping": {"templates": {"name": "{% for"}}}, 422, "template_syntax"),
    ],
)
async def test_a_preview_of_nothing_is_refused(
    studio: Studio, stand: CrmStand, body: Row, status: int, code: str
) -> None:
    made = await studio.connect(stand, live=False)
    refused = await preview(studio, made, status=status, **body)
    assert code in (refused["code"], *(one["code"] for one in refused.get("errors", [])))
