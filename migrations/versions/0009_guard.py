"""The guard before payments: decisions, lists of the blocked and the trusted, saved cards, when a SIM was changed.

Revision: 0009, after 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: What the application may do beside reading. Decisions are history: written once.
RIGHTS = {"payment_decision": "INSERT", "guard_list": "INSERT, UPDATE, DELETE", "saved_card": "INSERT, DELETE"}


def upgrade() -> None:
    """Apply."""
    op.add_column("line", sa.Column("sim_changed_at", TIME))
    op.create_index("ix_payment_review", "payment", ["created_at"], postgresql_where=sa.text("state = 'review'"))
    op.create_table(
        "payment_decision",
        _shard(),
        sa.Column("account_id", UUID, primary_key=True),
        sa.Column("decision_id", UUID, primary_key=True),
        sa.Column("payment_id", UUID, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("layer", sa.Text),
        sa.Column("code", sa.Text),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("reasons", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("inputs", postgresql.JSONB, nullable=False),
        sa.Column("payer_digest", sa.LargeBinary),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("verdict IN ('allow', 'review', 'refuse')", name=op.f("ck_payment_decision_verdict")),
        sa.PrimaryKeyConstraint("shard", "account_id", "decision_id", name=op.f("pk_payment_decision")),
    )
    op.create_index("ix_payment_decision_at", "payment_decision", ["at"], postgresql_using="brin")
    op.create_table(
        "guard_list",
        _shard(),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.Column("until", TIME),
        sa.CheckConstraint("kind IN ('subscriber', 'payer', 'device')", name=op.f("ck_guard_list_kind")),
        sa.CheckConstraint("verdict IN ('block', 'allow')", name=op.f("ck_guard_list_verdict")),
        sa.PrimaryKeyConstraint("shard", "digest", name=op.f("pk_guard_list")),
    )
    op.create_table(
        "saved_card",
        _shard(),
        sa.Column("account_id", UUID, primary_key=True),
        sa.Column("card_id", UUID, primary_key=True),
        sa.Column("line_id", UUID, nullable=False),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("sealed_token", sa.LargeBinary, nullable=False),
        sa.Column("brand", sa.Text, nullable=False),
        sa.Column("last_four", sa.CHAR(4), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["shard", "account_id"],
            ["account.shard", "account.account_id"],
            name=op.f("fk_saved_card_shard"),
        ),
        sa.PrimaryKeyConstraint("shard", "account_id", "card_id", name=op.f("pk_saved_card")),
    )
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    for table in reversed(RIGHTS):
        op.drop_table(table)
    op.drop_index("ix_payment_review", table_name="payment")
    op.drop_column("line", "sim_changed_at")


def _shard() -> sa.Column[int]:
    return sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False)
