"""Durable jobs: procrastinate's tables, schedules of accounts and shared readings, runs that wait for a worker."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside, run_shared

revision = "0008"
down_revision = "0011"
branch_labels = None
depends_on = None

_ENGINE = "procrastinate-3.10.0.sql"


def upgrade() -> None:
    """The engine's own schema as the package brings it, then ours."""
    run_shared(_ENGINE)
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """Jobs that wait are lost; runs that wait end as interrupted."""
    op.execute("DROP TABLE account_schedule, shared_schedule")
    for table in ("sync_leases", "kwork_writes", "webhooks"):
        op.execute(f"DROP POLICY scheduler ON {table}")
    op.execute("DROP POLICY lease_holder ON sync_leases")
    op.execute("DROP INDEX sync_runs_open, sync_leases_holder")
    # Forced, the rows of every tenant are hidden from the owner as well.
    op.execute("ALTER TABLE sync_runs NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE sync_runs SET state = 'interrupted', finished_at = now() WHERE state = 'queued'")
    op.execute("ALTER TABLE sync_runs FORCE ROW LEVEL SECURITY")
    op.drop_constraint("sync_runs_state_check", "sync_runs")
    op.create_check_constraint(
        "sync_runs_state_check", "sync_runs", "state IN ('running', 'done', 'failed', 'interrupted')"
    )
    op.execute(_DROP_ENGINE)


_DROP_ENGINE = """
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE;
DO $$
DECLARE
    part text;
BEGIN
    FOR part IN SELECT p.oid::regprocedure::text FROM pg_proc p
                WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE 'DROP FUNCTION ' || part;
    END LOOP;
END $$;
DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type;
"""
