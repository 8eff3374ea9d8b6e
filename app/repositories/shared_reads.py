"""Readings that are done once for all tenants: who reads now, when it was read last, and how that ended."""

from __future__ import annotations

from typing import Any

from app.core.database import Connection

PROJECTS = "projects"
CATEGORIES = "categories"


class SharedReads:
    """One stream of shared readings; needs no tenant."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection = connection
        self._stream = stream

    async def begin(
        self, holder: str, lease_seconds: float, *, fresh_seconds: float = 0.0, pause_seconds: float = 0.0
    ) -> bool:
        """Takes the stream for one reader; a holder has one reading at a time. False while another one reads, when the last whole reading is younger
        than ``fresh_seconds``, or the last attempt younger than ``pause_seconds``.
        """
        return (
            await self._connection.fetchval(
                """
                INSERT INTO market_reads AS r (stream, state, holder, lease_until, started_at)
                VALUES ($1, 'running', $2, now() + make_interval(secs => $3), now())
                ON CONFLICT (stream) DO UPDATE
                   SET state = 'running', holder = excluded.holder, lease_until = excluded.lease_until,
                       started_at = now(), reason = NULL
                 WHERE (r.state <> 'running' OR r.lease_until < now() OR r.holder = excluded.holder)
                   AND ($4::float = 0 OR r.finished_at IS NULL OR r.finished_at < now() - make_interval(secs => $4))
                   AND ($5::float = 0 OR r.started_at < now() - make_interval(secs => $5))
                RETURNING true
                """,
                self._stream,
                holder,
                lease_seconds,
                fresh_seconds,
                pause_seconds,
            )
            or False
        )

    async def keep(self, holder: str, lease_seconds: float, checkpoint: dict[str, Any]) -> bool:
        """Saves the checkpoint and extends the lease; False when the lease went to somebody else."""
        return (
            await self._connection.fetchval(
                "UPDATE market_reads SET checkpoint = $4, lease_until = now() + make_interval(secs => $3) "
                "WHERE stream = $1 AND holder = $2 AND state = 'running' RETURNING true",
                self._stream,
                holder,
                lease_seconds,
                checkpoint,
            )
            or False
        )

    async def end(self, holder: str, state: str, reason: str | None) -> None:
        """``state`` is ``done`` or ``failed``."""
        await self._connection.execute(
            "UPDATE market_reads SET state = $3, reason = $4, lease_until = NULL, holder = NULL, "
            "finished_at = CASE WHEN $3 = 'done' THEN now() ELSE finished_at END "
            "WHERE stream = $1 AND holder = $2",
            self._stream,
            holder,
            state,
            reason,
        )
