"""Answering Kwork through the real service, judged by the stand-in's journal and world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.marketplaces.kwork.browser.chromium import has_chromium
from tests.service import Api, Service
from tests.stand import Stand

OFFER = "Здравствуйте! Сделаю магазин на готовой теме, подключу оплату и доставку, обучу сотрудников. " * 2


@pytest.fixture(scope="module")
def office(service: Service, stand: Stand) -> Iterator[Api]:
    """A tenant with the stand's main account, signed in and synced; unclear writes settle soon."""
    api = service.user("writers")
    account = api.connect(stand.accounts[0])
    assert account["state"] == "connected", account
    api.sync(kinds=["order", "gig", "dialog", "offer"], create_leads=False)
    yield api
    stand.clear_faults()


@pytest.fixture(autouse=True)
def quiet(stand: Stand) -> Iterator[None]:
    yield
    stand.clear_faults()


def effects(stand: Stand, since: int) -> list[str]:
    return [effect for entry in stand.journal(since=since) for effect in entry["effects"]]


def refused(api: Api, method: str, path: str, **given: Any) -> dict[str, Any]:
    answer: httpx2.Response = api.request(method, path, **given)
    assert answer.status_code >= 400, answer.text
    found: dict[str, Any] = {**answer.json(), "status": answer.status_code}
    return found


def open_project(stand: Stand) -> dict[str, Any]:
    return stand.add_project(price=5000, is_higher_price=True)


def running_order(stand: Stand, **more: Any) -> dict[str, Any]:
    order = stand.add_order(account=stand.username, **more)
    stand.advance_order(order["id"], "take")
    return order


def synced(api: Api) -> None:
    api.sync(kinds=["order"], create_leads=False)


def test_an_offer_is_checked_shown_and_sent_once(office: Api, stand: Stand) -> None:
    project = open_project(stand)
    body = {"message": OFFER, "price": 5000, "duration_days": 7}
    before = stand.mark()
    path = f"/orders/project-{project['id']}/respond"
    shown = office.call("POST", path, json=body, params={"dry_run": True})
    assert shown["requests"][-1]["path"] == "/api/offer/createoffer"
    assert effects(stand, before) == []
    written = office.call("POST", path + "/", json=body, headers={"Idempotency-Key": "offer-1"})
    again = office.call("POST", path, json=body, headers={"Idempotency-Key": "offer-1"})
    assert (written["state"], again["id"]) == ("succeeded", written["id"])
    assert written["outcome"]["offer_id"] in {offer["id"] for offer in stand.offers()}
    assert len(effects(stand, before)) == 1
    before = stand.mark()
    listed = office.call("GET", "/offers", params={"project_id": project["id"]})["items"]
    assert [(offer["id"], offer["status"]) for offer in listed] == [(written["outcome"]["offer_id"], "new")]
    assert stand.journal(surface="api", path="/offers", since=before) == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"message": "коротко"}, 422, "offer_too_short"),
        ({"price": 999_999}, 422, "offer_price"),
        ({"duration_days": 8}, 422, "offer_duration"),
    ],
)
def test_an_offer_that_breaks_a_rule_says_which(
    office: Api, stand: Stand, change: dict[str, Any], status: int, code: str
) -> None:
    project = open_project(stand)
    body = {"message": OFFER, "price": 5000, "duration_days": 7, **change}
    before = stand.mark()
    found = refused(office, "POST", f"/orders/project-{project['id']}/respond", json=body)
    assert (found["status"], found["code"]) == (status, code)
    assert effects(stand, before) == []


def test_what_kwork_refuses_has_its_own_code(office: Api, stand: Stand) -> None:
    project = open_project(stand)
    stand.fault("asked", path="/api/offer/createoffer", name="worker_chosen", count=1)
    body = {"message": OFFER, "price": 5000, "duration_days": 7}
    found = refused(office, "POST", f"/orders/project-{project['id']}/respond", json=body)
    assert (found["status"], found["code"]) == (409, "kwork_worker_chosen")


def test_a_message_whose_answer_was_lost_is_found_again_and_not_repeated(office: Api, stand: Stand) -> None:
    dialog = office.call("GET", "/chat")["items"][0]
    before = stand.mark()
    stand.fault("drop", path="/inboxCreate", when="after", count=1)
    written = office.call(
        "POST", f"/chat/{dialog['id']}/send", json={"message": "Добрый «день»!\n\n\nГотово?"}
    )
    assert written["state"] == "reconciled_done"
    assert len(effects(stand, before)) == 1


def test_a_message_with_a_file_goes_out(office: Api, stand: Stand) -> None:
    dialog = office.call("GET", "/chat")["items"][0]
    files = [("files", ("макет.txt", "Макет".encode()))]
    uploaded = office.call("POST", "/files", files=files)["items"][0]
    body = {"message": "Вот макет", "files": [uploaded["id"]]}
    written = office.call("POST", f"/chat/{dialog['id']}/send", json=body)
    assert written["done"]
    sent = [one for one in stand.messages(stand.username) if one["id"] == written["outcome"]["message_id"]]
    assert [file["name"] for file in sent[0]["files"]] == ["макет.txt"]


