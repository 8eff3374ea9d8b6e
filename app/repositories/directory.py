"""Public profiles of Kwork users: the same for every tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.core.database import Connection
from app.domain.content import plain, told
from app.domain.kwork import UserProfile


class Directory:
    """Public profiles, cached for all tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def save_profiles(self, profiles: Sequence[UserProfile]) -> None:
        """Keeps public profiles; what a reading does not tell stays as it was."""
        rows = [
            {"id": found.id, "username": found.username, "profile": told(plain(found))} for found in profiles
        ]
        await self._connection.execute(
            """
            INSERT INTO kwork_users (id, username, profile)
            SELECT DISTINCT ON (i.id) i.id, i.username, i.profile
            FROM jsonb_to_recordset($1::jsonb) AS i (id bigint, username text, profile jsonb)
            ON CONFLICT (id) DO UPDATE SET username = excluded.username,
                profile = kwork_users.profile || excluded.profile, read_at = now()
            """,
            rows,
        )

    async def profiles(
        self, ids: Sequence[int], usernames: Sequence[str], *, max_age_seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Profiles that are known (and not older than ``max_age_seconds``), by id or by name."""
        rows = await self._connection.fetch(
            """
            SELECT u.profile FROM kwork_users u
            WHERE (u.id = ANY ($1::bigint[]) OR lower(u.username) = ANY ($2::text[]))
              AND ($3::float IS NULL OR u.read_at > now() - make_interval(secs => $3))
            """,
            list(ids),
            [name.lower() for name in usernames],
            max_age_seconds,
        )
        return [row["profile"] for row in rows]
