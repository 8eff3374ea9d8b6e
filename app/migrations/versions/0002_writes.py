"""The ledger of what is sent to Kwork, and a tenant's settings."""

from __future__ import annotations

from app.migrations.script import run_beside

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)


def downgrade() -> None:
    """Never: what was sent must stay known."""
    raise RuntimeError("the ledger of writes is not undone: restore a backup instead")
