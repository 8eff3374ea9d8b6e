"""The log of events, webhooks and their deliveries."""

from __future__ import annotations

from alembic import op

from app.migrations.script import run_beside

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)


def downgrade() -> None:
    """What the tables held is lost; everything it told of stays."""
    for table in (
        "webhook_deliveries", "webhook_secrets", "webhooks", "events", "event_heads", "first_readings",
    ):  # fmt: skip
        op.drop_table(table)
