"""A tenant's own CRM connections: settings, sealed secrets, modes, what a check found, and kept OAuth tokens."""

from __future__ import annotations

from app.migrations.script import isolate_tenants, run_beside

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """Never: the keys of tenants' CRMs would be gone."""
    raise RuntimeError("tenants' CRM connections are not undone: restore a backup instead")
