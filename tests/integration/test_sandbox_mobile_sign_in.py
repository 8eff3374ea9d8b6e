"""Sign-in on the mobile surface, the bridge to the web, and which methods need a token."""

from __future__ import annotations

import pytest

from sandbox.world.clock import MINUTE
from tests.mobile_client import Mobile

SIGN_IN_NEEDED = "Необходима авторизация"
BAD_VALUES = "Некорректные значения параметров"
MISSING = "Недостаточно параметров для метода API"


@pytest.fixture
def mobile() -> Mobile:
    return Mobile()


@pytest.fixture
async def token(mobile: Mobile) -> str:
    return await mobile.sign_in()


async def test_a_wrong_password_and_an_unknown_login_get_the_same_words(mobile: Mobile) -> None:
    known = await mobile.call("signIn", login=mobile.accounts[0].login, password="wrong")
    unknown = await mobile.call("signIn", login="nobody@example.org", password="wrong")

    assert known == unknown
    assert known["error"] == "Логин или пароль указаны неверно"


async def test_a_missing_password_is_code_100(mobile: Mobile) -> None:
    answer = await mobile.call("signIn", login=mobile.accounts[0].login)

    assert (answer["error"], answer["error_code"]) == (MISSING, 100)


async def test_a_token_lives_for_its_seconds_and_no_longer(mobile: Mobile) -> None:
    account = mobile.accounts[0]
    answer = await mobile.call("signIn", login=account.login, password=account.password)
    token, life = answer["response"]["token"], answer["response"]["expired"]

    mobile.world.clock.move(life - MINUTE)
    before = await mobile.call("getActorInfo", token)
    mobile.world.clock.move(2 * MINUTE)
    after = await mobile.call("getActorInfo", token)

    assert answer["response"]["need_2fa"] is False
    assert (before["success"], after["error"]) == (True, SIGN_IN_NEEDED)


async def test_a_captcha_is_demanded_until_it_is_answered(mobile: Mobile) -> None:
    mobile.faults.add("captcha", surface="api")
    account = mobile.accounts[0]
    who = {"login": account.login, "password": account.password}

    refused = await mobile.call("signIn", **who)
    pass_token = refused["recaptcha_pass_token"]
    unearned = await mobile.call("signIn", **who, recaptcha_pass_token=pass_token)
    answered = await mobile.call(
        "signIn", **who, **{"g-recaptcha-response": "solved", "recaptcha_pass_token": pass_token}
    )
    spared = await mobile.call("signIn", **who, recaptcha_pass_token=pass_token)

    assert (refused["error_code"], refused["error"]) == (118, "Подтвердите, что вы не робот")
    assert unearned["error_code"] == 118
    assert answered["response"]["token"] and spared["response"]["token"]


async def test_phone_digits_are_demanded_until_they_are_right(mobile: Mobile) -> None:
    mobile.faults.add("phone_digits", surface="api")
    account = mobile.accounts[0]
    who = {"login": account.login, "password": account.password}

    without = await mobile.call("signIn", **who)
    wrong = await mobile.call("signIn", **who, phone_last="0000")
    right = await mobile.call("signIn", **who, phone_last=account.phone_digits)

    words = "Необходимо ввести последние 4 цифры номера телефона."
    assert (without["error"], wrong["error"]) == (words, words)
    assert right["success"] is True


async def test_the_third_sign_in_within_minutes_blocks_the_address_for_every_method(mobile: Mobile) -> None:
    mobile.settings.strict_signin = True
    token = await mobile.sign_in()
    await mobile.sign_in()
    account = mobile.accounts[0]

    third = await mobile.http.post("/signIn", data={"login": account.login, "password": account.password})
    other = await mobile.http.post("/exchangeInfo", data={"token": token})
    mobile.world.clock.move(4 * MINUTE)
    later = await mobile.http.post("/exchangeInfo", data={"token": token})

    assert (third.status_code, third.headers["server"]) == (403, "QRATOR")
    assert (other.status_code, later.status_code) == (403, 200)


async def test_logout_ends_this_token_only(mobile: Mobile, token: str) -> None:
    second = await mobile.sign_in()

    await mobile.call("logout", token)

    assert (await mobile.call("actor", token))["error"] == SIGN_IN_NEEDED
    assert (await mobile.call("actor", second))["success"] is True


async def test_the_bridge_to_the_web_opens_once_and_for_a_minute(mobile: Mobile, token: str) -> None:
    first = (await mobile.call("getWebAuthToken", token, url_to_redirect="/inbox"))["response"]
    second = (await mobile.call("getWebAuthToken", token))["response"]
    sessions = mobile.world.sessions

    crossed = sessions.cross_bridge(first["token"])
    again = sessions.cross_bridge(first["token"])
    mobile.world.clock.move(MINUTE + 1)
    late = sessions.cross_bridge(second["token"])

    assert first["url"] == f"http://127.0.0.1:9/login-by-token?web_auth_token={first['token']}"
    assert crossed and crossed.url_to_redirect == "/inbox"
    assert (again, late) == (None, None)


async def test_the_bridge_leads_to_no_other_site(mobile: Mobile, token: str) -> None:
    answer = await mobile.call("getWebAuthToken", token, url_to_redirect="https://elsewhere.example")

    assert answer["error"] == BAD_VALUES


OPEN = (
    *("categories", "category", "categoryAttributes", "catalogRubrics", "catalogCategories", "user"),
    *(
        "userByUsername",
        "userSearch",
        "userKworks",
        "kworksCategoriesList",
        "portfolioList",
        "getKworkDetails",
    ),
)


@pytest.mark.parametrize("method", OPEN)
async def test_what_is_open_to_the_apps_key_needs_no_token(mobile: Mobile, method: str) -> None:
    answer = await mobile.call(method)

    assert answer.get("error") != SIGN_IN_NEEDED


@pytest.mark.parametrize(
    "method",
    ["projects", "want", "project", "getWantsCount", "offers", "actor", "kworksStatusList", "dialogs"],
)
async def test_the_rest_needs_a_token(mobile: Mobile, method: str) -> None:
    answers = [await mobile.call(method, given, id=1) for given in ("", "0123456789abcdef")]

    assert [answer["error"] for answer in answers] == [SIGN_IN_NEEDED] * 2
