"""How far a connection's notes were queued, and which lead a message or an event belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection


class CrmNoteMarks:
    """Marks of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def take(self, connection_id: UUID, head: int) -> int:
        """The last event whose notes were queued; nobody else moves it until this transaction ends.

        The first time it is ``head``: what was said before notes were switched on stays where it is.
        """
        found: int = await self._connection.fetchval(
            "INSERT INTO crm_note_marks AS m (tenant_id, connection_id, event_id) VALUES ($1, $2, $3) "
            "ON CONFLICT (tenant_id, connection_id) DO UPDATE SET event_id = m.event_id RETURNING event_id",
            self._tenant_id,
            connection_id,
            head,
        )
        return found

    async def move(self, connection_id: UUID, event_id: int) -> None:
        await self._connection.execute(
            "UPDATE crm_note_marks SET event_id = $3 WHERE tenant_id = $1 AND connection_id = $2",
            self._tenant_id,
            connection_id,
            event_id,
        )

    async def known_leads(self, connection_id: UUID, keys: Sequence[str]) -> set[str]:
        """Those of the keys whose leads stand in the CRM or are on their way there."""
        rows = await self._connection.fetch(
            f"SELECT k.key FROM unnest($3::text[]) AS k (key) WHERE {_IS_KNOWN}",  # noqa: S608
            self._tenant_id,
            connection_id,
            list(keys),
        )
        return {row["key"] for row in rows}

    async def lead_of_dialog(self, connection_id: UUID, dialog_id: UUID) -> str | None:
        """The lead a message without an order belongs to: of the buyer's order with this account, one that goes on
        before one that is over, the newest first; else of his newest project."""
        found: str | None = await self._connection.fetchval(
            _OF_DIALOG, self._tenant_id, connection_id, dialog_id
        )
        return found

    async def messages(self, pairs: Sequence[tuple[UUID, int]]) -> list[asyncpg.Record]:
        """The whole texts of messages by dialog and number; events carry their beginnings."""
        rows: list[asyncpg.Record] = await self._connection.fetch(
            "SELECT m.dialog_id, m.id, m.text, m.sent_at, m.incoming FROM messages m "
            "JOIN unnest($2::uuid[], $3::bigint[]) AS p (dialog_id, id) ON p.dialog_id = m.dialog_id AND p.id = m.id "
            "WHERE m.tenant_id = $1",
            self._tenant_id,
            [pair[0] for pair in pairs],
            [pair[1] for pair in pairs],
        )
        return rows


_IS_KNOWN = """(
    EXISTS (SELECT FROM crm_links l WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.entity = 'lead'
                                      AND l.external_id = k.key)
    OR EXISTS (SELECT FROM deliveries d WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = 'lead'
                                          AND d.external_id = k.key AND d.state NOT IN ('done', 'discarded')))
"""

_OF_DIALOG = f"""
SELECT k.key FROM (
    SELECT 'kwork:order:' || o.id AS key, o.status IN ('done', 'cancelled') AS is_over, 0 AS kind, o.created_at AS at
    FROM dialogs g
    JOIN orders o ON o.tenant_id = g.tenant_id AND o.account_id = g.account_id
                 AND (o.buyer_id = g.kwork_user_id OR lower(o.buyer_username) = lower(g.username))
    WHERE g.tenant_id = $1 AND g.id = $3
    UNION ALL
    SELECT 'kwork:project:' || p.id, false, 1, p.active_at
    FROM dialogs g
    JOIN market_projects p ON p.buyer_id = g.kwork_user_id
    WHERE g.tenant_id = $1 AND g.id = $3
) k
WHERE {_IS_KNOWN}
ORDER BY k.kind, k.is_over, k.at DESC NULLS LAST, k.key
LIMIT 1
"""  # noqa: S608
