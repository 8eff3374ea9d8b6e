"""A yes is a yes only when the answer says so; every known no has its code; the rest leaves the outcome open."""

from __future__ import annotations

import json

import httpx2
import pytest

from app.domain.errors import Ambiguous, Blocked, ChallengeRequired, RateLimited, Rejected, VendorError
from app.domain.writing import Answered
from app.marketplaces.kwork import answers
from app.marketplaces.kwork.errors import SessionLostMidway
from app.marketplaces.kwork.mobile.sending import verdict as mobile_verdict
from app.marketplaces.kwork.refusals import FORM_CODES, REFUSALS
from app.marketplaces.kwork.transport import Answer
from app.marketplaces.kwork.web.sending import settled
from sandbox import pages
from sandbox.refusals import TEXTS


def answer(body: object, status: int = 200, redirect: str | None = None) -> Answer:
    raw = body if isinstance(body, str) else json.dumps(body)
    return Answer(status, httpx2.Headers({"content-type": "text/html"}), raw.encode(), redirect)


def by_mobile(body: object, status: int = 200, redirect: str | None = None) -> Answered:
    return mobile_verdict("inboxCreate", answer(body, status, redirect))


def by_web(body: object, status: int = 200, redirect: str | None = None) -> Answered:
    return settled(answer(body, status, redirect))


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ({"success": True}, {}),
        ({"success": 1, "response": []}, {}),
        ({"success": "1", "response": [{"trackId": 5}]}, {"trackId": 5}),
        ({"success": True, "response": {"id": 7}}, {"id": 7}),
        ({"success": True, "response": [{"a": 1}, {"a": 2}]}, {}),
        ({"success": True, "error": "", "error_code": 0}, {}),
    ],
)
def test_a_clear_yes_of_the_mobile_surface(body: object, data: dict[str, object]) -> None:
    assert by_mobile(body).data == data


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": None, "redirect": "/projects"},
        {"success": 1},
        {"result": "success", "redirectUrl": "/manage_kworks"},
        {"status": "success"},
        {"MID": 77300001, "status": "active", "message": "Привет"},
        {"success": True, "errors": []},
        {"success": True, "error": ""},
    ],
)
def test_a_clear_yes_of_the_site(body: object) -> None:
    assert isinstance(by_web(body), Answered)


OPEN = [
    "",
    "  ",
    "null",
    "false",
    "[]",
    '{"success": tr',
    "<html></html>",
    pages.MAINTENANCE,
    pages.PLAIN_HTML,
    pages.ERROR_500,
    {},
    {"success": None},
    {"success": "perhaps"},
    {"success": []},
    {"success": True, "error": "Ошибка"},
    {"success": False, "error": "Неизвестная ошибка"},
    {"success": False, "error": "Внутренняя ошибка сервера"},
    {"success": False, "error": "На сайте идут технические работы"},
]


@pytest.mark.parametrize("body", [*OPEN, {"response": {"id": 7}}, {"success": True, "error_code": 5}])
def test_the_mobile_surface_leaves_the_outcome_open(body: object) -> None:
    with pytest.raises(Ambiguous) as raised:
        by_mobile(body)
    assert type(raised.value) is Ambiguous


@pytest.mark.parametrize(
    "body", [*OPEN, {"redirect": "/"}, {"success": True, "errors": ["Ошибка"]}, {"MID": "0"}, {"MID": None}]
)
def test_the_site_leaves_the_outcome_open(body: object) -> None:
    with pytest.raises(Ambiguous) as raised:
        by_web(body)
    assert type(raised.value) is Ambiguous


@pytest.mark.parametrize("verdict", [by_mobile, by_web])
@pytest.mark.parametrize("redirect", ["/projects", "/", "/seller"])
def test_a_redirect_leaves_it_open(verdict: object, redirect: str) -> None:
    with pytest.raises(Ambiguous):
        verdict("", 302, redirect)  # type: ignore[operator]


SIGNED_OUT_PAGE = '<html><title>Kwork</title><script>window.USER_ID="";window.csrftoken=null;</script></html>'


def test_a_lost_session_leaves_it_open_and_is_told_apart() -> None:
    refused = {"success": False, "error": "Необходима авторизация"}
    for lost in (lambda: by_mobile(refused), lambda: by_web(refused)):
        with pytest.raises(SessionLostMidway):
            lost()
    with pytest.raises(SessionLostMidway):
        by_web("", 302, "/login?back=1")
    with pytest.raises(SessionLostMidway):
        by_web(SIGNED_OUT_PAGE)


@pytest.mark.parametrize(
    ("verdict", "page"), [(by_mobile, pages.BLOCKED), (by_web, pages.BLOCKED), (by_web, pages.QRATOR)]
)
def test_the_block_page_is_a_clear_no(verdict: object, page: str) -> None:
    with pytest.raises(Blocked):
        verdict(page)  # type: ignore[operator]


def test_a_refused_app_key_is_a_clear_no() -> None:
    with pytest.raises(Rejected) as refused:
        by_mobile("<html><title>401 Authorization Required</title></html>", 401)
    assert refused.value.code == "kwork_mobile_key_rejected"


