"""Machines' keys, tokens that end before their time, tenants that are switched off."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0012"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """Keys stop working; tokens revoked for a whole person live again until they expire."""
    op.drop_index("audit_at")
    for table in ("api_keys", "token_cutoffs"):
        op.drop_table(table)
    op.drop_column("tenants", "disabled_at")
