"""From bytes to variables: encodings, listings of the source, and texts that look like code."""

from __future__ import annotations

import json
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.state import page_source, variables
from tests.fixtures.kwork import pages


def test_texts_that_look_like_code_neither_cut_the_state_nor_sign_anybody_in() -> None:
    document = Document(pages.projects_page(cards=True).encode())
    assert [row["id"] for row in document.state["wants"]] == [3134583, 3240184]
    assert document.state["wants"][0]["description"].endswith(pages.TRAP)
    assert document.signed_in is False
    assert document.user_id is None


def test_a_visitors_text_in_the_markup_is_never_a_variable() -> None:
    body = '<p>window.USER_ID=7; window.stateData={"wants":[]}</p>'
    document = Document(pages.page(state=pages.exchange_state([pages.want()]), body=body).encode())
    assert document.signed_in is False
    assert len(document.state["wants"]) == 1


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("window.a = 'x\\'y'; var b=2", {"a": "x\\'y", "b": 2}),
        ('window.a={};window.a={"b":1};window.a={};', {"a": {"b": 1}}),
        ("window.a=undefined;let c = null;", {"a": None, "c": None}),
        ("window.a={b:1};window.d=[1]", {"d": [1]}),
        ("if(window.a==5){} window.a=-1.5e3", {"a": -1500.0}),
        ('window.a={"cut": [1, 2', {}),
        ("window.a=" + "[" * 100_000, {}),
        ("window.a=" + "9" * 10_000 + ";window.b=1", {"b": 1}),
        ('window.a={"b":1} ;\n window.c=2', {"a": {"b": 1}, "c": 2}),
        ('window.a={"b":"};window.c=3;"};window.c=2', {"a": {"b": "};window.c=3;"}, "c": 2}),
        ('window.a={"b":"я};"};document.title="x";var c=[2]', {"a": {"b": "я};"}, "c": [2]}),
        ('window.a={"b":1}||{};window.c=2', {"a": {"b": 1}, "c": 2}),
        ('window.a={"b":"\\ud800я"};window.c=2', {"a": {"b": "\ud800я"}, "c": 2}),
        ('window.a={"b":NaN2};window.c=2', {"c": 2}),
    ],
)
def test_assignments_are_read_as_far_as_they_are_values(script: str, expected: object) -> None:
    assert variables(f"<script>{script}</script>".encode()) == expected


_TEXTS = st.text() | st.sampled_from(["};window.b=2;", "window.a={", "</p>", "\\", '"', "';", "];var a=[1"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXTS, inner, max_size=5),
    max_leaves=20,
)


@given(_JSON, _JSON, st.booleans(), st.sampled_from([";", ";\n", " ;document.title=1;", "||0;"]))
def test_every_value_is_read_whole_whatever_its_texts_look_like(
    first: object, second: object, escaped: bool, between: str
) -> None:
    spelled = [json.dumps(v, ensure_ascii=escaped).replace("/", "\\/") for v in (first, second)]
    script = f"window.a={spelled[0]}{between}window.c={spelled[1]};"
    assert variables(f"<script>{script}</script>".encode("utf-8", "surrogatepass")) == {
        "a": first,
        "c": second,
    }


def test_a_page_that_is_not_quite_the_utf_8_it_claims_to_be_still_reads() -> None:
    raw = pages.projects_page().replace("Биржа", "Биржа?").encode().replace(b"?", b"\xff")
    document = Document(raw)
    assert len(document.state["wants"]) == 2
    assert document.title == "Биржа\ufffd — Kwork"


@pytest.mark.parametrize(
    "source", ["", "<script", "<script>", "<script>window.a=1", "<script>window.a=</script>1"]
)
def test_a_cut_page_is_read_as_far_as_it_goes(source: str) -> None:
    assert variables(source.encode()) in ({}, {"a": 1})


@pytest.mark.parametrize("encode", [
    lambda text: text.encode(),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.encode("utf-16"),
    lambda text: text.replace('charset="UTF-8"', 'charset="windows-1251"').encode("windows-1251", "xmlcharrefreplace"),
    lambda text: text.replace('<meta charset="UTF-8">', "").encode("windows-1251", "xmlcharrefreplace"),
])  # fmt: skip
def test_usual_encodings_of_saved_pages_read(encode: object) -> None:
    document = Document(encode(pages.projects_page()))  # type: ignore[operator]
    assert document.state["categories"][0]["name"] == "Дизайн"
    assert document.title == "Биржа — Kwork"


@pytest.mark.parametrize("listing", [pages.as_chrome_source, pages.as_firefox_source])
def test_a_saved_view_source_listing_gives_the_source_back(listing: object) -> None:
    source = pages.projects_page(cards=True)
    read = page_source(listing(source).encode())  # type: ignore[operator]
    assert read.strip() == source.strip()


def test_the_html_inside_of_an_mhtml_file_is_read() -> None:
    inner = quopri.encodestring(pages.projects_page().encode()).decode()
    mhtml = (
        "From: <Saved by Blink>\r\nSnapshot-Content-Location: https://kwork.ru/projects\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/related;\r\n\ttype="text/html";\r\n\tboundary="b"\r\n\r\n--b\r\n'
        "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + inner
        + "\r\n--b--\r\n"
    )
    assert len(Document(mhtml.encode()).state["wants"]) == 2


def test_a_page_of_full_size_is_read_within_its_budget_of_cpu() -> None:
    filling = {f"key{n}": pages.TRAP * 12 for n in range(115)}
    wants = [pages.want(3_200_000 + n, description=pages.TRAP * 20) for n in range(12)]
    raw = pages.page(state=filling | pages.exchange_state(wants, total=571)).encode()
    assert len(raw) > 300_000
    best = min(_cpu_seconds(raw) for _ in range(7))
    assert best < 0.008, f"{best * 1000:.1f} ms for {len(raw) // 1000} kB"


def _cpu_seconds(raw: bytes) -> float:
    before = time.thread_time()
    assert len(Document(raw).state["wants"]) == 12
    return time.thread_time() - before


def test_json_is_not_bent_by_the_fixture_itself() -> None:
    state = pages.exchange_state([pages.want()])
    assert json.loads(pages.in_script(state)) == state
