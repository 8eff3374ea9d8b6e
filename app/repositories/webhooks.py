"""Webhooks of a tenant and their sealed secrets. What is sealed stays sealed here."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.errors import NotFound
from app.domain.webhooks import Webhook


class Webhooks:
    """Webhooks of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def add(self, url: str, description: str, types: tuple[str, ...], *, active: bool) -> UUID:
        """Begins at the log's present end."""
        found: UUID = await self._connection.fetchval(
            f"""
            INSERT INTO webhooks (tenant_id, url, description, types, active, queued_id)
            VALUES ($1, $2, $3, $4, $5, {_HEAD}) RETURNING id
            """,  # noqa: S608
            self._tenant_id,
            url,
            description,
            list(types),
            active,
        )
        return found

    async def get(self, webhook_id: UUID) -> Webhook:
        """Raises ``NotFound``."""
        return _webhook(
            await self._connection.fetchrow(
                f"SELECT {_COLUMNS} FROM webhooks w WHERE w.tenant_id = $1 AND w.id = $2",  # noqa: S608
                self._tenant_id,
                webhook_id,
            )
        )

    async def lock(self, webhook_id: UUID) -> Webhook:
        """As ``get``; nobody else changes it until this transaction ends."""
        await self._connection.execute(
            "SELECT 1 FROM webhooks WHERE tenant_id = $1 AND id = $2 FOR UPDATE", self._tenant_id, webhook_id
        )
        return await self.get(webhook_id)

    async def list(self, *, limit: int, offset: int) -> tuple[builtins.list[Webhook], int]:
        """A page, oldest first, and how many there are in all."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM webhooks w WHERE w.tenant_id = $1 "  # noqa: S608
            "ORDER BY w.created_at, w.id LIMIT $2 OFFSET $3",
            self._tenant_id,
            limit,
            offset,
        )
        return [_webhook(row) for row in rows], await self.count()

    async def count(self) -> int:
        found: int = await self._connection.fetchval(
            "SELECT count(*) FROM webhooks WHERE tenant_id = $1", self._tenant_id
        )
        return found

    async def change(self, webhook_id: UUID, url: str, description: str, types: tuple[str, ...]) -> None:
        """What was queued already is sent to the new address, too."""
        await self._connection.execute(
            "UPDATE webhooks SET url = $3, description = $4, types = $5 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            webhook_id,
            url,
            description,
            list(types),
        )

    async def switch_on(self, webhook_id: UUID) -> None:
        """From the log's present end on; what still waits goes out first."""
        await self._connection.execute(
            f"""
            UPDATE webhooks SET active = true, disabled_code = NULL, disabled_detail = NULL, disabled_at = NULL,
                   failures = 0, failing_since = NULL, retry_at = NULL, queued_id = {_HEAD}
            WHERE tenant_id = $1 AND id = $2
            """,  # noqa: S608
            self._tenant_id,
            webhook_id,
        )
        await self._connection.execute(
            "UPDATE webhook_deliveries SET due_at = now() "
            "WHERE tenant_id = $1 AND webhook_id = $2 AND state = 'pending'",
            self._tenant_id,
            webhook_id,
        )

    async def switch_off(self, webhook_id: UUID) -> None:
        """By a person: nothing is queued or sent until it is switched on."""
        await self._connection.execute(
            "UPDATE webhooks SET active = false WHERE tenant_id = $1 AND id = $2", self._tenant_id, webhook_id
        )

    async def disable(self, webhook_id: UUID, code: str, detail: str) -> None:
        """By the service, with the reason."""
        await self._connection.execute(
            "UPDATE webhooks SET disabled_code = $3, disabled_detail = $4, disabled_at = now(), retry_at = NULL "
            "WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            webhook_id,
            code,
            detail,
        )

    async def delete(self, webhook_id: UUID) -> None:
        """With its secrets and its log. Raises ``NotFound``."""
        gone = await self._connection.fetchval(
            "DELETE FROM webhooks WHERE tenant_id = $1 AND id = $2 RETURNING id", self._tenant_id, webhook_id
        )
        if gone is None:
            raise _unknown()

    async def add_secret(self, secret_id: UUID, webhook_id: UUID, sealed: bytes, *, keep_old: float) -> None:
        """The newest secret. The one before signs ``keep_old`` seconds longer, those before that no more."""
        await self._connection.execute(
            "DELETE FROM webhook_secrets s WHERE s.tenant_id = $1 AND s.webhook_id = $2 AND s.ends_at IS NOT NULL",
            self._tenant_id,
            webhook_id,
        )
        await self._connection.execute(
            "UPDATE webhook_secrets SET ends_at = now() + make_interval(secs => $3) "
            "WHERE tenant_id = $1 AND webhook_id = $2",
            self._tenant_id,
            webhook_id,
            keep_old,
        )
        await self._connection.execute(
            "INSERT INTO webhook_secrets (tenant_id, id, webhook_id, sealed) VALUES ($1, $2, $3, $4)",
            self._tenant_id,
            secret_id,
            webhook_id,
            sealed,
        )

    async def secrets(self, webhook_id: UUID) -> builtins.list[tuple[UUID, bytes]]:
        """Id and sealed value of the secrets that sign now, newest first."""
        rows = await self._connection.fetch(
            "SELECT id, sealed FROM webhook_secrets WHERE tenant_id = $1 AND webhook_id = $2 "
            "AND (ends_at IS NULL OR ends_at > now()) ORDER BY made_at DESC",
            self._tenant_id,
            webhook_id,
        )
        return [(row["id"], row["sealed"]) for row in rows]

    async def with_work(self) -> builtins.list[UUID]:
        """Those that may send now and have something to send."""
        rows = await self._connection.fetch(
            f"""
            SELECT w.id FROM webhooks w
            WHERE w.tenant_id = $1 AND w.active AND w.disabled_at IS NULL
              AND (w.retry_at IS NULL OR w.retry_at <= now())
              AND (w.queued_id < {_HEAD} OR EXISTS (
                  SELECT 1 FROM webhook_deliveries d
                  WHERE d.tenant_id = $1 AND d.webhook_id = w.id AND d.state = 'pending' AND d.event_id IS NOT NULL
                    AND d.due_at <= now()))
            """,  # noqa: S608
            self._tenant_id,
        )
        return [row["id"] for row in rows]


def _webhook(row: Mapping[str, Any] | asyncpg.Record | None) -> Webhook:
    if row is None:
        raise _unknown()
    return Webhook(**{**dict(row), "types": tuple(row["types"])})


def _unknown() -> NotFound:
    return NotFound("Такого вебхука нет.")


_HEAD = "coalesce((SELECT h.last_id FROM event_heads h WHERE h.tenant_id = $1), 0)"

_COLUMNS = (
    "w.id, w.url, w.description, w.types, w.active, w.disabled_code, w.disabled_detail, w.disabled_at, w.failures, "
    "w.failing_since, w.retry_at, w.created_at, "
    "(SELECT count(*) FROM webhook_deliveries d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id "
    "  AND d.state = 'pending') AS waiting, "
    "(SELECT max(s.ends_at) FROM webhook_secrets s WHERE s.tenant_id = w.tenant_id AND s.webhook_id = w.id "
    "  AND s.ends_at > now()) AS secret_ends_at"
)
