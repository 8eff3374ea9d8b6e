"""What lists are asked for: filters and the window of rows to show. Money in kopecks, moments in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.errors import Invalid


class OrderKind(StrEnum):
    """The two kinds of "orders": projects of the exchange and orders an account sells."""

    PROJECT = "project"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of orders ended: its last row's moment, kind and Kwork number."""

    at: datetime | None
    kind: OrderKind
    id: int


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows to show: ``limit`` of them, after ``offset`` rows or after a position."""

    limit: int
    offset: int = 0
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Empty fields do not filter."""

    kind: OrderKind | None = None
    account_id: UUID | None = None
    statuses: tuple[str, ...] = ()
    category_ids: tuple[int, ...] = ()
    min_price_kopecks: int | None = None
    max_price_kopecks: int | None = None
    words: tuple[str, ...] = ()
    created_after: datetime | None = None
    has_lead: bool | None = None


@dataclass(frozen=True, slots=True)
class OrderId:
    """A public id ``project-3240184``, ``order-5512345`` or a bare Kwork number (``kind`` is ``None``)."""

    kind: OrderKind | None
    number: int

    @classmethod
    def parse(cls, text: str) -> OrderId:
        """Raises ``Invalid`` (``malformed_id``)."""
        head, dash, digits = text.rpartition("-")
        if (dash and head not in set(OrderKind)) or not _is_number(digits):
            raise Invalid(
                "Номер записан неверно: нужен вид project-3240184, order-5512345 или просто число.",
                field="path.id",
                code="malformed_id",
            )
        return cls(OrderKind(head) if dash else None, int(digits))


def public_id(kind: OrderKind | str, number: int) -> str:
    """``project-3240184`` or ``order-5512345``."""
    return f"{kind}-{number}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
