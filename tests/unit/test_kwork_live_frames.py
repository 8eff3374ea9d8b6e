"""Frames of Kwork's websocket: every spelling is understood, nothing that comes does harm."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.live import EVERYWHERE, Hint
from app.marketplaces.kwork.live import hint_of
from sandbox.notice.frames import GARBAGE

MESSAGE = {
    "event": "new_inbox",
    "data": {"from": 7, "to_user_id": "12", "inbox_id": 3, "title": "Кто-то: «эй» + %"},
}


def frame(inner: Any, wrap: Any = lambda text: text) -> str:
    return json.dumps({"text": wrap(json.dumps(inner))})


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: text,
        lambda text: f"data:{text}",
        lambda text: f"data: {text}\n",
        quote,
        quote_plus,
        lambda text: f"data:{quote(text)}",
        lambda text: quote(f"data:{text}"),
        lambda text: quote(quote(text)),
        json.dumps,
    ],
    ids=["plain", "data:", "data: with spaces", "quoted", "form-quoted", "data: then quoted", "quoted data:", "twice", "as a string"],
)  # fmt: skip
def test_every_known_spelling_is_read(wrap: Any) -> None:
    assert hint_of(frame(MESSAGE, wrap)) == Hint(dialogs=True, user_ids=frozenset({7, 12}))
    assert hint_of(frame(MESSAGE, wrap).encode()) == hint_of(frame(MESSAGE))


@pytest.mark.parametrize(
    ("inner", "hint"),
    [
        ({"event": "notify", "data": {"new_message": 1, "dialog_data": [{"login": "Buyer"}]}}, Hint(dialogs=True, usernames=frozenset({"buyer"}))),
        ({"event": "notify", "data": {}}, EVERYWHERE),
        ({"event": "notify"}, EVERYWHERE),
        ({"event": "notify", "data": {"dialog_data": {"login": 5}}}, EVERYWHERE),
        ({"event": "pop_up_notify", "data": []}, EVERYWHERE),
        ({"event": "dialog_updated", "data": None}, Hint(dialogs=True)),
        ({"event": "inbox_message_delete", "data": {"id": 1}}, Hint(dialogs=True)),
        ({"event": "new_inbox", "data": {"from": [], "to_user_id": True}}, Hint(dialogs=True)),
        ({"event": "is_typing", "data": {"from": 7}}, Hint()),
        ({"event": "remove_pop_up_notify", "data": {}}, Hint()),
        ({"event": "something new", "data": {"from": 7}}, Hint()),
        ({"event": 5}, Hint()),
        (["event"], Hint()),
        (None, Hint()),
    ],
)  # fmt: skip
def test_an_event_says_where_to_look_and_an_unknown_one_nowhere(inner: Any, hint: Hint) -> None:
    assert hint_of(frame(inner)) == hint


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_leads_nowhere_or_to_a_look_but_never_to_an_error(garbage: str) -> None:
    assert isinstance(hint_of(garbage), Hint)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["event", "data", "from", "dialog_data", "login", "text"]) | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.text() | st.binary() | JSON.map(json.dumps) | JSON.map(frame))
@example('{"text": "\\ud800"}')
@example("[" * 100_000)
def test_whatever_comes_is_no_error(anything: str | bytes) -> None:
    assert isinstance(hint_of(anything), Hint)


def test_hints_add_up() -> None:
    one, two = Hint(dialogs=True, user_ids=frozenset({1})), Hint(orders=True, usernames=frozenset({"b"}))
    assert one | two == Hint(orders=True, dialogs=True, user_ids=frozenset({1}), usernames=frozenset({"b"}))
    assert one | Hint(offers=True) == Hint(dialogs=True, offers=True, user_ids=frozenset({1}))
    assert Hint(offers=True)
    assert not Hint()
