"""A lead as templates see it, whoever wrote them."""

from typing import Any

from app.crm.templates.language import Loose
from app.domain.crm import Lead


def lead_facts(lead: Lead) -> dict[str, Any]:
    """Plain values. Raises ``ValueError`` for a deadline without a time zone."""
    if lead.deadline is not None and lead.deadline.tzinfo is None:
        raise ValueError("a deadline without a time zone")
    kind, kwork_id = kwork_key(lead.external_id)
    return {
        "external_id": lead.external_id,
        "kind": kind,
        "kwork_id": kwork_id,
        "name": lead.name,
        "description": lead.description,
        "budget_kopecks": lead.budget_kopecks,
        "currency": lead.currency,
        "status": lead.status.value,
        "url": lead.url,
        "deadline": lead.deadline,
        "metadata": Loose(lead.metadata),
    }


def kwork_key(external_id: str) -> tuple[str, str]:
    """``kwork:order:1001`` → order, 1001."""
    parts = external_id.split(":", 2)
    return (parts[1], parts[2]) if len(parts) == 3 else ("", external_id)
