"""The language of templates and queries: what it can, what it refuses, and that nothing runs away."""

import contextlib
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crm.profile.queries import Query, QueryFailed
from app.crm.templates.language import Loose, Refused, Scope
from app.crm.templates.rendering import (
    AddressTemplate,
    BodyTemplate,
    JsonTemplate,
    TemplateFailed,
    TextTemplate,
    ValueTemplate,
)

SCOPE: Scope = {"lead": frozenset({"name", "price", "note", "deadline", "metadata", "text"}), "key": None}
LEAD: dict[str, Any] = {
    "name": 'Сайт "под ключ"',
    "price": 1_200_050,
    "note": None,
    "deadline": datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
    "metadata": Loose({"kind": "order"}),
    "text": "x" * 200_000,
}
VALUES = {"lead": LEAD, "key": "kwork:order:1"}


def value(source: str) -> Any:
    return ValueTemplate("here", source, SCOPE).value(VALUES)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("{{ lead.name }}", 'Сайт "под ключ"'),
        ("Заказ: {{ lead.name }}", 'Заказ: Сайт "под ключ"'),
        ("{{ lead.price | money }}", 12000.5),
        ("{{ lead.price | money(digits=2) }}", "12000.50"),
        ("{{ -5 | money(digits=2) }}", "-0.05"),
        ("{{ lead.price // 100 + 1 }}", 12001),
        ("{{ lead.note }}", None),
        ("{{ lead.note | default('нет') }}", "нет"),
        ("{{ lead.note | money }}", None),
        ("{{ lead.deadline }}", "2026-03-05T12:00:00Z"),
        ("{{ lead.deadline | isodate('date') }}", "2026-03-05"),
        ("{{ lead.deadline | unixtime }}", 1772712000),
        ("{{ lead.metadata }}", {"kind": "order"}),
        ("{{ lead.metadata.nobody_knows }}", None),
        ("{{ lead.metadata | extend(a=1, b=none) }}", {"kind": "order", "a": 1}),
        ("{{ lead['name'][:4] ~ '!' ~ 1 }}", "Сайт!1"),
        ("{{ 'дорого' if lead.price > 1000 else 'дёшево' }}", "дорого"),
        ("{{ {'order': 10, 'project': 20}[lead.metadata.kind] }}", 10),
        ("{{ lead.metadata.kind in ['order', 'project'] }}", True),
        ("{% for x in ['a', 'b'] %}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}", "a,b"),
        ("{% set short = lead.name | truncate(5) %}{{ short }}", "Сайт…"),
        ("{{ 'a-b-c' | replace('-', '+') | upper }}", "A+B+C"),
        ("{{ ['a', 1] | join('; ') }}", "a; 1"),
        ("{{ 'kwork:order:1?' | b64url }}", "a3dvcms6b3JkZXI6MT8"),
        ("{{ 'user:pass' | b64 }}", "dXNlcjpwYXNz"),
        ("{{ 'Анна Мария Примерова' | first_word }}/{{ 'Анна Мария Примерова' | other_words }}", "Анна/Мария Примерова"),
        ("{{ '12' | int }}", 12),
    ],
)  # fmt: skip
def test_a_template_makes_a_value(source: str, made: Any) -> None:
    assert value(source) == made


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ lead.name", "template_syntax"),
        ("{% if lead.name %}", "template_syntax"),
        ("{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", "template_syntax"),
        ("{{ " + "-" * 5000 + "1 }}", "template_syntax"),
        ("{{ 1 " + "+ 1 " * 1500 + "}}", "template_syntax"),
        ("{{ 1 " + "+ 1 " * 50 + "}}", "template_forbidden"),
        ("{{ secrets.api_key }}", "template_secret"),
        ("{{ secret }}", "template_secret"),
        ("{{ lead.nmae }}", "template_unknown_name"),
        ("{{ lead['nmae'] }}", "template_unknown_name"),
        ("{{ nobody }}", "template_unknown_name"),
        ("{{ self }}", "template_unknown_name"),
        ("{{ config }}", "template_unknown_name"),
        ("{% set lead = 1 %}", "template_forbidden"),
        ("{% for x in range(10 ** 9) %}x{% endfor %}", "template_forbidden"),
        ("{{ lead.name.upper() }}", "template_forbidden"),
        ("{{ ''.join(lead.name) }}", "template_forbidden"),
        ("{{ 9 ** 9 ** 9 }}", "template_forbidden"),
        ("{{ 99999999999999999999 }}", "template_forbidden"),
        ("{{ [lead.text, lead.text] }}", "template_forbidden"),
        ("{% set x = {'a': lead} %}", "template_forbidden"),
        ("{% macro m() %}{% endmacro %}", "template_forbidden"),
        ("{% include 'x' %}", "template_forbidden"),
        ("{% import 'x' as y %}", "template_forbidden"),
        ("{% extends 'x' %}", "template_forbidden"),
        ("{% filter upper %}x{% endfilter %}", "template_forbidden"),
        ("{% set x %}y{% endset %}", "template_forbidden"),
        ("{{ lead.name | center(1000000000) }}", "template_forbidden"),
        ("{{ lead.name | attr('__class__') }}", "template_forbidden"),
        ("{{ [1] | map('upper') }}", "template_forbidden"),
        ("{{ lead.name | default(*[1]) }}", "template_forbidden"),
        ("{% for a in lead.text recursive %}{% endfor %}", "template_forbidden"),
        ("{% for a in 'x' %}{% for b in 'x' %}{% for c in 'x' %}{% endfor %}{% endfor %}{% endfor %}", "template_forbidden"),
        ("{# " + "x" * 9000 + " #}", "template_too_big"),
    ],
)  # fmt: skip
def test_what_does_not_belong_to_the_language_is_refused(source: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        ValueTemplate("here", source, SCOPE)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "source",
    [
        "{{ lead.name.__class__ }}",
        "{{ lead.__class__ }}",
        "{{ lead['__class__'] }}",
        "{{ lead.metadata.items }}{{ lead.deadline.year }}",
        "{{ key.format }}",
        "{% for x in 'ab' %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in 'ab' %}{{ loop.cycle }}{% endfor %}",
        "{{ 'a' * 10 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1 / 0 }}",
        "{{ lead.metadata ~ 'x' }}",
        "{{ lead.name | money }}",
        "{{ lead.metadata | extend(a=lead.metadata) }}",
    ],
)
def test_nothing_of_python_is_in_reach(source: str) -> None:
    try:
        made = ValueTemplate("here", source, SCOPE).value(VALUES)
    except (Refused, TemplateFailed):
        return
    assert made == "", source  # a field of a free map that is not there


