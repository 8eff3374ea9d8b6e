"""Saved searches on the exchange: what a tenant asks for, and how words are compared.

Words match at the beginning of words, whatever their case, ``ё`` like ``е``: ``бот`` finds «бота» and «Бот-помощник»,
but not «работа». Several words in one entry are a phrase. What Kwork does not tell of a project (how many offers it
has, how often its buyer hires) excludes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from app.domain.categories import CategoryTree, UnknownCategory
from app.domain.errors import Invalid

_WORD = re.compile(r"\w+[+#]*")  # C++ and C# are words


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """What a tenant asks for, in his own words. Empty and ``None``: does not matter. Prices in kopecks, inclusive."""

    categories: tuple[str, ...] = ()
    """Ids, slugs, Russian names or aliases, as ``CategoryTree`` knows them."""
    words_any: tuple[str, ...] = ()
    words_all: tuple[str, ...] = ()
    words_none: tuple[str, ...] = ()
    price_from_kopecks: int | None = None
    price_to_kopecks: int | None = None
    offers_to: int | None = None
    hired_percent_from: int | None = None
    with_files: bool | None = None
    with_portfolio: bool | None = None
    open_only: bool = False

    def rule(self, tree: CategoryTree) -> Rule:
        """What is compared with projects. Raises ``UnknownCategory`` or ``Invalid``, with the field of the body."""
        ends = (self.price_from_kopecks, self.price_to_kopecks)
        if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
            raise Invalid(
                "Цена «от» больше цены «до».", field="body.filters.min_price", code="empty_price_range"
            )
        return Rule(
            category_ids=_category_ids(self.categories, tree),
            words_any=_terms(self.words_any, "any"),
            words_all=_terms(self.words_all, "all"),
            words_none=_terms(self.words_none, "none"),
            **{name: getattr(self, name) for name in _AS_GIVEN},
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """What is compared with projects. Empty and ``None``: does not matter. Prices in kopecks, both ends inclusive."""

    category_ids: tuple[int, ...] = ()
    """With their subrubrics. A project whose category is not told matches no category."""
    words_any: tuple[str, ...] = ()
    """Folded words (``fold``): at least one occurs in title or text."""
    words_all: tuple[str, ...] = ()
    words_none: tuple[str, ...] = ()
    price_from_kopecks: int | None = None
    """A project matches when its range from the buyer's wish to the ceiling of offers meets the rule's."""
    price_to_kopecks: int | None = None
    offers_to: int | None = None
    hired_percent_from: int | None = None
    with_files: bool | None = None
    with_portfolio: bool | None = None
    """Whether the buyer demands a portfolio."""
    open_only: bool = False
    """Not those whose hint says that somebody is at work already."""


@dataclass(frozen=True, slots=True)
class Search:
    """A saved search."""

    id: UUID
    name: str
    enabled: bool
    filters: SearchFilters
    category_ids: tuple[int, ...]
    connection_ids: tuple[UUID, ...]
    announce_from: datetime
    """What (re)appeared on the exchange before is no news: it becomes a lead only when that is asked for."""
    matched: int
    last_matched_at: datetime | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    waiting: int
    """Projects it found whose leads could not be queued yet; ``waiting_reason``: why."""
    waiting_reason: str | None
    lost_connection_ids: tuple[UUID, ...]
    """Of ``connection_ids`` those that are no more."""


@dataclass(frozen=True, slots=True)
class Match:
    """A project that one of the tenant's searches found."""

    search_id: UUID
    project_id: int
    name: str = ""
    """The search's name; empty before the match is recorded."""
    connection_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a rule would find: projects on the exchange now, and those of past days by when they appeared."""

    listed: int
    days: tuple[tuple[date, int], ...]
    """Days of UTC, oldest first."""
    per_day: float


def fold(text: str) -> str:
    """Text as terms are looked for in it: its words, each with a space before it."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("ё", "е")
    return "".join(f" {word}" for word in _WORD.findall(plain))


def _terms(words: Iterable[str], field: str) -> tuple[str, ...]:
    """What is looked for in folded texts."""
    found = tuple(dict.fromkeys(fold(word) for word in words))
    if "" in found:
        raise Invalid(
            "В слове для поиска нет ни буквы, ни цифры.",
            field=f"body.filters.words.{field}",
            code="empty_word",
        )
    return found


def _category_ids(names: Iterable[str], tree: CategoryTree) -> tuple[int, ...]:
    found: set[int] = set()
    for name in names:
        try:
            found.update(tree.find(name))
        except UnknownCategory as error:
            error.field = "body.filters.categories"
            raise
    return tuple(sorted(found))


_AS_GIVEN = (
    "price_from_kopecks", "price_to_kopecks", "offers_to", "hired_percent_from", "with_files", "with_portfolio",
    "open_only",
)  # fmt: skip
