"""What a CRM of the contract names when it tells of changes: ``leads`` with their ids."""

from collections.abc import Mapping

from app.crm.answers import id_text


def leads_named(event: Mapping[str, object]) -> set[str] | None:
    """None where it does not say which: then all are looked at."""
    leads = event.get("leads")
    if not isinstance(leads, list):
        return None
    named = (id_text(lead.get("id") if isinstance(lead, Mapping) else lead) for lead in leads)
    return {crm_id for crm_id in named if crm_id is not None}
