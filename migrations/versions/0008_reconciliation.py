"""Reconciliation: what gateways stated, what differs from the books and what became of it, the figures of each day.

Revision: 0008, after 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: What the application may do beside reading. History can only be written, never rewritten.
RIGHTS = {
    "reconciliation_run": "INSERT",
    "settlement_row": "INSERT, UPDATE",
    "discrepancy": "INSERT, UPDATE",
    "discrepancy_change": "INSERT",
    "reconciliation_figure": "INSERT, UPDATE",
}
KINDS = "('missing_at_gateway', 'missing_here', 'amount', 'currency', 'status', 'duplicate', 'timing')"
RESOLUTIONS = "('cleared', 'credited', 'returned', 'corrected', 'explained', 'written_off')"


def upgrade() -> None:
    """Apply."""
    # Payments are asked about day by day; rows lie about in the order in which they came.
    op.create_index("ix_payment_created_at", "payment", ["created_at"], postgresql_using="brin")
    _statements()
    _discrepancies()
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    for table in reversed(RIGHTS):
        op.drop_table(table)
    op.drop_index("ix_payment_created_at", table_name="payment")


def _statements() -> None:
    op.create_table(
        "reconciliation_run",
        sa.Column("run_id", UUID, primary_key=True),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("broken", sa.BigInteger, nullable=False),
        sa.Column("broken_lines", postgresql.JSONB, nullable=False),
        sa.Column("found", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_reconciliation_run_days")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_reconciliation_run")),
    )
    op.create_index("ix_reconciliation_run_day", "reconciliation_run", ["gateway", "last_day"])
    op.create_table(
        "settlement_row",
        sa.Column("gateway", sa.Text, primary_key=True),
        # References are compared and sorted by the million: byte by byte.
        sa.Column("gateway_ref", sa.Text(collation="C"), primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("at", TIME, primary_key=True),
        sa.Column("nth", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("payment_id", UUID),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_settlement_row_amount")),
        sa.PrimaryKeyConstraint("gateway", "gateway_ref", "state", "at", "nth", name=op.f("pk_settlement_row")),
    )
    op.create_index("ix_settlement_row_day", "settlement_row", ["day"], postgresql_using="brin")
    op.create_table(
        "reconciliation_figure",
        sa.Column("gateway", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("currency", sa.CHAR(3), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("captured", sa.BigInteger, nullable=False),
        sa.Column("fees", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("computed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("gateway", "day", "currency", name=op.f("pk_reconciliation_figure")),
    )


def _discrepancies() -> None:
    op.create_table(
        "discrepancy",
        sa.Column("discrepancy_id", UUID, primary_key=True),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("paid", sa.Boolean, nullable=False),
        sa.Column("shard", sa.SmallInteger),
        sa.Column("account_id", UUID),
        sa.Column("payment_id", UUID),
        sa.Column("stated", sa.BigInteger, nullable=False),
        sa.Column("stated_currency", sa.CHAR(3)),
        sa.Column("stated_at", TIME),
        sa.Column("booked", sa.BigInteger, nullable=False),
        sa.Column("booked_currency", sa.CHAR(3)),
        sa.Column("booked_at", TIME),
        sa.Column("exact", sa.Boolean, nullable=False),
        sa.Column("sealed_account", sa.LargeBinary),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("resolution", sa.Text),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("found_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.CheckConstraint(f"kind IN {KINDS}", name=op.f("ck_discrepancy_kind")),
        sa.CheckConstraint("state IN ('open', 'assigned', 'resolved')", name=op.f("ck_discrepancy_state")),
        sa.CheckConstraint(f"resolution IN {RESOLUTIONS}", name=op.f("ck_discrepancy_resolution")),
        sa.CheckConstraint("(state = 'resolved') = (resolution IS NOT NULL)", name=op.f("ck_discrepancy_resolved")),
        sa.PrimaryKeyConstraint("discrepancy_id", name=op.f("pk_discrepancy")),
    )
    op.create_index("ix_discrepancy_day", "discrepancy", ["gateway", "day"])
    op.create_index(
        "ix_discrepancy_open", "discrepancy", ["gateway", "day"], postgresql_where=sa.text("state <> 'resolved'")
    )
    op.create_table(
        "discrepancy_change",
        sa.Column("discrepancy_id", UUID, primary_key=True),
        sa.Column("change_id", UUID, primary_key=True),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("discrepancy_id", "change_id", name=op.f("pk_discrepancy_change")),
    )
