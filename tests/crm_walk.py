"""The life of one order in a CRM, whatever its variant: the demo CRM's journal is the judge."""

from dataclasses import replace

from app.domain.crm import Contact, CrmConnector, Entity, Lead, LeadStatus, Saved
from tests.crm_desk import CrmDesk

ORDER = Lead("kwork:order:1001", "Сайт", budget_kopecks=150_000, status=LeadStatus.IN_PROGRESS)
BUYER = Contact("kwork:user:77", "Пример Покупателев Младший")


async def walk(crm: CrmConnector, desk: CrmDesk, *, looks_up: bool = True) -> None:
    """Created, repeated, found, won; one record of each kind in the end."""
    contact = await crm.create_contact(BUYER)
    lead = await crm.create_lead(ORDER)
    assert (contact.created, lead.created) == (True, True)
    assert await crm.create_lead(ORDER) == Saved(lead.crm_id, created=False)
    if looks_up:
        assert await crm.find(Entity.LEAD, ORDER.external_id) == lead.crm_id
        assert await crm.find(Entity.LEAD, "kwork:order:1") is None
        assert await crm.find(Entity.CONTACT, BUYER.external_id) == contact.crm_id
    won = replace(ORDER, name="Сайт 2", status=LeadStatus.WON, contact_id=contact.crm_id)
    await crm.update_lead(lead.crm_id, won)
    assert (await crm.check()).ok

    assert desk.done() == ["contact created", "lead created", "lead existing", "lead updated"]
