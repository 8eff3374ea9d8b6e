"""Texts come back from Kwork changed: what it does to them makes no difference, what people write does."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.sameness import levelled, same_text
from sandbox.world.texts import as_stored

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("ёЁеабв ampltgbr9 \n\t\"«»“”'’&<>;/#\u00a0\u200b-—.,"), st.characters(codec="utf-8")
    ),
    max_size=80,
)
WORDS = st.text(alphabet="абвёе9xyz—!?", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ('Сделаю "под ключ" за день', "Сделаю «под ключ» за день"),
        ("Магазин «Ромашка»", 'Магазин "Ромашка"'),
        ("Цена < 500 & > 100", "Цена &lt; 500 &amp; &gt; 100"),
        ("один\n\n\nдва", "один\nдва"),
        ("один\nдва", "один<br />\nдва"),
        ("<p>один</p><p>два</p>", "один\nдва"),
        ("<b>Жирно</b>, и дальше", "Жирно, и дальше"),
        ("  с  пробелами \u00a0 ", "с пробелами"),
        ("неразрывный пробел", "неразрывный\u00a0пробел"),
        ("что-то&nbsp;ещё", "что-то ещё"),
        ("it's", "it’s"),
    ],
)
def test_what_kwork_does_to_a_text_makes_no_difference(sent: str, read: str) -> None:
    assert same_text(sent, read)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("все сделаю", "всё сделаю"),
        ("Цена 500", "Цена 5000"),
        ("да", "Да"),
        ("один два", "два один"),
        ("не беру", "беру"),
        ("слитно", "слит но"),
        ("", "что-то"),
    ],
)
def test_what_people_wrote_does(one: str, other: str) -> None:
    assert not same_text(one, other)


@given(TEXTS)
def test_a_text_is_the_same_as_itself_stored_and_read_any_way(text: str) -> None:
    stored = as_stored(text)
    assert same_text(text, stored)
    assert same_text(text, html.unescape(stored))
    assert same_text(text, html.unescape(stored).replace("\n", "<br>"))


@given(TEXTS)
def test_levelling_twice_changes_nothing_more(text: str) -> None:
    assert levelled(levelled(text)) == levelled(text)


@given(TEXTS)
def test_markup_stripped_by_kwork_makes_no_difference(text: str) -> None:
    assert same_text(text, re.sub(r"<[^<>]*>", "", text).strip())


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_other_words_are_another_text(one: list[str], other: list[str]) -> None:
    assume(one != other)
    assert not same_text(" ".join(one), "\n".join(other))
