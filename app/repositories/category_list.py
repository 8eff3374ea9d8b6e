"""Kwork's categories as last read; shared by all tenants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core.database import Connection
from app.domain.content import plain
from app.domain.kwork import Category


async def stored_categories(connection: Connection) -> list[Category]:
    """All of them; empty before the first reading."""
    rows = await connection.fetch("SELECT id, name, slug, parent_id FROM kwork_categories")
    return [Category(row["id"], row["name"], row["slug"], row["parent_id"]) for row in rows]


async def categories_read_at(connection: Connection) -> datetime | None:
    """When they were read last; ``None``: never."""
    at: datetime | None = await connection.fetchval("SELECT max(read_at) FROM kwork_categories")
    return at


async def save_categories(connection: Connection, categories: Sequence[Category]) -> int:
    """Adds and renames; returns how many are new. What vanished stays: old projects name it.

    The mobile surface tells no slugs: known ones stay.
    """
    new: int = await connection.fetchval(
        """
        WITH written AS (
            INSERT INTO kwork_categories AS c (id, parent_id, name, slug)
            SELECT DISTINCT ON (i.id) i.id, i.parent_id, i.name, i.slug
            FROM jsonb_to_recordset($1::jsonb) AS i (id bigint, parent_id bigint, name text, slug text)
            ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name,
                slug = coalesce(excluded.slug, c.slug), read_at = now()
            RETURNING xmax = 0 AS is_new
        )
        SELECT count(*) FILTER (WHERE is_new) FROM written
        """,
        plain(categories),
    )
    return new
