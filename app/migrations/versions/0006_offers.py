"""The accounts' own offers, since when each stream's backlog is read, and the keys of uploads."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """Offers are read again from Kwork when this comes back."""
    op.drop_table("offers")
    for column in ("upload_place", "upload_key"):
        op.drop_column("files", column)
    # Forced, the rows of every tenant are hidden from the owner as well.
    op.execute("ALTER TABLE first_readings NO FORCE ROW LEVEL SECURITY")
    op.execute("DELETE FROM first_readings WHERE stream = 'offers'")
    op.execute("ALTER TABLE first_readings FORCE ROW LEVEL SECURITY")
    op.drop_column("first_readings", "finished_at")
    op.drop_constraint("first_readings_stream_check", "first_readings")
    op.create_check_constraint(
        "first_readings_stream_check", "first_readings", "stream IN ('orders', 'messages')"
    )
