"""What amoCRM's webhooks name: ``leads[<action>][<number>][id]`` [doc webhooks-format]. Nothing else of them is used."""

from collections.abc import Mapping

from app.crm.answers import id_text


def leads_named(event: Mapping[str, object]) -> set[str]:
    """Ids of leads, of every action; none in what tells of contacts, tasks and companies."""
    actions = event.get("leads")
    return {
        crm_id
        for rows in (actions.values() if isinstance(actions, Mapping) else ())
        for row in (rows.values() if isinstance(rows, Mapping) else rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and (crm_id := id_text(row.get("id"))) is not None
    }
