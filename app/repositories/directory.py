"""What is the same for every tenant beside the exchange: Kwork's categories and public profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.core.database import Connection
from app.domain.content import plain
from app.domain.kwork import Category, UserProfile


class Directory:
    """Categories and public profiles, cached for all tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def save_categories(self, categories: Sequence[Category]) -> None:
        """Replaces names and places in the tree; what vanished stays (old projects name it)."""
        await self._connection.execute(
            """
            INSERT INTO kwork_categories (id, parent_id, name, slug)
            SELECT DISTINCT ON (i.id) i.id, i.parent_id, i.name, i.slug
            FROM jsonb_to_recordset($1::jsonb) AS i (id bigint, parent_id bigint, name text, slug text)
            ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name,
                slug = coalesce(excluded.slug, kwork_categories.slug), read_at = now()
            """,
            plain(categories),
        )

    async def categories_age(self) -> float | None:
        """Seconds since the categories were read; ``None``: never."""
        age: float | None = await self._connection.fetchval(
            "SELECT extract(epoch FROM now() - max(read_at))::float FROM kwork_categories"
        )
        return age

    async def save_profiles(self, profiles: Sequence[UserProfile]) -> None:
        """Keeps public profiles."""
        rows = [{"id": found.id, "username": found.username, "profile": plain(found)} for found in profiles]
        await self._connection.execute(
            """
            INSERT INTO kwork_users (id, username, profile)
            SELECT DISTINCT ON (i.id) i.id, i.username, i.profile
            FROM jsonb_to_recordset($1::jsonb) AS i (id bigint, username text, profile jsonb)
            ON CONFLICT (id) DO UPDATE SET username = excluded.username, profile = excluded.profile,
                read_at = now()
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