DOUBLING = "{% set a = lead.text %}" + "{% set a = a ~ a %}" * 40
RUNAWAYS = [
    "{% for a in lead.text %}{% for b in lead.text %}x{% endfor %}{% endfor %}",
    "{% for a in lead.text %}{% set b = lead.text | upper | lower | trim %}{% endfor %}",
    "{% for a in lead.text %}{{ lead.text }}{% endfor %}",
    DOUBLING,
    DOUBLING.replace("a ~ a", "a + a"),
    "{% set a = 'ab' %}" + "{% set a = a | replace('a', 'abab') %}" * 40,
    "{% set a = lead.text | replace('x', lead.text) %}",
    "{% set a = lead.text | join(lead.text) %}",
    "{% set a = 10 %}" + "{% set a = a * a %}" * 40,
    "{% set a = lead.metadata | tojson %}" + "{% set a = a | tojson | trim | tojson %}" * 30,
]


@pytest.mark.parametrize("source", RUNAWAYS)
def test_a_template_that_runs_away_is_cut(source: str) -> None:
    """By steps, lengths or the thread's own time; never by luck."""
    template = TextTemplate("here", source, SCOPE)
    tracemalloc.start()
    before = time.thread_time()
    try:
        with pytest.raises(TemplateFailed) as failed:
            template.render(VALUES)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert failed.value.code == "template_too_expensive", failed.value
    assert time.thread_time() - before < 5.0  # traced memory makes it several times slower
    assert failed.value.path == "here"


