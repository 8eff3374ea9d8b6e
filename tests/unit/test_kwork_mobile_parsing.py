"""Whatever JSON arrives: a declared result or a declared error, nothing else."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import (
    Ambiguous,
    Blocked,
    ChallengeRequired,
    LayoutChanged,
    RateLimited,
    Rejected,
    ServiceError,
)
from app.domain.kwork import OrderStatus, Surface
from app.domain.writing import PlannedCall
from app.marketplaces.kwork.mobile.methods import METHODS
from app.marketplaces.kwork.mobile.surface import MobileSurface
from tests.kwork_mobile import prepared
from tests.unit.test_kwork_mobile_envelope import ORDER, PROJECT

Read = Callable[[MobileSurface], Awaitable[Any]]
READINGS: dict[str, Read] = {
    "projects": lambda surface: surface.projects(),
    "project": lambda surface: surface.project(3240184),
    "connects": lambda surface: surface.connects(),
    "orders": lambda surface: surface.orders(),
    "order_details": lambda surface: surface.order_details(5512345),
    "order_events": lambda surface: surface.order_events(5512345),
    "dialogs": lambda surface: surface.dialogs(),
    "messages": lambda surface: surface.messages("buyer"),
    "recent_messages": lambda surface: surface.recent_messages("buyer"),
    "gigs": lambda surface: surface.gigs(),
    "user_gigs": lambda surface: surface.user_gigs(7),
    "user_profile": lambda surface: surface.user_profile(7),
    "categories": lambda surface: surface.categories(),
    "own_profile": lambda surface: surface.own_profile(),
    "web_auth_url": lambda surface: surface.web_auth_url(),
    "sign_in": lambda surface: surface.sign_in("me", "password", uad="device"),
    "offers": lambda surface: surface.offers(),
    "offer_on": lambda surface: surface.offer_on(3240184),
    "order_permissions": lambda surface: surface.order_permissions(5512345),
    "cancel_reasons": lambda surface: surface.cancel_reasons(5512345),
    "recent_events": lambda surface: surface.recent_events(5512345),
    "may_write": lambda surface: surface.may_write(7),
    "upload": lambda surface: surface.carry_out(PlannedCall(Surface.MOBILE, "POST", "/fileUpload")),
}
WRITES = sorted(name for name, method in METHODS.items() if method.irrevocable)
CLEAR = (Rejected, RateLimited, Blocked, ChallengeRequired, Ambiguous)

HEADER = {"order": {**ORDER, "has_files": True, "isSendForApprovalAvailable": True}, "payer": ORDER["payer"]}
GIG = {"id": 9, "title": "Кворк", "price": 1500, "activity": {"views": 3, "orders": 1}}
LINE = {
    "message_id": 1,
    "from_username": "buyer",
    "to_username": "me",
    "from_id": 7,
    "to_id": 8,
    "time": 1790000000,
}
USER = {"id": 7, "username": "buyer", "skills": [{"id": 1, "name": "бот"}], "rating": "4.8"}
FILE = {"id": 1, "name": "тз.txt", "file_url": "/files/1", "size_in_bytes": 10}
GOOD: dict[str, Any] = {
    "signIn": {"token": "t", "expired": 2592000},
    "getWebAuthToken": {"token": "t"},
    "actor": {**USER, "free_amount": -100.5},
    "projects": [PROJECT],
    "project": PROJECT,
    "want": [{"id": 3240184, "description": "текст", "date_create": 1, "date_active": 2, "date_expire": 3}],
    "workerOrders": {"orders": [ORDER], "paging": {"page": 1, "total": 1, "limit": 10}},
    "getOrderHeader": [HEADER],
    "getOrderDetails": [
        {
            "details": {
                "description": "а",
                "files": [FILE],
                "attributes": [{"name": "Язык", "values": ["ru"]}],
            },
            "stages": [{"id": 1, "number": 1, "title": "этап", "status": 2, "price": 500}],
            "key_tracks": [{"id": 1, "type_id": 23}, {"id": 2, "type_id": 33}],
        }
    ],
    "getOrderProvidedData": [{"message": "данные", "files": [FILE]}],
    "getOrderFiles": [{"id": 2, "fname": "б.txt", "url": "/files/2", "size": 11}],
    "getTracks": {
        "messages": [
            {
                "id": 5,
                "sent_timestamp": 1790000000,
                "type": 23,
                "text": "",
                "title": "Создан",
                "from_id": None,
            }
        ]
    },
    "dialogs": [
        {"user_id": 7, "username": "buyer", "unread_count": 1, "last_message": "а", "time": 1790000000}
    ],
    "inboxes": [{**LINE, "message": "а"}],
    "getInboxTracks": [{**LINE, "message": "а", "entity_type": 9, "message_key": "k"}],
    "kworksStatusList": [{"id": 7, "name": "Активные", "kworks_count": 1, "kworks": [GIG]}],
    "userKworks": [GIG],
    "user": USER,
    "userByUsername": USER,
    "offers": [{"id": 1, "want_id": 3240184, "status": "active", "price": 500, "project": PROJECT}],
    "getOrderCancellationReasons": [
        {"id": "a", "title": "Причина", "subtypes": [{"id": "b", "title": "Часть", "commentRequired": True}]}
    ],
    "isDialogAllow": {"privateMessageStatus": 1, "privateMessageStatuses": {"ALLOW": 1, "DENY": 2}},
    "fileUpload": {"id": 5, "name": "a.txt"},
    "categories": [{"id": 11, "name": "IT", "subcategories": [{"id": 41, "name": "Скрипты"}]}],
}

ENVELOPE = ["success", "response", "error", "error_code", "errors", "paging", "restriction"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1", "0", "1500.00", "", "\ud800", "//[", "http://[", "&#0;", "9" * 40]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "response", "0", "orders", "messages", "paging", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=8,
)


def whole(response: Any) -> dict[str, Any]:
    return {"success": True, "response": response, "connects": {"active_connects": 30, "update_time": -1}}


async def outcome(read: Read, answers: dict[str, object]) -> object:
    surface, _ = prepared(answers)
    try:
        return await read(surface)
    except ServiceError as error:
        assert error.detail
        if isinstance(error, LayoutChanged):
            assert error.path
        return error


@pytest.mark.parametrize("name", READINGS)
async def test_good_answers_read_without_drift(name: str) -> None:
    surface, _ = prepared({method: whole(answer) for method, answer in GOOD.items()})
    await READINGS[name](surface)
    assert surface.drift == ()


@pytest.mark.parametrize("name", READINGS)
@given(answer=values)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_any_json_at_all_gives_only_declared_results(name: str, answer: object) -> None:
    body = json.dumps(answer).encode()
    await outcome(READINGS[name], dict.fromkeys(METHODS, body))


@pytest.mark.parametrize("name", READINGS)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_a_good_answer_with_one_place_spoiled_gives_only_declared_results(
    name: str, data: st.DataObject
) -> None:
    answers: dict[str, object] = {}
    for method, answer in GOOD.items():
        spoiled = json.loads(json.dumps(whole(answer)))
        _spoil(spoiled, data.draw(st.integers(0, 200)), data.draw(values))
        answers[method] = json.dumps(spoiled).encode()
    await outcome(READINGS[name], answers)


@given(
    name=st.sampled_from(WRITES),
    answer=st.one_of(values, st.dictionaries(st.sampled_from(ENVELOPE), values, max_size=4)),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_whatever_answers_a_change_is_a_yes_a_no_or_left_open(name: str, answer: object) -> None:
    surface, _ = prepared({name: json.dumps(answer).encode()})
    try:
        await surface.carry_out(PlannedCall(Surface.MOBILE, "POST", f"/{name}", irrevocable=True), marker)
    except ServiceError as error:
        assert isinstance(error, CLEAR)
        assert error.detail
    else:
        assert isinstance(answer, dict)
        assert answer["success"] in (True, "1", "true")
        assert not answer.get("error_code")


async def marker() -> None:
    """Nothing to remember here."""


def _spoil(node: Any, steps: int, value: object) -> None:
    """Replaces one place of the document, chosen by ``steps``."""
    places = list(_places(node))
    owner, key = places[steps % len(places)]
    owner[key] = value


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in list(items):
        yield node, key
        yield from _places(inner)


async def test_time_left_may_be_a_moment_or_a_rest() -> None:
    rest, _ = prepared({"projects": whole([{**PROJECT, "time_left": 3600}])})
    told, _ = prepared({"projects": whole([{**PROJECT, "time_left": "1790003600"}])})
    by_rest = (await rest.projects()).items[0].expires_at
    by_moment = (await told.projects()).items[0].expires_at
    assert by_rest is not None and by_rest.isoformat() == "2026-11-23T13:00:00+00:00"
    assert by_moment is not None and by_moment.timestamp() == 1790003600


async def test_order_details_gather_four_calls_and_each_file_once() -> None:
    surface, kwork = prepared({method: whole(answer) for method, answer in GOOD.items()})
    details = await surface.order_details(5512345)
    assert [method for method, _ in kwork.asked] == [
        "getOrderHeader",
        "getOrderDetails",
        "getOrderProvidedData",
        "getOrderFiles",
    ]
    assert [file.name for file in details.files] == ["тз.txt", "б.txt"]
    assert details.files[0].url == "https://kwork.test/files/1"
    assert details.order.status is OrderStatus.IN_PROGRESS
    assert (details.provided_data, details.attributes) == ("данные", {"Язык": "ru"})


async def test_an_answer_about_another_order_is_not_taken_for_this_one() -> None:
    surface, _ = prepared({method: whole(answer) for method, answer in GOOD.items()})
    with pytest.raises(LayoutChanged) as caught:
        await surface.order_details(1)
    assert caught.value.path == "getOrderHeader.response[0].order.id"


async def test_a_thread_that_repeats_itself_ends() -> None:
    said = {"messages": [{"id": 5, "sent_timestamp": 1790000000, "type": 0, "text": "привет"}]}
    surface, kwork = prepared({"getTracks": whole(said)})
    events = await surface.order_events(5512345)
    assert [(event.kind, event.text) for event in events] == [("message", "привет")]
    assert len(kwork.asked) == 2


async def test_gigs_whose_pages_never_end_are_drift() -> None:
    endless = {"success": True, "response": [GIG], "paging": {"page": 1, "total": 10**6, "limit": 1}}
    group = [{"id": 7, "name": "Активные", "kworks_count": 10**6, "kworks": [GIG]}]
    surface, kwork = prepared({"actor": whole(USER), "kworksStatusList": whole(group), "userKworks": endless})
    with pytest.raises(LayoutChanged):
        await surface.gigs()
    assert len(kwork.asked) < 60


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("/files/avatar/big/name.jpg", "https://kwork.test/files/avatar/big/name.jpg"),
        ("https://cdn.kwork.test/a.jpg?x=1&amp;y=2", "https://cdn.kwork.test/a.jpg?x=1&y=2"),
        ("javascript:alert(1)", None),
        ("//[", None),
        ("", None),
    ],
)
async def test_only_web_addresses_become_links(told: str, read: str | None) -> None:
    surface, _ = prepared({"user": whole({**USER, "profilepicture": told})})
    profile = await surface.user_profile(7)
    assert profile.picture_url == read
    assert surface.drift == (() if read or not told else ("user.response.profilepicture",))
