"""How words of searches are compared with texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.categories import CategoryTree, UnknownCategory
from app.domain.errors import Invalid
from app.domain.kwork import Category
from app.domain.searches import SearchFilters, fold

TREE = CategoryTree(
    [
        Category(11, "Разработка и IT", "programming", None),
        Category(37, "Создание сайтов", "website-development", 11),
        Category(41, "Скрипты, боты и mini apps", "script-programming", 11),
        Category(7, "Тексты", "writing-translations", None),
    ]
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("", ""),
        ("Бот-помощник, ЁЛКА!", " бот помощник елка"),
        ("Нужен C++ и C#, Node.js", " нужен c++ и c# node js"),
        ("вёрстка+натяжка", " верстка+ натяжка"),
        ("И\u0306од", " йод"),
        ("ＦＵＬＬ ﬁle", " full file"),
        ("+++ --- ...", ""),
    ],
)
def test_texts_are_folded_into_words(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.text())
def test_a_text_folds_as_its_parts_do(one: str, other: str) -> None:
    assert fold(f"{one}\n.{other}") == fold(one) + fold(other)


@given(st.text(alphabet="абвёйABC1 -", min_size=1))
def test_case_does_not_matter(text: str) -> None:
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


def test_a_rubric_means_its_subrubrics_and_several_categories_add_up() -> None:
    assert SearchFilters(categories=("programming",)).rule(TREE).category_ids == (11, 37, 41)
    assert SearchFilters(categories=("41", "Тексты")).rule(TREE).category_ids == (7, 41)
    assert SearchFilters().rule(TREE).category_ids == ()


def test_an_unknown_category_names_the_nearest_and_the_field() -> None:
    with pytest.raises(UnknownCategory) as refused:
        SearchFilters(categories=("programing",)).rule(TREE)
    assert "programming" in refused.value.nearest
    assert refused.value.field == "body.filters.categories"


@pytest.mark.parametrize("words", ["any", "all", "none"])
def test_a_word_without_a_letter_is_refused_instead_of_matching_everything(words: str) -> None:
    with pytest.raises(Invalid) as refused:
        SearchFilters(**{f"words_{words}": ("бот", "—")}).rule(TREE)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == ("empty_word", f"body.filters.words.{words}")


def test_a_price_range_that_holds_nothing_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        SearchFilters(price_from_kopecks=2, price_to_kopecks=1).rule(TREE)
    assert refused.value.code == "empty_price_range"
