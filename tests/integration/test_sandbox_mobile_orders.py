"""Orders on the mobile surface: lists, the thread, taking, reporting, stages, handing in, cancelling."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.world import changes, order_flow
from sandbox.world.model import Order, StageChange, StageSuggestion
from tests.mobile_client import Mobile, Row

BAD_VALUES = "Некорректные значения параметров"


@pytest.fixture
def mobile() -> Mobile:
    return Mobile()


@pytest.fixture
async def token(mobile: Mobile) -> str:
    return await mobile.sign_in()


@pytest.fixture
def buyer(mobile: Mobile) -> int:
    return changes.add_buyer(mobile.world, "new_buyer").user_id


@pytest.fixture
def order(mobile: Mobile, buyer: int) -> Order:
    """A fresh order of the first account, taken into work."""
    made = changes.add_order(
        mobile.world, changes.NewOrder(mobile.accounts[0].user_id, buyer, "Парсер", 5000, description="ТЗ")
    )
    order_flow.advance(mobile.world, made, "take")
    return made


@pytest.fixture
def staged(mobile: Mobile, buyer: int) -> Order:
    new = changes.NewOrder(
        mobile.accounts[0].user_id, buyer, "Сайт", 9000, stages=[("Макет", 4000), ("Вёрстка", 5000)]
    )
    made = changes.add_order(mobile.world, new)
    order_flow.advance(mobile.world, made, "take")
    return made


async def test_orders_keep_paging_and_counts_inside_response(mobile: Mobile, token: str) -> None:
    answer = await mobile.call("workerOrders", token, filter="active", page=1)

    assert "paging" not in answer
    assert answer["response"]["paging"]["limit"] == 10
    assert answer["response"]["filter_counts"]["all"] == "32"
    assert {row["status"] for row in answer["response"]["orders"]} <= {1, 2}


async def test_a_seller_without_any_order_gets_code_151(mobile: Mobile, token: str) -> None:
    mobile.world.orders.clear()

    answer = await mobile.call("workerOrders", token)

    assert (answer["success"], answer["error_code"]) == (False, 151)


async def test_a_cancelled_order_names_time_and_reason_with_a_cyrillic_letter(
    mobile: Mobile, token: str
) -> None:
    row = (await mobile.call("workerOrders", token, filter="cancelled"))["response"]["orders"][0]

    assert isinstance(row["time_can\u0441el"], int) and row["can\u0441el_reason"]
    assert "time_cancel" not in row and "cancel_reason" not in row


async def test_a_seller_takes_reports_and_hands_in_with_a_file(
    mobile: Mobile, token: str, buyer: int
) -> None:
    new = changes.NewOrder(mobile.accounts[0].user_id, buyer, "Бот", 3000)
    made = changes.add_order(mobile.world, new)

    too_early = await mobile.call("sendOrderForApproval", token, orderId=made.id)
    taken = await mobile.call("workerInprogress", token, order_id=made.id)
    again = await mobile.call("workerInprogress", token, order_id=made.id)
    report = await mobile.call("sendReport", token, order_id=made.id, progress=50, comment="Половина")
    file = await mobile.http.post(
        "/fileUpload",
        data={"token": token},
        files={"upload_files": ("бот.zip", b"\x00\r\n--zip", "application/zip")},
    )
    number = file.json()["response"]["id"]
    handed_in = await mobile.call("sendOrderForApproval", token, orderId=made.id, **{"filesIds[]": number})
    twice = await mobile.call("sendOrderForApproval", token, orderId=made.id)

    assert (taken, handed_in) == ({"success": True}, {"success": True})
    assert [answer["error"] for answer in (too_early, again, twice)] == [BAD_VALUES] * 3
    assert report["response"] == [{"trackId": made.tracks[-2].id}]
    assert (made.status, made.progress, made.tracks[-1].files[0].content) == (4, 50, b"\x00\r\n--zip")


@pytest.mark.parametrize(
    "given",
    [
        {"progress": 55, "comment": "хорошо"},
        {"progress": 50, "comment": "я"},
        {"progress": 50, "comment": "я" * 351},
    ],
)
async def test_a_report_out_of_bounds_is_refused(
    mobile: Mobile, token: str, order: Order, given: Row
) -> None:
    answer = await mobile.call("sendReport", token, order_id=order.id, **given)

    assert (answer["error"], order.tracks[-1].type) == (BAD_VALUES, 33)


async def test_stages_progress_and_are_handed_in_one_by_one(
    mobile: Mobile, token: str, staged: Order
) -> None:
    first, second = staged.stages

    progress = await mobile.call(
        "updateStageProgress",
        token,
        order_id=staged.id,
        comment="Макет почти готов",
        **{f"stages[{first.id}]": 80},
    )
    without = await mobile.call("sendOrderForApproval", token, orderId=staged.id)
    unpaid = await mobile.call("sendOrderForApproval", token, orderId=staged.id, **{"stageIds[]": second.id})
    handed_in = await mobile.call(
        "sendOrderForApproval", token, orderId=staged.id, **{"stageIds[]": first.id}
    )

    assert isinstance(progress["response"]["trackId"], int)
    assert (first.progress, first.status, second.status) == (80, 2, 0)
    assert (without["error"], unpaid["error"], handed_in) == (BAD_VALUES, BAD_VALUES, {"success": True})


async def test_a_stage_is_created_edited_and_deleted(mobile: Mobile, token: str, staged: Order) -> None:
    new = {"stages[0][title]": "Запуск", "stages[0][payer_price]": 2500}
    await mobile.call("createStage", token, order_id=staged.id, extend_time=2, **new)
    made = staged.stages[-1]
    changed = {f"stages[{made.id}][title]": "Выпуск", f"stages[{made.id}][payer_price]": 3000}
    await mobile.call("editStage", token, orderId=staged.id, extendTime=0, **changed)
    after_edit = (made.title, made.price, staged.price)
    await mobile.call("deleteStage", token, orderId=staged.id, stageId=made.id)

    assert after_edit[:2] == ("Выпуск", 3000)
    assert [stage.title for stage in staged.stages] == ["Макет", "Вёрстка"]


async def test_a_suggestion_of_the_buyer_is_accepted_and_ones_own_is_not(
    mobile: Mobile, token: str, staged: Order
) -> None:
    own = {"stages[0][title]": "Тесты", "stages[0][payer_price]": 700, "stages[0][action]": "add"}
    await mobile.call("suggestStages", token, order_id=staged.id, days=9, message="Добавим тесты", **own)
    self_accepted = await mobile.call("acceptStageSuggestion", token, order_id=staged.id)
    await mobile.call("rejectStageSuggestion", token, order_id=staged.id)
    staged.suggestion = StageSuggestion(
        staged.payer_id, 9, "Добавим видео", [StageChange("add", "Видео", 900)]
    )

    accepted = await mobile.call("acceptStageSuggestion", token, order_id=staged.id)

    assert (self_accepted["error"], accepted) == (BAD_VALUES, {"success": True})
    assert [stage.title for stage in staged.stages] == ["Макет", "Вёрстка", "Видео"]


async def test_a_sellers_reason_cancels_at_once_and_a_buyers_asks_first(
    mobile: Mobile, token: str, order: Order, staged: Order
) -> None:
    reasons = (await mobile.call("getOrderCancellationReasons", token, orderId=order.id))["response"]
    await mobile.call("cancelOrderByWorker", token, order_id=order.id, reason_type="worker_no_time")
    await mobile.call("cancelOrderByWorker", token, order_id=staged.id, reason_type="payer_no_communicate")

    assert len(reasons) == 4
    assert (order.status, staged.status, staged.is_cancel_request) == (3, 1, True)


async def test_the_thread_is_read_by_a_cursor(mobile: Mobile, token: str, order: Order) -> None:
    for number in range(30):
        order_flow.add_track(mobile.world, order, 0, from_id=order.payer_id, text=str(number))
    ids = [track.id for track in order.tracks]

    async def read(**given: Any) -> list[int]:
        answer = await mobile.call("getTracks", token, orderId=order.id, **given)
        return [row["id"] for row in answer["response"]["messages"]]

    assert await read(limit=5) == ids[-5:]
    assert await read(limit=5, trackId=ids[10]) == ids[5:10]
    assert await read(limit=5, trackId=ids[10], direction="after") == ids[11:16]
    assert ids[10] in await read(limit=4, trackId=ids[10], direction="around")
