"""The outbox against each kind of CRM: one lead an order, though answers are lost and the CRM knows no unique keys."""

from collections.abc import AsyncIterator

import pytest

from app.core.database import Database
from tests.crm_stands import STANDS, Call, CrmStand
from tests.crm_stands.amocrm import AmoStand
from tests.outbox import TENANT, Outbox

KINDS = sorted(set(STANDS) - {"native"})  # test_push_deliveries has it in depth


@pytest.fixture
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[request.param].open() as opened:
        await opened.clear()
        yield opened


@pytest.fixture
async def outbox(database: Database, stand: CrmStand) -> AsyncIterator[Outbox]:
    made = Outbox(database, stand.kind, lambda *_: stand.connector(), lag=20.0)
    await made.open()
    yield made
    await made.push.stop()


@pytest.mark.parametrize("stand", KINDS, indirect=True)
async def test_orders_become_one_lead_each_though_answers_are_lost(stand: CrmStand, outbox: Outbox) -> None:
    stand.bad_day("cuts_after_acting", on=Call.CREATE_CONTACT, count=1)
    stand.bad_day("drops_after_acting", on=Call.CREATE_LEAD, count=2)
    stand.bad_day("fails_before_acting", on=Call.CREATE_LEAD, count=1)
    await outbox.queue(1, 2, 3)
    await outbox.drain()

    (buyer,) = await stand.contacts()
    leads = await stand.leads()
    assert sorted(str(lead.key) for lead in leads) == [f"kwork:order:{n}" for n in (1, 2, 3)]
    assert {lead.contact_id for lead in leads} == {buyer.crm_id}
    assert set((await outbox.states()).values()) == {"done"}

    seen = len(stand.journal.entries)
    await outbox.queue(1, 2, 3)
    await outbox.drain()
    assert len(stand.journal.entries) == seen  # unchanged: no call

    await outbox.queue(2, title="Сайт под ключ")
    await outbox.drain()
    assert sorted(lead.name for lead in await stand.leads()) == ["Сайт", "Сайт", "Сайт под ключ"]


@pytest.mark.parametrize("stand", ["amocrm"], indirect=True)
async def test_a_crm_without_our_fields_gets_them_before_its_first_lead(
    stand: AmoStand, outbox: Outbox
) -> None:
    stand.account.fields["leads"].clear()
    stand.faults.add("block_403", surface=stand.surface, path="/api/v4/leads/custom_fields")
    await outbox.queue(1)
    await outbox.push.drain(TENANT)
    assert await stand.leads() == []
    health = await outbox.health()
    assert health is not None
    assert (health.ok, health.code) == (False, "crm_set_up_failed")
    seen = len(stand.journal.entries)
    await outbox.push.drain(TENANT)
    assert len(stand.journal.entries) == seen, "it was not left alone"
    assert (await outbox.states())["kwork:order:1"] == "pending"

    stand.faults.clear()
    stand.journal.clear()
    await outbox.drain()
    assert [lead.key for lead in await stand.leads()] == ["kwork:order:1"]
    back = await outbox.health()
    assert back is not None
    assert back.ok
    await outbox.queue(2)
    await outbox.drain()
    assert len(stand.journal.find(path="/api/v4/account")) == 1  # not set up again
