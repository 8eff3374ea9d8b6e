"""When a tenant was restored from a backup: until then its CRMs may know leads that the database does not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """NULL: the database was never restored."""
    op.add_column("tenants", sa.Column("restored_at", sa.TIMESTAMP(timezone=True)))


def downgrade() -> None:
    """After it a restored database may double what it has forgotten."""
    op.drop_column("tenants", "restored_at")
