"""The stand-in's web surface: making, changing and losing an offer (FACTS A5)."""

from typing import Any

import httpx2
import pytest

from tests.stand import Stand
from tests.web_client import csrf, state_of, window


def offer_form(project: dict[str, Any], **changed: Any) -> dict[str, Any]:
    whole = {
        "wantId": project["id"],
        "offerType": "custom",
        "description": 'Сделаю "под ключ".\n\n\n' + "Опыт большой, сроки держу. " * 8,
        "kwork_duration": 3,
        "kwork_price": project["price_limit"],
        "kwork_name": "Сделаю в срок",
    }
    return {name: str(value) for name, value in {**whole, **changed}.items()}


def multipart(fields: dict[str, str]) -> dict[str, tuple[None, str]]:
    return {name: (None, value) for name, value in fields.items()}


def test_an_offer_goes_through_its_calls_and_spends_one_connect(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    project = kwork_stand.add_project(price=4000)
    before = len(kwork_stand.offers())
    form = seller.get("/new_offer", params={"project": project["id"]})
    assert "Осталось 27 из 30" in form.text
    key = state_of(form)["draftKey"]
    assert seller.get(f"/wants/{project['id']}/check_offer_notify").json()["success"]
    assert seller.post("/quick-faq/init", json={"page": "new_offer"}).json()["success"]
    draft = {"csrftoken": window(form, "csrftoken"), "projectId": str(project["id"]), "draftKey": key}
    assert seller.post("/wants/create_offer_draft", files=multipart(draft)).json()["success"]
    template = {"description": "текст", "wantid": project["id"]}
    assert seller.post("/projects/check_is_template", json=template).json() == {"success": True, "data": []}
    sent = seller.post("/api/offer/createoffer", files=multipart(offer_form(project)), headers=csrf(seller))
    assert sent.json()["success"] is True
    assert sent.json()["data"] is None
    offers = kwork_stand.offers()
    assert len(offers) == before + 1
    assert offers[0]["project_id"] == project["id"]
    assert offers[0]["description"].startswith("Сделаю «под ключ».\nОпыт")
    assert (
        "Осталось 26 из 30"
        in seller.get("/new_offer", params={"project": kwork_stand.projects()[1]["id"]}).text
    )


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"description": "коротко"}, "не меньше 150"),
        ({"kwork_price": 12001}, "Стоимость"),
        ({"kwork_price": 100}, "Стоимость"),
        ({"kwork_duration": 8}, "срок"),
        ({"kwork_name": "x" * 71}, "Название"),
        ({"wantId": 1}, "не найден"),
    ],
)
def test_an_offer_beyond_the_limits_is_refused(
    kwork_stand: Stand, seller: httpx2.Client, changed: dict[str, Any], text: str
) -> None:
    project = kwork_stand.add_project(price=4000, is_higher_price=True)
    before = kwork_stand.offers()
    refused = seller.post(
        "/api/offer/createoffer", data=offer_form(project, **changed), headers=csrf(seller)
    ).json()
    assert refused["success"] is False
    assert text in refused["error"]
    assert kwork_stand.offers() == before


def test_refusals_name_the_reason(kwork_stand: Stand, seller: httpx2.Client) -> None:
    def refusal(project: dict[str, Any]) -> str:
        form = offer_form(project)
        return str(seller.post("/api/offer/createoffer", data=form, headers=csrf(seller)).json().get("error"))

    offered = next(p for p in kwork_stand.projects() if p["id"] == kwork_stand.offers()[0]["project_id"])
    assert "уже отправили" in refusal(offered)
    assert "исполнитель уже выбран" in refusal(kwork_stand.add_project(worker_id=1)).lower()
    assert "в архиве" in refusal(kwork_stand.add_project(status="archived"))
    assert "портфолио" in refusal(kwork_stand.add_project(need_portfolio=True))
    kwork_stand.change_account(kwork_stand.username, connects_active=0)
    assert "исчерпали лимит коннектов" in refusal(kwork_stand.add_project())


def test_a_write_without_the_csrf_token_changes_nothing(kwork_stand: Stand, seller: httpx2.Client) -> None:
    before = kwork_stand.offers()
    form = offer_form(kwork_stand.add_project(price=4000))
    assert seller.post("/api/offer/createoffer", data=form).json()["success"] is False
    wrong = seller.post("/api/offer/createoffer", data=form, headers={"X-CSRF-Token": "0" * 32})
    assert wrong.json()["success"] is False
    assert kwork_stand.offers() == before


def test_an_own_offer_can_be_edited_and_deleted(kwork_stand: Stand, seller: httpx2.Client) -> None:
    offer = kwork_stand.offers()[0]
    form = offer_form(kwork_stand.project(offer["project_id"]), offerId=offer["id"], kwork_name="Другое имя")
    assert seller.post("/api/offer/editoffer", data=form, headers=csrf(seller)).json()["success"]
    assert kwork_stand.offers()[0]["title"] == "Другое имя"
    gone = seller.post("/api/offer/deleteoffer", data={"offerId": offer["id"]}, headers=csrf(seller))
    assert gone.json() == {"success": True}
    assert offer["id"] not in [o["id"] for o in kwork_stand.offers()]
