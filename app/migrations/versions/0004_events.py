"""The log of events, webhooks and their deliveries."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

revision = "0004"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file. It is sent as one script, without parameters."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    await_only(driver.execute(script))


def downgrade() -> None:
    """What the tables held is lost; everything it was told about stays."""
    for table in (
        "webhook_deliveries",
        "webhook_secrets",
        "webhooks",
        "events",
        "event_heads",
        "first_readings",
    ):
        op.drop_table(table)
