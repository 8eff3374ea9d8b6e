"""Files on their way to Kwork; what is in them lies in ``DATA_DIR/files``."""

from __future__ import annotations

from alembic import op

from app.migrations.script import isolate_tenants, run_beside

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_beside(__file__)
    isolate_tenants()


def downgrade() -> None:
    """What lies on the disk is an orphan then and gets swept once the table is back."""
    op.drop_table("files")
