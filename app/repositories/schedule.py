"""When each stream of a tenant's accounts is looked at next. On the database's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.accounts import AccountState
from app.domain.live import Hint

NEWS = "news"
"""Orders and dialogs: the light look."""
OFFERS = "offers"
GIGS = "gigs"
CONTACTS = "contacts"
ORDERS = "orders"
"""A whole pass of the account's orders, as a sync run."""
STREAMS = (NEWS, OFFERS, GIGS, CONTACTS, ORDERS)

_LAYOUT = "layout_changed"


@dataclass(frozen=True, slots=True)
class Taken:
    """A stream as its job finds it."""

    hint: Hint
    seen: Mapping[str, Any] | None
    """The hint as it stands in the row: ``settle`` takes it away if no other came meanwhile."""
    failures: int
    began: datetime


class AccountSchedule:
    """The schedules of one tenant's accounts."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def account_became(
        self, account_id: UUID, state: AccountState, code: str | None, blocked_until: datetime | None
    ) -> None:
        """Starts, holds or stops the account's streams with its state, in the same transaction."""
        if state is AccountState.CONNECTED:
            await self._connection.execute(_FOLLOW, self._tenant_id, account_id)
        elif state is AccountState.BLOCKED and blocked_until is not None:
            await self._connection.execute(
                "UPDATE account_schedule SET next_at = greatest(next_at, $3::timestamptz + random() * interval '1 minute') "
                "WHERE tenant_id = $1 AND account_id = $2",
                self._tenant_id,
                account_id,
                blocked_until,
            )
        elif not (state is AccountState.BROKEN and (code or "").startswith(_LAYOUT)):
            await self._connection.execute(
                "DELETE FROM account_schedule WHERE tenant_id = $1 AND account_id = $2",
                self._tenant_id,
                account_id,
            )

    async def take(self, account_id: UUID, stream: str) -> Taken | None:
        """A job begins with it; ``None`` when the account is not read any more."""
        row = await self._connection.fetchrow(
            "UPDATE account_schedule SET queued_at = now() "
            "WHERE tenant_id = $1 AND account_id = $2 AND stream = $3 RETURNING hint, failures, now() AS began",
            self._tenant_id,
            account_id,
            stream,
        )
        return Taken(_hint(row["hint"]), row["hint"], row["failures"], row["began"]) if row else None

    async def settle(
        self, account_id: UUID, stream: str, taken: Taken, pause: float | None, *, reason: str | None = None
    ) -> None:
        """The next look comes ``pause`` seconds after this one began (``None``: only for a hint).

        ``reason``: it failed, and its hint stays. Another hint that came meanwhile makes it due at once.
        """
        await self._connection.execute(
            _SETTLE,
            self._tenant_id,
            account_id,
            stream,
            taken.began,
            pause,
            reason,
            dict(taken.seen) if taken.seen is not None else None,
        )

    async def hint(self, account_id: UUID, hint: Hint) -> bool:
        """Something may be new there. True when a job has to be queued for it, which the caller does."""
        row = await self._connection.fetchrow(
            "SELECT hint, queued_at FROM account_schedule "
            "WHERE tenant_id = $1 AND account_id = $2 AND stream = 'news' FOR UPDATE",
            self._tenant_id,
            account_id,
        )
        if row is None:
            return False
        await self._connection.execute(
            "UPDATE account_schedule SET hint = $3, next_at = now(), queued_at = coalesce(queued_at, now()) "
            "WHERE tenant_id = $1 AND account_id = $2 AND stream = 'news'",
            self._tenant_id,
            account_id,
            # Numbered, so that one that says the same again while a look goes on is another one.
            {**_plain(_hint(row["hint"]) | hint), "number": (row["hint"] or {}).get("number", 0) + 1},
        )
        return row["queued_at"] is None


def _plain(hint: Hint) -> dict[str, Any]:
    return {
        "orders": hint.orders,
        "dialogs": hint.dialogs,
        "offers": hint.offers,
        "user_ids": sorted(hint.user_ids),
        "usernames": sorted(hint.usernames),
    }


def _hint(row: Mapping[str, Any] | None) -> Hint:
    if row is None:
        return Hint()
    sets = {"user_ids": frozenset(row["user_ids"]), "usernames": frozenset(row["usernames"])}
    return Hint(orders=row["orders"], dialogs=row["dialogs"], offers=row["offers"], **sets)


# The first look comes at once; what comes every hour or day is spread over it.
_FOLLOW = """
INSERT INTO account_schedule AS s (tenant_id, account_id, stream, next_at)
SELECT $1::text, $2::uuid, w.stream, now() + random() * w.within
FROM (VALUES ('news', interval '2 seconds'), ('offers', interval '10 minutes'), ('gigs', interval '10 minutes'),
             ('contacts', interval '1 hour'), ('orders', interval '1 day')) AS w (stream, within)
ON CONFLICT (tenant_id, account_id, stream) DO UPDATE SET
    next_at = least(s.next_at, excluded.next_at), failures = 0, reason = NULL
"""

_SETTLE = """
UPDATE account_schedule SET
    queued_at = NULL,
    hint = CASE WHEN $6::text IS NULL AND hint IS NOT DISTINCT FROM $7::jsonb THEN NULL ELSE hint END,
    next_at = CASE WHEN hint IS DISTINCT FROM $7::jsonb THEN now()
                   WHEN $5::float IS NULL THEN 'infinity'
                   ELSE greatest($4::timestamptz + make_interval(secs => $5::float), now()) END,
    failures = CASE WHEN $6::text IS NULL THEN 0 ELSE failures + 1 END,
    reason = $6::text,
    last_at = CASE WHEN $6::text IS NULL THEN now() ELSE last_at END
WHERE tenant_id = $1 AND account_id = $2 AND stream = $3
"""
