"""The stand-in's web surface as a browser and its scripts see it (FACTS part A)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.stand import Stand

WANT_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "possiblePriceLimit", "kwork_count", "getPriceThreshold"), int),
    **dict.fromkeys(("status", "name", "description", "category_id", "priceLimit", "max_days"), str),
    **dict.fromkeys(("views_dirty", "date_create", "date_active", "date_expire", "timeLeft"), str),
    **dict.fromkeys(("isHigherPrice", "isWantActive", "isWantArchive", "isNeural", "isUserWant"), bool),
    **dict.fromkeys(("availableDurations", "files"), list),
    **dict.fromkeys(("wantDates", "altStatusHint", "user"), dict),
}


@pytest.fixture
def visitor(kwork_stand: Stand) -> Iterator[httpx2.Client]:
    """A browser's worth of cookies, nobody signed in."""
    with httpx2.Client(base_url=kwork_stand.web, timeout=10) as client:
        yield client


@pytest.fixture
def seller(kwork_stand: Stand, visitor: httpx2.Client) -> httpx2.Client:
    """Signed in as the main account."""
    assert sign_in(visitor, kwork_stand).json()["success"]
    return visitor


def sign_in(client: httpx2.Client, stand: Stand, password: str | None = None) -> httpx2.Response:
    form = {"l_username": stand.login, "l_password": password or stand.password, "jlog": "1"}
    return client.post("/api/user/login", data=form)


def state_of(answer: httpx2.Response) -> dict[str, Any]:
    start = answer.text.index("window.stateData=") + len("window.stateData=")
    state: dict[str, Any] = json.JSONDecoder().raw_decode(answer.text, start)[0]
    return state


def window(answer: httpx2.Response, name: str) -> Any:
    start = answer.text.index(f"window.{name}=") + len(f"window.{name}=")
    return json.JSONDecoder().raw_decode(answer.text, start)[0]


def csrf(client: httpx2.Client) -> dict[str, str]:
    return {"X-CSRF-Token": client.cookies["csrf_user_token"]}


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


def test_cards_are_rendered_with_the_captured_selectors(visitor: httpx2.Client) -> None:
    page = visitor.get("/projects")
    want = state_of(page)["wants"][0]
    assert page.text.count('class="want-card want-card--list') == 12
    assert page.text.count("ПРОСМОТРЕНО") == 12
    assert f'<a href="/projects/{want["id"]}">{want["name"]}</a>' in page.text
    for name in ("wants-card__header-title", "wants-card__description-text", "want-payer-statistic"):
        assert page.text.count(name) >= 12


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


# Offers


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


# Orders, gigs, inbox, profiles


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
