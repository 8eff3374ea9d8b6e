"""Transport, faults and the isolation of accounts on the mobile surface of the stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.mobile import forbidden
from sandbox.world import changes, order_flow, queries
from sandbox.world.clock import DAY
from tests.mobile_client import Mobile, Row

SIGN_IN_NEEDED = "Необходима авторизация"
BAD_VALUES = "Некорректные значения параметров"
MISSING = "Недостаточно параметров для метода API"


@pytest.fixture
def mobile() -> Mobile:
    return Mobile()


@pytest.fixture
async def token(mobile: Mobile) -> str:
    return await mobile.sign_in()


def a_working_order(mobile: Mobile) -> Any:
    own = queries.orders_of(mobile.world, mobile.accounts[0].user_id, "active")
    return next(o for o in own if o.in_work and o.status == 1 and not o.stages and not o.is_cancel_request)


# --- transport


async def test_get_is_refused_in_json(mobile: Mobile) -> None:
    answer = await mobile.http.get("/projects")

    assert answer.json() == {
        "success": False,
        "error": "Разрешен только HTTP метод POST",
        "error_code": 403,
    }


async def test_an_unknown_method_is_said_to_be_unknown(mobile: Mobile) -> None:
    answer = await mobile.call("noSuchMethod")

    assert (answer["error"], answer["error_code"]) == ("Метод API не найден", 404)


async def test_without_the_apps_key_nginx_answers_in_html(mobile: Mobile) -> None:
    answer = await mobile.http.post("/categories", auth=None, headers={"authorization": ""})

    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "nginx" in answer.text


async def test_only_the_key_from_the_settings_opens_when_there_is_one(mobile: Mobile) -> None:
    mobile.settings.mobile_key = "app:right"

    wrong = await mobile.http.post("/categories", auth=("app", "wrong"))
    right = await mobile.http.post("/categories", auth=("app", "right"))

    assert (wrong.status_code, right.status_code) == (401, 200)


@pytest.mark.parametrize("place", ["query", "form", "multipart"])
async def test_parameters_are_read_from_every_place(mobile: Mobile, token: str, place: str) -> None:
    given = {"token": token, "categories": "all", "page": "2"}
    where: dict[str, Row] = {
        "query": {"params": given},
        "form": {"data": given},
        "multipart": {"data": given, "files": {"ignored": ("a.txt", b"a")}},
    }

    answer = await mobile.http.post("/projects", **where[place])

    assert answer.json()["paging"]["page"] == 2


@pytest.mark.parametrize("spelling", ["ids[]", "ids[0]", "ids"])
async def test_an_array_may_be_spelt_in_three_ways(mobile: Mobile, token: str, spelling: str) -> None:
    order = a_working_order(mobile)
    track = order_flow.add_track(mobile.world, order, 0, from_id=order.payer_id, unread=True)

    answer = await mobile.call("trackRead", token, **{spelling: track.id})

    assert (answer, track.unread) == ({"success": True}, False)


@pytest.mark.parametrize("value", ["abc", "1e9", "9" * 40, "[]"])
async def test_a_malformed_number_is_a_bad_value(mobile: Mobile, token: str, value: str) -> None:
    answer = await mobile.call("project", token, id=value)

    assert answer["error"] == BAD_VALUES


# --- money


@pytest.mark.parametrize("method", sorted(forbidden.METHODS))
async def test_a_money_method_is_refused_and_stands_out_in_the_journal(mobile: Mobile, method: str) -> None:
    answer = await mobile.call(method)

    assert answer["success"] is False
    assert "money method called" in mobile.last().decided


# --- faults


async def test_a_lost_session_stays_lost_until_the_next_sign_in(mobile: Mobile, token: str) -> None:
    other = await mobile.sign_in(1)
    mobile.faults.add("session_lost", surface="api", account=mobile.accounts[0].username, count=1)

    lost = await mobile.call("workerOrders", token)
    still = await mobile.call("workerOrders", token)

    assert (lost["error"], still["error"]) == (SIGN_IN_NEEDED, SIGN_IN_NEEDED)
    assert (await mobile.call("workerOrders", other))["success"] is True
    assert (await mobile.call("workerOrders", await mobile.sign_in()))["success"] is True


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [("block_403", 403, "HTTP 403"), ("maintenance", 200, "Технические работы"), ("error_500", 500, "nginx")],
)
async def test_a_block_or_maintenance_answers_in_html_and_does_nothing(
    mobile: Mobile, token: str, kind: str, status: int, words: str
) -> None:
    order = a_working_order(mobile)
    mobile.faults.add(kind, surface="api", path="/sendOrderForApproval")

    answer = await mobile.http.post("/sendOrderForApproval", data={"token": token, "orderId": order.id})

    assert (answer.status_code, words in answer.text) == (status, True)
    assert order.status == 1
    assert mobile.last().decided == [f"fault: {kind}"]


async def test_drift_renames_a_field_everywhere(mobile: Mobile, token: str) -> None:
    mobile.faults.add("field_renamed", surface="api", path="/projects", field="price", to="budget")

    answer = await mobile.call("projects", token)

    assert {("price" in row, "budget" in row) for row in answer["response"]} == {(False, True)}


async def test_drift_counts_pages_from_the_end(mobile: Mobile, token: str) -> None:
    straight = await mobile.call("projects", token)
    mobile.faults.add("pages_from_end", surface="api")

    turned = await mobile.call("projects", token, page=straight["paging"]["pages"])

    assert turned["response"] == straight["response"]


async def test_what_arrived_is_in_the_journal_with_its_account(mobile: Mobile, token: str) -> None:
    await mobile.call("workerOrders", token, filter="active")

    entry = mobile.last()
    assert (entry.surface, entry.path, entry.account) == (
        "api",
        "/workerOrders",
        mobile.accounts[0].username,
    )
    assert entry.body["filter"] == "active"
    assert entry.answered and entry.answered["status"] == 200


# --- accounts are apart


async def test_an_account_sees_its_own_orders_dialogs_gigs_and_offers_only(mobile: Mobile) -> None:
    seen: list[set[tuple[str, int]]] = []
    for number in (0, 1):
        token = await mobile.sign_in(number)
        orders = await mobile.call("workerOrders", token)
        talks = await mobile.call("dialogs", token)
        gigs = await mobile.call("kworksStatusList", token)
        offers = await mobile.call("offers", token)
        rows = {("order", row["id"]) for row in orders["response"]["orders"]}
        rows |= {
            ("order of dialog", order["id"]) for row in talks["response"] for order in row["active_orders"]
        }
        rows |= {("gig", row["id"]) for row in gigs["response"][0]["kworks"]}
        rows |= {("offer", row["id"]) for row in offers["response"]}
        seen.append(rows)

    assert all(len(rows) > 4 for rows in seen)
    assert seen[0] & seen[1] == set()


@pytest.mark.parametrize(
    ("method", "name", "more"),
    [
        ("getOrderHeader", "orderId", {}),
        ("getOrderDetails", "orderId", {}),
        ("getOrderProvidedData", "order_id", {}),
        ("getOrderFiles", "id", {}),
        ("getTracks", "orderId", {}),
        ("workerInprogress", "order_id", {}),
        ("sendReport", "order_id", {"progress": 10, "comment": "Чужой отчёт"}),
        ("sendOrderForApproval", "orderId", {}),
        ("cancelOrderByWorker", "order_id", {"reason_type": "worker_no_time"}),
        ("saveOrderNote", "order_id", {"note": "чужая"}),
    ],
)
async def test_anothers_order_answers_like_one_that_does_not_exist(
    mobile: Mobile, method: str, name: str, more: Row
) -> None:
    order = a_working_order(mobile)
    before = (order.status, len(order.tracks), order.note)
    stranger = await mobile.sign_in(1)

    foreign = await mobile.call(method, stranger, **{name: order.id}, **more)
    missing = await mobile.call(method, stranger, **{name: 1}, **more)

    assert foreign == missing
    assert foreign["success"] is False
    assert (order.status, len(order.tracks), order.note) == before


async def test_anothers_gig_offer_message_and_file_are_out_of_reach(mobile: Mobile, token: str) -> None:
    me = mobile.accounts[0].user_id
    gig = queries.gigs_of(mobile.world, me, 7)[0]
    offer = queries.offers_of(mobile.world, me)[0]
    message = queries.dialogs_of(mobile.world, me)[0].messages[0]
    file = mobile.world.new_file("тайна.txt", me, b"secret")
    stranger = await mobile.sign_in(1)

    answers = [
        await mobile.call("pauseKwork", stranger, kwork_id=gig.id),
        await mobile.call("deleteOffer", stranger, id=offer.id),
        await mobile.call("inboxMessage", stranger, messageId=message.id),
        await mobile.call("uploadedFile", stranger, path=file.path),
        await mobile.call("fileDelete", stranger, file_id=file.id),
    ]

    assert [answer["error"] for answer in answers] == [BAD_VALUES] * 5
    assert (gig.group, offer.status, file.id in mobile.world.files) == (7, "active", True)


async def test_a_message_between_two_accounts_is_seen_by_both(mobile: Mobile, token: str) -> None:
    first, second = mobile.accounts[:2]
    other = await mobile.sign_in(1)

    await mobile.call("inboxCreate", token, user_id=second.user_id, text="Коллега, привет")
    row = (await mobile.call("inboxes", other, username=first.username))["response"][-1]

    assert (row["message"], row["unread"], row["from_id"]) == ("Коллега, привет", True, first.user_id)


async def test_overdue_orders_settle_before_they_are_shown(mobile: Mobile, token: str) -> None:
    new = changes.NewOrder(mobile.accounts[0].user_id, next(iter(mobile.world.users)), "Новый", 700)
    order = changes.add_order(mobile.world, new)
    mobile.world.clock.move(2 * DAY)

    header = (await mobile.call("getOrderHeader", token, orderId=order.id))["response"][0]["order"]

    assert header["status"] == 3