@given(st.text(), st.text())
def test_no_value_breaks_out_of_an_address(name: str, key: str) -> None:
    template = AddressTemplate("here", "/leads/{{ key }}/x?name={{ lead.name }}&end=1", SCOPE)
    try:
        made = template.render({"lead": LEAD | {"name": name}, "key": key})
    except TemplateFailed:
        assert {name, key} & {".", ".."} or any("\ud800" <= c <= "\udfff" for c in name + key)
        return
    path, _, query = made.partition("?")
    first, _, end = query.partition("&")
    assert (path.count("/"), end) == (3, "end=1")
    assert unquote(path.split("/")[2]) == key
    assert unquote(first.removeprefix("name=")) == name


@given(st.text(st.characters(codec="utf-8")))
def test_no_value_breaks_out_of_json(name: str) -> None:
    values = {"lead": LEAD | {"name": name}}
    text = JsonTemplate("here", '{"name": {{ lead.name }}, "more": [{{ lead.metadata }}]}', SCOPE)
    assert text.body(values) == {"name": name, "more": [{"kind": "order"}]}
    tree = BodyTemplate("here", {"a": ["{{ lead.name }}"], "b": "x {{ lead.name }}"}, SCOPE, [])
    made = tree.render(values)
    assert orjson.loads(orjson.dumps(made)) == made
    assert made["a"] == [name]


@pytest.mark.parametrize("path", ["{{ key }}", "leads", "/a b", "/a#b", "/a\\b", "/ы"])
def test_an_address_that_is_none_fails(path: str) -> None:
    with pytest.raises(TemplateFailed):
        AddressTemplate("here", path, SCOPE).render(VALUES)


def test_what_is_none_is_not_sent_and_takes_its_emptied_parents_along() -> None:
    body = {
        "name": "{{ lead.name }}",
        "note": "{{ lead.note }}",
        "contacts": ["{{ lead.note }}"],
        "custom": {"note": "{{ lead.note }}", "deep": {"note": "{{ lead.note }}"}},
        "tags": [],
        "fixed": {"on": True, "n": 5},
        "free": "{{ lead.metadata }}",
    }
    made = BodyTemplate("here", body, SCOPE, []).render({"lead": LEAD | {"metadata": Loose(a=None, b=1)}})
    assert made == {
        "name": LEAD["name"],
        "tags": [],
        "fixed": {"on": True, "n": 5},
        "free": {"b": 1},
    }


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("items[", "query_syntax"),
        ("nosuch(@)", "query_forbidden"),
        ("join(@, @)", "query_forbidden"),
        ("a" * 600, "query_too_big"),
        ("[@, @][] | " * 8 + "@", "query_forbidden"),
        ("[[[[[[[@,@],[@,@]],[[@,@],[@,@]]],[[[@,@]]]]]]]", "query_forbidden"),
    ],
)
def test_a_query_that_is_none_or_multiplies_an_answer_is_refused(source: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        Query(source)
    assert refused.value.code == code


def test_a_query_over_a_huge_answer_is_cut() -> None:
    with pytest.raises(QueryFailed, match="затратно"):
        Query("[*].a.b.c.d").of([{"a": {}}] * 100_000)
    assert len(Query("[?a=='1'].id").of([{"a": "1", "id": n} for n in range(250)])) == 250


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_a_query_meets_any_answer(data: Any) -> None:
    for source in (
        "not_null(items, data, @)",
        "[open.items, closed.items][]",
        "id",
        "sum(@)",
        "[?key=='x'] | [0].id",
    ):
        with contextlib.suppress(QueryFailed):
            Query(source).of(data)
