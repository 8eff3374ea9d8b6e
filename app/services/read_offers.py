"""Reads an account's own offers into the store. Kwork tells them on the mobile surface alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.errors import CapabilityUnavailable, LayoutChanged
from app.domain.kwork import Page
from app.domain.writing import Offer
from app.repositories.changes import Changes
from app.repositories.news import OFFERS, FirstReadings
from app.repositories.offers import Offers
from app.services.kwork_client import KworkClient
from app.services.run_scope import RunScope, save_step

_MOST_PAGES = 200
"""More is no seller but pages that never end."""
_MOST_PAGES_OF_A_LOOK = 5

Store = Callable[[TenantConnection], Awaitable[None]]
Save = Callable[[Store], Awaitable[None]]
"""Runs one transaction; raises when the reader may not write any more."""


@dataclass(slots=True)
class _Reading:
    """How far a reading has come. ``unseen``: offers that may still change and were on no page yet."""

    account_id: UUID
    unseen: set[int]
    read: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0

    def add(self, page: Page[Offer], changes: Changes) -> bool:
        """Whether the page told anything new."""
        self.read += len(page.items)
        self.new += len(changes.new)
        self.changed += len(changes.changed)
        self.unseen -= {offer.id for offer in page.items}
        return bool(changes.new or changes.changed)


class ReadOffers:
    """For whole runs, for light looks between them, and for somebody who asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, client: KworkClient, run: RunScope) -> None:
        """All offers, as a part of a sync run. An account without the mobile surface has none to read."""
        assert run.account_id is not None
        try:
            found = await self._read(client, run.tenant_id, run.account_id, self._of(run), is_look=False)
        except CapabilityUnavailable:
            run.add(offers_unavailable=1)
            return
        run.add(offers_read=found.read, offers_new=found.new, offers_changed=found.changed + found.gone)

    async def look(self, client: KworkClient, run: RunScope) -> None:
        """From the newest on, until a page tells nothing new and every open offer was seen."""
        assert run.account_id is not None
        await self._read(client, run.tenant_id, run.account_id, self._of(run), is_look=True)

    async def fresh(self, client: KworkClient, tenant_id: str, account_id: UUID) -> int:
        """All offers, because somebody wants to see them; returns how many are new or stand elsewhere.

        Raises ``CapabilityUnavailable`` without the mobile surface.
        """

        async def save(store: Store) -> None:
            async with self._database.tenant(tenant_id) as scope:
                await store(scope)

        found = await self._read(client, tenant_id, account_id, save, is_look=False)
        return found.new + found.changed + found.gone

    def _of(self, run: RunScope) -> Save:
        async def save(store: Store) -> None:
            await save_step(self._database, run, store)

        return save

    async def _read(
        self, client: KworkClient, tenant_id: str, account_id: UUID, save: Save, *, is_look: bool
    ) -> _Reading:
        async with self._database.tenant(tenant_id) as scope:
            began = await Offers(scope).begin()
            is_known = await FirstReadings(scope).since(account_id, OFFERS) is not None
            reading = _Reading(account_id, await Offers(scope).open_ids(account_id))
        may_stop = is_look and is_known
        seen: set[int] = set()
        for number in range(1, (_MOST_PAGES_OF_A_LOOK if may_stop else _MOST_PAGES) + 1):
            page = await client.writing.offers(number)
            is_news = await self._store(save, reading, page)
            fresh = {offer.id for offer in page.items} - seen
            seen |= fresh
            if not fresh or (page.last is not None and number >= page.last):
                if page.total is None or len(seen) >= page.total:
                    await self._was_whole(save, reading, seen, began)
                return reading
            if may_stop and not is_news and not reading.unseen:
                return reading
        if not may_stop:
            raise LayoutChanged("pages of offers never end", path="offers.paging")
        return reading

    async def _store(self, save: Save, reading: _Reading, page: Page[Offer]) -> bool:
        found: list[Changes] = []

        async def store(scope: TenantConnection) -> None:
            found.append(await Offers(scope).save(reading.account_id, page.items))

        await save(store)
        return reading.add(page, found[-1])

    async def _was_whole(self, save: Save, reading: _Reading, seen: set[int], began: datetime) -> None:
        """A list that comes out shorter than told is no whole one: what it lacks may still be there."""

        async def store(scope: TenantConnection) -> None:
            reading.gone = await Offers(scope).missed(reading.account_id, seen, began=began)
            await FirstReadings(scope).done(reading.account_id, OFFERS, began)

        await save(store)


async def list_offers(
    scope: TenantConnection,
    accounts: Sequence[UUID],
    statuses: Sequence[str],
    project_id: int | None,
    *,
    limit: int,
    offset: int,
) -> tuple[list[Any], int]:
    """A page of the accounts' stored offers and how many there are in all."""
    return await Offers(scope).find(accounts, statuses, project_id, limit=limit, offset=offset)
