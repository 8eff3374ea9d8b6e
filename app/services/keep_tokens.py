"""Keeps OAuth tokens of CRM connections: sealed in the database, renewed under a lease that all workers share."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from app.core.crypto import SecretBox, SecretUnreadable
from app.core.database import Database, TenantConnection
from app.core.database_errors import DATABASE_DOWN
from app.core.patience import when_database_is_back
from app.domain.errors import Unavailable
from app.domain.tokens import Renewal, Tokens
from app.repositories.crm_tokens import CrmTokens
from app.repositories.leases import Lease, LeaseLost, Leases
from app.repositories.sealed import tokens_place

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 20.0
"""Kept while the vendor is asked; a worker that dies holds the others up for so long."""
_WAIT_SECONDS: Final = 45.0
_LOOK_SECONDS: Final = 0.1
_DATABASE_SECONDS: Final = 300.0
"""So long fresh tokens wait for a database that is away: the vendor has forgotten the old ones."""


class TokensInDatabase:
    """``TokenKeeper`` of one connection."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        tenant_id: str,
        connection_id: UUID,
        *,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._database = database
        self._box = box
        self._tenant_id = tenant_id
        self._connection_id = connection_id
        self._lease_seconds = lease_seconds
        self._holder = f"tokens-{uuid.uuid4()}"

    async def load(self) -> Tokens | None:
        """What is kept; ``None`` also where it does not open any more: a person then gives access anew."""
        async with self._database.tenant(self._tenant_id) as scope:
            sealed = await CrmTokens(scope).get(self._connection_id)
        if sealed is None:
            return None
        try:
            return _read(self._box.unseal(sealed, tokens_place(self._tenant_id, self._connection_id)))
        except SecretUnreadable:
            log.warning("kept OAuth tokens of connection %s do not open", self._connection_id)
            return None

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[Renewal]:
        """Waits for the lock. Raises ``Unavailable`` when another worker does not let go in time."""
        lease = await self._lock()
        beat = asyncio.create_task(self._keep(lease), name="keep the tokens' lease")
        try:
            yield _Held(self, await self.load())
        finally:
            beat.cancel()
            with suppress(*DATABASE_DOWN):
                async with self._database.tenant(self._tenant_id) as scope:
                    await Leases(scope).give_back(lease)

    async def save(self, tokens: Tokens) -> None:
        """Durably, before it returns."""
        await when_database_is_back(lambda: self._save(tokens), seconds=_DATABASE_SECONDS)

    async def _save(self, tokens: Tokens) -> None:
        async with self._database.tenant(self._tenant_id) as scope:
            await put_tokens(scope, self._box, self._connection_id, tokens)

    async def _lock(self) -> Lease:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while True:
                    lease = await self._try()
                    if lease is not None:
                        return lease
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise Unavailable("Другой процесс ещё обновляет доступ к CRM: попробуем позже.") from None

    async def _try(self) -> Lease | None:
        async with self._database.tenant(self._tenant_id) as scope:
            return await Leases(scope).take(
                f"tokens/{self._connection_id}", self._holder, self._lease_seconds
            )

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            with suppress(LeaseLost, *DATABASE_DOWN):
                async with self._database.tenant(self._tenant_id) as scope:
                    await Leases(scope).keep(lease, self._lease_seconds)


class UnsavedTokens:
    """``TokenKeeper`` of a connection that is checked before it is saved; the tokens are saved with it."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self._lock = asyncio.Lock()

    async def load(self) -> Tokens | None:
        return self.tokens

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[Renewal]:
        async with self._lock:
            yield _Held(self, self.tokens)

    async def save(self, tokens: Tokens) -> None:
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class _Held:
    keeper: TokensInDatabase | UnsavedTokens
    tokens: Tokens | None

    async def save(self, tokens: Tokens) -> None:
        await self.keeper.save(tokens)


async def put_tokens(scope: TenantConnection, box: SecretBox, connection_id: UUID, tokens: Tokens) -> None:
    """Seals and keeps them inside the caller's transaction."""
    sealed = box.seal(_written(tokens), tokens_place(scope.tenant_id, connection_id))
    await CrmTokens(scope).put(connection_id, sealed)


def _written(tokens: Tokens) -> bytes:
    return orjson.dumps(
        {
            "access": tokens.access,
            "refresh": tokens.refresh,
            "expires_at": tokens.expires_at,
            "origin": tokens.origin,
        }
    )


def _read(written: bytes) -> Tokens:
    given = orjson.loads(written)
    return Tokens(
        given["access"], given["refresh"], datetime.fromisoformat(given["expires_at"]), given["origin"]
    )
