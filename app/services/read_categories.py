"""Kwork's categories for filters and for showing their names: as last read, else as captured."""

from __future__ import annotations

import time

from app.core.database import Database
from app.domain.categories import CategoryTree
from app.marketplaces.kwork.rubricator import captured_categories
from app.repositories.category_list import stored_categories

REFRESH_SECONDS = 300.0


class Categories:
    """The tree, kept in the process for ``REFRESH_SECONDS``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tree: CategoryTree | None = None
        self._fresh_until = 0.0

    async def tree(self) -> CategoryTree:
        """What was read from Kwork over what was captured."""
        if self._tree is None or time.monotonic() >= self._fresh_until:
            async with self._database.shared() as connection:
                stored = await stored_categories(connection)
            self._tree = CategoryTree([*captured_categories(), *stored])
            self._fresh_until = time.monotonic() + REFRESH_SECONDS
        return self._tree