def test_a_dialog_is_marked_read(office: Api, stand: Stand) -> None:
    stand.add_message("Вы тут?", account=stand.username)
    office.sync(kinds=["dialog"], create_leads=False)
    dialog = next(one for one in office.call("GET", "/chat")["items"] if one["unread"])
    assert office.call("PATCH", f"/chat/{dialog['id']}/read")["done"]


def test_an_order_is_taken_reported_and_handed_in_with_its_message(office: Api, stand: Stand) -> None:
    order = stand.add_order(account=stand.username)
    synced(office)
    path = f"/orders/order-{order['id']}"
    before = stand.mark()
    assert office.call("PATCH", f"{path}/stage", json={"stage": "in_progress"})["done"]
    report = {"action": "report_progress", "progress": 50, "message": "Половина готова"}
    assert office.call("PATCH", f"{path}/stage", json=report)["outcome"]["event_id"]
    again = {"json": {"stage": "in_progress"}, "headers": {"Idempotency-Key": "take-again"}}
    impossible = refused(office, "PATCH", f"{path}/stage", **again)
    assert (impossible["status"], impossible["code"]) == (409, "transition_impossible")
    assert "report_progress" in impossible["allowed"]
    files = [("files", ("итог.txt", "Итог".encode()))]
    uploaded = office.call("POST", "/files", files=files)["items"][0]
    body = {"message": "Готово, проверяйте", "files": [uploaded["id"]]}
    handed_in = office.call("POST", f"{path}/deliver", json=body)
    assert handed_in["state"] == "succeeded", handed_in
    assert [step["state"] for step in handed_in["steps"]] == ["succeeded"] * 3
    assert stand.order(order["id"])["status"] == 4
    done = effects(stand, before)
    assert len(done) == len(set(map(str, done))) == 4, done  # take, report, hand-in, message


def test_a_hand_in_broken_in_the_middle_goes_on_by_itself(office: Api, stand: Stand) -> None:
    order = running_order(stand)
    synced(office)
    before = stand.mark()
    stand.fault("drop", path="/sendOrderForApproval", when="after", count=1)
    handed_in = office.call("POST", f"/orders/order-{order['id']}/deliver", json={"message": "Готово"})
    assert handed_in["done"], handed_in
    assert [step["state"] for step in handed_in["steps"]] == ["reconciled_done", "succeeded"]
    assert len(effects(stand, before)) == 2


def test_an_order_with_a_reason_is_given_back(office: Api, stand: Stand) -> None:
    order = running_order(stand)
    synced(office)
    path = f"/orders/order-{order['id']}/stage"
    wrong = refused(office, "PATCH", path, json={"stage": "cancelled", "reason": "лень", "message": "x"})
    assert wrong["code"] == "cancel_reason_unknown"
    body = {"stage": "cancelled", "reason": "worker_no_time", "message": "Не успеваю, извините"}
    assert office.call("PATCH", path, json=body)["done"]
    assert stand.order(order["id"])["status"] == 3


def test_a_gig_is_edited_paused_and_started(office: Api, stand: Stand) -> None:
    gig = next(one for one in office.call("GET", "/gigs")["items"] if one["state"] == "active")
    path = f"/gigs/{gig['id']}"
    edited = office.call("PUT", path, json={"title": "Новое имя кворка"})
    assert (edited["done"], edited["outcome"]["verified"]) == (True, True)
    stored = next(one for one in stand.gigs() if one["id"] == gig["id"])
    assert stored["title"] == "Новое имя кворка"


def test_a_running_gig_is_paused_and_started_again(office: Api, stand: Stand) -> None:
    stand.add_gig(account=stand.username, title="Кворк для паузы")
    office.sync(kinds=["gig"], create_leads=False)
    gig = next(one for one in office.call("GET", "/gigs")["items"] if one["title"] == "Кворк для паузы")
    assert office.call("POST", f"/gigs/{gig['id']}/pause")["outcome"]["state"] == "paused"
    again = {"headers": {"Idempotency-Key": "pause-again"}}
    assert refused(office, "POST", f"/gigs/{gig['id']}/pause", **again)["code"] == "gig_already_so"
    assert office.call("POST", f"/gigs/{gig['id']}/start")["outcome"]["state"] == "active"


def test_an_offer_is_taken_back(office: Api, stand: Stand) -> None:
    project = open_project(stand)
    body = {"message": OFFER, "price": 5000, "duration_days": 7}
    written = office.call("POST", f"/orders/project-{project['id']}/respond", json=body)
    number = written["outcome"]["offer_id"]
    gone = office.call("DELETE", f"/offers/{number}", params={"project_id": project["id"]})
    assert gone["done"]
    listed = office.call("GET", "/offers", params={"project_id": project["id"]})["items"]
    assert [(offer["id"], offer["status"]) for offer in listed] == [(number, "withdrawn")]


