"""Saved searches on the exchange, their matches, and which projects' leads are followed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from app.domain.searches import fold
from app.migrations.script import isolate_tenants, run_beside

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file, and folds the words of what is stored."""
    run_beside(__file__)
    isolate_tenants()
    connection = op.get_bind()
    stored = connection.execute(text("SELECT id, title, description FROM market_projects")).all()
    if stored:
        connection.execute(
            text("UPDATE market_projects SET title_words = :title, text_words = :words WHERE id = :id"),
            [{"id": row[0], "title": fold(row[1]), "words": fold(row[2])} for row in stored],
        )


def downgrade() -> None:
    """The tenants' searches are lost."""
    for table in ("project_leads", "search_matches", "searches"):
        op.drop_table(table)
    op.drop_index("offers_project")
    for column in ("missing_since", "gone_at"):
        op.drop_column("orders", column)
    for column in ("title_words", "text_words", "revision", "matched_revision", "matched_at", "gone_at"):
        op.drop_column("market_projects", column)
