"""Whether a change of an order happened, as told by what Kwork shows of it before and after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from app.domain.kwork import OrderEvent, OrderStatus, Stage
from app.domain.writes import Found, Write, WriteAction, WriteMode, WriteState
from app.domain.writing import OrderPermissions
from app.services.change_order_stage import ChangeOrder
from app.services.hand_in_order import HandIn
from app.services.write_handlers import WriteHandler

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
REPORT, HANDED_IN = 48, 32
STAGES = (Stage(1, 1, "Первый", "1", 100_000, None), Stage(2, 2, "Второй", "0", 200_000, None))


def write(action: WriteAction, before: Mapping[str, Any], **payload: Any) -> Write:
    return Write(
        tenant_id="t", id=uuid4(), account_id=uuid4(), action=action, target="order:5", payload=payload, actor="a",
        mode=WriteMode.DIRECT, state=WriteState.UNKNOWN, created_at=NOW, expires_at=NOW, committed_at=NOW,
        outcome={"before": before},
    )  # fmt: skip


async def found(
    handler: WriteHandler, wanted: Write, stages: tuple[Stage, ...] = STAGES, *events: OrderEvent
) -> Found:
    order = OrderPermissions(
        order_id=5, status=OrderStatus.IN_PROGRESS, taken=True, can_hand_in=True, has_stages=bool(stages),
        stages=stages, cancel_requested=False,
    )  # fmt: skip

    async def order_permissions(_: int) -> OrderPermissions:
        return order

    async def recent_events(_: int) -> tuple[OrderEvent, ...]:
        return events

    writing = SimpleNamespace(order_permissions=order_permissions, recent_events=recent_events)
    hands: Any = SimpleNamespace(client=SimpleNamespace(writing=writing))
    return (await handler.find(wanted, hands)).found


def event(number: int, kind: int, text: str = "") -> OrderEvent:
    return OrderEvent(id=number, order_id=5, type=kind, kind="", at=NOW, author_id=1, text=text, files=())


@pytest.mark.parametrize(("known", "verdict"), [([7], Found.ABSENT), ([], Found.DONE), ([6], Found.DONE)])
async def test_a_report_like_one_that_was_there_is_not_taken_for_it(known: list[int], verdict: Found) -> None:
    wanted = write(WriteAction.REPORT_PROGRESS, {"events": known}, progress=50, message="Готово «наполовину»")
    shown = event(7, REPORT, 'Готово "наполовину"')
    assert await found(ChangeOrder(WriteAction.REPORT_PROGRESS), wanted, (), shown) is verdict


@pytest.mark.parametrize(("known", "verdict"), [([7], Found.ABSENT), ([6], Found.DONE)])
async def test_a_hand_in_before_a_rework_is_not_taken_for_the_next_one(
    known: list[int], verdict: Found
) -> None:
    wanted = write(WriteAction.HAND_IN, {"events": known}, stage_ids=[])
    assert await found(HandIn(), wanted, (), event(7, HANDED_IN)) is verdict


@pytest.mark.parametrize(("known", "verdict"), [([1, 2], Found.ABSENT), ([1], Found.DONE)])
async def test_a_stage_of_the_same_name_that_was_there_is_not_the_one_added(
    known: list[int], verdict: Found
) -> None:
    wanted = write(WriteAction.ADD_STAGES, {"stages": known}, days=0, stages=[{"title": "Второй"}])
    assert await found(ChangeOrder(WriteAction.ADD_STAGES), wanted) is verdict


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ({"stage_id": 2, "title": "Второй"}, Found.DONE),
        ({"stage_id": 2, "title": "Второй", "price_kopecks": 200_000}, Found.DONE),
        ({"stage_id": 2, "title": "Другой"}, Found.ABSENT),
        ({"stage_id": 2, "title": "Другой", "price_kopecks": 200_000}, Found.ABSENT),
        ({"stage_id": 2, "price_kopecks": 250_000}, Found.UNCLEAR),
        ({"stage_id": 3, "title": "Второй"}, Found.UNCLEAR),
    ],
)
async def test_an_edit_of_a_stage_is_told_by_what_the_stage_is_now(
    asked: dict[str, Any], verdict: Found
) -> None:
    wanted = write(WriteAction.EDIT_STAGES, {}, days=0, stages=[asked])
    assert await found(ChangeOrder(WriteAction.EDIT_STAGES), wanted) is verdict
