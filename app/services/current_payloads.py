"""What deliveries should say by now: their payloads built again from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core.database import TenantConnection
from app.domain.crm import Entity
from app.domain.kwork import Person
from app.repositories.deliveries import Outgoing
from app.repositories.failures import Failure
from app.repositories.markets import Markets
from app.repositories.orders import Orders
from app.repositories.project_leads import ProjectFacts, ProjectLeads
from app.services.lead_payloads import order_lead, project_lead
from app.services.push_orders import contacts_of


async def current_payloads(scope: TenantConnection, failures: Sequence[Failure]) -> dict[int, Outgoing]:
    """By delivery; without those whose source is not stored any more, and without notes, which never change."""
    leads = [one.external_id for one in failures if one.entity == Entity.LEAD]
    found = [order_lead(row) for row in await Orders(scope).by_ids(_numbers(leads, "kwork:order:"))]
    projects = await Markets(scope.connection).by_ids(_numbers(leads, "kwork:project:"))
    facts = await ProjectLeads(scope).facts([row["id"] for row in projects])
    found += [project_lead(row, facts.get(row["id"], ProjectFacts())) for row in projects]
    found += await contacts_of(scope, _buyers(failures), any_age=True)
    by_key = {(one.entity.value, one.external_id): one for one in found}
    return {
        one.id: by_key[one.entity, one.external_id]
        for one in failures
        if (one.entity, one.external_id) in by_key
    }


def _numbers(keys: Sequence[str], prefix: str) -> list[int]:
    ends = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    return [int(end) for end in ends if end.isascii() and end.isdigit()]


def _buyers(failures: Sequence[Failure]) -> dict[Person, datetime]:
    people: dict[Person, datetime] = {}
    for one in failures:
        known = (one.payload.get("metadata") or {}) if one.entity == Entity.CONTACT else {}
        user_id, username = known.get("kwork_user_id"), known.get("kwork_username")
        if isinstance(user_id, int) and isinstance(username, str):
            people[Person(user_id, username)] = one.created_at
    return people
