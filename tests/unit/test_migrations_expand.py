"""Migrations only expand: the version before runs on with the new schema. What contracts says since when nobody needs it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from app.core.migrate import MIGRATIONS

BEFORE_THE_RULE = {f"{number:04}" for number in range(1, 12)}
"""Of the time before the first release."""
LEAVE = re.compile(r"--\s*contract:\s*\S.*|#\s*contract:\s*\S.*")
"""«contract: since 0.3.0 nothing reads it»: the whole file may then contract."""

_NAME = r'(?:IF\s+EXISTS\s+)?(?:"[^"]+"|[\w.{}]+)'
BREAKS = {
    "drops a table, view or schema": re.compile(r"\bDROP\s+(TABLE|VIEW|MATERIALIZED\s+VIEW|SCHEMA|SEQUENCE)\b"),
    "drops a column": re.compile(rf"\bALTER\s+TABLE\b.*\bDROP\s+(?:COLUMN\s+)?(?!CONSTRAINT\b|DEFAULT\b|NOT\b|EXPRESSION\b|IDENTITY\b){_NAME}", re.S),
    "renames": re.compile(r"\bRENAME\s+(?:TO|COLUMN|\w+\s+TO)\b"),
    "changes a type": re.compile(r"\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b"),
    "makes a column required": re.compile(r"\bSET\s+NOT\s+NULL\b"),
    "adds a required column without a default": re.compile(
        r"\bADD\s+(?:COLUMN\s+)?(?!CONSTRAINT\b)(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+(?:(?!,\s*ADD\b|\bDEFAULT\b|\bGENERATED\b).)*\bNOT\s+NULL\b(?!(?:(?!,\s*ADD\b).)*\b(?:DEFAULT|GENERATED)\b)", re.S
    ),
    "empties a table": re.compile(r"\bTRUNCATE\b"),
}  # fmt: skip
BREAKING_CALLS = {"drop_table", "drop_column", "rename_table", "alter_column"}


def statements(sql: str) -> list[str]:
    """In upper case, without comments; bodies of functions count as one."""
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.S)
    bodies = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", bare, flags=re.S)
    return [one.strip().upper() for one in bodies.split(";") if one.strip()]


def breaking(sql: str) -> list[str]:
    return [
        f"{why}: {' '.join(one.split())[:120]}"
        for one in statements(sql)
        for why, pattern in BREAKS.items()
        if pattern.search(one)
    ]


def upgrade_of(text: str) -> ast.FunctionDef:
    return next(
        one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and one.name == "upgrade"
    )


def found_in(path: Path) -> list[str]:
    """What ``upgrade`` of this migration breaks, in its script and in its own words."""
    text = path.read_text(encoding="utf-8")
    script = path.with_suffix(".sql")
    sql = script.read_text(encoding="utf-8") if script.exists() else ""
    if LEAVE.search(text) or LEAVE.search(sql):
        return []
    found = breaking(sql)
    for node in ast.walk(upgrade_of(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += breaking(node.value)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in BREAKING_CALLS
        ):
            found.append(f"op.{node.func.attr}")
    return found


MIGRATION_FILES = sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", MIGRATION_FILES, ids=lambda path: path.stem)
def test_a_migration_expands(path: Path) -> None:
    if path.stem[:4] not in BEFORE_THE_RULE:
        assert found_in(path) == [], "docs/migrations.md says how to do this in two releases"


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE orders", "drop table if exists orders;", "ALTER TABLE orders DROP COLUMN title",
        "ALTER TABLE orders DROP title", "ALTER TABLE orders\n  RENAME COLUMN title TO name", "ALTER TABLE a RENAME TO b",
        "ALTER TABLE a RENAME x TO y", "ALTER TABLE orders ALTER COLUMN price TYPE bigint",
        "ALTER TABLE orders ALTER price SET DATA TYPE bigint", "ALTER TABLE orders ALTER COLUMN price SET NOT NULL",
        "ALTER TABLE orders ADD COLUMN state text NOT NULL", "ALTER TABLE a ADD x text NOT NULL, ADD y int NOT NULL DEFAULT 1",
        "ALTER TABLE a ADD y int NOT NULL DEFAULT 1, ADD x text NOT NULL", "TRUNCATE orders", "DROP VIEW v", "DROP SCHEMA s",
    ],
)  # fmt: skip
def test_what_breaks_the_version_before_is_seen(sql: str) -> None:
    assert breaking(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (x text NOT NULL, y int NOT NULL DEFAULT 1)", "ALTER TABLE a ADD COLUMN x text",
        "ALTER TABLE a ADD COLUMN x text NOT NULL DEFAULT ''", "ALTER TABLE a ADD x int DEFAULT 1 NOT NULL",
        "ALTER TABLE a ADD x bigint NOT NULL GENERATED ALWAYS AS IDENTITY", "ALTER TABLE a DROP CONSTRAINT a_check",
        "ALTER TABLE a ADD CONSTRAINT a_check CHECK (x IS NOT NULL)", "ALTER TABLE a ALTER COLUMN x DROP NOT NULL",
        "ALTER TABLE a ALTER x SET DEFAULT 1", "ALTER TABLE a NO FORCE ROW LEVEL SECURITY", "CREATE INDEX i ON a (x)",
        "DROP INDEX i", "-- DROP TABLE a\nSELECT 1", "CREATE FUNCTION f() AS $$ BEGIN DROP TABLE x; END $$",
        "INSERT INTO a SELECT 'x'", "DROP POLICY p ON a", "ALTER TABLE a ALTER x DROP DEFAULT",
    ],
)  # fmt: skip
def test_what_only_expands_passes(sql: str) -> None:
    assert breaking(sql) == []


def test_a_contraction_says_since_when_nobody_needs_it(tmp_path: Path) -> None:
    migration, script = tmp_path / "0099_less.py", tmp_path / "0099_less.sql"
    migration.write_text(
        "def upgrade():\n    run_beside(__file__)\n\ndef downgrade():\n    op.drop_table('x')\n"
    )
    script.write_text("DROP TABLE old;")
    assert found_in(migration)
    script.write_text("-- contract: nothing has read it since 0.3.0\nDROP TABLE old;")
    assert found_in(migration) == []
    migration.write_text("def upgrade():\n    op.drop_column('a', 'b')\n")
    script.unlink()
    assert found_in(migration) == ["op.drop_column"]
