"""What dialogs keep.

Revision: 0014, after 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recovery_code",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", postgresql.UUID(), primary_key=True),
        sa.Column("line_id", postgresql.UUID(), primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("place", postgresql.JSONB, nullable=False),
        sa.Column("origin", postgresql.UUID(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_by", postgresql.UUID()),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", "code", name=op.f("pk_recovery_code")),
    )
    op.create_index("ix_recovery_code_expires", "recovery_code", ["expires_at"])
    op.create_table(
        "pushed_menu",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("message_id", postgresql.UUID(), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("begun_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "message_id", name=op.f("pk_pushed_menu")),
        sa.CheckConstraint("state IN ('begun', 'refused', 'answered', 'texted')", name=op.f("ck_pushed_menu_state")),
    )
    op.create_index("ix_pushed_menu_begun", "pushed_menu", ["begun_at"])
    op.create_table(
        "dialog_hop",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("session", sa.LargeBinary, primary_key=True),
        sa.Column("at", TIME, primary_key=True),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ends", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("shard", "session", "at", name=op.f("pk_dialog_hop")),
    )
    op.create_index("ix_dialog_hop_at", "dialog_hop", ["at"], postgresql_using="brin")
    op.execute(f"GRANT SELECT, INSERT, DELETE ON dialog_hop TO {ROLE}")
    for table in ("recovery_code", "pushed_menu"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    op.drop_table("dialog_hop")
    op.drop_table("pushed_menu")
    op.drop_table("recovery_code")
