"""Runs a migration's SQL file as one script, without parameters."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only


def run_beside(file: str) -> None:
    """Runs the ``.sql`` that lies beside the migration ``file``."""
    _run(Path(file).with_suffix(".sql"))


def run_shared(name: str) -> None:
    """Runs a script that lies beside this module."""
    _run(Path(__file__).with_name(name))


def isolate_tenants() -> None:
    """Row-level security for every table with a ``tenant_id`` that has none yet: call it after making one."""
    _run(Path(__file__).with_name("tenant_isolation.sql"))


def _run(script: Path) -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    await_only(driver.execute(script.read_text(encoding="utf-8")))
