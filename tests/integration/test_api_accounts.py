"""Connecting Kwork accounts through the API, at the stand-in Kwork with a real Chromium."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.core.database import Database
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.models.account_schemas import AccountAdded, AccountCard, AccountOut
from app.models.schemas import Listed
from tests.accounts import Accounts
from tests.api import Api, build_api, token

needs_chromium = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


async def ask(api: Api, method: str, path: str, status: int, **request: Any) -> Any:
    async with api.admin("a") as client:
        answer = await client.request(method, f"/api/v1/accounts{path}", **request)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def added(api: Api, **body: Any) -> dict[str, Any]:
    """Saved, not signed in."""
    given = {"login": "seller", "password": "CANARY-password", "sign_in": False, **body}
    found: dict[str, Any] = await ask(api, "POST", "", 201, json=given)
    return found


@pytest.fixture
def at_stand(database: Database, accounts: Accounts) -> Api:
    """The application with accounts at the stand-in Kwork."""
    return build_api(database, accounts=accounts.use_cases)


# With Kwork ------------------------------------------------------------------------------------------


@needs_chromium
async def test_an_account_is_connected_in_one_call_with_the_readmes_trailing_slash(
    at_stand: Api, accounts: Accounts
) -> None:
    body = {"username": accounts.stand.login, "password": accounts.stand.password}
    found = await ask(at_stand, "POST", "/", 201, json=body)
    AccountAdded.model_validate(found, extra="forbid")
    assert (found["state"], found["username"]) == ("connected", accounts.stand.username)
    assert (found["title"], found["sign_in_problem"]) == (accounts.stand.login, None)
    assert found["capabilities"]["orders"] == {"available": True, "surface": "web", "reason": None}
    assert "KWORK_MOBILE_KEY" in found["capabilities"]["order_details"]["reason"]
    assert accounts.stand.password not in str(found)


@needs_chromium
async def test_a_wrong_kwork_password_is_saved_and_told(at_stand: Api, accounts: Accounts) -> None:
    body = {"login": accounts.stand.login, "password": "not the password"}
    found = await ask(at_stand, "POST", "", 201, json=body)
    assert (found["state"], found["state_code"]) == ("needs_person", "kwork_wrong_password")
    assert found["needs_person"] is True
    assert "пароль" in found["what_to_do"]


@needs_chromium
async def test_a_captcha_leaves_the_account_to_a_person_and_cookies_bring_it_in(
    at_stand: Api, accounts: Accounts
) -> None:
    accounts.stand.fault("captcha", surface="web")
    body = {"login": accounts.stand.login, "password": accounts.stand.password}
    found = await ask(at_stand, "POST", "", 201, json=body)
    assert (found["state"], found["state_code"]) == ("needs_person", "captcha")
    accounts.stand.clear_faults()
    foreign = {"cookies": [{"name": "RORSSQIHEK", "value": "x", "domain": "example.com"}]}
    refused = await ask(at_stand, "POST", f"/{found['id']}/session", 422, json=foreign)
    assert refused["code"] == "session_foreign"


@needs_chromium
async def test_check_reads_the_own_profile(at_stand: Api, accounts: Accounts) -> None:
    body = {"login": accounts.stand.login, "password": accounts.stand.password, "sign_in": False}
    account = await ask(at_stand, "POST", "", 201, json=body)
    assert account["state"] == "new"
    checked = await ask(at_stand, "POST", f"/{account['id']}/check/", 200)
    AccountCard.model_validate(checked, extra="forbid")
    assert (checked["state"], checked["kwork_user_id"]) == ("connected", accounts.stand.user_id)


# Without Kwork ---------------------------------------------------------------------------------------


async def test_an_account_is_saved_even_when_kwork_cannot_be_reached(api: Api) -> None:
    found = await ask(api, "POST", "", 201, json={"login": "seller", "password": "x"})
    assert found["state"] in ("new", "needs_person")
    assert found["sign_in_problem"] is not None
    assert found["sign_in_problem"]["detail"]
    assert (await ask(api, "GET", "", 200))["total"] == 1


async def test_accounts_are_listed_changed_paused_and_deleted(api: Api) -> None:
    account = await added(api, title="Первый")
    listed = await ask(api, "GET", "", 200)
    Listed[AccountOut].model_validate(listed, extra="forbid")
    assert [one["title"] for one in listed["items"]] == ["Первый"]
    path = f"/{account['id']}"
    assert (await ask(api, "PUT", path, 200, json={"title": "Второй"}))["title"] == "Второй"
    assert (await ask(api, "PUT", path, 200, json={}))["login"] == "seller"
    assert (await ask(api, "POST", f"{path}/pause", 200, json={"paused": True}))["state"] == "paused"
    assert (await ask(api, "POST", f"{path}/session", 409))["code"] == "account_paused"
    assert (await ask(api, "POST", f"{path}/pause", 200, json={"paused": False}))["state"] == "new"
    await ask(api, "DELETE", path, 204)
    assert (await ask(api, "GET", path, 404))["code"] == "not_found"
    assert (await ask(api, "DELETE", path, 404))["code"] == "not_found"


async def test_the_same_login_twice_is_refused(api: Api) -> None:
    await added(api)
    body = {"login": "SELLER", "password": "x", "sign_in": False}
    assert (await ask(api, "POST", "", 409, json=body))["code"] == "account_exists"


async def test_account_cursors_visit_every_account_once(api: Api) -> None:
    ids = [(await added(api, login=f"seller{number}"))["id"] for number in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = await ask(api, "GET", "?limit=2" + (f"&cursor={cursor}" if cursor else ""), 200)
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"answer": "1234", "cookies": []}, "body"),
        ({"cokies": []}, "body.cokies"),
        ({"answer": "12345"}, "body.answer.…"),
        ({"phone_last": "12a4"}, "body.phone_last"),
        ({"cookies": "CANARY"}, "body.cookies"),
        ({"cookies": ["CANARY"]}, "body.cookies.item0"),
    ],
)
async def test_a_malformed_session_is_refused_without_signing_in(api: Api, body: Any, field: str) -> None:
    account = await added(api)
    found = await ask(api, "POST", f"/{account['id']}/session", 422, json=body)
    assert found["errors"][0]["field"].startswith(field.removesuffix("…"))
    assert "CANARY" not in str(found)
    assert (await ask(api, "GET", f"/{account['id']}", 200))["state"] == "new"


async def test_the_password_never_comes_back_nor_lies_open_in_the_database(api: Api, owner: Any) -> None:
    account = await added(api)
    assert "CANARY" not in str(account)
    row = await owner.fetchrow("SELECT * FROM accounts")
    assert b"CANARY" not in str(dict(row)).encode()


@pytest.mark.parametrize("path", ["/1", "/xyz", "/%00", "/00000000-0000-4000-8000-00000000000g"])
async def test_a_malformed_account_id_is_a_problem(api: Api, path: str) -> None:
    assert (await ask(api, "GET", path, 422))["code"] == "validation_failed"


async def test_an_operator_helps_accounts_in_but_does_not_add_or_remove_them(api: Api) -> None:
    account = await added(api)
    async with api.client(token("a", role="MANAGER")) as client:
        pause = await client.post(f"/api/v1/accounts/{account['id']}/pause", json={"paused": True})
        remove = await client.delete(f"/api/v1/accounts/{account['id']}")
        add = await client.post("/api/v1/accounts", json={"login": "x", "password": "x"})
    assert pause.status_code == 200
    assert [_code(remove), _code(add)] == [(403, "role_too_low")] * 2


def _code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
