"""Dialogs, messages and notices on the mobile surface."""

from __future__ import annotations

import pytest

from sandbox.world import changes, order_flow
from sandbox.world.model import Order
from tests.mobile_client import Mobile

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


def talk(mobile: Mobile, buyer: int, count: int) -> list[int]:
    me = mobile.accounts[0].user_id
    return [changes.add_message(mobile.world, buyer, me, f"Сообщение {n}").id for n in range(count)]


async def test_pages_of_messages_are_numbered_from_the_oldest(mobile: Mobile, token: str, buyer: int) -> None:
    ids = talk(mobile, buyer, 45)

    newest = await mobile.call("inboxes", token, username="new_buyer")
    oldest = await mobile.call("inboxes", token, username="new_buyer", page=1)
    beyond = await mobile.call("inboxes", token, username="new_buyer", page=4)

    assert [row["message_id"] for row in newest["response"]] == ids[-20:]
    assert newest["paging"] == {"page": 3, "total": 45, "limit": 20, "pages": 3}
    assert [row["message_id"] for row in oldest["response"]] == ids[:5]
    assert "response" not in beyond


async def test_unread_is_a_number_in_dialogs_and_a_bool_elsewhere(
    mobile: Mobile, token: str, buyer: int
) -> None:
    talk(mobile, buyer, 2)

    listed = (await mobile.call("dialogs", token))["response"][0]
    one = (await mobile.call("getDialog", token, id=buyer))["response"]
    searched = (await mobile.call("searchDialogs", token, query="new_bu"))["response"][0]

    assert [row["unread"] for row in (listed, one, searched)] == [1, True, True]
    assert [type(row["unread"]) for row in (listed, one, searched)] == [int, bool, bool]


async def test_ones_own_message_is_recognised_by_its_key_among_order_events(
    mobile: Mobile, token: str, order: Order, buyer: int
) -> None:
    talk(mobile, buyer, 1)
    sent = await mobile.call(
        "inboxCreate", token, user_id=buyer, text='Готово "всё" <b>', message_key="our-key-1"
    )
    again = await mobile.call("inboxCreate", token, user_id=buyer, text="ещё", message_key="our-key-1")

    rows = (await mobile.call("getInboxTracks", token, userId=buyer))["response"]

    ours = [row for row in rows if row["message_key"] == "our-key-1"]
    assert [row["message_id"] for row in ours] == [sent["response"]["id"], again["response"]["id"]]
    assert ours[0]["message"] == "Готово «всё» &lt;b&gt;"
    assert {row["entity_type"] for row in rows} == {9, 10}
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


async def test_a_message_with_an_order_goes_into_the_orders_thread(
    mobile: Mobile, token: str, order: Order, buyer: int
) -> None:
    sent = await mobile.call("inboxCreate", token, user_id=buyer, text="В заказ", order_id=order.id)
    foreign = await mobile.call(
        "inboxCreate", token, user_id=mobile.accounts[1].user_id, text="Не туда", order_id=order.id
    )

    assert (sent["response"]["type"], order.tracks[-1].id) == ("track", sent["response"]["id"])
    assert foreign["error"] == BAD_VALUES
    assert (mobile.accounts[0].user_id, buyer) not in mobile.world.dialogs


async def test_a_refusal_to_write_may_carry_the_seconds_to_wait(
    mobile: Mobile, token: str, buyer: int
) -> None:
    mobile.faults.add("asked", surface="api", path="/inboxCreate", name="expire_time", seconds=90)

    answer = await mobile.call("inboxCreate", token, user_id=buyer, text="Рано")

    assert (answer["success"], answer["response"]) == (False, {"expire_time": 90})
    assert (mobile.accounts[0].user_id, buyer) not in mobile.world.dialogs


async def test_a_closed_dialog_takes_no_message(mobile: Mobile, token: str, buyer: int) -> None:
    talk(mobile, buyer, 1)
    dialog = mobile.world.dialogs[mobile.accounts[0].user_id, buyer]
    dialog.allowed = False

    answer = await mobile.call("inboxCreate", token, user_id=buyer, text="Есть вопрос")
    allowed = await mobile.call("isDialogAllow", token, receiverId=buyer)

    assert (answer["error"], len(dialog.messages)) == ("Переписка запрещена", 1)
    assert allowed["response"]["privateMessageStatus"] != 1


async def test_reading_marks_the_dialog_or_single_messages(mobile: Mobile, token: str, buyer: int) -> None:
    ids = talk(mobile, buyer, 3)
    dialog = mobile.world.dialogs[mobile.accounts[0].user_id, buyer]

    await mobile.call("inboxRead", token, user_id=buyer, **{"messages[]": ids[0]})
    after_one = dialog.unread_count()
    rows = (await mobile.call("getInboxTracks", token, userId=buyer))["response"]
    await mobile.call(
        "markInboxTracksAsRead", token, userId=buyer, **{"conversationIds[]": rows[1]["conversation_id"]}
    )
    after_two = dialog.unread_count()
    await mobile.call("inboxRead", token, user_id=buyer)

    assert (after_one, after_two, dialog.unread_count()) == (2, 1, 0)


async def test_no_news_means_no_response(mobile: Mobile, token: str) -> None:
    for dialog in mobile.world.dialogs.values():
        for message in dialog.messages:
            message.unread = False
    mobile.world.orders.clear()

    assert await mobile.call("notifications", token) == {"success": True}
    assert "response" not in await mobile.call("notificationsFetch", token)
