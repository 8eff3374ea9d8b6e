"""Gigs as the API shows them."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from app.core.database import TenantConnection

_COLUMNS = (
    "g.id, g.account_id, g.title, g.state, g.category_id, g.price_kopecks, g.currency, g.url, g.details, "
    "g.missing_since IS NULL AS listed"
)
_WHERE = (
    "g.tenant_id = $1 AND ($2::uuid IS NULL OR g.account_id = $2) AND ($3::text IS NULL OR g.state = $3) "
    "AND ($4::text IS NULL OR strpos(lower(g.title), lower($4)) > 0)"
)


class GigList:
    """Gigs of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def find(
        self, account_id: UUID | None, state: str | None, text: str | None, *, limit: int, offset: int
    ) -> tuple[list[asyncpg.Record], int]:
        """A page, newest first, and how many there are in all."""
        chosen = (self._tenant_id, account_id, state, text)
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM gigs g WHERE {_WHERE} ORDER BY g.id DESC LIMIT $5 OFFSET $6",  # noqa: S608
            *chosen,
            limit,
            offset,
        )
        total: int = await self._connection.fetchval(f"SELECT count(*) FROM gigs g WHERE {_WHERE}", *chosen)  # noqa: S608
        return rows, total

    async def one(self, gig_id: int) -> asyncpg.Record | None:
        """A gig by its Kwork number."""
        return await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM gigs g WHERE g.tenant_id = $1 AND g.id = $2",  # noqa: S608
            self._tenant_id,
            gig_id,
        )
