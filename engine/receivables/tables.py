"""Tables of the receivables ledger and of bills."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard


class Owing(StrEnum):
    """The accounts of the receivables ledger: who owes whom because of a payment or a bill."""

    #: a payment gateway owes us what it captured
    GATEWAY = "gateway"
    #: a prepaid customer's money, owed to them as service
    ADVANCE = "advance"
    #: a postpaid customer owes us what was billed
    BILLED = "billed"
    #: earned, as billed
    REVENUE = "revenue"
    #: captured for a customer who could not take it, owed back to the payer
    UNAPPLIED = "unapplied"
    #: what gateways kept as their fee
    FEES = "fees"
    #: what will not be paid any more
    LOSSES = "losses"
    #: paid out to our bank
    BANK = "bank"


#: One balanced row of the receivables ledger: ``amount`` minor units from the credit to the debit account.
receivable = sa.Table(
    "receivable",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("key", UUID, primary_key=True),
    sa.Column("leg", sa.SmallInteger, primary_key=True),
    sa.Column("debit", sa.Text, nullable=False),
    sa.Column("credit", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    # Which gateway, where one is concerned.
    sa.Column("counterparty", sa.Text),
    # The payment or the bill.
    sa.Column("document_id", UUID, nullable=False),
    sa.Column("booked_at", Timestamp, nullable=False),
    sa.Column("batch_id", UUID, nullable=False),
    one_of("debit", Owing),
    one_of("credit", Owing),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("debit <> credit", name="two_accounts"),
    sa.Index("ix_receivable_booked_at", "booked_at"),
)

#: What a postpaid account owes for one period.
bill = sa.Table(
    "bill",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("bill_id", UUID, primary_key=True),
    # What stands on it: readable and never given twice.
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("open_amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("period_from", Timestamp, nullable=False),
    sa.Column("period_to", Timestamp, nullable=False),
    sa.Column("issued_at", Timestamp, nullable=False),
    sa.Column("due_at", Timestamp, nullable=False),
    sa.Column("changed_at", Timestamp, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("open_amount BETWEEN 0 AND amount", name="open_amount"),
    sa.ForeignKeyConstraint(["shard", "account_id"], ["account.shard", "account.account_id"]),
    sa.Index("ix_bill_open", "shard", "account_id", "due_at", postgresql_where=sa.text("open_amount > 0")),
)
