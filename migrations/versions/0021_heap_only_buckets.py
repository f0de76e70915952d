"""Balances: what a bucket holds is named by no index, so that a change of it stays on its page and writes none anew.

The new column rewrites the table: with millions of lines plan for some minutes in which balances stand still.

Revision: 0021, after 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NAME = "ix_bucket_due"
DUE = sa.text("due_at IS NOT NULL")
BEFORE = sa.text("amount > 0 AND expires_at IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.drop_index(NAME, table_name="bucket")
    ends = sa.Computed("CASE WHEN amount > 0 THEN expires_at ELSE NULL::timestamp with time zone END", persisted=True)
    op.add_column("bucket", sa.Column("due_at", sa.DateTime(timezone=True), ends))
    op.create_index(NAME, "bucket", ["due_at"], postgresql_where=DUE)


def downgrade() -> None:
    """Take back."""
    op.drop_index(NAME, table_name="bucket")
    op.drop_column("bucket", "due_at")
    op.create_index(NAME, "bucket", ["expires_at"], postgresql_where=BEFORE)
