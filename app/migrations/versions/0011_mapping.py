"""What was sent last with each link, where leads stood, and what people's moves in the CRM caused on Kwork."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """The CRM is asked again where leads stand when this comes back."""
    op.drop_table("crm_note_marks")
    op.drop_table("crm_moves")
    for column in ("sent", "put_stage", "seen_stage", "seen_at"):
        op.drop_column("crm_links", column)
