"""The use cases behind ``/searches``. Who changed what stands in the audit."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.access import Caller
from app.domain.errors import Conflict, Invalid
from app.domain.searches import Forecast, Rule, Search, SearchFilters
from app.repositories.audit import Audit
from app.repositories.matching import ProjectsByRule
from app.repositories.order_list import OrderList
from app.repositories.searches import SearchDraft, Searches
from app.services.match_searches import MatchSearches
from app.services.read_categories import Categories
from app.services.read_orders import leads_of

FORECAST_DAYS = 30


@dataclass(frozen=True, slots=True)
class SearchChanges:
    """What to change; ``None`` stays."""

    name: str | None = None
    enabled: bool | None = None
    filters: SearchFilters | None = None
    connection_ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a search would find. ``rows``: the newest projects as lists show them; ``leads``: by public id, where the lead
    stands in each connection, if there are several."""

    forecast: Forecast
    rows: Sequence[Any]
    leads: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class SearchRun:
    """What a run on demand found: projects that match now, those new to the search, deliveries that wait."""

    matching: int
    new: int
    queued: int


class ManageSearches:
    """Searches as their tenant sees them."""

    def __init__(
        self, database: Database, categories: Categories, matching: MatchSearches, *, most: int
    ) -> None:
        self._database = database
        self._categories = categories
        self._matching = matching
        self._most = most

    async def preview(self, tenant_id: str, filters: SearchFilters, limit: int, user_url: str) -> Preview:
        """Nothing is kept and nothing queued; ``user_url`` as in ``OrderList``. Raises ``Invalid``, ``UnknownCategory``."""
        rule = filters.rule(await self._categories.tree())
        async with self._database.tenant(tenant_id) as scope:
            projects = ProjectsByRule(scope.connection)
            forecast = await projects.forecast(rule, FORECAST_DAYS)
            rows = await OrderList(scope).projects(await projects.listed(rule, limit=limit), user_url)
            leads = await leads_of(scope, rows)
        return Preview(forecast, rows, leads)

    async def add(
        self,
        caller: Caller,
        *,
        name: str,
        enabled: bool,
        filters: SearchFilters,
        connection_ids: tuple[UUID, ...],
    ) -> Search:
        """What (re)appears on the exchange from now on becomes leads.

        Raises ``Invalid``, ``UnknownCategory``, ``Conflict`` (``too_many_searches``, ``search_name_taken``).
        """
        made = SearchDraft(
            name, enabled, filters, filters.rule(await self._categories.tree()), connection_ids
        )
        async with self._database.tenant(caller.tenant_id) as scope:
            searches = Searches(scope)
            await searches.take_turns()
            if await searches.count() >= self._most:
                raise _too_many(self._most)
            await _check(searches, made, None)
            search_id = await searches.add(made, caller.actor)
            await _audit(scope, caller, "created", search_id, {"name": name, "enabled": enabled})
            return await searches.get(search_id)

    async def list(self, tenant_id: str, *, limit: int, offset: int) -> tuple[builtins.list[Search], int]:
        """A page, oldest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await Searches(scope).list(limit=limit, offset=offset)

    async def get(self, tenant_id: str, search_id: UUID) -> Search:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            return await Searches(scope).get(search_id)

    async def change(self, caller: Caller, search_id: UUID, changes: SearchChanges) -> Search:
        """Switched on, or with other filters, it announces what (re)appears from then on. Raises as ``add`` does."""
        tree = await self._categories.tree()
        async with self._database.tenant(caller.tenant_id) as scope:
            searches = Searches(scope)
            await searches.take_turns()
            before = await searches.get(search_id)
            rule = changes.filters.rule(tree) if changes.filters else await searches.rule(search_id)
            made = _changed(before, changes, rule)
            await _check(searches, made, search_id)
            anew = made.filters != before.filters or (made.enabled and not before.enabled)
            await searches.change(search_id, made, caller.actor, announce_anew=anew)
            changed = [name for name in _CHANGEABLE if getattr(made, name) != getattr(before, name)]
            await _audit(scope, caller, "changed", search_id, {"name": made.name, "changed": changed})
            return await searches.get(search_id)

    async def delete(self, caller: Caller, search_id: UUID) -> None:
        """Its leads stay. Raises ``NotFound``."""
        async with self._database.tenant(caller.tenant_id) as scope:
            name = await Searches(scope).delete(search_id)
            await _audit(scope, caller, "deleted", search_id, {"name": name})

    async def run(self, caller: Caller, search_id: UUID, backfill: datetime | None) -> SearchRun:
        """Makes leads of what is on the exchange now and appeared not before ``backfill``, because somebody asks.

        Raises ``NotFound``, ``Conflict`` (no CRM to send to).
        """
        async with self._database.tenant(caller.tenant_id) as scope:
            search = await Searches(scope).get(search_id)
            rule = await Searches(scope).rule(search_id)
            numbers = await ProjectsByRule(scope.connection).listed(rule, since=backfill)
            found = await self._matching.tell_asked(scope, search, numbers)
            await _audit(
                scope,
                caller,
                "run",
                search_id,
                {"backfill": backfill.isoformat() if backfill else None, "found": len(numbers)},
            )
        return SearchRun(len(numbers), len(found.matches), found.queued)


_CHANGEABLE = ("name", "enabled", "filters", "connection_ids")


def _changed(before: Search, changes: SearchChanges, rule: Rule) -> SearchDraft:
    given: dict[str, Any] = {
        name: getattr(before if getattr(changes, name) is None else changes, name) for name in _CHANGEABLE
    }
    return SearchDraft(rule=rule, **given)


async def _check(searches: Searches, draft: SearchDraft, search_id: UUID | None) -> None:
    if await searches.is_named(draft.name, but=search_id):
        raise Conflict(
            f"Поиск с названием «{draft.name}» уже есть: назовите этот иначе.", code="search_name_taken"
        )
    if await searches.unknown_connections(draft.connection_ids):
        raise Invalid(
            "Такого подключения к CRM нет: возьмите id из списка подключений или оставьте connection_ids пустым.",
            field="body.connection_ids",
            code="unknown_connection",
        )


def _too_many(most: int) -> Conflict:
    return Conflict(
        f"Поисков уже {most}, больше нельзя: удалите лишние или попросите того, кто ведёт сервис, "
        "увеличить SEARCHES_PER_TENANT.",
        code="too_many_searches",
    )


async def _audit(
    scope: TenantConnection, caller: Caller, action: str, search_id: UUID, details: Mapping[str, Any]
) -> None:
    await Audit(scope).add(caller.actor, f"search.{action}", f"search/{search_id}", details)
