"""Reads Kwork's categories anew, once a day for all tenants and processes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.core.database import Database
from app.core.database_errors import DATABASE_DOWN
from app.domain.errors import LayoutChanged, ServiceError
from app.domain.kwork import Category
from app.marketplaces.kwork.rubricator import captured_categories
from app.repositories.category_list import save_categories, stored_categories
from app.repositories.shared_reads import CATEGORIES, SharedReads

log = structlog.get_logger(__name__)

_LEASE_SECONDS = 120.0
_FRESH_SECONDS = 24 * 3600.0
_PAUSE_SECONDS = 1800.0
"""After an attempt that failed; meanwhile what was read before, or captured, serves."""
_NEVER_AGAIN_SECONDS = 100 * 365 * 24 * 3600.0


class ReadsCategories(Protocol):
    """The part of ``KworkClient`` this needs."""

    async def categories(self) -> tuple[Category, ...]:
        """The whole tree."""
        ...


@dataclass(frozen=True, slots=True)
class CategoriesRead:
    """What a reading came to. ``drift``: the path that kept it from being believed."""

    read: int = 0
    new: int = 0
    drift: str | None = None


class RefreshCategories:
    """Signed out, so for nobody's account. It never stops the work it goes along with."""

    def __init__(
        self, database: Database, signed_out: Callable[[], AbstractAsyncContextManager[ReadsCategories]]
    ) -> None:
        self._database = database
        self._signed_out = signed_out
        self._holder = f"categories-{uuid.uuid4()}"
        self._turn = asyncio.Lock()

    async def if_due(self) -> CategoriesRead:
        """Reads them when the last reading is a day old; an attempt that failed is repeated after half an hour."""
        return await self._read(_FRESH_SECONDS)

    async def if_never_read(self) -> CategoriesRead:
        """For the first start: from then on syncs keep them fresh."""
        return await self._read(_NEVER_AGAIN_SECONDS)

    async def _read(self, fresh_seconds: float) -> CategoriesRead:
        async with self._turn:
            return await self._read_in_turn(fresh_seconds)

    async def _read_in_turn(self, fresh_seconds: float) -> CategoriesRead:
        async with self._database.shared() as connection:
            mine = await SharedReads(connection, CATEGORIES).begin(
                self._holder, _LEASE_SECONDS, fresh_seconds=fresh_seconds, pause_seconds=_PAUSE_SECONDS
            )
        if not mine:
            return CategoriesRead()
        state, reason = "failed", "interrupted"
        try:
            found = await self._read_and_save()
            state, reason = "done", ""
        except LayoutChanged as error:
            reason = error.code
            log.warning("categories_drifted", path=error.path)
            return CategoriesRead(drift=error.path)
        except ServiceError as error:
            reason = error.code
            log.warning("categories_not_read", code=error.code)
            return CategoriesRead()
        finally:
            with suppress(*DATABASE_DOWN):
                async with self._database.shared() as connection:
                    await SharedReads(connection, CATEGORIES).end(self._holder, state, reason or None)
        log.info("categories_read", read=found.read, new=found.new)
        return found

    async def _read_and_save(self) -> CategoriesRead:
        async with self._signed_out() as client:
            found = await client.categories()
        async with self._database.shared() as connection:
            known = [*captured_categories(), *await stored_categories(connection)]
            _expect_most(found, {category.id for category in known})
            return CategoriesRead(len(found), await save_categories(connection, found))


def _expect_most(found: Sequence[Category], known: Collection[int]) -> None:
    """Rubrics come and go one by one: a tree that lacks most of them is not Kwork's new tree."""
    kept = sum(category.id in known for category in found)
    if 2 * kept < len(known):
        raise LayoutChanged("most of the known categories are missing", path="categories")
