"""What the portal needs: the codes that confirm an erasure, the limits that owners of accounts set for other lines.

Revision: 0013, after 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
BOUNDS = ("day_bound", "month_bound")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "erasure_code",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", postgresql.UUID(), primary_key=True),
        sa.Column("line_id", postgresql.UUID(), primary_key=True),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("tries", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("issued", sa.SmallInteger, nullable=False),
        sa.Column("window_from", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", name=op.f("pk_erasure_code")),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON erasure_code TO {ROLE}")
    for name in BOUNDS:
        op.add_column("meter", sa.Column(name, sa.BigInteger))


def downgrade() -> None:
    """Take back."""
    for name in BOUNDS:
        op.drop_column("meter", name)
    op.drop_table("erasure_code")
