"""The one-time codes by which people sign in to the self-care portal.

Revision: 0011, after 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sign_in_code",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", postgresql.UUID(), primary_key=True),
        sa.Column("line_id", postgresql.UUID(), primary_key=True),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("tries", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("issued", sa.SmallInteger, nullable=False),
        sa.Column("window_from", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", name=op.f("pk_sign_in_code")),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON sign_in_code TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    op.drop_table("sign_in_code")
