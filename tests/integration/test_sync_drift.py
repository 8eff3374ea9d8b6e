"""Layout drift of six kinds through whole sync runs (F13): reported, nothing lost, mended when it ends.

Judged by the API, the CRM's records and the stand-ins' journals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from app.domain.accounts import AccountState
from app.domain.kwork import ProjectFilter
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.repositories.runs import Run
from app.services.sync import CONTACTS
from tests.knowledge import Knowledge, knowledge, lost, told_to_crm
from tests.sync_bed import SyncBed

pytestmark = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")

OF_ACCOUNT = ("order", "gig", "dialog")
Fault = dict[str, Any]


def at(surface: str, path: str, kind: str, field: str | None = None, **more: Any) -> Fault:
    return {"surface": surface, "path": path, "kind": kind, **({"field": field} if field else {}), **more}


ORDERS, WEB_ORDERS = ("api", "/workerOrders"), ("web", "/get_manage_orders")
DIALOGS, WEB_DIALOGS, MESSAGES = ("api", "/dialogs"), ("web", "/inbox"), ("api", "/inboxes")
GIGS, MOBILE_GIGS = ("web", "/manage_kworks"), ("api", "/kworksStatusList")
PROJECTS = ("web", "/projects")
NO_CARDS = at(*PROJECTS, "class_renamed", "want-card", to="w-card")

WITH_A_SECOND_WAY: dict[str, list[Fault]] = {
    "field_renamed": [
        at(*ORDERS, "field_renamed", "payer", to="buyer"),
        at(*DIALOGS, "field_renamed", "username", to="login"),
        at(*GIGS, "field_renamed", "groups", to="tabs"),
        at(*PROJECTS, "field_renamed", "priceLimit", to="price_limit"),
    ],
    "field_dropped": [
        at(*ORDERS, "field_dropped", "status"),
        at(*DIALOGS, "field_dropped", "response"),
        at(*GIGS, "field_dropped", "posts"),
        at(*PROJECTS, "field_dropped", "date_active"),
    ],
    "type_changed": [
        at(*ORDERS, "type_changed", "id"),
        at(*DIALOGS, "type_changed", "user_id"),
        at(*GIGS, "type_changed", "gtitle"),
        at(*PROJECTS, "type_changed", "id"),
    ],
    "class_renamed": [
        at(*ORDERS, "class_renamed", "orders"),
        at(*DIALOGS, "class_renamed", "unread_count"),
        at(*GIGS, "class_renamed", "groups"),
        at(*PROJECTS, "class_renamed", "wants"),
    ],
}
WITHOUT_ANOTHER_WAY: dict[str, list[Fault]] = {
    "field_renamed": [
        at(*ORDERS, "field_renamed", "payer", to="buyer"),
        at(*WEB_ORDERS, "field_renamed", "orderListData", to="rows"),
        at(*DIALOGS, "field_renamed", "username", to="login"),
        at(*WEB_DIALOGS, "field_renamed", "username", to="login"),
        at(*GIGS, "field_renamed", "groups", to="tabs"),
        at(*MOBILE_GIGS, "field_renamed", "kworks_count", to="size"),
        at(*PROJECTS, "field_renamed", "priceLimit", to="price_limit"),
        NO_CARDS,
    ],
    "field_dropped": [
        at(*ORDERS, "field_dropped", "response"),
        at(*DIALOGS, "field_dropped", "response"),
        at(*WEB_DIALOGS, "field_dropped", "user_id"),
        at(*WEB_DIALOGS, "field_dropped", "USERID"),
        at(*GIGS, "field_dropped", "posts"),
        at(*MOBILE_GIGS, "field_dropped", "response"),
        at(*PROJECTS, "field_dropped", "wants"),
        at(*PROJECTS, "field_dropped", "data"),
        NO_CARDS,
    ],
    "type_changed": [
        at(*ORDERS, "type_changed", "price"),
        at(*WEB_ORDERS, "type_changed", "id"),
        at(*DIALOGS, "type_changed", "unread_count"),
        at(*WEB_DIALOGS, "type_changed", "unread_count"),
        at(*GIGS, "type_changed", "count"),
        at(*MOBILE_GIGS, "type_changed", "id"),
        at(*PROJECTS, "type_changed", "date_active"),
        NO_CARDS,
    ],
    "class_renamed": [
        at(*ORDERS, "class_renamed", "orders"),
        at(*WEB_ORDERS, "class_renamed", "orderListData"),
        at(*MESSAGES, "class_renamed", "message"),
        at(*GIGS, "class_renamed", "groups"),
        at(*MOBILE_GIGS, "class_renamed", "name"),
        at(*PROJECTS, "class_renamed", "pagination"),
        at(*PROJECTS, "class_renamed", "current_page"),
        NO_CARDS,
    ],
}
HARMLESS = [
    at(*ORDERS, "extra_field", "novelty", beside="status"),
    at("api", "/getOrder*", "extra_field", "novelty", beside="id"),
    at("api", "/getTracks", "extra_field", "novelty", beside="id"),
    at(*DIALOGS, "extra_field", "novelty", beside="username"),
    at(*MESSAGES, "extra_field", "novelty", beside="message"),
    at(*GIGS, "extra_field", "novelty", beside="PID"),
    at(*PROJECTS, "extra_field", "novelty", beside="priceLimit"),
]


@dataclass
class Scene:
    """A synced world in which something new has happened since."""

    bed: SyncBed
    before: Knowledge
    mark: int
    new: dict[str, str]
    """Keys of the leads that the new things will become."""

    async def run(self) -> tuple[Run, Run]:
        """The account's run and the exchange's."""
        account = await self.bed.run(*OF_ACCOUNT)
        return account, await self.bed.run("project", full=True, filters=ProjectFilter())

    async def expect_nothing_lost(self) -> None:
        assert lost(self.before, await knowledge(self.bed)) == []
        told = told_to_crm(self.bed, self.mark)
        contacts = {key for key in told if key.startswith("kwork:user:")}
        assert set(told) - contacts <= set(self.new.values()), "only what is new reaches the CRM"

    async def expect_mended(self) -> None:
        """The drift is over: the next runs are whole, and everything new is there, once."""
        self.bed.stand.clear_faults()
        for run in await self.run():
            assert (run.state, run.reason_code) == ("done", None), run.reason
        await self.expect_nothing_lost()
        assert (await self.bed.account()).state is AccountState.CONNECTED
        leads = [lead["external_id"] for lead in self.bed.records()["leads"]]
        assert len(leads) == len(set(leads))
        assert set(self.new.values()) <= set(leads)
        told = told_to_crm(self.bed, self.mark)
        assert all(told[key].count("POST") == 1 for key in self.new.values())
        after = await knowledge(self.bed)
        assert any(row.get("text") == "Слово: фиалка" for row in after.values())
        assert after[self.new_order]["description"] == "Запись к мастеру"
        assert after[self.new_project]["category"]["id"] == 41
        assert [lead["status"] for lead in self.bed.leads().values() if lead["name"] == "Бот"] == ["new"]
        assert all(row.get("listed") is not False for row in after.values())

    @property
    def new_order(self) -> str:
        return self.new["order"].removeprefix("kwork:").replace(":", "-")

    @property
    def new_project(self) -> str:
        return self.new["project"].removeprefix("kwork:").replace(":", "-")


@pytest.fixture
async def scene(sync_bed: SyncBed) -> Scene:
    """All is read and in the CRM; then a new order, a new project and a new message come."""
    for run in await Scene(sync_bed, {}, 0, {}).run():
        assert (run.state, run.reason_code) == ("done", None), run.reason
    before, mark = await knowledge(sync_bed), sync_bed.stand.mark()
    order = sync_bed.stand.add_order(title="Бот", description="Запись к мастеру")
    project = sync_bed.stand.add_project(name="Новый проект", description="Нужен бот", category_id=41)
    sync_bed.stand.add_message("Слово: фиалка", from_id=sync_bed.stand.orders()[1]["payer_id"])
    new = {"order": f"kwork:order:{order['id']}", "project": f"kwork:project:{project['id']}"}
    return Scene(sync_bed, before, mark, new)


def switch_on(bed: SyncBed, faults: list[Fault]) -> None:
    for fault in faults:
        bed.stand.fault(**fault)


def hits(bed: SyncBed) -> list[int]:
    return [fault["hits"] for fault in bed.stand.faults()]


@pytest.mark.parametrize("kind", WITH_A_SECOND_WAY)
async def test_drift_with_a_second_way_round_it_is_told_and_the_run_is_whole(scene: Scene, kind: str) -> None:
    switch_on(scene.bed, WITH_A_SECOND_WAY[kind])
    for run in await scene.run():
        assert (run.state, run.reason_code) == ("done", "layout_drift"), run.reason
    assert all(hits(scene.bed))
    await scene.expect_nothing_lost()
    assert set(scene.new.values()) <= set(scene.bed.leads())
    assert (await scene.bed.account()).state is AccountState.CONNECTED
    await scene.expect_mended()


@pytest.mark.parametrize("kind", WITHOUT_ANOTHER_WAY)
async def test_drift_without_another_way_ends_the_run_with_its_code_and_the_account_tells_it_once(
    scene: Scene, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    switch_on(scene.bed, WITHOUT_ANOTHER_WAY[kind])
    for _ in range(2):
        for run in await scene.run():
            assert (run.state, run.reason_code) == ("failed", "layout_changed")
    assert all(hits(scene.bed))
    account = await scene.bed.account()
    assert (account.state, account.state_code) == (AccountState.BROKEN, "layout_changed.orders")
    await scene.expect_nothing_lost()
    assert told_to_crm(scene.bed, scene.mark) == {}
    caplog.clear()
    await scene.expect_mended()
    assert sum("is connected again" in line for line in caplog.messages) == 1


async def test_a_drift_that_lasts_is_told_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    switch_on(scene.bed, WITHOUT_ANOTHER_WAY["field_renamed"])
    for _ in range(2):
        await scene.bed.run(*OF_ACCOUNT)
    assert sum("left connected: broken" in line for line in caplog.messages) == 1
    shown = (await scene.bed.get("accounts"))["items"][0]
    assert (shown["state"], shown["state_code"]) == ("broken", "layout_changed.orders")
    status = await scene.bed.get("crm-sync/sync-status")
    assert status["accounts"][0]["state"] == "broken"
    assert [s["last_run"]["reason_code"] for s in status["streams"] if s["stream"] == "orders"] == [
        "layout_changed"
    ]


async def test_extra_fields_are_harmless(scene: Scene) -> None:
    switch_on(scene.bed, HARMLESS)
    for run in await scene.run():
        assert (run.state, run.reason_code) == ("done", None), run.reason
    assert all(hits(scene.bed))
    await scene.expect_nothing_lost()
    assert set(scene.new.values()) <= set(scene.bed.leads())
    await scene.expect_mended()


async def test_lists_counted_from_the_end_are_read_whole_or_not_believed(scene: Scene) -> None:
    switch_on(scene.bed, [at(*where, "pages_from_end") for where in (ORDERS, DIALOGS, MESSAGES, PROJECTS)])
    account, exchange = await scene.run()
    assert account.state == "done", account.reason
    assert (exchange.state, exchange.reason_code) == ("failed", "layout_changed")
    await scene.expect_nothing_lost()
    assert scene.new["order"] in scene.bed.leads()
    await scene.expect_mended()


async def test_the_exchange_without_its_paging_is_read_to_its_end_and_nothing_is_taken_for_gone(
    scene: Scene,
) -> None:
    switch_on(scene.bed, [at(*PROJECTS, "field_dropped", "pagination")])
    _, exchange = await scene.run()
    assert (exchange.state, exchange.reason_code) == ("done", "layout_drift")
    assert exchange.counts["projects_read"] >= 31
    await scene.expect_nothing_lost()
    await scene.expect_mended()


async def test_a_poll_of_full_pages_notices_that_they_are_counted_from_the_end(sync_bed: SyncBed) -> None:
    sync_bed.stand.reset(projects=24)
    await sync_bed.run("project", full=True)
    await sync_bed.run("project")
    before = sync_bed.stand.mark()
    quiet = await sync_bed.run("project")
    assert len(sync_bed.stand.journal(path="/projects", since=before)) == 1
    assert quiet.state == "done"
    sync_bed.stand.fault("pages_from_end", surface="web", path="/projects")
    run = await sync_bed.run("project")
    assert (run.state, run.reason_code) == ("failed", "layout_changed")


async def test_messages_counted_from_the_end_are_not_taken_for_the_whole_dialog(sync_bed: SyncBed) -> None:
    longest = max(sync_bed.stand.messages(), key=lambda message: message["id"])
    assert longest
    sync_bed.stand.fault("pages_from_end", surface="api", path="/inboxes")
    run = await sync_bed.run("dialog")
    assert (run.state, run.reason_code) == ("failed", "layout_changed")
    sync_bed.stand.clear_faults()
    assert (await sync_bed.run("dialog")).state == "done"
    stored = 0
    for dialog in (await sync_bed.get("chat"))["items"]:
        stored += (await sync_bed.get(f"chat/{dialog['id']}/messages"))["total"]
    assert stored == len(sync_bed.stand.messages())


async def test_an_exchange_that_is_empty_all_of_a_sudden_is_not_believed(scene: Scene) -> None:
    for project in scene.bed.stand.projects():
        scene.bed.stand.change_project(project["id"], status="stop")
    _, exchange = await scene.run()
    assert (exchange.state, exchange.reason_code) == ("failed", "layout_changed")
    assert lost(scene.before, await knowledge(scene.bed)) == []


OPTIONAL = [
    *(at(*ORDERS, "field_dropped", name) for name in ("time_added", "deadline", "progress", "order_note")),
    *(at(*DIALOGS, "field_dropped", name) for name in ("last_message", "time", "isStarred")),
    *(at(*GIGS, "field_dropped", name) for name in ("gdesc", "days", "price", "category", "viewcount")),
    *(
        at(*PROJECTS, "field_dropped", name)
        for name in ("category_id", "date_create", "date_expire", "USERID")
    ),
    *(at(*PROJECTS, "field_dropped", name) for name in ("kwork_count", "files", "availableDurations")),
]


async def test_fields_that_vanish_empty_nothing_that_is_known(
    scene: Scene, owner: asyncpg.Connection
) -> None:
    switch_on(scene.bed, OPTIONAL)
    account, exchange = await scene.run()
    for run in (account, exchange):
        assert (run.state, run.reason_code) == ("done", "layout_drift"), run.reason
    await scene.expect_nothing_lost()
    await scene.expect_mended()


@pytest.mark.parametrize("field", ["price", "title", "user", "status", "deadline", "statusName"])
async def test_a_field_that_vanishes_from_the_webs_orders_takes_nothing_from_their_leads(
    web_sync_bed: SyncBed, field: str
) -> None:
    await web_sync_bed.run()
    before, leads = await knowledge(web_sync_bed), web_sync_bed.leads()
    web_sync_bed.stand.fault("field_dropped", surface="web", path="/get_manage_orders", field=field)
    for same in {"price": ["fullPrice"], "title": ["gtitle"], "status": ["orderStatus", "statusName"]}.get(
        field, []
    ):
        web_sync_bed.stand.fault("field_dropped", surface="web", path="/get_manage_orders", field=same)
    mark = web_sync_bed.stand.mark()
    run = await web_sync_bed.run()
    assert run.state == "done", run.reason
    assert lost(before, await knowledge(web_sync_bed)) == []
    assert web_sync_bed.leads() == leads
    assert told_to_crm(web_sync_bed, mark) == {}


async def test_profiles_that_drifted_take_nothing_from_the_contacts(
    sync_bed: SyncBed, owner: asyncpg.Connection
) -> None:
    await sync_bed.run()
    assert (await sync_bed.run(stream=CONTACTS)).state == "done"
    contacts = sync_bed.records()["contacts"]
    for faults, outcome in (
        ([at("api", "/userByUsername", "field_dropped", name) for name in ("fullname", "location")], "done"),
        (
            [
                at("api", "/userByUsername", "field_renamed", "username", to="login"),
                at("web", "/user/*", "class_renamed", "user-username"),
            ],
            "failed",
        ),
    ):
        await owner.execute("UPDATE kwork_users SET read_at = read_at - interval '2 days'")
        switch_on(sync_bed, faults)
        mark = sync_bed.stand.mark()
        run = await sync_bed.run(stream=CONTACTS)
        assert run.state == outcome, run.reason
        assert told_to_crm(sync_bed, mark) == {}
        assert sync_bed.records()["contacts"] == contacts
        sync_bed.stand.clear_faults()
    assert (await sync_bed.account()).state_code == "layout_changed.contacts"
    assert (await sync_bed.run(stream=CONTACTS)).state == "done"
    assert (await sync_bed.account()).state is AccountState.CONNECTED
