"""What an online rotation of keys leaves behind: marks of unreadable secrets, and what a session was sealed as before."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0014"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """The marks are made again by the next rotation."""
    op.drop_table("unreadable_secrets")
    op.drop_column("account_sessions", "resealed_from")
