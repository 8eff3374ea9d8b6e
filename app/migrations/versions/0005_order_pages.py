"""Where the reading of each order's own page and thread, and of each dialog's messages, stands."""

from __future__ import annotations

from alembic import op

from app.migrations.script import run_beside

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_beside(__file__)


def downgrade() -> None:
    """Threads are read again from their beginning when this comes back."""
    for column in ("details_tried_at", "events_read_at", "events_cursor", "events_unread"):
        op.drop_column("orders", column)
    op.drop_column("dialogs", "messages_seen")
