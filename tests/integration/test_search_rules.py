"""What a rule finds, in SQL, against the same thing said in Python."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.database import Database
from app.domain.kwork import Attachment, Project, ProjectStatus
from app.domain.searches import Rule, fold
from app.repositories.markets import Markets
from app.repositories.matching import ProjectsByRule
from tests.exchange import project
from tests.search_bed import SearchBed, fresh

WORDS = ["бот", "Боты", "работа", "робот", "сайт", "веб-сайт", "C++", "Ёлка", "елки", "1С"]
SEPARATORS = [" ", ", ", "-", "\n", "/"]
texts = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SEPARATORS)), max_size=5).map(
    lambda parts: "".join(word + separator for word, separator in parts)
)
terms = st.lists(
    st.sampled_from(["бот", "сайт", "c", "c++", "ёлк", "бот сайт", "1с", "работа"]).map(fold), max_size=2
).map(tuple)
kopecks = st.sampled_from([0, 100, 200, 300])
perhaps = st.none() | st.booleans()

projects = st.builds(
    lambda **given: replace(project(5), expires_at=datetime.now(UTC) + timedelta(days=1), **given),
    title=texts.map("Заказ, ".__add__),
    description=texts,
    status=st.sampled_from([*[ProjectStatus.ACTIVE] * 6, *ProjectStatus]),
    category_id=st.sampled_from([None, 37, 41, 7]),
    parent_category_id=st.sampled_from([None, 11]),
    price_kopecks=kopecks,
    max_price_kopecks=kopecks,
    offers=st.none() | st.integers(0, 3),
    buyer_hired_percent=st.none() | st.sampled_from([0, 50, 100]),
    files=st.sampled_from([(), (Attachment("1", "a.txt", None),)]),
    portfolio_required=perhaps,
)
WISHES = {
    "category_ids": st.sampled_from([(), (37,), (11, 37, 41), (7,)]),
    "words_any": terms,
    "words_all": terms,
    "words_none": terms,
    "price_from_kopecks": kopecks,
    "price_to_kopecks": kopecks,
    "offers_to": st.integers(0, 3),
    "hired_percent_from": st.sampled_from([0, 50, 100]),
    "with_files": st.booleans(),
    "with_portfolio": st.booleans(),
    "open_only": st.booleans(),
}
# One wish or two: with many of them hardly a project passes, and the most of them go untested.
rules = st.lists(
    st.sampled_from(sorted(WISHES)).flatmap(lambda name: st.tuples(st.just(name), WISHES[name])), max_size=2
).map(lambda wishes: Rule(**dict(wishes)))


def occurs(term: str, text: str) -> bool:
    """As a phrase whose last word may go on."""
    wanted, words = term.split(), fold(text).split()
    return any(
        words[at : at + len(wanted) - 1] == wanted[:-1] and words[at + len(wanted) - 1].startswith(wanted[-1])
        for at in range(len(words) - len(wanted) + 1)
    )


def in_text(term: str, one: Project) -> bool:
    return occurs(term, one.title) or occurs(term, one.description)


def finds(rule: Rule, one: Project) -> bool:
    ceiling = max(one.price_kopecks, one.max_price_kopecks)
    wishes = {
        "listed": one.status in (ProjectStatus.ACTIVE, ProjectStatus.IN_WORK, ProjectStatus.UNKNOWN),
        "open": not rule.open_only or one.status is not ProjectStatus.IN_WORK,
        "category": not rule.category_ids
        or one.category_id in rule.category_ids
        or one.parent_category_id in rule.category_ids,
        "from": rule.price_from_kopecks is None or ceiling >= rule.price_from_kopecks,
        "to": rule.price_to_kopecks is None or one.price_kopecks <= rule.price_to_kopecks,
        "offers": None in (rule.offers_to, one.offers) or one.offers <= rule.offers_to,  # type: ignore[operator]
        "hired": None in (rule.hired_percent_from, one.buyer_hired_percent)
        or one.buyer_hired_percent >= rule.hired_percent_from,  # type: ignore[operator]
        "files": rule.with_files in (None, bool(one.files)),
        "portfolio": rule.with_portfolio in (None, bool(one.portfolio_required)),
        "any": not rule.words_any or any(in_text(term, one) for term in rule.words_any),
        "all": all(in_text(term, one) for term in rule.words_all),
        "none": not any(in_text(term, one) for term in rule.words_none),
    }
    return all(wishes.values())


class _Undo(Exception):
    pass


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=projects, some=st.lists(rules, min_size=4, max_size=12))
async def test_sql_finds_what_the_rule_says(database: Database, one: Project, some: list[Rule]) -> None:
    with pytest.raises(_Undo):
        async with database.shared() as connection:
            await Markets(connection).save([one])
            found = [bool(await ProjectsByRule(connection).listed(rule)) for rule in some]
            assert found == [finds(rule, one) for rule in some]
            raise _Undo


@pytest.mark.parametrize(
    ("wish", "title", "description", "is_found"),
    [
        ({"words_any": ("бот",)}, "Нужен чат-Бот", "", True),
        ({"words_any": ("бот",)}, "Работа", "Робот", False),
        ({"words_all": ("бот",)}, "Работа", "Робот", False),
        ({"words_all": ("бот", "сайт")}, "Бот", "для сайта", True),
        ({"words_none": ("бот",)}, "Работа", "Робот", True),
        ({"words_none": ("бот",)}, "Работа", "боты", False),
        ({"words_any": ("бот сайт",)}, "бот", "сайт", False),
        ({"words_any": ("бот сайт",)}, "Бот, сайты", "", True),
    ],
)
async def test_words_are_looked_for_where_words_begin_and_phrases_in_one_text(
    database: Database, wish: dict[str, tuple[str, ...]], title: str, description: str, is_found: bool
) -> None:
    rule = Rule(**{name: tuple(map(fold, words)) for name, words in wish.items()})  # type: ignore[arg-type]
    async with database.shared() as connection:
        await Markets(connection).save([fresh(20, title=title, description=description)])
        assert bool(await ProjectsByRule(connection).listed(rule)) == is_found


async def test_a_rubrics_new_subrubric_belongs_to_it(
    search_bed: SearchBed, owner: asyncpg.Connection
) -> None:
    """Kwork adds one: nobody has to save his search again."""
    await search_bed.save("a", categories=("programming",))
    await owner.execute("INSERT INTO kwork_categories (id, parent_id, name) VALUES (9001, 11, 'Новая')")
    await search_bed.poll(fresh(20, category_id=9001, parent_category_id=None))
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}


async def test_a_card_without_its_category_matches_once_the_category_is_told(search_bed: SearchBed) -> None:
    await search_bed.save("a", categories=("41",))
    await search_bed.poll(fresh(20, category_id=None))
    assert await search_bed.leads("a") == {}
    await search_bed.poll(fresh(20, category_id=41))
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}
