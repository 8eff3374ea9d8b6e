"""What a project, an order or a buyer looks like in the CRM: pure functions from stored rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.content import content_hash, plain
from app.domain.crm import Contact, Entity, Lead, LeadStatus, Note
from app.domain.kwork import OrderStatus, ProjectStatus
from app.domain.writing import OfferStatus
from app.repositories.deliveries import Outgoing
from app.repositories.project_leads import ProjectFacts

GONE = "gone"
"""Kwork's lists do not hold it any more."""

_ORDER_STATUS = {
    OrderStatus.NEW: LeadStatus.NEW,
    OrderStatus.IN_PROGRESS: LeadStatus.IN_PROGRESS,
    OrderStatus.ON_REVIEW: LeadStatus.ON_REVIEW,
    OrderStatus.ARBITRATION: LeadStatus.ARBITRATION,
    OrderStatus.PAYMENT_DUE: LeadStatus.PAYMENT_DUE,
    OrderStatus.DONE: LeadStatus.WON,
    OrderStatus.CANCELLED: LeadStatus.LOST,
    OrderStatus.UNKNOWN: LeadStatus.NEW,
}
_OF_CANCELLING = ("cancel_requested", "cancel_reason")
_CLOSED = (ProjectStatus.STOPPED.value, ProjectStatus.ARCHIVED.value, ProjectStatus.CANCELLED.value)
_OFF_THE_EXCHANGE = ("expired", GONE)
_OFFER_STATUS = {OfferStatus.CHOSEN: LeadStatus.WON, OfferStatus.DECLINED: LeadStatus.LOST}
_OPEN_OFFER = (OfferStatus.NEW, OfferStatus.VIEWED)


def order_key(order_id: int) -> str:
    """The lead's key for an order."""
    return f"kwork:order:{order_id}"


def project_key(project_id: int) -> str:
    """The lead's key for a project of the exchange."""
    return f"kwork:project:{project_id}"


def buyer_key(user_id: int | None) -> str | None:
    """The contact's key for a Kwork user; ``None`` while the id is not known (a name is never a key)."""
    return f"kwork:user:{user_id}" if user_id is not None else None


def order_lead(row: Mapping[str, Any]) -> Outgoing:
    """A lead from a row of ``orders``."""
    details = row["details"]
    lead = Lead(
        external_id=order_key(row["id"]),
        name=row["title"],
        description=details.get("description") or "",
        budget_kopecks=row["price_kopecks"],
        currency=row["currency"],
        status=_order_status(OrderStatus(row["status"]), gone=row["gone"]),
        contact_external_id=buyer_key(row["buyer_id"]),
        url=row["url"],
        deadline=row["deadline_at"],
        metadata={
            "kwork_kind": "order",
            "kwork_id": row["id"],
            "kwork_status": GONE if row["gone"] else row["status"],
            "kwork_buyer": row["buyer_username"],
            "kwork_account_id": str(row["account_id"]),
            **{f"kwork_{name}": details[name] for name in _OF_CANCELLING if details.get(name)},
        },
    )
    return outgoing(Entity.LEAD, lead)


def _order_status(status: OrderStatus, *, gone: bool) -> LeadStatus:
    """An order that vanished from Kwork is lost, unless it was done."""
    found = _ORDER_STATUS[status]
    return LeadStatus.LOST if gone and not found.is_final else found


def project_lead(row: Mapping[str, Any], facts: ProjectFacts) -> Outgoing:
    """A lead from a row of ``market_projects``."""
    status = _project_word(row)
    lead = Lead(
        external_id=project_key(row["id"]),
        name=row["title"],
        description=row["description"],
        budget_kopecks=row["price_kopecks"],
        currency=row["currency"],
        status=_project_status(status, facts.offer),
        contact_external_id=buyer_key(row["buyer_id"]),
        url=row["url"],
        deadline=row["expires_at"],
        metadata={
            "kwork_kind": "project",
            "kwork_id": row["id"],
            "kwork_status": status,
            "kwork_buyer": row["buyer_username"],
            "kwork_category_id": row["category_id"],
            "kwork_max_price": row["max_price_kopecks"] / 100,
            **({"kwork_offer": facts.offer} if facts.offer else {}),
            **({"kwork_searches": ", ".join(facts.searches)} if facts.searches else {}),
        },
    )
    return outgoing(Entity.LEAD, lead)


def _project_word(row: Mapping[str, Any]) -> str:
    """Kwork's own word, where it closed the project; else whether it is on the exchange still."""
    status: str = row["status"]
    if status in _CLOSED:
        return status
    return GONE if row["gone"] else "expired" if row["expired"] else status


def _project_status(word: str, offer: str | None) -> LeadStatus:
    """The own offer tells more than the exchange, which takes a project off as soon as somebody is chosen. A project
    that somebody works at already (``in_work``) may still take offers, so it is not lost."""
    if offer in _OFFER_STATUS:
        return _OFFER_STATUS[OfferStatus(offer)]
    if word in _CLOSED:
        return LeadStatus.LOST
    if offer in _OPEN_OFFER:
        return LeadStatus.OFFERED
    return LeadStatus.LOST if word in _OFF_THE_EXCHANGE else LeadStatus.NEW


def buyer_contact(user_id: int, username: str, profile: Mapping[str, Any] | None) -> Outgoing:
    """A contact of a buyer; richer when the public profile is known."""
    known = profile or {}
    contact = Contact(
        external_id=f"kwork:user:{user_id}",
        name=known.get("full_name") or username,
        url=known.get("url") or f"https://kwork.ru/user/{username}",
        metadata={
            "kwork_user_id": user_id,
            "kwork_username": username,
            **{
                f"kwork_{name}": known[name]
                for name in ("location", "profession", "rating", "orders_done")
                if known.get(name) is not None
            },
        },
    )
    return outgoing(Entity.CONTACT, contact)


def lead_of(payload: Mapping[str, Any], contact_id: str | None) -> Lead:
    """Back from the stored payload; ``contact_id`` is the buyer's id in the CRM."""
    deadline = payload["deadline"]
    return Lead(
        **{
            **payload,
            "status": LeadStatus(payload["status"]),
            "deadline": datetime.fromisoformat(deadline) if deadline else None,
            "contact_id": contact_id,
        }
    )


def contact_of(payload: Mapping[str, Any]) -> Contact:
    """Back from the stored payload."""
    return Contact(**payload)


def message_note(message_id: int, lead_key: str, text: str, at: datetime) -> Outgoing:
    """A message on the timeline of a lead; ``at``: aware, UTC, when it was sent on Kwork."""
    return note_of_lead(Note(f"kwork:message:{message_id}", text, at), lead_key)


def note_of_lead(note: Note, lead_key: str) -> Outgoing:
    """A line on the timeline of a lead, as it is queued."""
    payload = {**plain(note), "lead_external_id": lead_key}
    return Outgoing(Entity.NOTE, payload["external_id"], payload, content_hash(payload))


def note_of(payload: Mapping[str, Any]) -> Note:
    """Back from the stored payload."""
    return Note(payload["external_id"], payload["text"], datetime.fromisoformat(payload["at"]))


def content_of(record: Lead | Contact) -> dict[str, Any]:
    """The plain form of a record, without how it is handled."""
    return {name: value for name, value in plain(record).items() if name != "handling"}


def outgoing(entity: Entity, record: Lead | Contact) -> Outgoing:
    """The record as it is queued."""
    payload = content_of(record)
    return Outgoing(entity, record.external_id, payload, content_hash(payload))
