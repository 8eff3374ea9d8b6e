"""Messages and events of orders become notes of linked leads: from the tenant's log of events, each once.

Where a connection stands in the log moves in the transaction that queues the notes, so nothing is left out or queued
twice. It begins where the log stood when notes were switched on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.connections import ConnectionMode
from app.domain.crm import Note
from app.domain.events import Event, EventFilter, EventType
from app.domain.mapping import Notes
from app.domain.note_words import event_of, event_words, message_words
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_note_marks import CrmNoteMarks
from app.repositories.deliveries import Deliveries, Outgoing
from app.repositories.events import Events
from app.services.lead_payloads import note_of_lead, order_key
from app.services.ready_mapping import ready_mapping

_PAGE: Final = 200
_MESSAGES: Final = (EventType.MESSAGE_RECEIVED, EventType.MESSAGE_SENT)


class NoteEvents:
    """Notes are delivered like leads are, after them and in their order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, tenant_id: str, connection_id: UUID) -> int:
        """Queues what is new for a connection, if it wants notes; returns how many. Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            connection = await Connections(scope).get(connection_id)
        wanted = ready_mapping(dict(connection.mapping)).said.notes
        count, more = 0, True
        while more:
            async with self._database.tenant(tenant_id) as scope:
                queued, more = await _piece(scope, connection, wanted)
            count += queued
        return count


async def _piece(scope: TenantConnection, connection: CrmConnection, wanted: Notes) -> tuple[int, bool]:
    """One piece of the log; how many notes were queued, and whether more of the log follows."""
    marks, types = CrmNoteMarks(scope), _types(wanted)
    if not types or connection.mode is ConnectionMode.PREVIEW:
        return 0, False  # its mark is gone, too
    events = Events(scope)
    position = await marks.take(connection.id, await events.head())
    piece = await events.after(position, EventFilter(types), _PAGE)
    if piece.position <= position:
        return 0, False
    events_wanted = [event for event in piece.events if _is_wanted(event, wanted)]
    notes = await _notes(scope, connection.id, events_wanted)
    await Deliveries(scope).enqueue(connection.id, None, notes)
    await marks.move(connection.id, piece.position)
    return len(notes), piece.more


def _types(wanted: Notes) -> tuple[str, ...]:
    """An order's thread holds both its events and the messages in it."""
    messages = _MESSAGES if wanted.messages else ()
    return (*messages, *((EventType.ORDER_EVENT,) if wanted.messages or wanted.order_events else ()))


def _is_wanted(event: Event, wanted: Notes) -> bool:
    if event.type != EventType.ORDER_EVENT:
        return wanted.messages
    return wanted.messages if event.data.get("kind") == "message" else wanted.order_events


async def _notes(scope: TenantConnection, connection_id: UUID, events: Sequence[Event]) -> list[Outgoing]:
    """Of those that belong to a lead of this connection."""
    marks = CrmNoteMarks(scope)
    texts = await _texts(marks, events)
    keys = await _lead_keys(marks, connection_id, events)
    known = await marks.known_leads(connection_id, [key for key in keys.values() if key])
    return [
        note_of_lead(_note(event, texts), key)
        for event in events
        if (key := keys[event.id]) is not None and key in known
    ]


async def _texts(marks: CrmNoteMarks, events: Sequence[Event]) -> Mapping[tuple[str, int], str]:
    pairs = [(UUID(one.subject), int(one.data["message_id"])) for one in events if one.type in _MESSAGES]
    return {(str(row["dialog_id"]), row["id"]): row["text"] for row in await marks.messages(pairs)}


async def _lead_keys(
    marks: CrmNoteMarks, connection_id: UUID, events: Sequence[Event]
) -> Mapping[int, str | None]:
    """By event. A dialog is looked up once."""
    of_dialogs: dict[str, str | None] = {}
    found: dict[int, str | None] = {}
    for event in events:
        order = _order_of(event)
        if order is None and event.subject not in of_dialogs:
            of_dialogs[event.subject] = await marks.lead_of_dialog(connection_id, UUID(event.subject))
        found[event.id] = order or of_dialogs.get(event.subject)
    return found


def _order_of(event: Event) -> str | None:
    if event.type == EventType.ORDER_EVENT:
        return order_key(int(event.subject.rpartition("-")[2]))
    order_id = event.data.get("order_id")
    return None if order_id is None else order_key(int(order_id))


def _note(event: Event, texts: Mapping[tuple[str, int], str]) -> Note:
    data = event.data
    if event.type == EventType.ORDER_EVENT:
        external_id = f"kwork:event:{event.subject.rpartition('-')[2]}:{data['event_id']}"
        return Note(external_id, event_words(*event_of(data)), _moment(data.get("at"), event))
    number = int(data["message_id"])
    text = texts.get((event.subject, number)) or str(data.get("text") or "")
    words = message_words(
        event.type == EventType.MESSAGE_RECEIVED, str(data["username"]), text, int(data.get("files") or 0)
    )
    return Note(f"kwork:message:{number}", words, _moment(data.get("sent_at"), event))


def _moment(told: Any, event: Event) -> datetime:
    """When it happened on Kwork, else when it was noticed."""
    return datetime.fromisoformat(told) if isinstance(told, str) else event.at
