"""Every oddity of the mobile envelope ends in data, in a known empty, or in the right error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import (
    AuthExpired,
    Blocked,
    CapabilityUnavailable,
    LayoutChanged,
    Maintenance,
    RateLimited,
    Rejected,
    Unavailable,
    VendorError,
)
from tests.kwork_mobile import page, prepared

PROJECT = {
    "id": "3240184",
    "status": "active",
    "user_id": 7,
    "username": "buyer",
    "price": "1500",
    "possible_price_limit": 4500,
    "title": "&laquo;Бот&raquo; &amp;amp; сайт",
    "description": "Нужен &lt;b&gt;бот&lt;/b&gt;",
    "offers": "3",
    "time_left": 86400,
    "category_id": 41,
    "date_confirm": 1790000000,
    "has_offer": False,
}
ORDER = {
    "id": 5512345,
    "status": 1,
    "in_work": True,
    "display_title": "Сайт",
    "price": 1500.5,
    "payer": {"id": 7, "username": "buyer"},
}


async def projects_of(answer: object) -> Any:
    return await prepared({"projects": answer})[0].projects()


async def orders_of(answer: object) -> Any:
    return await prepared({"workerOrders": answer})[0].orders()


async def test_an_ordinary_page_reads() -> None:
    read = await projects_of(
        {
            "success": True,
            "response": [PROJECT],
            "paging": {"page": 1, "total": 534, "limit": 12, "pages": 45},
        }
    )
    assert (read.number, read.last, read.total) == (1, 45, 534)
    project = read.items[0]
    assert (project.id, project.price_kopecks, project.max_price_kopecks) == (3240184, 150_000, 450_000)
    assert project.title == "«Бот» &amp; сайт"
    assert project.description == "Нужен <b>бот</b>"
    assert project.offers == 3


async def test_success_may_be_absent() -> None:
    assert len((await projects_of({"response": [PROJECT]})).items) == 1


async def test_success_may_be_a_number() -> None:
    assert len((await projects_of({"success": 1, "response": [PROJECT]})).items) == 1


async def test_an_object_may_come_bare() -> None:
    surface, _ = prepared({"actor": {"id": 7, "username": "seller"}})
    assert (await surface.own_profile()).user_id == 7


@pytest.mark.parametrize(
    "answer",
    [
        {"success": True},
        {"success": True, "response": []},
        {"success": True, "paging": {"page": 1, "total": 0, "limit": 12, "pages": 0}},
        {"success": True, "paging": {"page": 49, "total": 571, "limit": 12, "pages": 48}},
        {"success": True, "connects": {"all_connects": 30}, "fcmTokenLost": True},
    ],
)
async def test_an_absent_list_is_known_to_be_empty(answer: object) -> None:
    assert (await projects_of(answer)).items == ()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"paging": {"page": 1}},
        {"success": True, "response": [], "paging": {"page": 1, "total": 571, "limit": 12, "pages": 48}},
        {"success": True, "paging": {"page": 1, "total": 571, "limit": 12, "pages": 48}},
        {"success": True, "data": [PROJECT]},
        {"success": True, "response": None, "result": {"items": [PROJECT]}},
        {"success": True, "response": "none"},
        {"success": True, "response": 0},
        {"success": True, "response": [[]]},
        [],
        [PROJECT],
    ],
)
async def test_what_only_looks_empty_is_drift(answer: object) -> None:
    with pytest.raises(LayoutChanged):
        await projects_of(answer)


async def test_one_object_may_stand_where_a_list_belongs() -> None:
    assert len((await projects_of({"success": True, "response": PROJECT})).items) == 1


async def test_a_list_may_come_as_a_numbered_object() -> None:
    assert len((await projects_of({"success": True, "response": {"0": PROJECT, "4": PROJECT}})).items) == 2


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]])
async def test_an_object_may_stand_in_a_list_of_one(wrap: Any) -> None:
    want = {"id": 3240184, "description": "весь текст", "date_create": 1, "date_active": 2, "date_expire": 3}
    surface, _ = prepared(
        {"project": {"success": True, "response": PROJECT}, "want": {"success": True, "response": wrap(want)}}
    )
    assert (await surface.project(3240184)).description == "весь текст"


@pytest.mark.parametrize("answer", [{"success": True}, {"success": True, "response": []}])
async def test_an_empty_object_is_not_an_account(answer: object) -> None:
    with pytest.raises(LayoutChanged):
        await prepared({"actor": answer})[0].own_profile()


async def test_optional_objects_may_be_empty_lists() -> None:
    line = {
        "message_id": 1,
        "from_username": "buyer",
        "from_id": 7,
        "to_id": 8,
        "message": "первая<br />вторая &lt;br&gt;",
        "time": "1790000000",
        "unread": 1,
        "quote": [],
        "inbox_order": [],
        "files": [],
    }
    surface, _ = prepared({"inboxes": {"success": True, "response": [line]}})
    message = (await surface.messages("Buyer")).items[0]
    assert message.text == "первая\nвторая <br>"
    assert (message.incoming, message.read, message.quoted_id) == (True, False, None)


async def test_orders_keep_their_paging_inside() -> None:
    inside = {
        "orders": [ORDER],
        "paging": {"page": 2, "total": 21, "limit": 10},
        "filter_counts": {"all": "21"},
    }
    read = await orders_of({"success": True, "response": inside})
    assert (read.number, read.last, read.total) == (2, 3, 21)
    assert read.items[0].price_kopecks == 150_050


async def test_the_spec_types_orders_as_one_object_and_that_reads_too() -> None:
    read = await orders_of({"success": True, "response": {"orders": ORDER}})
    assert read.items[0].id == 5512345


@pytest.mark.parametrize("letter", ["с", "c"])
async def test_a_cancelled_order_reads_with_either_letter(letter: str) -> None:
    cancelled = {
        **ORDER,
        "status": 3,
        f"time_can{letter}el": 1790000000,
        f"can{letter}el_reason": "передумал",
    }
    read = await orders_of({"success": True, "response": {"orders": [cancelled]}})
    assert read.items[0].cancelled_at is not None
    assert read.items[0].cancel_reason == "передумал"


async def test_code_151_means_no_orders_yet_there_and_a_refusal_elsewhere() -> None:
    none = {"success": False, "error": "Заказы не найдены", "error_code": "151"}
    assert (await orders_of(none)).items == ()
    with pytest.raises(Rejected):
        await projects_of(none)


@pytest.mark.parametrize("inner", [{}, {"paging": {"total": 3, "limit": 10, "page": 1}}, {"orders": "нет"}])
async def test_orders_that_vanished_from_their_answer_are_drift(inner: dict[str, Any]) -> None:
    with pytest.raises(LayoutChanged) as caught:
        await orders_of({"success": True, "response": {"filter": "all", **inner}})
    assert caught.value.path == "workerOrders.response.orders"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("id", "id"),
        ("status", "status"),
        ("display_title", "display_title"),
        ("price", "payer_price"),
        ("payer", "payer"),
    ],
)
async def test_a_missing_required_field_is_told_by_its_path(name: str, told: str) -> None:
    broken = {key: value for key, value in ORDER.items() if key != name}
    with pytest.raises(LayoutChanged) as caught:
        await orders_of({"success": True, "response": {"orders": [ORDER, broken]}})
    assert caught.value.path == f"workerOrders.response.orders[1].{told}"


@pytest.mark.parametrize(
    ("answer", "family", "code"),
    [
        (page("<h1>Kwork.ru | Технические работы</h1>"), Maintenance, "kwork_maintenance"),
        (page("Вам заблокирован доступ к сайту"), Blocked, "kwork_blocked"),
        (page("<html>Добро пожаловать</html>"), LayoutChanged, "layout_changed"),
        (page("Метод не найден", 404), LayoutChanged, "layout_changed"),
        (
            page("<html>401 Authorization Required nginx</html>", 401),
            CapabilityUnavailable,
            "kwork_mobile_key_rejected",
        ),
        (page("", 302, location="/login"), LayoutChanged, "layout_changed"),
        (page(""), Unavailable, "kwork_empty_answer"),
        (page("high load", 403, server="QRATOR"), Blocked, "kwork_blocked"),
        (page("Технические работы", 503), Maintenance, "kwork_maintenance"),
        (page("slow down", 429), RateLimited, "rate_limited"),
        (b'{"success":true,"response":[{"id":1,', Unavailable, "kwork_answer_cut"),
        (b'{"success":true,"response":[}', LayoutChanged, "layout_changed"),
        (b"[" * 200_000, Unavailable, "kwork_answer_cut"),
        ({"success": False, "error": "Необходима авторизация"}, AuthExpired, "kwork_session_lost"),
        ({"error": "Необходима авторизация"}, AuthExpired, "kwork_session_lost"),
        ({"success": False}, Rejected, "kwork_refused"),
        ({"success": False, "error": "нет", "response": {"expire_time": "90"}}, RateLimited, "kwork_wait"),
        ({"success": False, "errors": [{"text": "Переписка запрещена"}]}, Rejected, "kwork_dialog_forbidden"),
    ],
)
async def test_what_is_no_data_ends_in_its_own_error(
    answer: object, family: type[VendorError], code: str
) -> None:
    with pytest.raises(family) as caught:
        await projects_of(answer)
    assert caught.value.code == code


async def test_json_is_read_whatever_its_content_type() -> None:
    body = json.dumps({"success": True, "response": [PROJECT]})
    assert len((await projects_of(page("﻿ " + body))).items) == 1


async def test_a_refusal_that_quotes_our_secret_does_not_tell_it() -> None:
    surface, _ = prepared({"actor": {"success": False, "error": "Плохой токен canary-token"}})
    with pytest.raises(Rejected) as caught:
        await surface.own_profile()
    assert "canary-token" not in f"{caught.value} {caught.value.detail} {caught.value!r}"
    assert "Плохой токен" in caught.value.detail
