"""Kwork's categories as last read; shared by all tenants."""

from __future__ import annotations

from app.core.database import Connection
from app.domain.kwork import Category


async def stored_categories(connection: Connection) -> list[Category]:
    """All of them; empty before the first reading."""
    rows = await connection.fetch("SELECT id, name, slug, parent_id FROM kwork_categories")
    return [Category(row["id"], row["name"], row["slug"], row["parent_id"]) for row in rows]
