"""Profiles that are wrong: each fault has its path, its code and a sentence, and no value is ever told."""

import contextlib
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.validation import described
from app.crm.profile.compiled import ready
from app.crm.profile.model import Create, Means, Profile
from app.crm.profile.reading import NotAProfile, load, preset_names
from app.crm.templates.filters import FILTERS
from app.domain.crm import LeadStatus
from tests.profile_kit import SECRET, SMALL, settings


def faults(profile: str = SMALL, **given: Any) -> list[dict[str, str]]:
    """As the API tells them. Raises AssertionError when there are none."""
    with pytest.raises(ValidationError) as caught:
        settings(profile, **given)
    assert SECRET not in str(caught.value)
    return [described(one) for one in caught.value.errors(include_input=False, include_url=False)]


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


ALL_NEW = "statuses: {new: A, offered: A, in_progress: A, on_review: A, arbitration: A, payment_due: A, won: B, lost: C}"
BODY = '{name: "{{ lead.name }}", key: "{{ lead.external_id }}"}'

BAD: dict[str, tuple[str, str, str, str]] = {
    "a typing error in a name": (changed("version: 1", "version: 1\nleed: 1"), "profile.leed", "extra_forbidden", "такого поля нет"),
    "a missing part": (changed('  update: {path: "/contacts/{{ id }}"}\n', ""), "profile.contact.update", "missing", "обязательное"),
    "an unknown version": (changed("version: 1", "version: 2"), "profile.version", "literal_error", "1"),
    "an unknown status of ours": (SMALL + "statuses: {wonn: A}", "profile", "unknown_stage", "нет таких статусов: wonn"),
    "a status without a stage": (SMALL + "statuses: {won: A}", "profile", "unknown_stage", "не сказано, какой этап"),
    "a stage the CRM lacks": (SMALL + ALL_NEW + "\nstages: [{id: A, name: A}, {id: B, name: B}]", "profile", "unknown_stage", "этапов C нет"),
    "broken YAML": (SMALL + "\nx: [1, 2\n", "profile", "profile_syntax", "строка"),
    "a tab": ("version:\t1\n\tname: x", "profile", "profile_syntax", "строка 1, столбец 9"),
    "an anchor": (SMALL + "rate: &x {per_second: 1}", "profile", "profile_syntax", "якорей"),
    "a tag": (SMALL + "rate: !!python/object/apply:os.system [ls]", "profile", "profile_syntax", "меток"),
    "a name twice": (SMALL + "version: 1", "profile", "profile_syntax", "дважды"),
    "no map": ("- 1", "profile", "profile_syntax", "объект"),
    "bottomless lists": ("a: " + "[" * 1000, "profile", "profile_syntax", "глубокая"),
    "an unknown preset": ("extends: nothing", "profile", "profile_syntax", "есть bottlecrm"),
    "a broken template": (changed(BODY, '{name: "{{ lead.name"}'), "profile.lead.create.body.name", "template_syntax", "ошибка в шаблоне"),
    "an unknown field": (changed(BODY, '{name: "{{ lead.nmae }}"}'), "profile.lead.create.body.name", "template_unknown_name", "поля lead.nmae нет"),
    "a contact in a lead": (changed(BODY, '{name: "{{ contact.name }}"}'), "profile.lead.create.body.name", "template_unknown_name", "имени contact"),
    "a value nobody declared": (changed(BODY, '{name: "{{ values.nobody }}"}'), "profile.lead.create.body.name", "template_unknown_name", "values.nobody"),
    "a secret in a body": (changed(BODY, '{a: [{b: "{{ secrets.api_key }}"}]}'), "profile.lead.create.body.a.item0.b", "template_secret", "secret_headers"),
    "a secret in an address": (changed("/leads?key={{ key }}", "/leads?key={{ key }}&t={{ secrets.api_key }}"), "profile.lead.find.path", "template_secret", "secret_headers"),
    "a secret in an open header": (SMALL + 'headers: {X-Open: "{{ secrets.api_key }}"}', "profile.headers.X-Open", "template_secret", "secret_headers"),
    "a secret in a note": (SMALL + 'note: {path: /n, body: {t: "{{ secrets.api_key }}"}}', "profile.note.body.t", "template_secret", "secret_headers"),
    "a secret nobody declared": (changed("secrets.api_key", "secrets.other"), "profile.secret_headers.X-Key", "template_unknown_name", "secrets.other"),
    "a loop for ever": (changed(BODY, '{a: "{% for i in range(1000000000) %}x{% endfor %}"}'), "profile.lead.create.body.a", "template_forbidden", "вызывать"),
    "a body that grows": (changed(BODY, "'{% set a = lead.name %}" + "{% set a = a ~ a %}" * 20 + "{\"a\": {{ a }}}'"), "profile.lead.create.body", "template_too_expensive", "затратен"),
    "a body of no map": (changed(BODY, "[1]"), "profile.lead.create.body", "body_shape", "объект"),
    "a text that is no JSON": (changed(BODY, "'{\"name\": \"{{ lead.name }}\"}'"), "profile.lead.create.body", "template_failed", "не JSON"),
    "a template that fails on a bare lead": (changed(BODY, '{d: "{{ lead.deadline ~ lead.metadata }}"}'), "profile.lead.create.body.d", "template_failed", "tojson"),
    "a broken query": (changed("rows: items", "rows: 'items['"), "profile.lead.find.rows", "query_syntax", "JMESPath"),
    "a query of an unknown function": (changed("rows: items", "rows: f(items)"), "profile.lead.find.rows", "query_forbidden", "функции f"),
    "an address outside": (changed("path: /contacts,", "path: 'https://elsewhere.example',"), "profile.contact.create.path", "string_pattern_mismatch", "вид"),
    "a header that is ours": (SMALL + "headers: {Host: elsewhere.example}", "profile.headers", "header_taken", "сервис"),
    "a status that is none": (SMALL + "answers: [{status: 999, means: created}]", "profile.answers.item0.status.item0", "string_pattern_mismatch", "вид"),
    "a meaning that is none": (SMALL + "answers: [{status: 200, means: fine}]", "profile.answers.item0.means", "literal_error", "created"),
    "pages nobody turns": (changed("rows: items,", "rows: items, page: {size: 10},"), "profile.lead.find.path", "page_unused", "page.number"),
    "looking first without a look-up": (changed("  create: {path: /contacts,", "  create: {look_first: true, path: /contacts,"), "profile.contact", "needs_find", "find"),
    "two steps of one name": (SMALL + "check: [{name: a, path: /a}, {name: a, path: /b}]", "profile", "same_name", "a"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_profile_is_refused_by_path(name: str) -> None:
    profile, path, code, words = BAD[name]
    found = faults(profile)
    assert (path, code) in [(one["field"], one["code"]) for one in found], found
    assert any(words in one["message"] for one in found), found
    assert all(re.search("[а-я]", one["message"]) for one in found), found


def test_every_fault_is_told_at_once() -> None:
    profile = (
        changed("lead.name", "lead.nmae")
        .replace("contact.name", "contact.nmae")
        .replace("key: key", "key: '['")
    )
    assert [one["field"] for one in faults(profile)] == [
        "profile.lead.create.body.name",
        "profile.lead.create.key",
        "profile.lead.find.key",
        "profile.lead.read.key",
        "profile.contact.create.body.name",
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"secrets": {}}, "secrets_missing"),
        ({"secrets": {"api_key": "x", "other": "y"}}, "secrets_unknown"),
        ({"secrets": {"api_key": "x\ny"}}, "secret_shape"),
        ({"secrets": {"api_key": ""}}, "secret_shape"),
        ({"secrets": {"api_key": "ключ"}}, "header_value"),
        ({"values": {"other": "1"}}, "values_unknown"),
        ({"base_url": None}, "base_url_missing"),
        ({"base_url": "https://user:pass@crm.example.com"}, "base_url"),
        ({"base_url": "ftp://crm.example.com"}, "base_url"),
        ({"preset": "contract"}, "profile_missing"),
        ({"profile": None}, "profile_missing"),
        ({"profile": None, "preset": "nothing"}, "no_such_preset"),
        ({"profile": "x" * 70_000}, "string_too_long"),
        ({"profile": "ы" * 40_000}, "profile_syntax"),
    ],
)
def test_what_stands_beside_a_profile_must_fit_it(given: dict[str, Any], code: str) -> None:
    assert code in [one["code"] for one in faults(**given)]


