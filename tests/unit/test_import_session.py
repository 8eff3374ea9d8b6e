"""What is taken for a session brought from elsewhere, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import Invalid
from app.services.import_session import MAX_COOKIES, session_from

GOOD = {"name": "slrememberme", "value": "12_$2y$10$abc", "domain": ".kwork.ru", "path": "/"}


def test_a_browser_extensions_words_are_understood() -> None:
    exported = GOOD | {
        "expirationDate": 1900000000.5,
        "hostOnly": False,
        "sameSite": "no_restriction",
        "id": 3,
    }
    session = session_from(cookies=[exported], host="kwork.ru", user_agent="Firefox")
    assert session.cookies == (
        GOOD | {"expires": 1900000000.5, "httpOnly": False, "secure": False, "sameSite": "None"},
    )
    assert session.user_agent == "Firefox"


@pytest.mark.parametrize(
    ("domain", "is_kept"),
    [("kwork.ru", True), (".kwork.ru", True), ("KWORK.RU", True), (".ru", True), ("api.kwork.ru", False),
     ("notkwork.ru", False), ("kwork.ru.evil.example", False)],
)  # fmt: skip
def test_only_cookies_that_kwork_would_get_are_kept(domain: str, is_kept: bool) -> None:
    marker = GOOD | {"name": "other"}
    session = session_from(cookies=[marker, GOOD | {"domain": domain}], host="kwork.ru")
    assert len(session.cookies) == (2 if is_kept else 1)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"cookies": "slrememberme=1"}, "cookies"),
        ({"cookies": {}}, "cookies"),
        ({"cookies": [3]}, "cookies[0]"),
        ({"cookies": [GOOD, GOOD | {"name": ""}]}, "cookies[1].name"),
        ({"cookies": [GOOD | {"name": "a b"}]}, "cookies[0].name"),
        ({"cookies": [GOOD | {"value": "a\r\nSet-Cookie: x=1"}]}, "cookies[0].value"),
        ({"cookies": [GOOD | {"value": "a;b"}]}, "cookies[0].value"),
        ({"cookies": [GOOD | {"value": None}]}, "cookies[0].value"),
        ({"cookies": [GOOD | {"value": "x" * 9000}]}, "cookies[0].value"),
        ({"cookies": [GOOD | {"domain": 5}]}, "cookies[0].domain"),
        ({"cookies": [GOOD | {"path": "login"}]}, "cookies[0].path"),
        ({"cookies": [GOOD | {"expires": "tomorrow"}]}, "cookies[0].expires"),
        ({"cookies": [GOOD | {"expires": float("nan")}]}, "cookies[0].expires"),
        ({"cookies": [GOOD] * (MAX_COOKIES + 1)}, "cookies"),
        ({"cookies": [GOOD | {"value": "x" * 8000}] * 60}, "cookies"),
        ({"storage_state": [GOOD]}, "storage_state"),
        ({"storage_state": {"origins": []}}, "storage_state.cookies"),
    ],
)
def test_a_malformed_session_is_refused_naming_the_place(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        session_from(**given, host="kwork.ru")
    assert refused.value.field == field


def test_a_session_of_another_site_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        session_from(cookies=[GOOD | {"domain": "example.com"}], host="kwork.ru")
    assert refused.value.code == "session_foreign"
