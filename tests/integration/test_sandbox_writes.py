"""The stand-in where it is written to: refusals on demand, effects written down once, forms taken as they come."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from sandbox.refusals import TEXTS
from tests.stand import Row, Stand
from tests.web_client import csrf

OFFER = {
    "offerType": "custom",
    "description": "Сделаю в срок и покажу похожие работы. " * 6,
    "kwork_duration": "3",
    "kwork_price": "1000",
    "kwork_name": "Бот",
}
GIG = {"title": "Бот", "category_id": "41", "description": "Опишу всё подробно. " * 8, "work_time": "5"}


def offer(stand: Stand) -> dict[str, str]:
    return {**OFFER, "wantId": str(stand.add_project(price=3000)["id"])}


def gig_of(stand: Stand, number: int) -> Row:
    return next(row for row in stand.gigs() if row["id"] == number)


@pytest.mark.parametrize("name", TEXTS)
def test_every_refusal_can_be_switched_on_by_name(
    kwork_stand: Stand, seller: httpx2.Client, name: str
) -> None:
    form = offer(kwork_stand)
    kwork_stand.fault("asked", path="/api/offer/createoffer", name=name, count=1)
    refused = seller.post("/api/offer/createoffer", data=form, headers=csrf(seller)).json()
    assert (refused["success"], refused["error"]) == (False, TEXTS[name])
    assert seller.post("/api/offer/createoffer", data=form, headers=csrf(seller)).json()["success"] is True


def test_a_refused_key_of_the_page_can_be_forced(kwork_stand: Stand, seller: httpx2.Client) -> None:
    kwork_stand.fault("asked", name="csrf", count=1)
    form = offer(kwork_stand)
    refused = seller.post("/api/offer/createoffer", data=form, headers=csrf(seller)).json()
    assert refused["code"] == "csrf"
    assert kwork_stand.journal(path="/api/offer/createoffer")[-1]["effects"] == []


def test_each_effect_is_written_down_once_even_when_its_answer_is_lost(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    form = offer(kwork_stand)
    kwork_stand.fault("drop", path="/api/offer/createoffer", when="after", count=1)
    with pytest.raises(httpx2.HTTPError):
        seller.post("/api/offer/createoffer", data=form, headers=csrf(seller))
    assert not seller.post("/api/offer/createoffer", data=form, headers=csrf(seller)).json()["success"]
    rows = kwork_stand.journal(path="/api/offer/createoffer")
    assert [row["effects"] for row in rows] == [["offer created"], []]


def test_what_a_saved_gig_does_not_send_is_emptied(kwork_stand: Stand, seller: httpx2.Client) -> None:
    number = next(row["id"] for row in kwork_stand.gigs() if row["group"] == 7 and row["is_quick"])
    sent = {**GIG, "attribute[3610][]": ["3612", "3613"], "faq[0][question]": 'Что "входит"?'}
    save: dict[str, Any] = {"params": {"id": number}, "headers": csrf(seller)}
    assert seller.post("/save_kwork", data=sent, **save).json()["result"] == "success"
    gig = gig_of(kwork_stand, number)
    assert gig["attributes"] == {"attribute[3610][]": ["3612", "3613"]}
    assert gig["faq"] == [{"question": "Что «входит»?"}]
    assert (gig["is_quick"], gig["volume"], gig["service_size"]) == (False, "", "")


@pytest.mark.parametrize(("name", "code"), [("phone_check", 201), ("receipts", 298)])
def test_saving_a_gig_may_ask_for_a_person(
    kwork_stand: Stand, seller: httpx2.Client, name: str, code: int
) -> None:
    number = kwork_stand.gigs()[0]["id"]
    kwork_stand.fault("asked", path="/save_kwork", name=name, count=1)
    answer = seller.post("/save_kwork", params={"id": number}, data=GIG, headers=csrf(seller)).json()
    assert (answer["result"], answer["code"]) == ("error", code)
    assert gig_of(kwork_stand, number)["title"] != "Бот"


def test_a_buyer_can_suggest_stages(kwork_stand: Stand) -> None:
    order = kwork_stand.add_order(account=kwork_stand.username, stages=[["Первый", 1000]])
    kwork_stand.suggest_stages(order["id"], days=5, message="Так", stages=[["Второй", 700]])
    assert kwork_stand.order(order["id"])["tracks"][-1]["type"] == 69
