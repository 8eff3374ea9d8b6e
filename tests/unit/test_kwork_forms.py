"""The forms of an offer and of a gig, read off their pages."""

from __future__ import annotations

import json

import pytest

from app.domain.errors import LayoutChanged, Rejected
from app.domain.kwork import Connects
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.pages.gig_form import read_gig_form, read_price_bounds
from app.marketplaces.kwork.web.pages.offer_form import read_offer_form, read_requirements


def page(body: str, state: object = None, title: str = "Kwork") -> Document:
    script = f"<script>window.USER_ID=5;window.stateData={json.dumps(state)};</script>" if state else ""
    return Document(f"<html><head><title>{title}</title></head><body>{script}{body}</body></html>".encode())


WANT = {"id": 7, "possiblePriceLimit": 4500, "availableDurations": [1, 2, 3]}


def test_an_offer_form_tells_key_connects_prices_and_durations() -> None:
    state = {
        "draftKey": "abc12345",
        "wantData": WANT,
        "minPrice": 500,
        "connect": {"connect_points": "27", "accrued_connect_points": 30},
    }
    form = read_offer_form(page("", state), 7).value
    assert (form.draft_key, form.connects) == ("abc12345", Connects(27, 30))
    assert (form.min_price_kopecks, form.max_price_kopecks) == (50_000, 450_000)
    assert form.durations == (1, 2, 3)


@pytest.mark.parametrize(
    "body",
    [
        '<input type="hidden" name="draftKey" value="abc12345">Осталось 3 из 30',
        '<script>var form = {draftKey: "abc12345"};</script><p>Осталось 3 из&nbsp;30</p>',
    ],
)
def test_a_page_without_the_state_is_read_by_its_markup(body: str) -> None:
    form = read_offer_form(page(body), 7).value
    assert (form.draft_key, form.connects) == ("abc12345", Connects(3, 30))
    assert (form.max_price_kopecks, form.durations) == (None, ())


