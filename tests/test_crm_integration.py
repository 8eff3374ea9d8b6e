"""From a Kwork account to leads in the CRM: the real service, real Chromium, the stand-in and the demo CRM.

Judged by the CRM's records and the journals, not by the service's own tables.
"""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.external_servers import postgres_dsn
from tests.service import Api, Service
from tests.stand import Stand


def records(stand: Stand, tenant: str) -> dict[str, list[dict[str, Any]]]:
    return httpx2.get(f"{stand.crm}/_demo/records", params={"tenant": tenant}).json()


def done(stand: Stand, decision: str, tenant: str) -> int:
    return sum(decision in row["decided"] for row in stand.journal(surface="crm", account=tenant))


@pytest.fixture(scope="module")
def studio(service: Service, stand: Stand) -> Api:
    """A tenant whose account is connected and whose orders are in the CRM."""
    api = service.user("studio")
    account = api.connect(stand.accounts[0])
    assert account["state"] == "connected", account
    answer = api.sync(kinds=["order", "gig", "dialog"])
    assert answer["state"] == "done", answer
    api.settled()
    return api


def test_every_order_is_one_lead_and_every_buyer_one_contact(studio: Api, stand: Stand) -> None:
    orders = stand.orders(account=stand.username)
    found = records(stand, studio.tenant)
    assert sorted(lead["external_id"] for lead in found["leads"]) == sorted(
        f"kwork:order:{o['id']}" for o in orders
    )
    buyers = {f"kwork:user:{order['payer_id']}" for order in orders}
    assert sorted(contact["external_id"] for contact in found["contacts"]) == sorted(buyers)
    assert all(lead["contact_id"] for lead in found["leads"])


def test_gigs_dialogs_and_messages_are_in_the_store(studio: Api, stand: Stand) -> None:
    assert studio.call("GET", "/gigs")["total"] == 12
    dialogs = studio.call("GET", "/chat")["items"]
    assert len(dialogs) == stand.state()["dialogs"][stand.username]
    assert studio.call("GET", f"/chat/{dialogs[0]['id']}/messages")["items"]


def test_syncing_twice_is_syncing_once(studio: Api, stand: Stand) -> None:
    mark = stand.mark()
    assert studio.sync()["state"] == "done"
    assert stand.journal(surface="crm", since=mark) == []


def test_an_order_that_moves_on_moves_its_lead(studio: Api, stand: Stand) -> None:
    order = stand.add_order(account=stand.username)
    studio.sync()
    studio.settled()
    stand.advance_order(order["id"], "take")
    studio.sync()
    studio.settled()
    lead = next(
        lead
        for lead in records(stand, studio.tenant)["leads"]
        if lead["external_id"] == f"kwork:order:{order['id']}"
    )
    assert lead["status"] == "in_progress"


def test_an_unclear_answer_of_the_crm_is_adopted_not_repeated(studio: Api, stand: Stand) -> None:
    before = done(stand, "lead created", studio.tenant)
    stand.fault("drop", surface="crm", method="POST", path="/api/v1/leads", when="after", count=1)
    order = stand.add_order(account=stand.username)
    studio.sync()
    studio.settled()
    assert done(stand, "lead created", studio.tenant) == before + 1
    assert done(stand, "lead existing", studio.tenant) == 0
    keys = [lead["external_id"] for lead in records(stand, studio.tenant)["leads"]]
    assert keys.count(f"kwork:order:{order['id']}") == 1


def test_projects_that_are_asked_for_become_leads(studio: Api, stand: Stand) -> None:
    answer = studio.sync(kinds=["project"], full=True, create_leads=False)
    assert answer["state"] == "done", answer
    shown = studio.call("GET", "/orders", params={"kind": "project", "limit": 5, "create_leads": "true"})[
        "items"
    ]
    studio.settled()
    keys = {lead["external_id"] for lead in records(stand, studio.tenant)["leads"]}
    assert {f"kwork:project:{row['kwork_id']}" for row in shown} <= keys
    assert len({key for key in keys if key.startswith("kwork:project:")}) == len(shown) == 5


def test_contacts_get_the_buyers_public_profile(studio: Api, stand: Stand) -> None:
    answer = studio.call("POST", "/crm-sync/sync-contacts", json={})
    assert answer["state"] == "done", answer
    studio.settled()
    contacts = records(stand, studio.tenant)["contacts"]
    assert len({contact["external_id"] for contact in contacts}) == len(contacts)


def test_the_service_brings_its_own_database_only_where_none_is_named(service: Service) -> None:
    brought = (service.folder / "data" / "postgres").exists()
    assert brought == (postgres_dsn() is None)


def test_the_categories_were_read_once_for_everybody(studio: Api, stand: Stand) -> None:
    assert len(stand.journal(surface="web", path="/get_categories")) == 1
    assert studio.call("GET", "/orders", params={"category": "web-development"})["total"] > 0


def test_another_tenant_sees_and_gets_nothing_of_it(studio: Api, service: Service, stand: Stand) -> None:
    other = service.user("rival")
    assert other.call("GET", "/accounts")["items"] == []
    assert other.call("GET", "/orders", params={"kind": "order"})["items"] == []
    assert other.status()["streams"] == []
    assert records(stand, "rival") == {"leads": [], "contacts": []}


def test_a_service_that_was_killed_goes_on_with_its_data(studio: Api, service: Service, stand: Stand) -> None:
    service.kill()
    service.start()
    mark = stand.mark()
    assert studio.sync()["state"] == "done"
    assert [row for row in stand.journal(surface="crm", since=mark) if row["method"] == "POST"] == []
