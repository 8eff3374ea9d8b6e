"""Wire values become ours or name the field that drifted, never its value."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import LayoutChanged
from app.marketplaces.kwork import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
READERS = [
    values.integer,
    values.count,
    values.identifier,
    values.signed_kopecks,
    values.kopecks,
    values.display_kopecks,
    values.moscow,
    values.unix,
    values.raw_text,
    values.text,
    values.label,
    values.truth,
    values.mapping,
    values.sequence,
]


@pytest.mark.parametrize(
    ("reader", "wire", "ours"),
    [
        (values.integer, "286", 286),
        (values.integer, -1, -1),
        (values.integer, 12.0, 12),
        (values.kopecks, "1500.00", 150_000),
        (values.kopecks, 1500, 150_000),
        (values.kopecks, 99.99, 9_999),
        (values.kopecks, "0.1", 10),
        (values.signed_kopecks, "-12.50", -1_250),
        (values.display_kopecks, "1\u00a0500&nbsp;₽", 150_000),
        (values.display_kopecks, "2 300,50 руб.", 230_050),
        (values.moscow, "2026-05-20 00:30:00", datetime(2026, 5, 19, 21, 30, tzinfo=UTC)),
        (values.unix, "1779220800", datetime(2026, 5, 19, 20, 0, tzinfo=UTC)),
        (values.text, " Лого &quot;Ёлка&quot; &amp;lt;b&amp;gt; ", 'Лого "Ёлка" &lt;b&gt;'),
        (values.text, "ряд\ud83d\x00ом", "рядом"),
        (values.truth, "1", True),
        (values.truth, 0, False),
        (values.mapping, [], {}),
    ],
)
def test_a_wire_value_is_read(reader: values.Reader[object], wire: object, ours: object) -> None:
    assert reader(wire, "field") == ours


@pytest.mark.parametrize(
    ("reader", "wire"),
    [
        (values.integer, True),
        (values.integer, "12 шт."),
        (values.integer, "١٢"),
        (values.integer, 10**30),
        (values.integer, "9" * 5000),
        (values.identifier, 0),
        (values.count, -3),
        (values.kopecks, "NaN"),
        (values.kopecks, float("inf")),
        (values.kopecks, -1),
        (values.kopecks, "договорная"),
        (values.kopecks, [1500]),
        (values.moscow, "20.05.2026 10:00"),
        (values.moscow, "2026-02-30 10:00:00"),
        (values.moscow, "0001-01-01 00:00:00"),
        (values.unix, -5),
        (values.unix, 10**17),
        (values.text, 5),
        (values.label, "  "),
        (values.truth, "да"),
        (values.mapping, "{}"),
        (values.sequence, {}),
    ],
)
def test_a_value_of_another_kind_names_its_field_and_not_itself(
    reader: values.Reader[object], wire: object
) -> None:
    with pytest.raises(LayoutChanged) as caught:
        reader(wire, "wants[3].field")
    assert caught.value.path == "wants[3].field"
    assert str(wire)[:40] not in str(caught.value) or str(wire) in ("0", "  ")


@given(st.sampled_from(READERS), JSON)
def test_any_json_is_read_or_refused_as_drift(reader: values.Reader[object], wire: object) -> None:
    try:
        reader(wire, "x")
    except LayoutChanged as error:
        assert error.path == "x"


@pytest.mark.parametrize("raw", ["", "{", "[" * 200_000, '{"a": ' + "9" * 5000 + "}", b"\xff\xfe\x00"])
def test_unreadable_json_is_drift(raw: str | bytes) -> None:
    with pytest.raises(LayoutChanged):
        values.parse_json(raw, "answer")


def test_a_required_field_that_is_gone_raises_with_its_path() -> None:
    with pytest.raises(LayoutChanged) as caught:
        values.Fields({"priceLimit": None}, "wants[3]").need(values.kopecks, "priceLimit")
    assert caught.value.path == "wants[3].priceLimit"


def test_an_expected_field_that_is_gone_is_noted_and_the_item_lives() -> None:
    drift = values.Drift()
    fields = values.Fields({"files": {"x": 1}, "name": "Имя", "note": ""}, "wants[0]", drift)
    assert fields.expect(values.count, "kwork_count") is None
    assert fields.may(values.sequence, "files") is None
    assert fields.may(values.text, "note") is None
    assert fields.need(values.label, "title", "name") == "Имя"
    assert drift.paths == ("wants[0].kwork_count", "wants[0].files")
