"""Reads Kwork's exchange, once for all tenants.

Incremental: the list is ordered by when projects (re)appeared, so a poll stops at the first page that holds
nothing new or changed. A full pass reads every page and then marks what was on none of them as missing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Set
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from app.core.database import Database
from app.core.database_errors import DATABASE_DOWN
from app.core.metrics import orders_processed
from app.core.patience import when_database_is_back
from app.domain.errors import LayoutChanged, ServiceError
from app.domain.kwork import Page, Project, ProjectFilter
from app.repositories.markets import Markets
from app.repositories.shared_reads import PROJECTS, SharedReads

log = structlog.get_logger(__name__)

_LEASE_SECONDS = 90.0
_END_SECONDS = 10.0
_MOST_PAGES = 500
_EVERYTHING = ProjectFilter()


class ReadsProjects(Protocol):
    """The part of ``KworkClient`` this needs."""

    async def projects(self, wanted: ProjectFilter, page: int) -> Page[Project]:
        """One page of the exchange, newest first."""
        ...

    def drifted_paths(self) -> tuple[str, ...]:
        """What of the readings so far could not be read."""
        ...


@dataclass(slots=True)
class ExchangeCounts:
    """What a reading found. ``written`` counts database rows."""

    pages: int = 0
    read: int = 0
    new: int = 0
    changed: int = 0
    written: int = 0
    missing: int = 0
    drift: tuple[str, ...] = ()
    """Paths of what could not be read although the reading went on."""


class ReadExchange:
    """The one poller of the exchange; several processes may own one, a lease lets one read at a time."""

    def __init__(
        self, database: Database, signed_out: Callable[[], AbstractAsyncContextManager[ReadsProjects]]
    ) -> None:
        self._database = database
        self._signed_out = signed_out
        self._holder = f"exchange-{uuid.uuid4()}"
        self._turn = asyncio.Lock()

    async def read(self, *, full: bool) -> ExchangeCounts:
        """Reads until nothing is new (``full``: to the last page). Waits for a reading of this process.

        Returns empty counts when another process is reading right now: what it finds is as fresh. Raises the
        vendor's errors; pages stored before one stay stored.
        """
        async with self._turn:
            async with self._database.shared() as connection:
                if not await SharedReads(connection, PROJECTS).begin(self._holder, _LEASE_SECONDS):
                    return ExchangeCounts()
            counts = ExchangeCounts()
            try:
                async with self._signed_out() as client:
                    await self._read_pages(client, counts, full=full)
                    counts.drift = client.drifted_paths()
            except ServiceError as error:
                await self._end("failed", error.code)
                raise
            except BaseException:
                await self._end("failed", "interrupted")
                raise
            await self._end("done", None)
            return counts

    async def _end(self, state: str, reason: str | None) -> None:
        async def note() -> None:
            async with self._database.shared() as connection:
                await SharedReads(connection, PROJECTS).end(self._holder, state, reason)

        # Not noted, the next reading of this process takes the lease all the same.
        with suppress(*DATABASE_DOWN):
            await when_database_is_back(note, seconds=_END_SECONDS)

    async def _read_pages(self, client: ReadsProjects, counts: ExchangeCounts, *, full: bool) -> None:
        seen: set[int] = set()
        left_out = 0
        page = await client.projects(_EVERYTHING, 1)
        await self._expect_some(page)
        newest = await self._newest()
        while True:
            more = _goes_on(page, seen)
            # The next page is on its way while this one is stored.
            following = (
                asyncio.create_task(client.projects(_EVERYTHING, page.number + 1)) if more and full else None
            )
            try:
                fresh = await self._store(page, counts)
            except BaseException:
                if following is not None:
                    following.cancel()
                raise
            seen.update(project.id for project in page.items)
            left_out += page.left_out
            if not more or (not full and not fresh and _reaches(page, newest)):
                break
            try:
                page = await (following or client.projects(_EVERYTHING, page.number + 1))
            except LayoutChanged:
                if page.last is not None:
                    raise
                break  # nobody told which page is the last, and this one is none any more
            _expect_rows(page)
        if full and not left_out and page.number == page.last:
            async with self._database.shared() as connection:
                counts.missing = await Markets(connection).mark_missing(seen)

    async def _newest(self) -> datetime | None:
        async with self._database.shared() as connection:
            return await Markets(connection).newest()

    async def _expect_some(self, first: Page[Project]) -> None:
        if not first.items and await self._newest() is not None:
            raise LayoutChanged("the exchange is empty all of a sudden", path="wants")

    async def _store(self, page: Page[Project], counts: ExchangeCounts) -> bool:
        async with self._database.shared() as connection:
            changes = await Markets(connection).save(page.items)
            await SharedReads(connection, PROJECTS).keep(
                self._holder, _LEASE_SECONDS, {"page": page.number, "last": page.last, "total": page.total}
            )
        counts.pages += 1
        counts.read += len(page.items)
        counts.new += len(changes.new)
        counts.changed += len(changes.changed)
        counts.written += changes.written
        new, changed = len(changes.new), len(changes.changed)
        orders_processed("project", new=new, changed=changed, unchanged=len(page.items) - new - changed)
        return bool(changes.fresh)


def _goes_on(page: Page[Project], seen: Set[int]) -> bool:
    """Whether another page should follow; where nobody tells which is the last, until one brings nothing else."""
    if page.number >= _MOST_PAGES:
        return False
    if page.last is not None:
        return page.number < page.last
    return any(project.id not in seen for project in page.items)


def _reaches(page: Page[Project], newest: datetime | None) -> bool:
    """Whether the newest known project is on this page or further on.

    Where it should be before it, nobody can say that nothing is new: it was taken off, or the pages are counted from
    the end. The next page tells, as the client compares the two.
    """
    moments = [project.active_at for project in page.items if project.active_at is not None]
    return page.number > 1 or newest is None or not moments or max(moments) >= newest


def _expect_rows(page: Page[Project]) -> None:
    if not page.items and page.number < (page.last or 0):
        raise LayoutChanged("a page in the middle of the exchange holds no projects", path="wants")
