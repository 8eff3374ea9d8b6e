"""All that the API tells of a tenant, to compare before and after: nothing may be lost or become emptier."""

from __future__ import annotations

from typing import Any

from tests.sync_bed import Row, SyncBed

_OWN_CLOCK = ("details_read_at", "messages_read_at", "lead", "offers", "views")
"""Moments of the service's own readings, and what changes by itself."""
_MOVES_ON = ("unread", "last_message", "last_message_at")
"""What a new message changes in its dialog."""

Knowledge = dict[str, Row]


async def knowledge(bed: SyncBed) -> Knowledge:
    """Every order (with its page and thread), project, gig, dialog and message, by a name of its own."""
    found: Knowledge = {}
    for row in (await bed.get("orders?limit=200"))["items"]:
        found[row["id"]] = await bed.get(f"orders/{row['id']}")
        if row["kind"] == "order":
            events = (await bed.get(f"orders/{row['id']}/events?limit=200"))["items"]
            found |= {f"event-{row['id']}-{event['id']}": event for event in events}
    for gig in (await bed.get("gigs?limit=200"))["items"]:
        found[f"gig-{gig['id']}"] = gig
    for dialog in (await bed.get("chat?limit=200"))["items"]:
        name = dialog["partner"]["username"]
        found[f"dialog-{name}"] = dialog
        messages = (await bed.get(f"chat/{dialog['id']}/messages?limit=200"))["items"]
        found |= {f"message-{name}-{message['id']}": message for message in messages}
    return found


def lost(before: Knowledge, after: Knowledge) -> list[str]:
    """What was known before and is not any more, or is something else."""
    gone = [name for name in before if name not in after]
    changed = [
        f"{name}.{field}: {value!r} -> {after[name].get(field)!r}"
        for name, row in before.items()
        if name in after
        for field, value in row.items()
        if field not in _OWN_CLOCK
        and not (name.startswith("dialog-") and field in _MOVES_ON)
        and value not in (None, "", [], {})
        and after[name].get(field) != value
    ]
    return gone + changed


def told_to_crm(bed: SyncBed, since: int) -> dict[str, list[str]]:
    """What was sent to the CRM per key, by the CRM's own journal."""
    found: dict[str, list[str]] = {}
    ids: dict[str, Any] = {
        record["id"]: record["external_id"] for records in bed.records().values() for record in records
    }
    for row in bed.stand.journal(surface="crm", since=since):
        if row["method"] != "GET":
            key = (row["body"] or {}).get("external_id") or ids[row["path"].rpartition("/")[2]]
            found.setdefault(key, []).append(row["method"])
    return found
