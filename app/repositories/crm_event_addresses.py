"""Where the tenant's CRMs tell of changes. Of the secret in an address only the hash is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import Connection, TenantConnection


@dataclass(frozen=True, slots=True)
class EventAddress:
    """A connection's address, without its secret."""

    issued_at: datetime
    issued_by: str
    events: int
    """How many came."""
    last_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class AddressOwner:
    """Whose address it is."""

    tenant_id: str
    connection_id: UUID


async def owner_of(connection: Connection, secret: str) -> AddressOwner | None:
    """Of the address with that secret, in a transaction of no tenant (``Database.shared``). The policy
    ``secret_holder`` shows that one row to whoever knows the secret."""
    hashed = _hash(secret)
    await connection.fetchval("SELECT set_config('app.crm_event_secret', $1, true)", hashed.hex())
    row = await connection.fetchrow(
        "SELECT tenant_id, connection_id FROM crm_event_addresses WHERE secret_hash = $1", hashed
    )
    return AddressOwner(**row) if row is not None else None


class CrmEventAddresses:
    """Addresses of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def get(self, connection_id: UUID) -> EventAddress | None:
        row = await self._connection.fetchrow(
            "SELECT issued_at, issued_by, events, last_event_at FROM crm_event_addresses "
            "WHERE tenant_id = $1 AND connection_id = $2",
            self._tenant_id,
            connection_id,
        )
        return EventAddress(**row) if row is not None else None

    async def put(self, connection_id: UUID, secret: str, *, by: str) -> None:
        """In the place of the one before, which stops working at once."""
        await self._connection.execute(
            "INSERT INTO crm_event_addresses (tenant_id, connection_id, secret_hash, issued_by) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (tenant_id, connection_id) DO UPDATE SET secret_hash = excluded.secret_hash, "
            "issued_by = excluded.issued_by, issued_at = now(), events = 0, last_event_at = NULL",
            self._tenant_id,
            connection_id,
            _hash(secret),
            by,
        )

    async def remove(self, connection_id: UUID) -> bool:
        """False: there was none."""
        status: str = await self._connection.execute(
            "DELETE FROM crm_event_addresses WHERE tenant_id = $1 AND connection_id = $2",
            self._tenant_id,
            connection_id,
        )
        return status.endswith(" 1")

    async def count(self, connection_id: UUID, secret: str) -> bool:
        """An event came; the next one of the same connection waits until this transaction ends. False: the address was
        issued anew meanwhile."""
        status: str = await self._connection.execute(
            "UPDATE crm_event_addresses SET events = events + 1, last_event_at = now() "
            "WHERE tenant_id = $1 AND connection_id = $2 AND secret_hash = $3",
            self._tenant_id,
            connection_id,
            _hash(secret),
        )
        return status.endswith(" 1")


def _hash(secret: str) -> bytes:
    """The secret is random and long, so that nothing slower is needed."""
    return hashlib.sha256(secret.encode()).digest()
