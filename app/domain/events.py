"""What the outside is told about: one entry of a tenant's log of events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.errors import Invalid

TEXT_LIMIT = 500
"""Characters of a marketplace text that an event carries; the whole text is behind its route."""


class EventType(StrEnum):
    """Every type there is. ``docs/events.md`` shows an example of each."""

    ORDER_CREATED = "order.created"
    ORDER_STATUS_CHANGED = "order.status_changed"
    ORDER_EVENT = "order.event"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_SENT = "message.sent"
    OFFER_CHANGED = "offer.changed"
    ACCOUNT_STATE_CHANGED = "account.state_changed"
    WRITE_SETTLED = "write.settled"
    SYNC_RUN_FINISHED = "sync_run.finished"
    SEARCH_MATCHED = "search.matched"
    CRM_CONNECTION_CHANGED = "crm_connection.changed"


TEST_TYPE = "webhook.test"
"""What the test button of a webhook sends. It stands in no log."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry. ``id`` grows by one per tenant, in the order in which readers see the entries."""

    id: int
    type: str
    subject: str
    """Public id of what it is about: ``order-5512345``, ``project-3240184``, a dialog's, account's, write's or run's id."""
    account_id: UUID | None
    at: datetime
    """When the service noticed it, UTC. When it happened on Kwork stands in ``data`` where Kwork tells."""
    data: Mapping[str, Any]

    def body(self) -> dict[str, Any]:
        """The JSON that streams and webhooks carry."""
        return {
            "id": self.id,
            "type": self.type,
            "timestamp": self.at,
            "subject": self.subject,
            "account_id": self.account_id,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted. Empty ``types`` and no ``account_id``: all."""

    types: tuple[str, ...] = ()
    account_id: UUID | None = None


def types_named(names: Iterable[str], *, field: str = "types") -> tuple[str, ...]:
    """The types that the names mean, sorted; ``order.*`` means a family, ``*`` all. Raises ``Invalid``."""
    found: set[str] = set()
    for name in names:
        family = name.removesuffix("*")
        meant = {
            kind.value for kind in EventType if kind == name or (family != name and kind.startswith(family))
        }
        if not meant or (family != name and family and not family.endswith(".")):
            raise Invalid(
                f"Неизвестный тип события «{name[:50]}». Есть: {', '.join(EventType)}; можно order.* и подобные.",
                field=field,
                code="unknown_event_type",
            )
        found |= meant
    return tuple(sorted(found))


def cut(text: str | None) -> str | None:
    """A marketplace text, short enough for an event."""
    return text if text is None or len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
