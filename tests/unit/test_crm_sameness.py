"""What counts as the same value, however a CRM writes it."""

import pytest

from app.crm.sameness import is_same


@pytest.mark.parametrize(
    ("sent", "held", "same"),
    [
        (1500, "1500.00", True),
        (1500.5, 1500.5, True),
        (1500, None, False),
        (1500, "полторы", False),
        ("Имя", " Имя\r\n", True),
        ("Имя", "имя", False),
        ("", None, True),
        ("2026-03-05T12:00:00Z", "2026-03-05T15:00:00+03:00", True),
        ("2026-03-05T12:00:00Z", "2026-03-05T12:00:00+03:00", False),
        ({"a": 1}, {"a": "1", "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": 1}, None, False),
        (["a", "b"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
        (True, True, True),
        (True, 1, True),
        (None, None, True),
    ],
)
def test_values_are_compared_by_what_they_mean(sent: object, held: object, same: bool) -> None:
    assert is_same(sent, held) is same
