"""Staff of the console.

Revision: 0012, after 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

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
)


def upgrade() -> None:
    """Apply."""
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, postgresql_where=None if where is None else sa.text(where))


def downgrade() -> None:
    """Take back."""
    for name, table, *_ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