def test_a_captcha_in_the_way_is_for_a_person() -> None:
    page = "<html><title>Kwork: проверка</title><div class='smart-captcha'></div></html>"
    for asked in (
        lambda: by_web(page),
        lambda: by_mobile({"success": False, "error": "Подтвердите, что вы не робот", "error_code": 118}),
    ):
        with pytest.raises(ChallengeRequired):
            asked()


CODES = {
    "connects_spent": "kwork_connects_spent",
    "connects_refill": "kwork_connects_refill",
    "worker_chosen": "kwork_worker_chosen",
    "project_closed": "kwork_project_closed",
    "project_archived": "kwork_project_archived",
    "already_offered": "kwork_already_offered",
    "lesson": "kwork_lesson_required",
    "portfolio": "kwork_portfolio_required",
    "gig": "kwork_gig_required",
    "not_confirmed": "kwork_seller_not_confirmed",
    "stop_words": "kwork_stop_words",
    "dialog_forbidden": "kwork_dialog_forbidden",
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
@pytest.mark.parametrize(
    "shape",
    [
        lambda text: {"success": False, "error": text},
        lambda text: {"success": False, "message": text},
        lambda text: {"success": False, "response": text},
        lambda text: {"success": False, "data": {"error": text}},
        lambda text: {"success": False, "errors": [{"target": "wantId", "text": text}]},
        lambda text: {"success": False, "errors": [text]},
        lambda text: {"success": False, "errors": {"wantId": [text]}},
        lambda text: {"result": "error", "error": text.upper()},
        lambda text: {"error": text},
    ],
)
def test_each_known_no_of_the_site_has_its_code_in_whatever_shape(
    name: str, code: str, shape: object
) -> None:
    with pytest.raises(Rejected) as refused:
        by_web(shape(TEXTS[name]))  # type: ignore[operator]
    assert refused.value.code == code
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_known_no_of_the_mobile_surface_has_its_code(name: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        by_mobile({"success": False, "error": TEXTS[name], "error_code": 1})
    assert refused.value.code == code


def test_a_wait_is_told_in_seconds_wherever_it_stands() -> None:
    for body in (
        {"success": False, "error": "Переписка запрещена", "response": {"expire_time": 90}},
        {"success": False, "error": "x", "expire_time": "90"},
        {"success": False, "data": {"expire_time": 90}},
    ):
        with pytest.raises(RateLimited) as waits:
            by_web(body)
        assert (waits.value.retry_after, waits.value.code) == (90, "kwork_wait")
    with pytest.raises(RateLimited):
        by_mobile({"success": False, "error": "Переписка запрещена", "response": {"expire_time": 90}})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"result": "error", "code": 201}, "kwork_phone_check"),
        ({"result": "error", "code": 298}, "kwork_receipts_required"),
        (
            {"result": "error", "code": 202, "errors": [{"target": "price", "text": "Цена мала"}]},
            "kwork_form_invalid",
        ),
        ({"result": "error", "code": 202, "errors": {"price": "Цена мала"}}, "kwork_form_invalid"),
        (
            {"success": False, "error": "Ошибка безопасности. Обновите страницу", "code": "csrf"},
            "kwork_csrf_refused",
        ),
        ({"success": False, "error": "Что-то новое"}, "kwork_refused"),
        ({"success": False}, "kwork_refused"),
        ({"success": False, "error": "Недостаточно параметров"}, "kwork_parameters_changed"),
    ],
)
def test_the_forms_own_codes(body: object, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        by_web(body)
    assert refused.value.code == code


def test_kworks_own_sentence_stays_but_cut_to_one_line() -> None:
    text = "Цена:\n\tот 500\x00\u202e рублей. " + "я" * 500
    with pytest.raises(Rejected) as refused:
        by_web({"success": False, "errors": [{"target": "price", "text": text}]})
    detail = refused.value.detail
    assert "Цена: от 500 рублей." in detail
    assert len(detail) < 250
    assert detail.isprintable()


def test_codes_and_fragments_of_the_table_are_its_own() -> None:
    rows = [*REFUSALS, *FORM_CODES.values()]
    codes = [row.code for row in rows]
    assert len(codes) == len(set(codes))
    assert all(row.sure and row.sentence.endswith(".") for row in rows)
    fragments = [part for row in REFUSALS for part in row.fragments]
    assert all(part == part.casefold().replace("ё", "е") for part in fragments)


def test_what_answers_tell_is_read_and_a_missing_detail_is_no_error() -> None:
    assert answers.sent_message_id(Answered({"id": "77"})) == 77
    assert answers.sent_message_id(Answered({"MID": 78})) == 78
    assert answers.sent_message_id(Answered({"id": []})) is None
    assert answers.sent_message_id(Answered()) is None
    assert answers.sent_as(Answered({"type": "track"})) == "track"
    assert answers.sent_as(Answered({"type": 5})) is None
    assert answers.mass_mailing_warned(Answered({"mass_mailing_notification": True}))
    assert not answers.mass_mailing_warned(Answered())
    assert answers.report_track_id(Answered({"trackId": 5})) == 5
    assert answers.looks_like_template(Answered({"data": []})) is False
    assert answers.looks_like_template(Answered({"data": [{"id": 1}]})) is True
    assert answers.looks_like_template(Answered()) is None
    assert answers.uploaded_file_id(Answered({"file_id": 4})) == 4
    with pytest.raises(VendorError):
        answers.uploaded_file_id(Answered({"name": "x"}))
