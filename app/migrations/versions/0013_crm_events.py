"""When each connection's leads are looked at and its notes are queued, and the addresses CRMs tell of changes at."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0013"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """The addresses that CRMs know of stop working: they have to be issued anew."""
    for table in ("event_heads", "crm_note_marks", "searches"):
        op.execute(f"DROP POLICY scheduler ON {table}")
    for table in ("crm_named_leads", "crm_event_addresses", "crm_schedule"):
        op.drop_table(table)
    op.drop_index("crm_connections_place", "crm_connections")
    op.drop_column("crm_connections", "place")
