"""People of the operator, and what they ask for that somebody else has to approve.

Revision: 0012, after 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()
ROLES = "('support', 'finance', 'admin', 'auditor')"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "staff_member",
        sa.Column("staff_id", UUID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("code_step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failures", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("locked_until", TIME),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("disabled_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("signed_in_at", TIME),
        sa.CheckConstraint(f"role IN {ROLES}", name=op.f("ck_staff_member_role")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_staff_member")),
        sa.UniqueConstraint("name", name=op.f("uq_staff_member_name")),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON staff_member TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    op.drop_table("staff_member")
