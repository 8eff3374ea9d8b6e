"""The demo CRM as people and tests use it: the page, tenants, the journal, switches, the process."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.crm.registry import build_connector
from app.domain.crm import Contact, Lead, LeadStatus
from sandbox.crm.faults import BAD_DAYS
from sandbox.crm.variant import Variant, VariantError
from tests.crm_desk import KEY, TENANT, CrmDesk
from tests.stand import Stand

TRAP = "<script>alert(1)</script> }; &amp;"


@pytest.fixture(scope="module")
async def open_desk() -> AsyncIterator[CrmDesk]:
    async with CrmDesk.open() as opened:
        yield opened


@pytest.fixture
async def desk(open_desk: CrmDesk) -> CrmDesk:
    await open_desk.clear()
    return open_desk


@pytest.fixture
async def people(desk: CrmDesk) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody at the page: no key, no tenant."""
    async with httpx2.AsyncClient(base_url=desk.url, trust_env=False) as client:
        yield client


async def test_the_page_shows_what_arrived_newest_first_per_tenant(
    desk: CrmDesk, people: httpx2.AsyncClient
) -> None:
    for tenant, count in (("studio-1", 3), ("studio-2", 1)):
        crm = desk.connector(tenant_id=tenant)
        buyer = await crm.create_contact(Contact("kwork:user:1", "Анна"))
        for number in range(count):
            await crm.create_lead(
                Lead(f"kwork:order:{number}", TRAP, status=LeadStatus.WON, contact_id=buyer.crm_id)
            )
        await crm.aclose()

    feed = (await people.get("/_demo/feed", params={"tenant": "studio-1"})).json()
    assert feed["tenants"] == [
        {"id": "studio-1", "leads": 3, "contacts": 1},
        {"id": "studio-2", "leads": 1, "contacts": 1},
    ]
    assert [lead["external_id"] for lead in feed["leads"]] == [f"kwork:order:{n}" for n in (2, 1, 0)]
    assert feed["leads"][0]["name"] == TRAP
    assert feed["leads"][0]["contact_name"] == "Анна"
    assert feed["statuses"] == {"won": 3}
    other = (await people.get("/_demo/feed", params={"tenant": "studio-2"})).json()
    assert len(other["leads"]) == 1


async def test_an_empty_crm_has_a_page_too(people: httpx2.AsyncClient) -> None:
    page = await people.get("/")
    assert page.status_code == 200
    assert "Учебная CRM" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    feed = (await people.get("/_demo/feed")).json()
    assert feed == {"tenants": [], "tenant": None, "leads": [], "contacts": [], "statuses": {}}


async def test_looking_at_the_page_leaves_no_trace_in_the_journal(
    desk: CrmDesk, people: httpx2.AsyncClient
) -> None:
    for path in ("/", "/favicon.ico", "/_demo/page.js", "/_demo/page.css", "/_demo/feed"):
        assert (await people.get(path)).status_code < 300
    assert desk.journal.entries == []


async def test_the_journal_is_written_before_the_answer(desk: CrmDesk) -> None:
    desk.bad_day("hangs_after_acting")
    crm = desk.connector(total_timeout_seconds=60)
    asked = asyncio.create_task(crm.create_lead(Lead("kwork:order:1", "Сайт")))
    await desk.until(desk.done)
    (entry,) = desk.writes()
    assert not asked.done()
    assert (entry.surface, entry.account, entry.path) == ("crm", TENANT, "/api/v1/leads")
    assert entry.decided == ["lead created"]
    assert entry.details == {"id": "L1", "external_id": "kwork:order:1"}
    assert entry.answered is None
    asked.cancel()
    await asyncio.wait([asked])
    await crm.aclose()


async def test_what_was_done_is_told_apart_in_the_journal(desk: CrmDesk) -> None:
    crm = desk.connector()
    lead = await crm.create_lead(Lead("kwork:order:1", "Сайт"))
    await crm.create_lead(Lead("kwork:order:1", "Сайт"))
    await crm.update_lead(lead.crm_id, Lead("kwork:order:1", "Сайт 2"))
    await crm.create_contact(Contact("kwork:user:1", "Анна"))
    assert desk.done() == ["lead created", "lead existing", "lead updated", "contact created"]
    await crm.aclose()


async def test_nobody_enters_without_key_and_tenant(desk: CrmDesk, people: httpx2.AsyncClient) -> None:
    lead = {"name": "Сайт", "source": "kwork", "external_id": "kwork:order:1"}
    for headers, status in (
        ({}, 401),
        ({"X-API-Key": KEY[:-1], "X-Tenant-ID": TENANT}, 401),
        ({"X-API-Key": KEY}, 400),
        ({"X-API-Key": KEY, "X-Tenant-ID": ""}, 400),
        ({"X-API-Key": KEY, "X-Tenant-ID": TENANT}, 201),
    ):
        assert (await people.post("/api/v1/leads", json=lead, headers=headers)).status_code == status
    assert (await people.get("/api/v1/nothing", headers={"X-API-Key": KEY})).status_code == 400
    assert (await people.get("/nothing")).json()["error"]["code"] == "not_found"


async def test_a_contact_of_another_tenant_cannot_be_attached(
    desk: CrmDesk, people: httpx2.AsyncClient
) -> None:
    crm = desk.connector(tenant_id="studio-2")
    buyer = await crm.create_contact(Contact("kwork:user:1", "Анна"))
    await crm.aclose()
    lead = {"name": "x", "source": "kwork", "external_id": "kwork:order:1", "contact_id": buyer.crm_id}
    answer = await people.post(
        "/api/v1/leads", json=lead, headers={"X-API-Key": KEY, "X-Tenant-ID": "studio-1"}
    )
    assert answer.status_code == 422


async def test_a_variant_is_switched_at_run_time_and_starts_empty(
    desk: CrmDesk, people: httpx2.AsyncClient
) -> None:
    crm = desk.connector()
    await crm.create_lead(Lead("kwork:order:1", "Сайт"))
    await crm.aclose()
    switched = await people.put("/_demo/variant", json={"repeat": "conflict"})
    assert switched.json()["repeat"] == "conflict"
    assert (await people.get("/_demo/variant")).json() == switched.json()
    assert await desk.records() == []
    for wrong in (
        {"repeat": "never"},
        {"colour": 1},
        {"lookup": 1},
        {"unknown_tenant": 500},
        {"tenants": [1]},
        [],
    ):
        assert (await people.put("/_demo/variant", json=wrong)).status_code == 400


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(VariantError, match="repeat: 'never'"):
        Variant.parse({"repeat": "never"})
    assert Variant.parse({"tenants": ["a"]}).tenants == ("a",)


@pytest.mark.parametrize("name", BAD_DAYS)
async def test_a_bad_day_ends_when_it_is_switched_off(desk: CrmDesk, name: str) -> None:
    desk.bad_day(name)
    desk.faults.clear("crm")
    crm = desk.connector()
    assert (await crm.create_lead(Lead("kwork:order:1", "Сайт"))).created
    await crm.aclose()


async def test_the_sandbox_process_serves_it_under_the_key_it_tells(stand: Stand) -> None:
    mark = stand.mark()
    settings = {"base_url": stand.crm, "api_key": stand.crm_key, "tenant_id": "process"}
    crm = build_connector("native", settings)
    assert (await crm.check()).ok
    assert (await crm.create_lead(Lead(f"kwork:order:{mark}", "Сайт"))).created
    await crm.aclose()
    entries = stand.journal(surface="crm", method="POST", since=mark, account="process")
    assert [entry["decided"] for entry in entries] == [["lead created"]]
