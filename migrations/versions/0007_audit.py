"""The audit trail: staff's actions, signed roots; disputes; subscriptions to events and their deliveries.

Revision: 0007, after 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: What the application may do beside reading. History can only be written, never rewritten.
RIGHTS = {
    "staff_action": "INSERT",
    "audit_root": "INSERT",
    "audit_progress": "INSERT, UPDATE",
    "audit_exported": "INSERT, UPDATE",
    "dispute": "INSERT, UPDATE",
    "dispute_evidence": "INSERT",
    "subscription": "INSERT, UPDATE",
    "event_delivery": "INSERT, UPDATE, DELETE",
}


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_operation_booked_at", "operation", ["booked_at"], postgresql_using="brin")
    op.create_index("ix_payment_event_at", "payment_event", ["at"], postgresql_using="brin")
    _audit()
    _disputes()
    _events()
    # A delivery's row is written when it is claimed and when it is done.
    op.execute("ALTER TABLE event_delivery SET (fillfactor = 70)")
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    for table in reversed(RIGHTS):
        op.drop_table(table)
    op.drop_index("ix_payment_event_at", table_name="payment_event")
    op.drop_index("ix_operation_booked_at", table_name="operation")


def _shard() -> sa.Column[int]:
    return sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False)


def _audit() -> None:
    op.create_table(
        "staff_action",
        _shard(),
        sa.Column("action_id", UUID, primary_key=True),
        sa.Column("account_id", UUID),
        sa.Column("line_id", UUID),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("detail", postgresql.JSONB, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "action_id", name=op.f("pk_staff_action")),
    )
    op.create_index("ix_staff_action_account", "staff_action", ["shard", "account_id"])
    op.create_index("ix_staff_action_at", "staff_action", ["at"], postgresql_using="brin")
    op.create_table(
        "audit_root",
        _shard(),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first", TIME, nullable=False),
        sa.Column("last", TIME, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
        sa.Column("merkle_root", sa.LargeBinary, nullable=False),
        sa.Column("prev_hash", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "seq", name=op.f("pk_audit_root")),
    )
    op.create_index("ix_audit_root_sealed_at", "audit_root", ["sealed_at"])
    # Hashes do not compress: store them as they are, beside the row.
    op.execute("ALTER TABLE audit_root ALTER COLUMN leaves SET STORAGE EXTERNAL")
    op.create_table(
        "audit_progress",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("database", sa.Text, nullable=False),
        sa.Column("finished_xid", sa.BigInteger, nullable=False),
        sa.Column("settled_at", TIME, nullable=False),
        sa.Column("pending_at", TIME, nullable=False),
        sa.Column("pending_xid", sa.BigInteger, nullable=False),
        sa.Column("run_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_progress")),
    )
    op.create_table(
        "audit_exported",
        _shard(),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_audit_exported")),
    )


def _owner(*columns: sa.Column[object]) -> list[sa.Column[object]]:
    return [_shard(), sa.Column("account_id", UUID, primary_key=True), *columns]  # type: ignore[list-item]


def _disputes() -> None:
    op.create_table(
        "dispute",
        *_owner(sa.Column("case_id", UUID, primary_key=True)),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("operation_key", UUID),
        sa.Column("payment_id", UUID),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("deadline", TIME, nullable=False),
        sa.Column("decisions", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("decided_at", TIME),
        sa.Column("outcome", sa.Text),
        sa.Column("outcome_reason", sa.Text),
        sa.Column("outcome_reference", sa.Text),
        sa.Column("resolved_by", sa.Text),
        sa.Column("resolved_at", TIME),
        sa.CheckConstraint("state IN ('open', 'resolving', 'resolved')", name=op.f("ck_dispute_state")),
        sa.CheckConstraint("outcome IN ('refund', 'chargeback_accepted', 'refused')", name=op.f("ck_dispute_outcome")),
        sa.CheckConstraint("(state = 'open') = (outcome IS NULL)", name=op.f("ck_dispute_decided")),
        sa.PrimaryKeyConstraint("shard", "account_id", "case_id", name=op.f("pk_dispute")),
    )
    op.create_index("ix_dispute_number", "dispute", ["number"])
    op.create_index("ix_dispute_open", "dispute", ["deadline"], postgresql_where=sa.text("state <> 'resolved'"))
    op.create_table(
        "dispute_evidence",
        *_owner(
            sa.Column("case_id", UUID, primary_key=True),
            sa.Column("evidence_id", UUID, primary_key=True),
        ),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("gathered_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "case_id", "evidence_id", name=op.f("pk_dispute_evidence")),
    )


def _events() -> None:
    op.create_table(
        "subscription",
        sa.Column("subscription_id", UUID, primary_key=True),
        sa.Column("callback", sa.Text, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("topics", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription")),
    )
    op.create_table(
        "event_delivery",
        *_owner(
            sa.Column("subscription_id", UUID, primary_key=True),
            sa.Column("event_id", UUID, primary_key=True),
        ),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("done_at", TIME),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("state IN ('due', 'sent', 'parked', 'dropped')", name=op.f("ck_event_delivery_state")),
        sa.PrimaryKeyConstraint("shard", "account_id", "subscription_id", "event_id", name=op.f("pk_event_delivery")),
    )
    op.create_index(
        "ix_event_delivery_due",
        "event_delivery",
        ["subscription_id", "due_at"],
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        "ix_event_delivery_parked",
        "event_delivery",
        ["subscription_id", "made_at"],
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.create_index(
        "ix_event_delivery_done",
        "event_delivery",
        ["done_at"],
        postgresql_where=sa.text("state IN ('sent', 'dropped')"),
    )
