"""Whatever bytes come, a parser gives a result or an error that it declares; and no parser goes without such a test."""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api import cursors, told_by_crms
from app.core import claims
from app.core.depth import is_too_deep
from app.domain.errors import Invalid, VendorError
from app.marketplaces.kwork import bodies, live
from app.marketplaces.kwork.browser import sent_form
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.pages.categories import read_categories, unwrap_categories
from app.marketplaces.kwork.web.pages.order_pages import read_order_rows, read_track
from app.marketplaces.kwork.web.pages.profile import read_profile
from app.marketplaces.kwork.web.reading import Way
from app.models.schemas import PageQuery
from app.outside import gateway_keys, introspection
from tests.fixtures.kwork import pages
from tests.stand import ROOT

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PARSERS: dict[str, str] = {
    "app/api/cursors.py": "tests/unit/test_parsers_fuzzed.py",
    "app/api/told_by_crms.py": "tests/unit/test_parsers_fuzzed.py",
    "app/core/claims.py": "tests/unit/test_parsers_fuzzed.py",
    "app/crm/answers.py": "tests/unit/test_crm_profile_connector.py",
    "app/crm/amocrm/access.py": "tests/unit/test_crm_amocrm_answers.py",
    "app/crm/amocrm/answers.py": "tests/unit/test_crm_amocrm_answers.py",
    "app/crm/amocrm/errors.py": "tests/unit/test_crm_amocrm_answers.py",
    "app/crm/bitrix24/answers.py": "tests/unit/test_crm_bitrix24_words.py",
    "app/crm/bitrix24/errors.py": "tests/unit/test_crm_bitrix24_words.py",
    "app/crm/bitrix24/rest.py": "tests/unit/test_crm_bitrix24_words.py",
    "app/crm/native/connector.py": "tests/unit/test_crm_native_words.py",
    "app/crm/native/standing.py": "tests/unit/test_crm_native_words.py",
    "app/crm/profile/optional.py": "tests/unit/test_crm_profile_connector.py",
    "app/crm/profile/queries.py": "tests/unit/test_crm_profile_language.py",
    "app/crm/profile/reading.py": "tests/unit/test_crm_profile_settings.py",
    "app/crm/refusals.py": "tests/unit/test_crm_native_words.py",
    "app/crm/sameness.py": "tests/unit/test_sameness.py",
    "app/crm/templates/rendering.py": "tests/unit/test_crm_profile_language.py",
    "app/marketplaces/kwork/browser/sent_form.py": "tests/unit/test_parsers_fuzzed.py",
    "app/marketplaces/kwork/live.py": "tests/unit/test_parsers_fuzzed.py",
    "app/marketplaces/kwork/values.py": "tests/unit/test_kwork_web_values.py",
    "app/marketplaces/kwork/web/document.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/guards.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/categories.py": "tests/unit/test_parsers_fuzzed.py",
    "app/marketplaces/kwork/web/pages/gig_form.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/gigs.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/inbox.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/offer_form.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/order_pages.py": "tests/unit/test_parsers_fuzzed.py",
    "app/marketplaces/kwork/web/pages/orders.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/profile.py": "tests/unit/test_parsers_fuzzed.py",
    "app/marketplaces/kwork/web/pages/projects.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/wants.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/pages/cards.py": "tests/unit/test_kwork_web_mutations.py",
    "app/marketplaces/kwork/web/state.py": "tests/unit/test_kwork_web_state.py",
    "app/outside/gateway_keys.py": "tests/unit/test_parsers_fuzzed.py",
    "app/outside/introspection.py": "tests/unit/test_parsers_fuzzed.py",
    **dict.fromkeys(
        (f"app/marketplaces/kwork/mobile/{name}.py" for name in ("envelope", "readers")),
        "tests/unit/test_kwork_mobile_parsing.py",
    ),
}
"""Module → the file whose property tests feed it anything."""

OURS = {
    "app/admin/parser.py": "a command line",
    "app/api/rows.py": "our own rows, as PostgreSQL wrote them",
    "app/core/backup.py": "a backup of ours, checked by its own tests",
    "app/core/database.py": "our own rows",
    "app/core/embedded/addresses.py": "our own file",
    "app/core/secrets.py": "our own file, whose faults are sentences: tests/unit/test_start_secrets.py",
    "app/services/account_access.py": "what we sealed",
    "app/services/keep_tokens.py": "what we sealed",
    "app/services/lead_payloads.py": "our own rows",
    "app/services/note_events.py": "our own rows",
    "app/services/sign_in_locally.py": "answers of our own service",
    "app/services/tenant_connectors.py": "what we sealed",
}
"""Read only what the service wrote itself."""

_READS = re.compile(
    r"json\.loads\(|raw_decode\(|LexborHTMLParser\(|yaml\.(load|parse)\(|jmespath\.|fromisoformat\("
)


def test_every_module_that_reads_what_others_wrote_has_its_property_tests() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "app").rglob("*.py")
        if _READS.search(path.read_text("utf-8"))
    }
    found |= {
        str(path.relative_to(ROOT))
        for path in (ROOT / "app/marketplaces/kwork/web/pages").glob("*.py")
        if path.name != "__init__.py"
    }
    assert sorted(found - PARSERS.keys() - OURS.keys()) == [], "add a property test and name it in PARSERS"
    assert [name for name in (*PARSERS, *OURS) if not (ROOT / name).exists()] == []
    for test in set(PARSERS.values()):
        assert "@given(" in Path(ROOT / test).read_text("utf-8"), test


