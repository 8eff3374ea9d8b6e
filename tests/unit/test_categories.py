"""What people call Kwork's categories, and what is found by it."""

from __future__ import annotations

import pytest

from app.domain.categories import ALIASES, CategoryTree, UnknownCategory
from app.domain.kwork import Category
from app.marketplaces.kwork.rubricator import captured_categories

TREE = CategoryTree(captured_categories())


def test_the_captured_rubricator_is_whole() -> None:
    rubrics = [one for one in captured_categories() if one.parent_id is None]
    assert [one.id for one in rubrics] == [15, 11, 5, 17, 45, 7, 83]
    # 61 nodes in all [LIVE].
    assert len(captured_categories()) == 61


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("41", {41}),
        ("script-programming", {41}),
        ("Скрипты, боты и mini apps", {41}),
        ("  СКРИПТЫ,  боты и Mini Apps ", {41}),
        ("script_programming", {41}),
        ("web-development", {37, 38, 79}),
        ("Web Development", {37, 38, 79}),
        ("Верстка", {79}),
        ("вёрстка", {79}),
        ("seo", {17, 72, 71, 59, 56, 44, 43, 273}),
    ],
)
def test_a_category_is_found_by_id_slug_name_or_alias(text: str, ids: set[int]) -> None:
    assert set(TREE.find(text)) == ids


@pytest.mark.parametrize("text", ["design", "programming", "seo", "texts"])
def test_a_rubric_includes_its_subrubrics(text: str) -> None:
    assert len(TREE.find(text)) > 5


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_leads_somewhere(alias: str) -> None:
    assert TREE.find(alias)


@pytest.mark.parametrize(
    ("text", "near"),
    [("web-developement", "web-development"), ("дизаин", "дизайн"), ("mobile-app", "mobile-apps")],
)
def test_an_unknown_category_names_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UnknownCategory) as caught:
        TREE.find(text)
    assert near in caught.value.nearest
    assert near in caught.value.detail


@pytest.mark.parametrize("text", ["999999", "1" * 18, "٤١", "%", "zzzzzz"])
def test_nonsense_is_unknown(text: str) -> None:
    with pytest.raises(UnknownCategory):
        TREE.find(text)


def test_what_was_read_later_replaces_what_was_captured() -> None:
    tree = CategoryTree([*captured_categories(), Category(41, "Боты", "bots-and-scripts", 11)])
    assert tree.find("bots-and-scripts") == (41,)
    assert 41 in tree.find("programming")
