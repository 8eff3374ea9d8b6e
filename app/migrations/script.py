"""Runs a migration's SQL file as one script, without parameters."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only


def run_beside(file: str) -> None:
    """Runs the ``.sql`` that lies beside the migration ``file``."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    await_only(driver.execute(Path(file).with_suffix(".sql").read_text(encoding="utf-8")))
