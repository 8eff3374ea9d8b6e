"""The stand-in's web surface: signing in and the exchange (FACTS A1–A4)."""

import re
from typing import Any

import httpx2
import pytest

from tests.stand import Stand
from tests.web_client import sign_in, state_of, window

WANT_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "possiblePriceLimit", "kwork_count", "getPriceThreshold"), int),
    **dict.fromkeys(("status", "name", "description", "category_id", "priceLimit", "max_days"), str),
    **dict.fromkeys(("views_dirty", "date_create", "date_active", "date_expire", "timeLeft"), str),
    **dict.fromkeys(("isHigherPrice", "isWantActive", "isWantArchive", "isNeural", "isUserWant"), bool),
    **dict.fromkeys(("availableDurations", "files"), list),
    **dict.fromkeys(("wantDates", "altStatusHint", "user"), dict),
}


# Signing in and being signed in


def test_signed_out_pages_say_so_in_their_variables(visitor: httpx2.Client) -> None:
    for path in ("/", "/projects"):
        page = visitor.get(path)
        assert window(page, "USER_ID") == ""
        assert window(page, "actorType") is None
        assert window(page, "csrftoken") is None


def test_signing_in_sets_the_cookies_and_the_variables(kwork_stand: Stand, visitor: httpx2.Client) -> None:
    answer = sign_in(visitor, kwork_stand)
    assert set(answer.json()) == {
        "success",
        "error",
        "redirect",
        "action_after",
        "isUserVerified",
        "csrftoken",
    }
    assert {"RORSSQIHEK", "slrememberme", "csrf_user_token", "uad", "userId"} <= set(visitor.cookies)
    assert visitor.cookies["slrememberme"].startswith(f"{kwork_stand.user_id}_")
    page = visitor.get("/projects")
    assert window(page, "USER_ID") == kwork_stand.user_id
    assert window(page, "actorType") == "worker"
    assert window(page, "csrftoken") == visitor.cookies["csrf_user_token"] == answer.json()["csrftoken"]


def test_a_wrong_password_is_refused_with_kworks_text(kwork_stand: Stand, visitor: httpx2.Client) -> None:
    answer = sign_in(visitor, kwork_stand, password="not it").json()
    assert not answer["success"]
    assert answer["error"] == "Логин или пароль указаны неверно"
    assert visitor.get("/seller").headers["location"] == "/login"


def test_the_login_form_is_not_in_the_html_but_the_captcha_keys_are(visitor: httpx2.Client) -> None:
    page = visitor.get("/login")
    assert "<input" not in page.text.split("<script>")[0]
    assert window(page, "isYandexSmartCaptcha") is True
    assert window(page, "yandexSmartCaptchaFieldName") == "smart-token"


def test_a_captcha_refuses_without_its_answer(kwork_stand: Stand, visitor: httpx2.Client) -> None:
    kwork_stand.fault("captcha", surface="web")
    assert "не робот" in sign_in(visitor, kwork_stand).json()["error"]


def test_a_lost_session_sends_private_pages_to_the_login(kwork_stand: Stand, seller: httpx2.Client) -> None:
    assert seller.get("/seller").status_code == 200
    kwork_stand.fault("session_lost", surface="web", count=1)
    lost = seller.get("/manage_orders")
    assert (lost.status_code, lost.headers["location"]) == (302, "/login")
    assert window(seller.get("/"), "USER_ID") == ""


def test_the_long_lived_cookie_revives_an_ended_php_session(
    kwork_stand: Stand, seller: httpx2.Client
) -> None:
    remember = {"slrememberme": seller.cookies["slrememberme"]}
    with httpx2.Client(base_url=kwork_stand.web, cookies=remember) as another:
        assert another.get("/seller").status_code == 200
        assert "RORSSQIHEK" in another.cookies


