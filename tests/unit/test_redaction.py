"""What every log line loses, whoever wrote it."""

from __future__ import annotations

import pytest

from app.core.redaction import cover_fields, covered_text

CANARY = "c4nary-5ecret"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /api/v1/orders?access_token={CANARY}&page=2",
        f"GET /x?page=2&api_key={CANARY}",
        f"GET /x?a=1&client_secret={CANARY}",
        f"GET /oauth?code={CANARY}&state=1",
        f"GET /x?X-Amz-Signature={CANARY}",
        f"connecting to postgresql://kwork:{CANARY}@db:5432/kwork failed",
        f"redis://:{CANARY}@cache/0",
        f"Client error '401' for url 'https://crm.example.ru/rest/1/{CANARY}/crm.lead.add.json'",
        f"Authorization: Bearer {CANARY}",
        f"authorization: basic {CANARY}",
        f"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{CANARY}",
    ],
)
def test_a_secret_is_taken_out_by_where_it_stands(text: str) -> None:
    assert CANARY not in covered_text(text)
    assert "***" in covered_text(text)


@pytest.mark.parametrize(
    "name",
    ["password", "new_password", "api_key", "token", "refresh_token", "Authorization", "cookies", "client_secret",
     "credentials_keys", "signature", "session_id", "crm_api_key", "X-Api-Key"],
)  # fmt: skip
@pytest.mark.parametrize("nested", [False, True])
def test_a_secret_is_taken_out_by_the_name_of_its_field(name: str, nested: bool) -> None:
    line = {"event": "x", name: CANARY}
    line = {"event": "x", "headers": [{name: CANARY}]} if nested else line
    assert CANARY not in repr(cover_fields(line))


def test_what_is_no_secret_stays() -> None:
    line = {
        "event": "GET /api/v1/orders?page=2&q=bearer of news HTTP/1.1 200",
        "code": "rejected", "reason_code": "x", "tenant": "studio", "count": 3, "key": "kwork:order:5",
        "address": "http://127.0.0.1:8000", "error": "ReadTimeout", "done": True, "secret_names": ["api_key"],
        "docs": "https://example.ru/docs?topic=tokens",
    }  # fmt: skip
    assert cover_fields(dict(line)) == line
