"""The tenant filter written out of every statement, and a database without either layer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.core.database import Database, TenantConnection

_FILTER = re.compile(r"\b(?:\w+\.)?tenant_id = (\$\d+)(?!\d)")


class Unfiltered:
    """A connection whose statements have lost their tenant filter. ``used``: whether any had one."""

    def __init__(self, connection: asyncpg.Connection, *, strip: bool) -> None:
        self._connection = connection
        self._strip = strip

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("fetch", "fetchrow", "fetchval", "execute", "executemany") or not self._strip:
            return found

        async def call(query: str, *arguments: Any, **more: Any) -> Any:
            return await found(unfiltered(query), *arguments, **more)

        return call


def unfiltered(query: str) -> str:
    """The statement with every ``tenant_id = $n`` made true of all rows; the parameter stays in use."""
    return _FILTER.sub(r"(\1::text IS NOT NULL)", query)


class WithoutLayers(Database):
    """Opened with ``role=None`` as a superuser, whom row-level security does not bind: neither layer holds."""

    @asynccontextmanager
    async def tenant(self, tenant_id: str) -> AsyncIterator[TenantConnection]:
        async with super().tenant(tenant_id) as scope:
            bare: Any = Unfiltered(scope.connection, strip=True)
            yield TenantConnection(bare, tenant_id, scope.before_commit)