# Inputs ----------------------------------------------------------------------------------------------

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["\ud800", "\x00", "9" * 400, "2026-05-20T10:00:00Z", "id", 10**400, -(2**63)])
)  # fmt: skip
NAMES = st.text(max_size=8) | st.sampled_from(
    ["id", "name", "keys", "kty", "kid", "crv", "n", "e", "x", "y", "alg", "active", "valid", "data", "event", "text",
     "categories", "children", "username", "userId", "leads", "sub", "exp", "response"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
DEEP = st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"[" * 900 + b"]" * 900])
TEXTS = JSON.map(lambda value: json.dumps(value).encode()) | JSON.map(
    lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
)
RAW = st.binary(max_size=200) | TEXTS | DEEP
BASE64 = RAW.map(cursors.base64.urlsafe_b64encode).map(lambda raw: raw.rstrip(b"=").decode())


def holds(work: Callable[[], Any], *declared: type[Exception]) -> None:
    """No other error than these comes out."""
    with contextlib.suppress(declared):
        work()


# Tests -----------------------------------------------------------------------------------------------


@FEW
@given(BASE64 | st.text(max_size=60))
def test_cursors(text: str) -> None:
    query = PageQuery.model_construct(cursor=text, page=None, limit=50)
    for read in (cursors.order_window, cursors.plain_offset, cursors.page_number):
        holds(lambda read=read: read(query), Invalid)  # type: ignore[misc]
    for position in (cursors.message_position, cursors.moment_position, cursors.number_position):
        holds(lambda read=position: read(text), Invalid)  # type: ignore[misc]


@FEW
@given(RAW | st.lists(st.tuples(NAMES, st.text(max_size=9))).map(
    lambda pairs: "&".join(f"{quote_plus(k, errors='replace')}[{i}][]={quote_plus(v, errors='replace')}" for i, (k, v) in enumerate(pairs)).encode()
))  # fmt: skip
def test_what_crms_tell(raw: bytes) -> None:
    holds(lambda: told_by_crms.decoded(raw), Invalid)


@FEW
@given(BASE64, BASE64 | st.text(max_size=30), st.text(max_size=20))
def test_tokens(head: str, payload: str, signature: str) -> None:
    token = f"{head}.{payload}.{signature}"
    holds(lambda: claims.header_of(token), claims.InvalidToken)
    holds(lambda: claims.StrictJwt(None, 0).read(token, "key" * 20, "HS256"), claims.InvalidToken)


TIMES = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400)])


@FEW
@given(
    st.dictionaries(st.sampled_from(["sub", "type", "jti", "iss", "email", "tenant_id", "role"]), SCALARS),
    TIMES,
    TIMES,
)
def test_claims(found: dict[str, Any], exp: float, iat: float) -> None:
    """Times are numbers by then."""
    payload = {"sub": "somebody", "type": "access", "exp": exp, "iat": iat, **found}
    holds(lambda: claims.claims_of("token", payload), claims.InvalidToken)


@FEW
@given(RAW)
def test_what_the_gateway_says(raw: bytes) -> None:
    holds(lambda: gateway_keys.key_set(raw), ValueError)
    holds(lambda: introspection.verdict(200, raw), introspection.NoAnswer)


@FEW
@given(RAW | st.text(max_size=100))
def test_frames_of_the_live_channel(frame: bytes | str) -> None:
    live.hint_of(frame)


@FEW
@given(
    RAW,
    st.sampled_from(
        ["application/json", "multipart/form-data; boundary=x", "multipart/form-data", "", "a/b", "\n"]
    ),
)
def test_forms_that_a_page_was_about_to_send(raw: bytes, kind: str) -> None:
    for name, value in sent_form.read_form(kind, raw):
        assert isinstance(name, str)
        assert isinstance(value, str)


@FEW
@given(JSON)
def test_category_trees(answer: Any) -> None:
    tree, path = unwrap_categories(answer)
    holds(lambda: read_categories(tree, path, Way.JSON), VendorError)


PAGES = [
    pages.USER,
    *(text for text in (getattr(pages, name, None) for name in ("TRACK", "ORDERS_PAGE")) if text),
]


@FEW
@given(st.sampled_from(PAGES), st.integers(0, 10**9), st.binary(max_size=30))
def test_torn_pages(source: str, seed: int, junk: bytes) -> None:
    chance = random.Random(seed)
    raw = bytearray(source.encode())
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(raw))
        raw[at : at + chance.randrange(40)] = junk
    document = Document(bytes(raw[: chance.randrange(1, len(raw))] if seed % 3 == 0 else raw))
    for read in (read_profile, read_order_rows, read_track):
        holds(lambda read=read: read(document, site="https://kwork.ru"), VendorError)  # type: ignore[misc]


@FEW
@given(
    st.text(max_size=40)
    | st.sampled_from(["1" * 500, "-1", "0", "Fri, 31 Dec 9999 23:59:59 GMT", "nan", "1e9", "١"])
)
def test_how_long_to_wait(value: str) -> None:
    found = bodies.retry_after_seconds(value)
    assert found is None or 1 <= found <= bodies.MAX_RETRY_SECONDS


@FEW
@given(RAW)
def test_depth(raw: bytes) -> None:
    assert is_too_deep(raw, 32) in (True, False)


def test_the_check_can_fail() -> None:
    with pytest.raises(KeyError):
        holds(lambda: {}["x"], ValueError)