def test_a_form_without_a_draft_key_gets_one() -> None:
    assert read_offer_form(page('<input id="offer-custom-price">'), 7).value.draft_key == "offer7"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Проект закрыт или находится в архиве.", "kwork_project_closed"),
        ("Чтобы отправлять предложения, сначала пройдите урок", "kwork_lesson_required"),
        ("Вы исчерпали лимит коннектов", "kwork_connects_spent"),
    ],
)
def test_a_sentence_instead_of_the_form_is_its_refusal(text: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_offer_form(page(f"<header>Заказы в архиве</header><h1>{text}</h1>", {"x": 1}), 7)
    assert refused.value.code == code


def test_a_page_without_form_and_sentence_has_drifted() -> None:
    with pytest.raises(LayoutChanged):
        read_offer_form(page("<header>проект закрыт</header><h1>Привет</h1>", {"x": 1}), 7)


def test_another_projects_form_is_not_taken() -> None:
    with pytest.raises(LayoutChanged):
        read_offer_form(page("", {"draftKey": "abc12345", "wantData": {**WANT, "id": 8}}), 7)


def test_requirements_of_a_rubric() -> None:
    data = {
        "isUserNeedPortfolio": True,
        "isUserNeedKworkNotify": 1,
        "userNeedPortfolioRubricName": "Скрипты &amp; боты",
    }
    told = read_requirements({"success": True, "data": data})
    assert (told.portfolio_required, told.gig_required, told.rubric) == (True, True, "Скрипты & боты")
    with pytest.raises(LayoutChanged):
        read_requirements({"success": True, "data": {}})
    with pytest.raises(Rejected):
        read_requirements({"success": False, "data": {"error": "Проект не найден"}})


FORM = """<form class="js-kwork-save-form" method="post">
<input type="hidden" name="csrftoken" value="canary-csrf"><input type="hidden" name="draft_id" value="">
<input name="title" value="&quot;Бот&quot; &amp; парсер">
<select name="category_id"><option value="">—</option><option value="41" selected>Скрипты</option></select>
<select name="work_time"><option value="1" disabled>1</option><option value="2">2</option></select>
<select name="tags[]" multiple><option selected>a</option><option value="b" selected>Б</option><option>c</option></select>
<textarea name="description">
&lt;p&gt;Строка&lt;/p&gt;
ещё &amp;amp; одна</textarea>
<input type="radio" name="attribute[208]" value="3587" checked><input type="radio" name="attribute[208]" value="211">
<input type="checkbox" name="attribute[3610][]" value="1" checked>
<input type="checkbox" name="attribute[3610][]" value="2"><input type="checkbox" name="attribute[3610][]" value="3" checked>
<input type="checkbox" name="is_quick" checked>
<input name="off" value="x" disabled><input type="file" name="photo"><input type="submit" name="go" value="1">
<input value="without a name"><input type="tel" name="price" value="1500"></form>"""
STATE = {
    "kwork": {
        "PID": 5,
        "title": "from the state",
        "lang": "ru",
        "volume": "1 &laquo;штука&raquo;",
        "faq": [{"question": "Срок &amp; цена?", "answer": "Три дня"}],
        "photo": "/a.jpg",
    }
}


def test_a_gigs_form_is_what_a_browser_would_submit_and_what_the_state_holds_besides() -> None:
    form = read_gig_form(page(FORM, STATE), 5)
    assert form.fields == (
        ("draft_id", ""),
        ("title", '"Бот" & парсер'),
        ("category_id", "41"),
        ("work_time", "2"),
        ("tags[]", "a"),
        ("tags[]", "b"),
        ("description", "<p>Строка</p>\nещё &amp; одна"),
        ("attribute[208]", "3587"),
        ("attribute[3610][]", "1"),
        ("attribute[3610][]", "3"),
        ("is_quick", "on"),
        ("price", "1500"),
        ("lang", "ru"),
        ("volume", "1 «штука»"),
        ("faq[0][question]", "Срок & цена?"),
        ("faq[0][answer]", "Три дня"),
        ("is_save_kwork", "1"),
    )
    assert form.action == "/save_kwork?id=5"
    assert "canary-csrf" not in repr(form)


def test_attributes_in_the_state_alone_are_sent_as_the_form_names_them() -> None:
    state = {"kwork": {"attributes": {"208": "3587", "3610": ["1", 3]}, "faq": []}}
    form = read_gig_form(page(FORM.replace("attribute[", "x["), state), 5)
    assert [pair for pair in form.fields if pair[0].startswith("attribute")] == [
        ("attribute[208]", "3587"),
        ("attribute[3610][]", "1"),
        ("attribute[3610][]", "3"),
    ]


@pytest.mark.parametrize(
    "document",
    [
        page("<p>Ничего</p>", STATE),
        page(FORM, {"kwork": {"PID": 6}}),
        *(
            page(FORM.replace(f'name="{name}"', 'name="moved"'))
            for name in ("title", "category_id", "description", "work_time")
        ),
        page(FORM.replace('value="&quot;Бот&quot; &amp; парсер"', 'value=""')),
    ],
)
def test_a_form_that_is_not_whole_is_never_submitted(document: Document) -> None:
    with pytest.raises(LayoutChanged):
        read_gig_form(document, 5)


@pytest.mark.parametrize(
    ("body", "bounds"),
    [
        ({"success": True, "prices": {"priceGradation": [500, "1000", 71183]}}, (50_000, 7_118_300)),
        (
            {"success": True, "prices": {"priceGradation": {"1": {"price": "500"}, "2": {"price": 900}}}},
            (50_000, 90_000),
        ),
        ({"success": True, "data": {"min": 500, "max": 700}}, (50_000, 70_000)),
        ({"success": True, "prices": None}, None),
        ({"success": True, "prices": {"priceGradation": [{"cost": 1}]}}, None),
        ({"success": True}, None),
    ],
)
def test_price_bounds_are_told_or_unknown(body: object, bounds: tuple[int, int] | None) -> None:
    assert read_price_bounds(body) == bounds
