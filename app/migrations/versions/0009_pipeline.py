"""Failures a person can work with: requests and answers kept, problems, a CRM's health, notes, discarded deliveries."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """Notes and discarded deliveries are forgotten: the older code knows neither."""
    op.drop_table("crm_problems")
    op.drop_table("crm_health")
    for index in ("deliveries_notes", "deliveries_parked", "deliveries_discarded", "deliveries_open"):
        op.drop_index(index, "deliveries")
    # Forced, the rows of every tenant are hidden from the owner as well.
    for table, gone in (
        ("deliveries", "entity = 'note' OR state = 'discarded'"),
        ("crm_links", "entity = 'note'"),
    ):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"DELETE FROM {table} WHERE {gone}")  # noqa: S608 - both are written above
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.drop_constraint(f"{table}_entity_check", table)
        op.create_check_constraint(f"{table}_entity_check", table, "entity IN ('lead', 'contact')")
    op.drop_constraint("deliveries_state_check", "deliveries")
    op.create_check_constraint(
        "deliveries_state_check",
        "deliveries",
        "state IN ('pending', 'in_flight', 'retry', 'unknown', 'parked', 'done')",
    )
    op.execute(
        "CREATE UNIQUE INDEX deliveries_open ON deliveries (tenant_id, connection_id, entity, external_id) "
        "WHERE state <> 'done'"
    )
    for column in ("cause", "request", "answer", "discarded_by", "discard_reason"):
        op.drop_column("deliveries", column)
