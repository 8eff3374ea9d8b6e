"""Tables of the main path: tenants, accounts, what is read from Kwork, what goes to the CRM."""

from __future__ import annotations

from app.migrations.script import run_beside

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)


def downgrade() -> None:
    """Never: a backup is what undoes the first migration."""
    raise RuntimeError("the first migration is not undone: restore a backup instead")
