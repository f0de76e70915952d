"""Decisions of batches that several databases take part in.

Revision: 0005, after 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROLE = "rasid_app"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "decision",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("batch_id", postgresql.UUID(), primary_key=True),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("decided_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('commit', 'abort')", name=op.f("ck_decision_verdict")),
    )
    op.create_index("ix_decision_decided_at", "decision", ["decided_at"])
    # Decided once, never changed; removed when no database can hold anything of the batch any more.
    op.execute(f"GRANT SELECT, INSERT, DELETE ON decision TO {ROLE}")


def downgrade() -> None:
    """Take back. Nothing may be prepared any more: what is could not be finished."""
    op.drop_table("decision")
