"""Pieces of SQL that write a value the way the API shows it, for rows that PostgreSQL builds as JSON."""

from __future__ import annotations


def moment(value: str) -> str:
    """A ``timestamptz`` in ISO 8601, UTC with ``Z``; the connection's ``datestyle`` is ISO."""
    return f"replace(({value} AT TIME ZONE 'UTC')::text, ' ', 'T') || 'Z'"


def roubles(kopecks: str) -> str:
    """1500, not 1500.0; 1500.5 where there are kopecks."""
    return f"{kopecks} / 100::float8"


def pairs(source: str, *names: str) -> str:
    """These columns under their own names."""
    return ", ".join(f"'{name}', {source}.{name}" for name in names)


def fields(document: str, *names: str) -> str:
    """These members of a ``jsonb`` document; null where it has none."""
    return ", ".join(f"'{name}', {document} -> '{name}'" for name in names)