def test_no_error_and_no_text_of_settings_holds_a_secret() -> None:
    given = settings()
    assert SECRET not in repr(given) + str(given) + given.model_dump_json()
    with pytest.raises(ValidationError) as caught:
        settings(secrets={"api_key": SECRET, SECRET: SECRET})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_sound_and_holds_no_secret(name: str) -> None:
    profile = ready(f"extends: {name}")
    assert profile.source.secrets
    assert set(profile.stages) == set(LeadStatus)
    stages = {stage.id for stage in profile.source.stages}
    assert not stages or set(profile.stages.values()) <= stages


def test_a_profile_extends_a_preset_line_by_line() -> None:
    profile = load("extends: put\nname: Своя\nlead: {find: null, create: {body: {budget: null, sum: 1}}}")
    assert profile["name"] == "Своя"
    assert "find" not in profile["lead"]
    assert profile["lead"]["update"] == {
        "path": "/api/v1/leads/{{ id }}",
        "id": "not_null(id, data.id)",
        "method": "PUT",
    }
    assert "budget" not in profile["lead"]["create"]["body"]
    assert profile["lead"]["create"]["body"]["sum"] == 1
    assert profile["contact"]["find"]


def test_plain_words_of_yaml_stay_words() -> None:
    read = load("a: no\nb: on\nc: 2026-03-05\nd: 0777\ne: 1:30\nf: true\ng: 12\nh: ~\ni: .inf\nj: <<")
    assert read == {
        "a": "no", "b": "on", "c": "2026-03-05", "d": "0777", "e": "1:30", "f": True, "g": 12, "h": None, "i": ".inf",
        "j": "<<",
    }  # fmt: skip


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_profile_or_told_to_be_none(text: str) -> None:
    with contextlib.suppress(NotAProfile):
        assert isinstance(load(text), dict)


_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["{{ lead.name }}", "{% if", "{{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        ["lead", "contact", "answers", "rate", "stages", "statuses", "set_up", "headers", "note"]
    ),
    _TREES,
)
def test_any_shape_is_sound_or_told_to_be_wrong(part: str, tree: Any) -> None:
    data = yaml.safe_load(SMALL) | {part: tree}
    text = yaml.safe_dump(data, allow_unicode=True)
    try:
        ready(text)
    except ValidationError as error:
        assert error.error_count()


_DOCS = Path(__file__).parents[2] / "docs" / "crm-profile.md"
_EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", _DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(_EXAMPLES)))
def test_an_example_of_the_guide_is_a_sound_profile(number: int) -> None:
    assert ready(_EXAMPLES[number])


def test_the_guide_names_every_key_filter_preset_and_code() -> None:
    text = _DOCS.read_text("utf-8")
    wanted = {*Profile.model_fields, *Create.model_fields, *FILTERS, *preset_names(), *get_args(Means)}
    assert [word for word in sorted(wanted) if not re.search(rf"`[^`\n]*\b{word}\b", text)] == []
