"""Kwork's words as ours."""

from __future__ import annotations

import pytest

from app.domain.kwork import GigState, OrderStatus, ProjectStatus
from app.marketplaces.kwork.mapping import (
    event_kind,
    gig_state,
    order_status,
    order_status_from_text,
    project_status,
    taken_into_work,
)


@pytest.mark.parametrize(
    ("code", "in_work", "status"),
    [
        (1, True, OrderStatus.IN_PROGRESS),
        (1, None, OrderStatus.IN_PROGRESS),
        (1, False, OrderStatus.NEW),
        (2, None, OrderStatus.ARBITRATION),
        (3, False, OrderStatus.CANCELLED),
        (4, True, OrderStatus.ON_REVIEW),
        (5, True, OrderStatus.DONE),
        (6, None, OrderStatus.PAYMENT_DUE),
        (99, None, OrderStatus.UNKNOWN),
    ],
)
def test_order_codes(code: int, in_work: bool | None, status: OrderStatus) -> None:
    assert order_status(code, in_work=in_work) is status


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("На проверке", OrderStatus.ON_REVIEW),
        ("Арбитраж", OrderStatus.ARBITRATION),
        ("Спор", OrderStatus.ARBITRATION),
        ("Отменён покупателем", OrderStatus.CANCELLED),
        ("Ожидает оплаты", OrderStatus.PAYMENT_DUE),
        ("Выполнен", OrderStatus.DONE),
        ("В работе", OrderStatus.IN_PROGRESS),
        ("Не взят в работу", OrderStatus.NEW),
        ("Что-то новенькое", OrderStatus.UNKNOWN),
    ],
)
def test_order_texts(words: str, status: OrderStatus) -> None:
    assert order_status_from_text(words) is status


@pytest.mark.parametrize(
    ("group", "name", "state"),
    [
        (7, "", GigState.ACTIVE),
        (1, None, GigState.MODERATION),
        (2, "Требуют исправления", GigState.NEEDS_FIXES),
        (5, "На паузе", GigState.PAUSED),
        (5, "Остановленные", GigState.PAUSED),
        (None, "Неактивные", GigState.PAUSED),
        (None, "Активные", GigState.ACTIVE),
        (3, "Отклонённые", GigState.REJECTED),
        (4, "Черновики", GigState.DRAFT),
        (6, "Удалённые", GigState.UNKNOWN),
        (None, None, GigState.UNKNOWN),
    ],
)
def test_gig_groups(group: int | None, name: str | None, state: GigState) -> None:
    assert gig_state(group, name) is state


def test_a_listed_project_may_be_in_work_already() -> None:
    assert project_status("active") is ProjectStatus.ACTIVE
    assert project_status("active", in_work=True) is ProjectStatus.IN_WORK
    assert project_status("archived", in_work=True) is ProjectStatus.ARCHIVED
    assert project_status("wait_verify") is ProjectStatus.UNKNOWN


@pytest.mark.parametrize(
    ("number", "kind"), [(None, "message"), (0, "message"), (33, "taken"), (77, "done"), (5000, "other")]
)
def test_event_kinds(number: int | None, kind: str) -> None:
    assert event_kind(number) == kind


@pytest.mark.parametrize(
    ("kinds", "taken"),
    [
        ({"created"}, False),
        ({"created", "data_provided", "message"}, False),
        ({"created", "taken"}, True),
        ({"handed_in"}, True),
        ({"message"}, None),
        (set(), None),
    ],
)
def test_whether_an_order_was_taken_is_told_by_its_events(kinds: set[str], taken: bool | None) -> None:
    assert taken_into_work(kinds) is taken
