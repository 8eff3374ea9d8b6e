"""From database rows to the rows of lists: plain dictionaries, without a model per row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from starlette.responses import Response

from app.domain.categories import CategoryTree
from app.services.container import NO_LEAD, LeadState

_CARD_FIELDS = (
    "gig_title", "progress", "has_stages", "cancel_requested", "unread_events", "note", "payment_type",
    "provided_data", "views", "buyer_projects", "buyer_hired_percent", "portfolio_required",
)  # fmt: skip
_GIG_FIELDS = ("description", "days", "views", "orders", "rating", "image_url", "created_at", "pause_reason")
_DIALOG_FIELDS = ("last_message", "online", "archived", "starred", "can_write", "has_active_order")


def to_json(content: object) -> bytes:
    """JSON as orjson writes it: moments in ISO 8601 with ``Z``, UUIDs as text."""
    return orjson.dumps(content, default=_uuid_text, option=orjson.OPT_UTC_Z)


def json_answer(content: object, status: int = 200) -> Response:
    """An answer of that JSON."""
    return Response(to_json(content), status, media_type="application/json")


def list_answer(
    items: list[dict[str, Any]], *, page: int | None, limit: int, total: int, next_cursor: str | None
) -> Response:
    """The one shape of lists."""
    return json_answer(
        {"items": items, "page": page, "limit": limit, "total": total, "next_cursor": next_cursor}
    )


def listed(items: bytes, *, page: int | None, limit: int, total: int, next_cursor: str | None) -> Response:
    """The same of a list of items that is JSON already."""
    rest = to_json({"page": page, "limit": limit, "total": total, "next_cursor": next_cursor})
    return Response(b'{"items":%b,%b' % (items, rest[1:]), media_type="application/json")


class RowShapes:
    """Builds rows; knows categories' names and where user pages are."""

    def __init__(self, categories: CategoryTree, web_url: str) -> None:
        self._categories = categories
        self.user_url = f"{web_url}/user/"
        self._endings: dict[int | None, bytes] = {}

    def order(
        self,
        row: asyncpg.Record,
        lead: LeadState | None = None,
        everywhere: Sequence[asyncpg.Record] | None = None,
    ) -> dict[str, Any]:
        """``OrderRow``. ``lead`` is fresher than what the row was read with; ``everywhere``: one of each connection."""
        shown: dict[str, Any] = orjson.loads(row["row"])
        shown["category"] = self._category(row["category_id"])
        shown["leads"] = None if everywhere is None else [_lead_there(one) for one in everywhere]
        if lead is not None:
            shown["lead"] = _pushed_lead(lead)
        return shown

    def as_read(self, row: asyncpg.Record) -> bytes:
        """``OrderRow`` of a tenant with one connection, without reading what PostgreSQL wrote."""
        number = row["category_id"]
        if number not in self._endings:
            self._endings[number] = b',"leads":null,"category":%b}' % to_json(self._category(number))
        return row["row"][:-1] + self._endings[number]  # type: ignore[no-any-return]

    def order_card(
        self, row: asyncpg.Record, everywhere: Sequence[asyncpg.Record] | None = None
    ) -> dict[str, Any]:
        """``OrderCard``."""
        details = row["details"]
        shown = self.order(row, everywhere=everywhere)
        shown.update({name: details.get(name) for name in _CARD_FIELDS})
        shown["description"] = row["description"] or details.get("description")
        shown["note"] = shown["note"] or None
        shown["stages"] = [_stage(stage) for stage in details.get("stages") or ()]
        shown["attributes"] = details.get("attributes") or {}
        shown["durations"] = details.get("durations") or []
        shown["files"] = files(details.get("files"))
        shown["details_read_at"] = row["details_read_at"]
        return shown

    def gig(self, row: asyncpg.Record) -> dict[str, Any]:
        """``GigOut``."""
        details = row["details"]
        return {
            "id": row["id"],
            "account_id": row["account_id"],
            "title": row["title"],
            "state": row["state"],
            "category": self._category(row["category_id"]),
            "price": roubles(row["price_kopecks"]),
            "seller_share": roubles(details.get("seller_share_kopecks")),
            "currency": row["currency"],
            "url": row["url"],
            "listed": row["listed"],
            **{name: details.get(name) for name in _GIG_FIELDS},
        }

    def dialog(self, row: asyncpg.Record) -> dict[str, Any]:
        """``DialogOut``."""
        details = row["details"]
        return {
            "id": row["id"],
            "account_id": row["account_id"],
            "partner": self._person(row["kwork_user_id"], row["username"]),
            "unread": row["unread"],
            "last_message_at": row["last_message_at"],
            "messages_read_at": row["messages_read_at"],
            **{name: details.get(name) for name in _DIALOG_FIELDS},
        }

    def _person(self, user_id: int | None, username: str) -> dict[str, Any]:
        return {"id": user_id, "username": username, "url": self.user_url + username if username else None}

    def _category(self, category_id: int | None) -> dict[str, Any] | None:
        if category_id is None:
            return None
        known = self._categories.get(category_id)
        if known is None:
            return {"id": category_id, "name": None, "slug": None}
        return {"id": known.id, "name": known.name, "slug": known.slug}


def event(row: asyncpg.Record) -> dict[str, Any]:
    """``EventOut``."""
    details = row["details"]
    return {
        "id": row["id"],
        "kind": row["kind"],
        "type": details.get("type"),
        "at": row["at"],
        "author_id": details.get("author_id"),
        "text": details.get("text"),
        "files": files(details.get("files")),
    }


def files(stored: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """``FileOut`` for each stored attachment."""
    return [{name: one.get(name) for name in ("id", "name", "url", "size")} for one in stored or ()]


def roubles(kopecks: int | None) -> int | float | None:
    """1500, not 1500.0; 1500.5 where there are kopecks."""
    if kopecks is None:
        return None
    whole, rest = divmod(kopecks, 100)
    return whole if rest == 0 else kopecks / 100


def _stored_lead(row: asyncpg.Record) -> dict[str, Any] | None:
    lead_id, state = row["lead_id"], row["lead_state"]
    if lead_id is None and state is None:
        return None
    return _lead(lead_id, state or "synced", row["lead_reason"])


def _lead_there(row: asyncpg.Record) -> dict[str, Any]:
    stored = _stored_lead(row) or _lead(None, NO_LEAD, None)
    return {"connection_id": row["connection_id"], "connection": row["connection"], **stored}


def _pushed_lead(lead: LeadState) -> dict[str, Any] | None:
    return None if lead.state == NO_LEAD else _lead(lead.id, lead.state, lead.reason)


def _lead(lead_id: str | None, state: str, reason: str | None) -> dict[str, Any]:
    return {"id": lead_id, "state": state, "reason": reason}


def _uuid_text(value: object) -> str:
    # asyncpg's UUID is a subclass that orjson does not know.
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: stage.get(name) for name in ("id", "number", "title", "status", "progress")}
    shown["price"] = roubles(stage.get("price_kopecks"))
    return shown
