"""Reading stored gigs."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.errors import NotFound
from app.repositories.gig_list import GigList


async def list_gigs(
    scope: TenantConnection,
    account_id: UUID | None,
    state: str | None,
    text: str | None,
    *,
    limit: int,
    offset: int,
) -> tuple[list[asyncpg.Record], int]:
    """A page of gigs and how many there are in all."""
    return await GigList(scope).find(account_id, state, text, limit=limit, offset=offset)


async def get_gig(scope: TenantConnection, gig_id: int) -> asyncpg.Record:
    """One gig by its Kwork number. Raises ``NotFound``."""
    found = await GigList(scope).one(gig_id)
    if found is None:
        raise NotFound("Такого кворка нет.")
    return found
