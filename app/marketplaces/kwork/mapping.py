"""Kwork's words and numbers as ours, for both surfaces. Wire shapes live with the surfaces.

An unknown word is ``UNKNOWN`` (or ``other``), never an error: Kwork adds words without asking.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

from app.domain.kwork import GigState, OrderStatus, ProjectStatus

T = TypeVar("T")

CURRENCY = "RUB"
"""kwork.ru deals in roubles (currency id 643) [CAP]."""


class OrderFilter(StrEnum):
    """What to ask of the list of sold orders: mobile ``filter`` [SPEC], web ``s`` [LIVE]."""

    ALL = "all"
    ACTIVE = "active"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    UNPAID = "unpaid"
    AWAITING_RECEIPT = "awaiting_receipt"


_PROJECT_STATUSES = {  # words: wantModelStatuses [CAP]
    "active": ProjectStatus.ACTIVE,
    "archived": ProjectStatus.ARCHIVED,
    "cancel": ProjectStatus.CANCELLED,
    "delete": ProjectStatus.CANCELLED,
    "stop": ProjectStatus.STOPPED,
    "user_stop": ProjectStatus.STOPPED,
}

_ORDER_CODES = {  # [SPEC]
    1: OrderStatus.IN_PROGRESS,
    2: OrderStatus.ARBITRATION,
    3: OrderStatus.CANCELLED,
    4: OrderStatus.ON_REVIEW,
    5: OrderStatus.DONE,
    6: OrderStatus.PAYMENT_DUE,
}

_ORDER_TEXTS = (  # first match wins; display texts by the filters' names [SPEC], «Спор» since Apr 2026 [CAP]
    ("на проверке", OrderStatus.ON_REVIEW),
    ("арбитраж", OrderStatus.ARBITRATION),
    ("спор", OrderStatus.ARBITRATION),
    ("отмен", OrderStatus.CANCELLED),
    ("оплат", OrderStatus.PAYMENT_DUE),
    ("не взят", OrderStatus.NEW),
    ("ожидает взятия", OrderStatus.NEW),
    ("новый", OrderStatus.NEW),
    ("выполнен", OrderStatus.DONE),
    ("в работе", OrderStatus.IN_PROGRESS),
)

PAYMENT_TYPES = {0: "person", 1: "subscription", 2: "escrow"}  # [SPEC]

_GIG_NAMES = (  # first match wins: «неактивные» holds «актив» [CODE for pauses, the rest by the names' sense]
    ("пауз", GigState.PAUSED),
    ("останов", GigState.PAUSED),
    ("неактив", GigState.PAUSED),
    ("отклон", GigState.REJECTED),
    ("чернов", GigState.DRAFT),
    ("исправ", GigState.NEEDS_FIXES),
    ("доработ", GigState.NEEDS_FIXES),
    ("модерац", GigState.MODERATION),
    ("проверк", GigState.MODERATION),
    ("актив", GigState.ACTIVE),
)

_GIG_GROUPS = {7: GigState.ACTIVE, 1: GigState.MODERATION, 2: GigState.NEEDS_FIXES}  # [LIVE]
ALL_GIGS_GROUP = 0
"""The group that repeats all the others [LIVE]."""

_EVENT_KINDS = {  # the dictionary of order events, FACTS A6 [CAP]
    "created": (23, 8),
    "data_provided": (25,),
    "taken": (33,),
    "interim_report": (48,),
    "handed_in": (32,),
    "returned_for_rework": (17,),
    "stages_returned": (51, 52),
    "stages_accepted": (53, 54),
    "stages_accepted_automatically": (55, 56),
    "done": (16, 35, 2, 39, 77),
    "done_automatically": (11,),
    "cancelled_by_buyer": (18,),
    "cancelled_by_seller": (27, 89, 90),
    "cancel_proposed": (22, 31),
    "cancelled_automatically": (9,),
    "overdue": (34,),
    "report_overdue": (47,),
    "extras_offered": (13,),
    "bonus": (49,),
    "stage_payment_due": (57,),
    "stage_reserved": (65, 68),
    "stages_counter_offered": (69, 70, 71, 72),
    "arbitration": (1, 3, 15, 26),
    "restarted": (62, 63, 67, 78),
}
_KIND_OF_TYPE = {number: kind for kind, numbers in _EVENT_KINDS.items() for number in numbers}
_BEFORE_TAKING = {"created", "data_provided", "message", "other", "extras_offered"}


def project_status(word: str, *, in_work: bool = False) -> ProjectStatus:
    """``in_work``: the listed project's hint says «В работе» (web only)."""
    status = _PROJECT_STATUSES.get(word, ProjectStatus.UNKNOWN)
    return ProjectStatus.IN_WORK if in_work and status is ProjectStatus.ACTIVE else status


def order_status(code: int, *, in_work: bool | None = None) -> OrderStatus:
    """``in_work`` false: paid but not taken into work, which Kwork counts as status 1 too [SPEC]."""
    if code == 1 and in_work is False:
        return OrderStatus.NEW
    return _ORDER_CODES.get(code, OrderStatus.UNKNOWN)


def order_status_from_text(words: str) -> OrderStatus:
    """From what people read («На проверке»)."""
    return _by_words(_ORDER_TEXTS, words) or OrderStatus.UNKNOWN


def gig_state(group: int | None = None, name: str | None = None) -> GigState:
    """By the group's name where it says something, else by its number."""
    named = _by_words(_GIG_NAMES, name or "")
    return named or _GIG_GROUPS.get(group if group is not None else -1, GigState.UNKNOWN)


def event_kind(number: int | None) -> str:
    """Our word for the ``type`` of an order's event; ``message`` for what has none."""
    if not number:
        return "message"
    return _KIND_OF_TYPE.get(number, "other")


def taken_into_work(kinds: Collection[str]) -> bool | None:
    """Whether these events show that the seller took the order; ``None`` when they do not tell."""
    if not set(kinds) <= _BEFORE_TAKING:
        return True
    return False if "created" in kinds else None


def _by_words(table: tuple[tuple[str, T], ...], words: str) -> T | None:
    lowered = words.casefold()
    return next((ours for fragment, ours in table if fragment in lowered), None)
