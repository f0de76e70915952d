"""Tables of disputes: cases and their evidence."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    #: decided; its money may be moving. Only the same decision may be finished
    RESOLVING = "resolving"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """How a case can end."""

    #: the payer gets the money back, the account gives it
    REFUND = "refund"
    #: the payer's bank took the money back: what is left of the credit goes too
    CHARGEBACK_ACCEPTED = "chargeback_accepted"
    REFUSED = "refused"


#: One dispute about one thing that was done.
dispute = sa.Table(
    "dispute",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("case_id", UUID, primary_key=True),
    # Short and speakable: what people quote.
    sa.Column("number", sa.Text, nullable=False),
    # What is disputed, as it was quoted.
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("operation_key", UUID),
    sa.Column("payment_id", UUID),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("opened_at", Timestamp, nullable=False),
    sa.Column("deadline", Timestamp, nullable=False),
    # How often it was decided: the door may have refused. Each decision has a key of its own.
    sa.Column("decisions", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("decided_at", Timestamp),
    sa.Column("outcome", sa.Text),
    sa.Column("outcome_reason", sa.Text),
    # Of the operation that moved the money.
    sa.Column("outcome_reference", sa.Text),
    sa.Column("resolved_by", sa.Text),
    sa.Column("resolved_at", Timestamp),
    one_of("state", CaseState),
    one_of("outcome", Outcome),
    sa.CheckConstraint("(state = 'open') = (outcome IS NULL)", name="decided"),
    sa.Index("ix_dispute_number", "number"),
    sa.Index("ix_dispute_open", "deadline", postgresql_where=sa.text("state <> 'resolved'")),
)

#: What every layer knew when the case was opened, one row for each thing. Never changed.
dispute_evidence = sa.Table(
    "dispute_evidence",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("case_id", UUID, primary_key=True),
    sa.Column("evidence_id", UUID, primary_key=True),
    # ``operation``, ``payment``, ``gateway``, ``receipt``, ``message``, ``delivery`` …
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("gathered_at", Timestamp, nullable=False),
)
