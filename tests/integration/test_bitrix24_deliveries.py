"""The outbox into a Bitrix24 portal, the kind chosen by the service's settings; judged by the stand-in's records."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.core.database import Database
from app.domain.errors import Conflict
from app.repositories.connections import Connections
from app.repositories.deliveries import Deliveries
from app.services.crm_connections import CrmConnectors
from app.services.lead_payloads import buyer_contact, order_lead
from app.services.push_deliveries import PushDeliveries
from sandbox.bitrix24.portal import CONTACT, DEAL
from tests.api import settings_for_tests
from tests.crm_stands.bitrix24 import SECRET, Bitrix24Stand
from tests.crm_stands.interface import Call

TENANTS = ("default", "studio")


@pytest.fixture(scope="module")
async def open_stand() -> AsyncIterator[Bitrix24Stand]:
    async with Bitrix24Stand.open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: Bitrix24Stand, database: Database) -> Bitrix24Stand:
    open_stand.open_portal(mode=2)
    async with database.shared() as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name) SELECT t, t FROM unnest($1::text[]) t", TENANTS
        )
    return open_stand


def connectors_to(url: str, **settings: Any) -> CrmConnectors:
    webhook = SecretStr(f"{url}/rest/1/{SECRET}/")
    return CrmConnectors(
        settings_for_tests(crm_kind="bitrix24", crm_api_url=None, crm_api_key=webhook, **settings)
    )


async def push(
    database: Database, connectors: CrmConnectors, tenant: str, orders: dict[int, str]
) -> dict[str, str]:
    """Queues the orders of one buyer, drains until nothing waits (time is moved), and tells the states."""
    deliveries = PushDeliveries(
        database, connectors.connect, kind=connectors.kind, concurrency=2, search_lag_seconds=20
    )
    async with database.tenant(tenant) as scope:
        connection = await Connections(scope).default(connectors.kind)
        items = [order_lead(_order(number, status)) for number, status in orders.items()]
        await Deliveries(scope).enqueue(connection.id, None, [buyer_contact(7, "buyer7", None), *items])
    for _ in range(10):
        await deliveries.drain(tenant)
        async with database.tenant(tenant) as scope:
            moved = await scope.connection.execute(
                "UPDATE deliveries SET due_at = now(), sent_at = sent_at - interval '30 seconds' WHERE state IN "
                "('retry', 'unknown', 'pending')"
            )
        if moved == "UPDATE 0":
            break
    await deliveries.stop()
    async with database.tenant(tenant) as scope:
        rows = await scope.connection.fetch("SELECT external_id, state FROM deliveries ORDER BY id")
    return {row["external_id"]: row["state"] for row in rows}


def _order(number: int, status: str) -> dict[str, Any]:
    return {
        "id": number,
        "account_id": None,
        "title": f"Заказ {number}",
        "status": status,
        "price_kopecks": 150_000,
        "currency": "RUB",
        "buyer_id": 7,
        "buyer_username": "buyer7",
        "url": f"https://kwork.ru/track?id={number}",
        "deadline_at": None,
        "details": {},
        "gone": False,
    }


async def test_orders_become_deals_with_their_contact_and_move_on(
    database: Database, stand: Bitrix24Stand
) -> None:
    connectors = connectors_to(stand.url)
    stand.bad_day(
        "drops_after_acting", on=Call.CREATE_LEAD, count=2
    )  # the contact's answer is lost, and a deal's
    states = await push(database, connectors, "default", {1: "in_progress", 2: "in_progress"})
    assert set(states.values()) == {"done"}
    await push(database, connectors, "default", {1: "done"})

    (person,) = stand.portal.items[CONTACT].values()
    deals = {deal["originId"]: deal for deal in stand.portal.items[DEAL].values()}
    assert len(stand.portal.items[DEAL]) == 2
    assert {key: deal["stageId"] for key, deal in deals.items()} == {"order:1": "WON", "order:2": "EXECUTING"}
    assert all(deal["contactIds"] == [person["id"]] for deal in deals.values())


async def test_two_tenants_of_one_portal_do_not_share_a_deal(
    database: Database, stand: Bitrix24Stand
) -> None:
    for tenant in TENANTS:
        await push(database, connectors_to(stand.url), tenant, {1: "in_progress"})
    marks = [deal["originatorId"] for deal in stand.portal.items[DEAL].values()]
    assert marks == ["KWORK", "KWORK-studio"]


async def test_another_kind_of_crm_is_not_given_the_old_ones_numbers(
    database: Database, stand: Bitrix24Stand
) -> None:
    async with database.tenant("default") as scope:
        await Connections(scope).default("native")
    with pytest.raises(Conflict, match="CRM_KIND=native"):
        await push(database, connectors_to(stand.url), "default", {1: "in_progress"})
    assert stand.journal.entries == []


def test_settings_of_the_service_are_checked_by_kind() -> None:
    connectors_to("https://portal.example.ru", crm_settings={"entity": "deal"}).check_settings()
    with pytest.raises(ValidationError):
        connectors_to("http://portal.example.ru").check_settings()
    with pytest.raises(KeyError):
        CrmConnectors(settings_for_tests(crm_kind="nearly")).check_settings()
    assert not CrmConnectors(settings_for_tests(crm_kind="bitrix24", crm_api_key=None)).configured
