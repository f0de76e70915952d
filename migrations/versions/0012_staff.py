"""People of the operator, what they ask for that somebody else has to approve, and what the console pages by.

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
KINDS = "('refund', 'payment', 'adjust', 'status', 'unlock', 'pin', 'receipt')"
STATES = "('pending', 'approved', 'done', 'failed', 'refused', 'expired')"
UNITS = "('money', 'octets', 'seconds', 'messages')"
STATUSES = "('preactive', 'active', 'suspended', 'barred', 'terminated')"
NEVER_QUOTED = "('settle', 'session', 'usage', 'charge', 'expire', 'release_overdue')"
#: columns of a request that change: what was asked does not
DECIDED = "state, decided_by, decided_why, decided_at, outcome, reference, done_at"
ROLES = "('support', 'finance', 'admin', 'auditor')"
#: what the console pages through by key: name, table, columns, condition
INDEXES = (
    (
        "ix_payment_apart",
        "payment",
        ["state", "created_at", "payment_id"],
        "state IN ('unknown', 'held', 'refunding', 'refunded', 'charged_back') OR reason = 'unresolved'",
    ),
    ("ix_staff_action_time", "staff_action", ["at", "action_id"], None),
    ("ix_staff_action_by", "staff_action", ["by", "at", "action_id"], None),
    ("ix_guard_list_added", "guard_list", ["added_at", "digest"], None),
    ("ix_discrepancy_waiting", "discrepancy", ["day", "name", "discrepancy_id"], "state <> 'resolved'"),
    ("ix_discrepancy_all", "discrepancy", ["day", "name", "discrepancy_id"], None),
    ("ix_voucher_batch_created", "voucher_batch", ["created_at", "batch_id"], None),
    # The search by reference, and a line's history.
    ("ix_operation_reference", "operation", ["reference"], f"kind NOT IN {NEVER_QUOTED}"),
    ("ix_outbox_account", "outbox", ["shard", "account_id", "created_at"], None),
)


def upgrade() -> None:
    """Apply."""
    _members()
    _requests()
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, postgresql_where=None if where is None else sa.text(where))


def downgrade() -> None:
    """Take back."""
    for name, table, *_ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_table("staff_request")
    op.drop_table("staff_member")


def _members() -> None:
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
        sa.Column("credentials_by", UUID),
        sa.Column("credentials_at", TIME, nullable=False),
        sa.CheckConstraint(f"role IN {ROLES}", name=op.f("ck_staff_member_role")),
        sa.ForeignKeyConstraint(
            ["credentials_by"], ["staff_member.staff_id"], name=op.f("fk_staff_member_credentials_by")
        ),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_staff_member")),
        sa.UniqueConstraint("name", name=op.f("uq_staff_member_name")),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON staff_member TO {ROLE}")


def _requests() -> None:
    op.create_table(
        "staff_request",
        sa.Column("request_id", UUID, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("line_id", UUID, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("amount", sa.BigInteger),
        sa.Column("subject", UUID),
        sa.Column("status", sa.Text),
        sa.Column("asked_by", UUID, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("alone", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_by", UUID),
        sa.Column("decided_why", sa.Text),
        sa.Column("decided_at", TIME),
        sa.Column("outcome", sa.Text),
        sa.Column("reference", sa.Text),
        sa.Column("done_at", TIME),
        sa.CheckConstraint(f"kind IN {KINDS}", name=op.f("ck_staff_request_kind")),
        sa.CheckConstraint(f"state IN {STATES}", name=op.f("ck_staff_request_state")),
        sa.CheckConstraint(f"unit IN {UNITS}", name=op.f("ck_staff_request_unit")),
        sa.CheckConstraint(f"status IN {STATUSES}", name=op.f("ck_staff_request_status")),
        sa.CheckConstraint("decided_by <> asked_by", name=op.f("ck_staff_request_two_people")),
        sa.CheckConstraint(
            "alone OR decided_by IS NOT NULL OR state IN ('pending', 'expired')",
            name=op.f("ck_staff_request_approved_by_somebody"),
        ),
        sa.CheckConstraint("(unit IS NULL) = (amount IS NULL)", name=op.f("ck_staff_request_amount")),
        sa.ForeignKeyConstraint(["asked_by"], ["staff_member.staff_id"], name=op.f("fk_staff_request_asked_by")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff_member.staff_id"], name=op.f("fk_staff_request_decided_by")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_staff_request")),
    )
    still_open = sa.text("state IN ('pending', 'approved')")
    op.create_index("ix_staff_request_asked_at", "staff_request", ["asked_at", "request_id"])
    op.create_index("ix_staff_request_open", "staff_request", ["asked_at"], postgresql_where=still_open)
    op.create_index("ix_staff_request_account", "staff_request", ["shard", "account_id"])
    op.create_index("ix_staff_request_asked_by", "staff_request", ["asked_by", "asked_at"])
    op.execute(f"GRANT SELECT, INSERT, UPDATE ({DECIDED}) ON staff_request TO {ROLE}")
