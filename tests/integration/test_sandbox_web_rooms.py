"""The stand-in's web surface: orders, gigs, inbox, profiles, rubricator (FACTS A6–A10)."""

from typing import Any

import httpx2

from tests.stand import Stand
from tests.web_client import csrf, sign_in, state_of, window


def test_the_orders_page_is_a_shell_and_its_rows_come_by_get(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    order = kwork_stand.orders()[0]
    assert str(order["id"]) not in seller.get("/manage_orders").text
    rows, number = [], 1
    while page := seller.get("/get_manage_orders", params={"page": number, "s": "all"}).json()["data"][
        "orderListData"
    ]:
        assert len(page) <= 10
        rows += page
        number += 1
    assert [row["id"] for row in rows] == [o["id"] for o in kwork_stand.orders()]
    active = seller.get("/get_manage_orders", params={"s": "active"}).json()["data"]["orderListData"]
    assert {row["orderStatus"] for row in active} <= {1, 2}


def test_the_orders_counter_is_a_bare_false_when_signed_out(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    assert visitor.post("/api/order/getorderscount").text == "false"
    sign_in(visitor, kwork_stand)
    counts = visitor.post("/api/order/getorderscount").json()
    assert set(counts) == {"asPayer", "hasPayerImportant", "asWorker", "payerWants"}


def test_somebody_elses_order_and_gig_look_like_missing_ones(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    other = kwork_stand.accounts[1]["username"]
    for path, foreign in (("/track", kwork_stand.orders(other)[0]), ("/edit", kwork_stand.gigs(other)[0])):
        theirs = seller.get(path, params={"id": foreign["id"]})
        missing = seller.get(path, params={"id": 1})
        assert (theirs.status_code, len(theirs.content)) == (missing.status_code, len(missing.content))


def test_an_order_page_shows_its_thread_and_the_dictionary(kwork_stand: Stand, seller: httpx2.Client) -> None:
    order = next(o for o in kwork_stand.orders() if o["tracks"] > 3)
    page = seller.get("/track", params={"id": order["id"]})
    assert page.text.count("track--item__main") == order["tracks"]
    assert window(page, "doneTrackTypes") == [2, 39, 16, 35, 11, 77]
    assert "32" in window(page, "tracksDesc")


def test_gigs_come_in_groups_and_an_empty_account_has_nulls(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    state = state_of(seller.get("/manage_kworks", params={"group": "active"}))
    assert state["posts"] == state["groups"]["active"]["posts"]
    post = state["posts"][0]
    assert len(post) == 124
    assert post["price"] - post["ctp"] == post["workerPrice"] == post["price"] * 0.8
    assert isinstance(post["days"], str)
    kwork_stand.reset(gigs=0)
    sign_in(seller, kwork_stand)
    empty = state_of(seller.get("/manage_kworks"))
    assert (empty["groups"], empty["posts"], empty["pagingdata"]) == (None, None, None)


def test_a_gig_can_be_paused_started_and_edited(kwork_stand: Stand, seller: httpx2.Client) -> None:
    gig = next(g for g in kwork_stand.gigs() if g["group"] == 7)

    def now() -> dict[str, Any]:
        return next(g for g in kwork_stand.gigs() if g["id"] == gig["id"])

    assert seller.post("/manage_kworks/suspend", data={"id": gig["id"]}, headers=csrf(seller)).json()[
        "success"
    ]
    assert now()["group"] == 3
    assert seller.post("/manage_kworks/activate", data={"id": gig["id"]}, headers=csrf(seller)).json()[
        "success"
    ]
    assert now()["group"] == 7
    form = {"title": "Новое имя", "category_id": "41", "description": gig["description"], "work_time": "5"}
    save = {"url": "/save_kwork", "params": {"id": gig["id"]}, "headers": csrf(seller)}
    assert seller.post(**save, data={**form, "price": "2500"}).json()["result"] == "success"
    assert (now()["title"], now()["price"], now()["days"]) == ("Новое имя", 2500, 5)
    refused = seller.post(**save, data={**form, "price": "90000"}).json()
    assert refused["code"] == 202
    assert refused["errors"][0]["target"] == "price"


def test_the_inbox_holds_the_dialogs_and_a_dialogs_html_holds_no_message(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    written = kwork_stand.add_message("Секретное слово: фиалка", from_id=kwork_stand.orders()[0]["payer_id"])
    row = window(seller.get("/inbox"), "chatList")[0]
    assert (row["user_id"], row["MID"], row["unread_count"]) == (
        written["from_id"],
        written["id"],
        row["unread_count"],
    )
    assert row["unread_count"] >= 1
    assert isinstance(row["time"], int)
    assert "фиалка" not in seller.get(f"/inbox/{row['username']}").text
    assert window(seller.get("/inbox"), "chatList")[0]["unread_count"] == 0


def test_a_message_with_a_file_is_sent_and_stored_as_kwork_stores_it(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    buyer = kwork_stand.orders()[0]["payer_id"]
    content = b"\x89PNG\r\n\x00--boundary\r\n"
    form = {"csrftoken": seller.cookies["csrf_user_token"], "msgto": str(buyer), "submg": "1"}
    body = {**form, "message_body": 'Цена "та же"\n\n\nи < 5'}
    sent = seller.post(
        "/sendmessage", data=body, files={"files[]": ("схема.png", content, "image/png")}
    ).json()
    stored = next(m for m in kwork_stand.messages(user_id=buyer) if m["id"] == sent["MID"])
    assert stored["text"] == "Цена «та же»\nи &lt; 5"
    assert stored["files"][0]["name"] == "схема.png"
    assert seller.get(sent["files"][0]["url"]).content == content
    assert seller.post("/sendmessage", data={**form, "message_body": "x" * 4001}).json()["success"] is False


def test_profiles_have_their_selectors_and_unknown_ones_are_404(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    page = visitor.get(f"/user/{kwork_stand.username}").text
    for name in ("user-username", "user-fullname", "user-info__location", "user-profession", "user-about-me"):
        assert f'class="{name}"' in page
    assert visitor.get("/user/nobody-of-that-name").status_code == 404


def test_the_rubricator_has_seven_roots_with_string_ids(visitor: httpx2.Client) -> None:
    tree = visitor.get("/get_categories", params={"lang": "ru"}).json()["data"]
    assert len(tree) == 7
    assert sum(len(root["cats"]) for root in tree) == 54
    assert {"211", "3587"} <= {
        a["id"] for r in tree for c in r["cats"] if c["id"] == "41" for a in c["attributes"]
    }
