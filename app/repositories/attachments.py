"""Files of Kwork as the stored messages, orders and projects tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection

StoredAttachment = Mapping[str, Any]
"""``id``, ``name``, ``url`` and ``size`` of an attachment, as ``domain.content.plain`` wrote it."""


class Attachments:
    """Attachments of one tenant; each by the number that Kwork (or its page) gave it."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def of_message(self, dialog_id: UUID, message_id: int, file_id: str) -> StoredAttachment | None:
        found: StoredAttachment | None = await self._connection.fetchval(
            f"SELECT file FROM messages m, {_files('m')} WHERE m.tenant_id = $1 AND m.dialog_id = $2 "  # noqa: S608
            "AND m.id = $3 AND file ->> 'id' = $4 LIMIT 1",
            self._tenant_id,
            dialog_id,
            message_id,
            file_id,
        )
        return found

    async def of_order(self, order_id: int, file_id: str) -> StoredAttachment | None:
        """Of the order's own page or of an event in its thread."""
        found: StoredAttachment | None = await self._connection.fetchval(
            f"SELECT file FROM orders o, {_files('o')} "  # noqa: S608
            "WHERE o.tenant_id = $1 AND o.id = $2 AND file ->> 'id' = $3 "
            f"UNION ALL SELECT file FROM order_events e, {_files('e')} "
            "WHERE e.tenant_id = $1 AND e.order_id = $2 AND file ->> 'id' = $3 LIMIT 1",
            self._tenant_id,
            order_id,
            file_id,
        )
        return found

    async def of_project(self, project_id: int, file_id: str) -> StoredAttachment | None:
        found: StoredAttachment | None = await self._connection.fetchval(
            f"SELECT file FROM market_projects p, {_files('p')} "  # noqa: S608
            "WHERE p.id = $1 AND file ->> 'id' = $2 LIMIT 1",
            project_id,
            file_id,
        )
        return found


def _files(alias: str) -> str:
    """Attachments are a list in ``details``; of a row that never had any there is none."""
    return (
        f"jsonb_array_elements(CASE WHEN jsonb_typeof({alias}.details -> 'files') = 'array' "
        f"THEN {alias}.details -> 'files' ELSE '[]' END) AS file"
    )