def test_in_approval_the_exact_write_waits_for_the_right_role(office: Api, stand: Stand) -> None:
    dialog = office.call("GET", "/chat")["items"][0]
    office.call("PUT", "/tenant/settings", json={"writes": {"mode": "approval"}})
    try:
        before = stand.mark()
        waiting = office.call("POST", f"/chat/{dialog['id']}/send", json={"message": "Можно?"})
        assert (waiting["state"], waiting["plan"][0]["path"]) == ("prepared", "/inboxCreate")
        assert effects(stand, before) == []
        assert office.call("POST", f"/writes/{waiting['id']}/confirm")["done"]
        assert len(effects(stand, before)) == 1
    finally:
        office.call("PUT", "/tenant/settings", json={"writes": {"mode": "direct"}})


def test_switched_off_answers_with_a_code(office: Api) -> None:
    dialog = office.call("GET", "/chat")["items"][0]
    office.call("PUT", "/tenant/settings", json={"writes": {"mode": "off"}})
    try:
        found = refused(office, "POST", f"/chat/{dialog['id']}/send", json={"message": "Нельзя?"})
        assert (found["status"], found["code"]) == (403, "writes_off")
    finally:
        office.call("PUT", "/tenant/settings", json={"writes": {"mode": "direct"}})


BY_BROWSER = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


@BY_BROWSER
def test_an_offer_goes_through_the_real_form_when_the_tenant_wants_it(office: Api, stand: Stand) -> None:
    project = open_project(stand)
    path, body = (
        f"/orders/project-{project['id']}/respond",
        {"message": OFFER, "price": 5000, "duration_days": 7},
    )
    usual = office.call("POST", path, json=body, params={"dry_run": True})["requests"]
    office.call("PUT", "/tenant/settings", json={"writes": {"respond_by_browser": True}})
    try:
        (shown,) = office.call("POST", path, json=body, params={"dry_run": True})["requests"]
        before = stand.mark()
        written = office.call("POST", path, json=body)
    finally:
        office.call("PUT", "/tenant/settings", json={"writes": {"respond_by_browser": False}})
    assert {call["surface"] for call in usual} == {"web"}
    assert (shown["surface"], shown["page"]) == ("browser", f"/new_offer?project={project['id']}")
    assert (written["state"], written["payload"]["surface"]) == ("succeeded", "browser")
    assert written["outcome"]["surface"] == "browser"
    assert written["outcome"]["offer_id"] in {offer["id"] for offer in stand.offers()}
    assert effects(stand, before) == ["offer created"]


@BY_BROWSER
def test_a_message_on_the_dialogs_page_whose_answer_was_lost_is_found_again(
    office: Api, stand: Stand
) -> None:
    dialog = office.call("GET", "/chat")["items"][1]
    before = stand.mark()
    stand.fault("drop", path="/sendmessage", when="after", count=1)
    body = {"message": "Пишу со страницы «диалога»", "surface": "browser"}
    written = office.call("POST", f"/chat/{dialog['id']}/send", json=body)
    assert written["state"] == "reconciled_done", written
    assert effects(stand, before).count("message sent") == 1
    quoting = {**body, "message": "Ещё", "reply_to": 7}
    assert (
        refused(office, "POST", f"/chat/{dialog['id']}/send", json=quoting)["code"] == "reply_not_by_browser"
    )


@BY_BROWSER
def test_handing_in_on_the_page_is_off_until_allowed_and_takes_files(office: Api, stand: Stand) -> None:
    order = running_order(stand)
    synced(office)
    uploaded = office.call("POST", "/files", files=[("files", ("итог.txt", "Итог".encode()))])["items"][0]
    path = f"/orders/order-{order['id']}/deliver"
    body = {"message": "Готово", "files": [uploaded["id"]], "surface": "browser"}
    before = stand.mark()
    off = refused(office, "POST", path, json=body)
    assert (off["status"], off["code"]) == (409, "hand_in_by_browser_off")
    assert effects(stand, before) == []
    office.call("PUT", "/tenant/settings", json={"writes": {"hand_in_by_browser": True}})
    try:
        handed_in = office.call("POST", path, json=body)
    finally:
        office.call("PUT", "/tenant/settings", json={"writes": {"hand_in_by_browser": False}})
    assert handed_in["state"] == "succeeded", handed_in
    assert [step["action"] for step in handed_in["steps"]] == ["hand_in", "send_message"]
    found = stand.order(order["id"])
    assert (found["status"], handed_in["outcome"]["verified"]) == (4, True)
    assert effects(stand, before) == ["order: hand_in", "track message sent"]