def test_a_web_token_signs_in_once_and_only_within_a_minute(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    token = kwork_stand.web_token(url="/projects")
    crossed = visitor.get("/login-by-token", params={"web_auth_token": token})
    assert crossed.headers["location"] == "/projects"
    assert "csrf_user_token" not in visitor.cookies
    assert window(visitor.get("/projects"), "USER_ID") == kwork_stand.user_id
    assert "csrf_user_token" in visitor.cookies
    again = visitor.get("/login-by-token", params={"web_auth_token": token})
    assert again.headers["location"] == "/login"
    late = kwork_stand.web_token()
    kwork_stand.move_time(61)
    assert visitor.get("/login-by-token", params={"web_auth_token": late}).headers["location"] == "/login"


def test_the_third_sign_in_within_minutes_is_blocked_when_strict(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    kwork_stand.set(strict_signin=True)
    for _ in range(2):
        assert sign_in(visitor, kwork_stand, password="not it").status_code == 200
    blocked = sign_in(visitor, kwork_stand)
    assert (blocked.status_code, blocked.headers["server"]) == (403, "QRATOR")
    assert visitor.get("/projects").status_code == 403
    kwork_stand.move_time(200)
    assert sign_in(visitor, kwork_stand).json()["success"]


# The exchange


def test_the_list_is_a_full_size_page_with_the_known_number_of_keys(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    page = visitor.get("/projects")
    assert len(page.content) >= 200_000
    assert len(state_of(page)) == 131
    sign_in(visitor, kwork_stand)
    state = state_of(visitor.get("/projects"))
    assert len(state) == 218
    assert set(state["connect"]) == {"connect_points", "accrued_connect_points", "isPenalised"}


def test_projects_have_the_captured_types_and_rules(visitor: httpx2.Client) -> None:
    state = state_of(visitor.get("/projects"))
    assert len(state["wants"]) == 12
    for want in state["wants"]:
        for name, kind in WANT_TYPES.items():
            assert type(want[name]) is kind, name
        assert want["possiblePriceLimit"] == float(want["priceLimit"]) * (3 if want["isHigherPrice"] else 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", want["date_active"])
        assert str(want["id"]) in state["userNeedPortfolioList"]
    assert state["wantsListData"]["wants"] == state["pagination"]["data"] == state["wants"]
    active = [want["date_active"] for want in state["wants"]]
    assert active == sorted(active, reverse=True)


def test_all_pages_together_hold_every_listed_project_once(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    first = state_of(visitor.get("/projects"))
    assert first["pagination"]["per_page"] == 12
    numbers = range(1, first["pagination"]["last_page"] + 1)
    pages = [state_of(visitor.get("/projects", params={"page": n}))["wants"] for n in numbers]
    ids = [want["id"] for page in pages for want in page]
    assert ids == [project["id"] for project in kwork_stand.projects()]
    assert state_of(visitor.get("/projects", params={"page": 99}))["wants"] == []


@pytest.mark.parametrize(
    ("params", "holds"),
    [
        ({"price-from": 3000, "price-to": 5000}, lambda w: 3000 <= float(w["priceLimit"]) <= 5000),
        ({"prices-filters": 4}, lambda w: float(w["priceLimit"]) >= 30000),
        ({"kworks-filters": 0}, lambda w: w["kwork_count"] <= 5),
        ({"hiring-from": 40}, lambda w: int(w["user"]["data"]["wants_hired_percent"]) >= 40),
    ],
)
def test_hyphenated_filters_work_and_underscored_ones_are_ignored(
    visitor: httpx2.Client, params: dict[str, int], holds: Any
) -> None:
    found = state_of(visitor.get("/projects", params=params))
    assert found["pagination"]["total"] < 30
    assert all(holds(want) for want in found["wants"])
    ignored = {name.replace("-", "_"): value for name, value in params.items()}
    assert state_of(visitor.get("/projects", params=ignored))["pagination"]["total"] == 30


def test_rubric_and_keyword_filters_find_the_project(kwork_stand: Stand, visitor: httpx2.Client) -> None:
    made = kwork_stand.add_project(name="Починить квадрокоптер", category_id=79)
    for params in ({"keyword": "квадрокоптер"}, {"c": "79"}, {"c": "11"}, {"fc": "79", "c": "11"}):
        assert made["id"] in [w["id"] for w in state_of(visitor.get("/projects", params=params))["wants"]]
    assert made["id"] not in [
        w["id"] for w in state_of(visitor.get("/projects", params={"c": "15"}))["wants"]
    ]


def test_hostile_texts_survive_the_page_unharmed(kwork_stand: Stand, visitor: httpx2.Client) -> None:
    text = 'a };\nwindow.stateData={"x":1};</script><b>"цитата"</b> & \\ 🎉\u2028'
    made = kwork_stand.add_project(name="Ловушка </script> };", description=text)
    page = visitor.get("/projects")
    want = state_of(page)["wants"][0]
    assert want["id"] == made["id"]
    assert want["description"] == made["description"]
    assert "</b>" not in made["description"]
    assert "«цитата»" in made["description"]
    assert page.text.count("window.stateData=") >= 1
    assert "\u2028" not in page.text.split("window.stateData=")[1].split("</script>")[0]


def test_cards_are_not_in_the_html_but_drawn_by_a_script_that_browsers_keep(visitor: httpx2.Client) -> None:
    page = visitor.get("/projects").text
    assert "want-card" not in page
    linked = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
    kinds = [visitor.get(address).headers["content-type"].partition(";")[0] for address in linked]
    assert kinds == ["text/css", "text/javascript"]
    assert all("immutable" in visitor.get(address).headers["cache-control"] for address in linked)
    assert visitor.get("/assets/other.js").status_code == 404


def test_a_project_redirects_to_its_view_and_archived_ones_are_closed(
    kwork_stand: Stand, visitor: httpx2.Client
) -> None:
    project = kwork_stand.projects()[0]
    view = f"/projects/{project['id']}/view"
    assert visitor.get(f"/projects/{project['id']}").headers["location"] == view
    assert state_of(visitor.get(view))["wantData"]["id"] == project["id"]
    kwork_stand.change_project(project["id"], status="archived")
    assert state_of(visitor.get(view))["wantData"]["isWantActive"] is False
    assert "stateData" not in visitor.get("/projects/17/view").text


def test_unknown_routes_and_wrong_verbs_answer_200_with_technical_works(seller: httpx2.Client) -> None:
    for answer in (seller.get("/no-such-page"), seller.post("/get_manage_orders"), seller.put("/projects")):
        assert answer.status_code == 200
        assert "<title>Kwork.ru | Технические работы</title>" in answer.text
    assert seller.get("/exchange").status_code == 404
