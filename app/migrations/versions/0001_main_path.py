"""Tables of the main path: tenants, accounts, what is read from Kwork, what goes to the CRM."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file. It is sent as one script, without parameters."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    await_only(driver.execute(script))


def downgrade() -> None:
    """Never: a backup is what undoes the first migration."""
    raise RuntimeError("the first migration is not undone: restore a backup instead")
