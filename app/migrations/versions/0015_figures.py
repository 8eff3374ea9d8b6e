"""Figures of the whole service, counted across tenants for Prometheus."""

from __future__ import annotations

from alembic import op

from app.migrations.script import run_beside

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)


def downgrade() -> None:
    """Nothing is lost: figures are counted anew."""
    op.execute("DROP FUNCTION tenant_figures()")
    op.drop_table("shared_figures")
