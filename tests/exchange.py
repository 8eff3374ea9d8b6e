"""A Kwork that is nothing but its exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.domain.kwork import Page, Person, Project, ProjectFilter, ProjectStatus, Surface


def project(number: int, **changes: object) -> Project:
    at = datetime(2026, 5, 20, tzinfo=UTC) + timedelta(minutes=number)
    made = Project(
        number, f"Проект {number}", "Нужен бот", ProjectStatus.IN_WORK, 41, 100000, 300000, "RUB", at, at,
        datetime.now(UTC) + timedelta(days=1), Person(7, "buyer"), f"https://kwork.ru/projects/{number}", offers=3,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


class Exchange:
    """A Kwork of these pages."""

    def __init__(self, *pages: tuple[Project, ...], left_out: int = 0, tells_last: bool = True) -> None:
        self._pages, self._left_out, self._tells_last = pages, left_out, tells_last
        self.asked: list[int] = []

    async def projects(self, wanted: ProjectFilter, page: int) -> Page[Project]:
        self.asked.append(page)
        items = self._pages[min(page, len(self._pages)) - 1]
        last = len(self._pages) if self._tells_last else None
        return Page(items, page, last, None, Surface.WEB, left_out=self._left_out)

    def drifted_paths(self) -> tuple[str, ...]:
        return ()

    @asynccontextmanager
    async def signed_out(self) -> AsyncIterator[Exchange]:
        yield self
