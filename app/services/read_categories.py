"""Kwork's categories for filters and for showing their names: as last read, else as captured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from app.core.database import Database
from app.domain.categories import CategoryTree
from app.domain.kwork import Category
from app.marketplaces.kwork.rubricator import captured_categories
from app.repositories.category_list import categories_read_at, stored_categories

LOOK_SECONDS = 15.0
"""How often a process looks whether another one has read them anew."""


class Categories:
    """The tree, kept in the process until the categories are read again."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._tree: CategoryTree | None = None
        self._read_at: datetime | None = None
        self._look_at = 0.0

    async def tree(self) -> CategoryTree:
        """What was read from Kwork over what was captured."""
        if self._tree is None or self._now() >= self._look_at:
            self._tree = await self._fresh()
            self._look_at = self._now() + LOOK_SECONDS
        return self._tree

    async def _fresh(self) -> CategoryTree:
        async with self._database.shared() as connection:
            read_at = await categories_read_at(connection)
            if self._tree is not None and read_at == self._read_at:
                return self._tree
            stored = await stored_categories(connection)
        self._read_at = read_at
        return CategoryTree(_over_captured(stored))


def _over_captured(stored: list[Category]) -> list[Category]:
    """A slug that Kwork's mobile surface does not tell is the captured one."""
    captured = {category.id: category for category in captured_categories()}
    slugs = {number: category.slug for number, category in captured.items()}
    return [
        *captured.values(),
        *(replace(one, slug=one.slug or slugs.get(one.id)) for one in stored),
    ]
