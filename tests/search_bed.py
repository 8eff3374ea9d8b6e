"""Saved searches over a real database and an exchange of the test's own; what they queue for the CRM is looked at, not
sent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.database import Connection, Database
from app.domain.access import Caller, Role
from app.domain.kwork import Project, ProjectStatus
from app.domain.searches import Search, SearchFilters
from app.services.crm_connections import CrmConnectors
from app.services.manage_searches import ManageSearches
from app.services.match_searches import MatchCounts, MatchSearches
from app.services.read_categories import Categories
from app.services.read_exchange import ReadExchange
from tests.api import settings_for_tests
from tests.exchange import Exchange, project

Row = dict[str, Any]


class SearchBed:
    """The use cases, and shortcuts to what they leave behind. ``owner`` looks behind the service's back."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        self.database, self.owner = database, owner
        self.connectors = CrmConnectors(settings_for_tests())
        self.matching = self.fresh_matching()
        self.searches = ManageSearches(database, Categories(database), self.matching, most=50)

    def fresh_matching(self) -> MatchSearches:
        """As another process has it."""
        return MatchSearches(self.database, self.connectors)

    async def tenant(self, tenant_id: str) -> str:
        await self.owner.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", tenant_id)
        return tenant_id

    async def save(self, tenant_id: str, name: str = "Боты", **filters: Any) -> Search:
        return await self.searches.add(
            caller(tenant_id), name=name, enabled=True, filters=SearchFilters(**filters), connection_ids=()
        )

    async def read(self, *projects: Project, full: bool = False) -> None:
        """A reading of an exchange of one page. It is never empty, as the real one is not."""
        listed = sorted(projects, key=lambda one: one.active_at or datetime.now(UTC), reverse=True)
        await ReadExchange(self.database, Exchange((*listed, old())).signed_out).read(full=full)

    async def poll(self, *projects: Project, full: bool = False) -> MatchCounts:
        """A reading and what follows it."""
        await self.read(*projects, full=full)
        return await self.matching.after_reading()

    async def leads(self, tenant_id: str) -> dict[str, Row]:
        """Payloads that wait for the tenant's CRM, by key."""
        async with self.database.tenant(tenant_id) as scope:
            rows = await scope.connection.fetch(
                "SELECT external_id, payload FROM deliveries WHERE entity = 'lead' ORDER BY id"
            )
        assert len({row["external_id"] for row in rows}) == len(rows)
        return {row["external_id"]: row["payload"] for row in rows}

    async def lead(self, tenant_id: str, number: int) -> Row:
        return (await self.leads(tenant_id))[f"kwork:project:{number}"]

    async def standing(self, tenant_id: str, number: int) -> tuple[str, str]:
        """The lead's status, and Kwork's word for the project."""
        lead = await self.lead(tenant_id, number)
        return lead["status"], lead["metadata"]["kwork_status"]

    async def events(self, tenant_id: str) -> list[Row]:
        async with self.database.tenant(tenant_id) as scope:
            rows = await scope.connection.fetch(
                "SELECT subject, data FROM events WHERE type = 'search.matched' ORDER BY id"
            )
        return [dict(row) for row in rows]

    async def long_ago(self) -> None:
        """What is missing has been so for an hour."""
        for table in ("market_projects", "orders"):
            await self.owner.execute(
                f"UPDATE {table} SET missing_since = missing_since - interval '1 hour', "
                "first_seen_at = first_seen_at - interval '2 hours'"
            )

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Every statement the service sends to the database meanwhile."""
        sent: list[str] = []
        lend = self.database._connection

        @asynccontextmanager
        async def watched() -> AsyncIterator[Connection]:
            async with lend() as connection:
                with connection.query_logger(lambda record: sent.append(record.query)):
                    yield connection

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.database, "_connection", watched)
            yield sent


def caller(tenant_id: str) -> Caller:
    return Caller(tenant_id, "user-1", Role.OPERATOR, "operator@example.com", "token", time.time() + 600)


def fresh(number: int, **changes: Any) -> Project:
    """A bot that somebody wants since a moment after now, so that no search was saved later."""
    at = datetime.now(UTC) + timedelta(minutes=5)
    given = {
        "status": ProjectStatus.ACTIVE,
        "active_at": at,
        "created_at": at,
        "expires_at": at + timedelta(days=3),
    }
    return replace(project(number), **{**given, **changes})


def old() -> Project:
    """One that was there before every search, and stays as it is."""
    return replace(
        project(1), title="Старый", description="", status=ProjectStatus.ACTIVE, expires_at=_IN_A_WEEK
    )


_IN_A_WEEK = datetime.now(UTC) + timedelta(days=7)


@pytest_asyncio.fixture
async def search_bed(database: Database, owner: asyncpg.Connection) -> SearchBed:
    """Tenant ``a`` is there; the exchange was read once."""
    bed = SearchBed(database, owner)
    await bed.tenant("a")
    await bed.poll()
    return bed
