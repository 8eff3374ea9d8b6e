"""Matches what is new on the exchange to the saved searches of all tenants, and lets leads follow their projects.

One look finds what is due and whose it is, in a handful of statements however many tenants there are. Then each tenant
concerned gets a transaction of his own: matches, events, leads and contacts. Only when all of them are through are the
projects marked as matched, so a process that dies in between loses nothing; doing it again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import structlog

from app.core.database import Database, TenantConnection
from app.core.database_errors import DATABASE_DOWN
from app.domain.errors import ServiceError
from app.domain.events import EventType, cut
from app.domain.listing import OrderKind, public_id
from app.domain.searches import Match, Search
from app.repositories.connections import Connections
from app.repositories.events import Events
from app.repositories.markets import Markets
from app.repositories.matching import DueProjects, Matching
from app.repositories.project_leads import ProjectLeads
from app.repositories.searches import Searches
from app.services.crm_connections import CrmConnectors
from app.services.push_projects import follow_projects

log = structlog.get_logger(__name__)

_AT_ONCE = 100
"""Projects in one look."""
_TENANTS_AT_ONCE = 4
_FAILED = "matching_failed"
_FAILED_TEXT = (
    "Проект подошёл под поиск, но лид поставить в очередь не удалось: ошибка сервиса. Он попробует снова сам."
)


@dataclass(slots=True)
class MatchCounts:
    """What a matching did. ``projects``: were due; ``failed``: tenants that have to be looked at again."""

    projects: int = 0
    tenants: int = 0
    matches: int = 0
    queued: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Task:
    """What concerns one tenant: what his searches found, and projects whose leads follow."""

    matches: list[Match] = field(default_factory=list)
    followed: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Found:
    """``matches`` are the new ones; ``queued``: deliveries that wait because of them."""

    matches: Sequence[Match]
    queued: int


class MatchSearches:
    """Call ``after_reading`` whenever the exchange was read, or a reading of it broke off."""

    def __init__(self, database: Database, connectors: CrmConnectors) -> None:
        self._database = database
        self._connectors = connectors
        self._turn = asyncio.Lock()

    async def after_reading(self) -> MatchCounts:
        """Matches all that is due. Several processes may do so at once: each match is told once all the same.

        A tenant that fails holds nobody up: his projects are looked at again the next time. Raises what a database
        that is away raises; what was due is due still, then.
        """
        counts = MatchCounts()
        async with self._turn:
            again = True  # once: who fails now is not to be tried for ever
            while True:
                projects, tasks = await self._look(again=again)
                await self._settle(tasks, counts)
                if projects.revisions:
                    async with self._database.shared() as connection:
                        await Matching(connection).done(projects)
                counts.projects += len(projects.revisions)
                again = False
                if len(projects.revisions) < _AT_ONCE:
                    break
        if counts.tenants:
            log.info("exchange_matched", **asdict(counts))
        return counts

    async def _look(self, *, again: bool) -> tuple[DueProjects, Mapping[str, _Task]]:
        tasks: dict[str, _Task] = defaultdict(_Task)
        async with self._database.shared() as connection:
            matching = Matching(connection)
            await matching.begin()
            projects = await matching.due(_AT_ONCE)
            numbers = list(projects.revisions)
            if numbers:
                for hit in await matching.hits(numbers):
                    tasks[hit.tenant_id].matches.append(Match(hit.search_id, hit.project_id))
            if numbers or again:
                for tenant_id, number in await matching.followers(numbers, due=again):
                    tasks[tenant_id].followed.add(number)
        return projects, tasks

    async def _settle(self, tasks: Mapping[str, _Task], counts: MatchCounts) -> None:
        free = asyncio.Semaphore(_TENANTS_AT_ONCE)

        async def one(tenant_id: str, task: _Task) -> None:
            async with free:
                await self._settle_one(tenant_id, task, counts)

        outcomes = await asyncio.gather(
            *(one(tenant_id, task) for tenant_id, task in tasks.items()), return_exceptions=True
        )
        for outcome in outcomes:  # only when everybody had his turn
            if outcome is not None:
                raise outcome

    async def _settle_one(self, tenant_id: str, task: _Task, counts: MatchCounts) -> None:
        counts.tenants += 1
        try:
            async with self._database.tenant(tenant_id) as scope:
                found = await self.tell(scope, task.matches, task.followed)
        except DATABASE_DOWN:
            raise
        except ServiceError as error:
            log.warning("tenant_matching_refused", tenant=tenant_id, code=error.code)
            await self._leave(tenant_id, task, error.code, str(error))
            counts.failed += 1
        except Exception:
            log.exception("tenant_matching_failed", tenant=tenant_id)
            await self._leave(tenant_id, task, _FAILED, _FAILED_TEXT)
            counts.failed += 1
        else:
            counts.matches += len(found.matches)
            counts.queued += found.queued

    async def _leave(self, tenant_id: str, task: _Task, code: str, reason: str) -> None:
        """The matches are kept and the reason stands beside them; leads are queued the next time."""
        async with self._database.tenant(tenant_id) as scope:
            new = await Searches(scope).record(task.matches)
            await _tell_events(scope, new)
            numbers = sorted({match.project_id for match in new} | task.followed)
            await ProjectLeads(scope).failed(numbers, code, reason)

    async def tell(
        self, scope: TenantConnection, matches: Sequence[Match], followed: Collection[int] = ()
    ) -> Found:
        """In the caller's transaction: keeps matches that are not known yet, tells of them, and queues the leads of
        all these projects as they stand now. Raises what ``Connections.receiving`` raises."""
        live = await self._live(scope)
        new = await Searches(scope).record(matches)
        await _tell_events(scope, new)
        owed = await Searches(scope).owed(list(followed))
        return Found(new, await _queue(scope, [*new, *owed], followed, live))

    async def tell_asked(self, scope: TenantConnection, search: Search, project_ids: Sequence[int]) -> Found:
        """The same for projects that somebody asked for: they get leads although their matches may be old, or the
        search is switched off. Raises ``Conflict`` when there is no CRM."""
        live = [one.id for one in await self._connectors.targets(scope)]
        matches = [Match(search.id, number, search.name, search.connection_ids) for number in project_ids]
        new = await Searches(scope).record(matches, also_disabled=True)
        await _tell_events(scope, new)
        return Found(new, await _queue(scope, matches, (), live, any_age=True))

    async def _live(self, scope: TenantConnection) -> tuple[UUID, ...]:
        return tuple(one.id for one in await Connections(scope).receiving(self._connectors.kind))


async def _queue(
    scope: TenantConnection,
    matches: Sequence[Match],
    followed: Collection[int],
    live: Sequence[UUID],
    *,
    any_age: bool = False,
) -> int:
    """Each project's lead goes where its searches send it, and where it is already."""
    wanted: dict[int, list[UUID]] = {number: [] for number in followed}
    for match in matches:
        targets = [one for one in live if not match.connection_ids or one in match.connection_ids]
        if targets:
            wanted.setdefault(match.project_id, []).extend(targets)
    if not wanted:
        return 0
    return await follow_projects(scope, wanted, live, cause="search", any_age=any_age)


async def _tell_events(scope: TenantConnection, matches: Sequence[Match]) -> None:
    """One event a project, with all searches that found it now."""
    by_project: dict[int, list[Match]] = defaultdict(list)
    for match in matches:
        by_project[match.project_id].append(match)
    rows = await Markets(scope.connection).by_ids(list(by_project)) if by_project else []
    for row in sorted(rows, key=lambda row: row["id"]):
        found = by_project[row["id"]]
        await Events(scope).add(
            EventType.SEARCH_MATCHED,
            public_id(OrderKind.PROJECT, row["id"]),
            {
                "search_ids": [str(match.search_id) for match in found],
                "searches": [match.name for match in found],
                **_told(row),
            },
        )


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": cut(row["title"]),
        "price": row["price_kopecks"] / 100,
        "max_price": row["max_price_kopecks"] / 100,
        "currency": row["currency"],
        "buyer": row["buyer_username"],
        "category_id": row["category_id"],
        "active_at": row["active_at"],
        "expires_at": row["expires_at"],
        "url": row["url"],
    }
