"""Payments: their recovery points and history, the receivables ledger, bills, provisioning rules, receipts, events.

Revision: 0004, after 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: What the application may do beside reading. History can only be written, never rewritten.
RIGHTS = {
    "payment": "INSERT, UPDATE",
    "payment_locator": "INSERT",
    "gateway_event": "INSERT, UPDATE",
    "payment_event": "INSERT",
    "payment_history": "INSERT",
    "receipt": "INSERT",
    "bill": "INSERT, UPDATE",
    "receivable": "INSERT",
    "provisioning_rule": "INSERT, UPDATE",
    "event": "INSERT, UPDATE",
}

LEDGERS = (
    "'balance', 'vouchers', 'usage', 'sales', 'grants', 'consumed', 'breakage', 'adjustments', 'gateway', 'losses', "
    "'clearing', 'fees', 'advances', 'overrun', 'credit'"
)
OLD_LEDGERS = "'balance', 'vouchers', 'usage', 'sales', 'grants', 'consumed', 'breakage', 'adjustments'"
CHECKED = (("transfer", "debit"), ("transfer", "credit"), ("batch_total", "ledger"))
METHODS = "method IN ('mobile_money', 'card', 'bank')"
STATES = (
    "state IN ('created', 'review', 'requested', 'pending', 'unknown', 'held', 'captured', 'settled', 'declined', "
    "'refunding', 'refunded', 'charged_back')"
)
OWING = "IN ('gateway', 'advance', 'billed', 'revenue', 'unapplied', 'fees', 'losses', 'bank')"


def upgrade() -> None:
    """Apply."""
    _chart_of_accounts(LEDGERS)
    op.add_column("line", sa.Column("policy", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"))
    _payments()
    _history()
    _receivables()
    _telling()
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back. Bookings of the new accounts must be gone."""
    for table in reversed(RIGHTS):
        op.drop_table(table)
    op.drop_column("line", "policy")
    _chart_of_accounts(OLD_LEDGERS)


def _chart_of_accounts(ledgers: str) -> None:
    for table, column in CHECKED:
        op.drop_constraint(op.f(f"ck_{table}_{column}"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, f"{column} IN ({ledgers})")


def _owner(*columns: sa.Column[object]) -> list[sa.Column[object]]:
    return [
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", UUID, primary_key=True),
        *columns,
    ]


def _account_of(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["shard", "account_id"], ["account.shard", "account.account_id"], name=op.f(f"fk_{table}_shard")
    )


def _payments() -> None:
    op.create_table(
        "payment",
        *_owner(sa.Column("payment_id", UUID, primary_key=True), sa.Column("line_id", UUID)),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("gateway_ref", sa.Text),
        sa.Column("asked_ref", sa.Text),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("captured", sa.BigInteger),
        sa.Column("captured_currency", sa.CHAR(3)),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("product", sa.Text),
        sa.Column("sealed_payer", sa.LargeBinary),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("next_check_at", TIME),
        sa.Column("requested_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.CheckConstraint(METHODS, name=op.f("ck_payment_method")),
        sa.CheckConstraint(STATES, name=op.f("ck_payment_state")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint("captured > 0", name=op.f("ck_payment_captured")),
        _account_of("payment"),
    )
    op.create_index("ix_payment_due", "payment", ["next_check_at"], postgresql_where="next_check_at IS NOT NULL")
    op.create_table(
        "payment_locator",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("owner_shard", sa.SmallInteger, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("payment_id", UUID, nullable=False),
    )
    op.create_table(
        "gateway_event",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("payload_hash", sa.LargeBinary, nullable=False),
        sa.Column("body", postgresql.JSONB),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("done_at", TIME),
        sa.Column("refused", sa.Text),
        sa.Column("next_check_at", TIME),
    )
    op.create_index("ix_gateway_event_open", "gateway_event", ["next_check_at"], postgresql_where="done_at IS NULL")
    # A payment's row is written a handful of times within seconds.
    op.execute("ALTER TABLE payment SET (fillfactor = 50)")


def _history() -> None:
    op.create_table(
        "payment_event",
        *_owner(sa.Column("payment_id", UUID, primary_key=True), sa.Column("event_id", UUID, primary_key=True)),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_table(
        "payment_history",
        *_owner(sa.Column("key", UUID, primary_key=True), sa.Column("payment_id", UUID, nullable=False)),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("gateway_ref", sa.Text),
        sa.Column("booked_at", TIME, nullable=False),
        sa.Column("batch_id", UUID, nullable=False),
        sa.CheckConstraint(
            "event IN ('settled', 'set_aside', 'reversed', 'charged_back', 'returned')",
            name=op.f("ck_payment_history_event"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_history_amount")),
    )
    op.create_index("ix_payment_history_gateway", "payment_history", ["gateway", "booked_at"])
    op.create_table(
        "receipt",
        *_owner(sa.Column("key", UUID, primary_key=True), sa.Column("reference", sa.Text, nullable=False)),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("issued_at", TIME, nullable=False),
    )
    op.create_index("ix_receipt_reference", "receipt", ["reference"])


def _receivables() -> None:
    op.create_table(
        "bill",
        *_owner(sa.Column("bill_id", UUID, primary_key=True), sa.Column("number", sa.Text, nullable=False)),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("open_amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("period_from", TIME, nullable=False),
        sa.Column("period_to", TIME, nullable=False),
        sa.Column("issued_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_bill_amount")),
        sa.CheckConstraint("open_amount BETWEEN 0 AND amount", name=op.f("ck_bill_open_amount")),
        _account_of("bill"),
    )
    op.create_index("ix_bill_open", "bill", ["shard", "account_id", "due_at"], postgresql_where="open_amount > 0")
    op.create_table(
        "receivable",
        *_owner(
            sa.Column("key", UUID, primary_key=True),
            sa.Column("leg", sa.SmallInteger, primary_key=True, autoincrement=False),
        ),
        sa.Column("debit", sa.Text, nullable=False),
        sa.Column("credit", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("counterparty", sa.Text),
        sa.Column("document_id", UUID, nullable=False),
        sa.Column("booked_at", TIME, nullable=False),
        sa.Column("batch_id", UUID, nullable=False),
        sa.CheckConstraint(f"debit {OWING}", name=op.f("ck_receivable_debit")),
        sa.CheckConstraint(f"credit {OWING}", name=op.f("ck_receivable_credit")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_receivable_amount")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_receivable_two_accounts")),
    )
    op.create_index("ix_receivable_booked_at", "receivable", ["booked_at"])


def _telling() -> None:
    op.create_table(
        "provisioning_rule",
        *_owner(sa.Column("line_id", UUID, primary_key=True), sa.Column("counter", sa.Text, primary_key=True)),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("valid_until", TIME),
        sa.Column("key", UUID, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
    )
    op.create_table(
        "event",
        *_owner(sa.Column("event_id", UUID, primary_key=True), sa.Column("line_id", UUID)),
        sa.Column("operation_key", UUID),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("fanned_at", TIME),
    )
    op.create_index("ix_event_waiting", "event", ["created_at"], postgresql_where="fanned_at IS NULL")
