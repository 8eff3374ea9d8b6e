"""What the routes of saved searches take and give. Prices in roubles."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.models.schemas import Exact, Line, Moment, OrderRow, PageQuery, Roubles

_FILTERS: JsonDict = {
    "categories": ["web-development", "Скрипты, боты и mini apps"],
    "words": {"any": ["бот", "telegram"], "none": ["казино"]},
    "min_price": 5000,
    "max_offers": 10,
    "min_hired_percent": 50,
}

Words = Annotated[list[Annotated[Line, Field(max_length=100)]], Field(max_length=50)]
Percent = Annotated[int, Field(ge=0, le=100)]


class WordsIn(Exact):
    """Words are looked for at the beginnings of words of title and text, in any case; `ё` is `е`. Several words in one
    entry are a phrase."""

    any: Words = Field(default_factory=list, description="At least one of them occurs.")
    all: Words = Field(default_factory=list, description="Each of them occurs.")
    none: Words = Field(default_factory=list, description="None of them occurs.")


class SearchFiltersIn(Exact):
    """What a project must be like; what is left out does not matter. What Kwork does not tell of a project (offers,
    the buyer's hire percent) excludes nothing.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_FILTERS]})

    categories: Annotated[list[Annotated[Line, Field(max_length=100)]], Field(max_length=50)] = Field(
        default_factory=list,
        description="Any of these: id, slug, Russian name or a common alias; a rubric includes its subrubrics.",
    )
    words: WordsIn = Field(default_factory=WordsIn)
    min_price: Roubles | None = Field(
        None, description="Roubles. A project's range from `price` to `max_price` must meet this one's."
    )
    max_price: Roubles | None = Field(None, description="Roubles.")
    max_offers: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        None, description="At most so many offers so far."
    )
    min_hired_percent: Percent | None = Field(None, description="The buyer hires at least so often.")
    with_files: bool | None = Field(None, description="Only with (`true`) or without (`false`) files.")
    with_portfolio: bool | None = Field(
        None, description="Only where the buyer demands a portfolio (`true`), or does not (`false`)."
    )
    open_only: bool = Field(False, description="Not those that show «В работе»: they may still take offers.")


class SearchIn(Exact):
    """A search to save."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Боты", "filters": _FILTERS}]})

    name: Line = Field(max_length=100, description="Shown in its leads.", examples=["Боты"])
    enabled: bool = True
    filters: SearchFiltersIn = Field(default_factory=SearchFiltersIn)
    connection_ids: Annotated[list[UUID], Field(max_length=20)] = Field(
        default_factory=list, description="CRM connections its leads go to; empty: all."
    )


class SearchChange(Exact):
    """What to change; what is left out stays. `filters` are replaced as a whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    name: Line | None = Field(None, max_length=100)
    enabled: bool | None = None
    filters: SearchFiltersIn | None = None
    connection_ids: Annotated[list[UUID], Field(max_length=20)] | None = None


class PreviewIn(Exact):
    """Filters that are not saved yet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"filters": _FILTERS}]})

    filters: SearchFiltersIn = Field(default_factory=SearchFiltersIn)
    limit: int = Field(20, ge=1, le=200, description="Projects to show.")


class RunQuery(BaseModel):
    """What of the exchange becomes leads."""

    backfill: Moment | None = Field(
        None,
        description="Only what (re)appeared on the exchange since then (ISO 8601; without a zone it is UTC); without it "
        "all that is there now.",
        examples=["2026-05-19T00:00:00Z"],
    )


class SearchesQuery(PageQuery):
    """Which searches to show."""


class WordsOut(BaseModel):
    """As they were given."""

    any: list[str]
    all: list[str]
    none: list[str]


class SearchFiltersOut(BaseModel):
    """As they were given."""

    categories: list[str]
    words: WordsOut
    min_price: float | None
    max_price: float | None
    max_offers: int | None
    min_hired_percent: int | None
    with_files: bool | None
    with_portfolio: bool | None
    open_only: bool


class SearchOut(BaseModel):
    """A saved search."""

    id: UUID
    name: str
    enabled: bool
    filters: SearchFiltersOut
    category_ids: list[int] = Field(description="What `filters.categories` mean, subrubrics included.")
    connection_ids: list[UUID] = Field(description="Empty: all connections.")
    lost_connection_ids: list[UUID] = Field(
        description="Those of them that were removed: nothing goes there. If it is all of them, the search makes no leads."
    )
    announce_from: datetime = Field(
        description="What (re)appeared on the exchange before becomes a lead only by `POST searches/{id}/run`."
    )
    matched: int = Field(description="Projects found so far.")
    last_matched_at: datetime | None
    waiting: int = Field(
        description="Projects found whose leads could not be queued yet; tried again by itself."
    )
    waiting_reason: str | None = Field(description="A Russian sentence: why.")
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class DayOut(BaseModel):
    """Projects that appeared on a day of UTC and match."""

    day: date
    matching: int


class PreviewOut(BaseModel):
    """What a search would find."""

    matching: int = Field(description="Projects on the exchange now.", examples=[17])
    per_day: float = Field(
        description="How many appeared a day, over the stored past, 30 days at most.", examples=[4.3]
    )
    days: list[DayOut] = Field(description="The days that had any, oldest first.")
    items: list[OrderRow] = Field(description="The newest of those on the exchange now.")


class SearchRunOut(BaseModel):
    """What a run on demand found."""

    matching: int = Field(description="Projects on the exchange now that match.")
    new: int = Field(description="Those this search had not found before.")
    queued: int = Field(
        description="Leads and contacts that wait for the CRM now; what is there already as it is does not count."
    )
