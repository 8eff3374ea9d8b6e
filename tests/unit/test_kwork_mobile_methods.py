"""What may be called at all, and with which names."""

from __future__ import annotations

import base64

import pytest

from app.domain.errors import CapabilityUnavailable, Invalid
from app.domain.kwork import ProjectFilter
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.methods import METHODS, ForbiddenCall, allows
from app.marketplaces.kwork.transport import Leave, Transport
from tests.kwork_mobile import NOW, SESSION, Prepared, prepared

FORBIDDEN = [  # money, passwords, deletion of accounts and gigs, what nobody needs
    "payOrderAwaitingPayment",
    "rechargeBalance",
    "approveOrder",
    "deleteAccount",
    "changePassword",
    "deleteKwork",
    "addStage",
    "trackRead",
    "markInboxTracksAsRead",
    "",
    "actor/../deleteAccount",
]

WRITES = {
    *("deleteOffer", "workerInprogress", "sendReport", "updateStageProgress", "sendOrderForApproval"),
    *("suggestStages", "createStage", "editStage", "deleteStage"),
    *("acceptStageSuggestion", "rejectStageSuggestion", "cancelOrderByWorker"),
    *("confirmCancelOrderRequestByWorker", "rejectCancelOrderRequestByWorker"),
    *("deleteCancelOrderRequestByWorker", "inboxCreate", "inboxRead", "startKwork", "pauseKwork"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_what_is_not_listed_never_leaves(name: str) -> None:
    kwork = Prepared({})
    calls = Calls(
        Transport("https://api.kwork.test", allows=lambda *_: True, inner=kwork), "k:k", SESSION, web_url=""
    )
    with pytest.raises(ForbiddenCall):
        await calls.call(name)
    assert kwork.asked == []
    assert not allows("POST", f"/{name}")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("getOrderDetails", "order_id"), ("getOrderProvidedData", "orderId"), ("project", "project_id")],
)
async def test_a_parameter_by_its_other_name_never_leaves(name: str, wrong: str) -> None:
    kwork = Prepared({})
    calls = Calls(Transport("https://api.kwork.test", allows=allows, inner=kwork), "k:k", SESSION, web_url="")
    with pytest.raises(ForbiddenCall):
        await calls.call(name, {wrong: 1})
    assert kwork.asked == []


def test_only_post_is_allowed_and_what_cannot_be_taken_back_only_with_a_marker() -> None:
    assert allows("POST", "/actor") is Leave.FREELY
    assert allows("POST", "/inboxCreate") is Leave.MARKED
    assert allows("GET", "/actor") is Leave.NEVER
    assert {name for name, method in METHODS.items() if method.irrevocable} == WRITES


def test_no_listed_name_sounds_like_money_or_passwords() -> None:
    dangerous = (
        "pay",
        "balance",
        "password",
        "approveorder",
        "withdraw",
        "recharge",
        "account",
        "deletekwork",
    )
    assert not [name for name in METHODS if any(word in name.lower() for word in dangerous)]


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_a_change_cannot_be_called_like_a_reading(name: str) -> None:
    kwork = Prepared({})
    calls = Calls(Transport("https://api.kwork.test", allows=allows, inner=kwork), "k:k", SESSION, web_url="")
    with pytest.raises(ForbiddenCall):
        await calls.call(name)
    assert kwork.asked == []


@pytest.mark.parametrize("key", ["app:key", base64.b64encode(b"app:key").decode(), " Basic YXBwOmtleQ== "])
async def test_the_app_key_is_sent_in_whatever_form_it_was_given(key: str) -> None:
    surface, kwork = prepared({"categories": {"success": True, "response": []}}, key=key)
    await surface.categories()
    assert kwork.headers[0]["authorization"] == "Basic YXBwOmtleQ=="


async def test_without_a_key_or_a_session_nothing_leaves() -> None:
    keyless, first = prepared(key="  ")
    signed_out, second = prepared(session=None)
    with pytest.raises(CapabilityUnavailable) as no_key:
        await keyless.own_profile()
    with pytest.raises(CapabilityUnavailable) as no_session:
        await signed_out.own_profile()
    assert (no_key.value.code, no_session.value.code) == (
        "kwork_mobile_key_missing",
        "kwork_mobile_signed_out",
    )
    assert first.asked == second.asked == []


async def test_public_readings_carry_no_token() -> None:
    surface, kwork = prepared({"user": {"success": True, "response": {"id": 7, "username": "buyer"}}})
    await surface.user_profile(7)
    assert kwork.asked == [("user", {"id": "7"})]


async def test_private_readings_carry_token_and_device_but_do_not_show_the_seller_online() -> None:
    surface, kwork = prepared({"dialogs": {"success": True}})
    await surface.dialogs(2)
    assert kwork.asked == [("dialogs", {"page": "2", "token": "canary-token", "uad": "canary-device"})]


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (ProjectFilter(), {"categories": "all"}),
        (ProjectFilter(categories=(41, 37)), {"categories": "41,37"}),
        (ProjectFilter(offers_from=5, offers_to=10), {"kworks_filter_from": "4", "kworks_filter_to": "10"}),
        (ProjectFilter(offers_from=0, offers_to=0), {"kworks_filter_to": "0"}),
        (ProjectFilter(offers_from=1), {"kworks_filter_from": "0"}),
        (
            ProjectFilter(price_from_kopecks=100_050, price_to_kopecks=300_099),
            {"price_from": "1001", "price_to": "3000"},
        ),
        (ProjectFilter(query="бот", hired_percent_from=50), {"query": "бот", "hiring_from": "50"}),
    ],
)
async def test_a_filter_is_said_in_kworks_words(wanted: ProjectFilter, asked: dict[str, str]) -> None:
    surface, kwork = prepared({"projects": {"success": True}})
    await surface.projects(wanted, 3)
    form = {key: value for key, value in kwork.asked[0][1].items() if key not in ("token", "uad")}
    assert form == {"categories": "all", "page": "3"} | asked


@pytest.mark.parametrize("redirect", ["https://evil.test/", "//evil.test", "projects", ""])
async def test_the_bridge_leads_nowhere_else(redirect: str) -> None:
    surface, kwork = prepared({})
    with pytest.raises(Invalid):
        await surface.web_auth_url(redirect)
    assert kwork.asked == []


async def test_the_bridge_trusts_no_host_that_kwork_names() -> None:
    told = {"token": "a&b", "url": "https://evil.test/login-by-token?web_auth_token=a"}
    surface, _ = prepared({"getWebAuthToken": {"success": True, "response": told}})
    assert await surface.web_auth_url("/projects") == "https://kwork.test/login-by-token?web_auth_token=a%26b"


@pytest.mark.parametrize(
    ("expired", "days"),
    [(2_592_000, 30), ("31536000", 365), (None, None), (0, None), (-1, None), (10**12, None)],
)
async def test_both_documented_lifetimes_of_a_session_are_believed(expired: object, days: int | None) -> None:
    answer = {"success": True, "response": {"token": "t", "expired": expired, "need_2fa": False}}
    surface, kwork = prepared({"signIn": answer}, session=None)
    session = await surface.sign_in(
        "me", "secret", uad="device", captcha_response="solved", phone_last="1234"
    )
    assert (None if session.expires_at is None else (session.expires_at - NOW).days) == days
    assert kwork.asked[0][1] == {
        "login": "me",
        "password": "secret",
        "uad": "device",
        "g-recaptcha-response": "solved",
        "phone_last": "1234",
    }
    assert "secret" not in repr(session)
