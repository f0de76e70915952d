"""Tables of reconciliation: what gateways stated, where books and statements differ, and the figures of each day.

They are written and matched as whole sets, found by the provider's reference and by nobody's account: no shards.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of


class Kind(StrEnum):
    """In what statement and books differ."""

    #: booked here, and the gateway does not state it
    MISSING_AT_GATEWAY = "missing_at_gateway"
    #: the gateway has the money, and nobody was credited
    MISSING_HERE = "missing_here"
    AMOUNT = "amount"
    CURRENCY = "currency"
    #: given back on one side only
    STATUS = "status"
    #: stated twice, or booked twice
    DUPLICATE = "duplicate"
    #: both have it, far apart in time; or it is so close to the statement's end that the next one may state it
    TIMING = "timing"


class State(StrEnum):
    """How far a discrepancy has come."""

    OPEN = "open"
    #: somebody owns it
    ASSIGNED = "assigned"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """How a discrepancy ended."""

    #: statement and books agree by now
    CLEARED = "cleared"
    #: credited through the one door, or taken back because it was given back
    CREDITED = "credited"
    #: booked as owed to the payer and on its way back: it could not be credited
    RETURNED = "returned"
    #: the gateway was wrong and has corrected it, or paid
    CORRECTED = "corrected"
    EXPLAINED = "explained"
    WRITTEN_OFF = "written_off"


#: One run over a file, or over a gateway's answers.
reconciliation_run = sa.Table(
    "reconciliation_run",
    metadata,
    sa.Column("run_id", UUID, primary_key=True),
    sa.Column("gateway", sa.Text, nullable=False),
    # ``file:<name>``, ``fetched`` or ``status``
    sa.Column("source", sa.Text, nullable=False),
    # SHA-256 of the file: the same file again is told from another one.
    sa.Column("digest", sa.LargeBinary),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("broken", sa.BigInteger, nullable=False),
    # The first broken lines, each with its number and the reason.
    sa.Column("broken_lines", JSONB, nullable=False),
    sa.Column("found", sa.BigInteger, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("started_at", Timestamp, nullable=False),
    sa.Column("finished_at", Timestamp, nullable=False),
    sa.CheckConstraint("first_day <= last_day", name="days"),
    sa.Index("ix_reconciliation_run_day", "gateway", "last_day"),
)

#: One movement as a gateway stated it. Two of the same reference, state and time are told apart by ``nth``; a file that
#: states one again changes nothing, or corrects its amount.
settlement_row = sa.Table(
    "settlement_row",
    metadata,
    sa.Column("gateway", sa.Text, primary_key=True),
    sa.Column("gateway_ref", sa.Text(collation="C"), primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),
    sa.Column("at", Timestamp, primary_key=True),
    sa.Column("nth", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("payment_id", UUID),
    # Below 0: given back.
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("fee", sa.BigInteger, nullable=False),
    # The day of the statement that first stated it.
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("run_id", UUID, nullable=False),
    sa.CheckConstraint("amount <> 0", name="amount"),
    sa.Index("ix_settlement_row_day", "day", postgresql_using="brin"),
)

#: One thing in which statement and books differ, from its finding to its end.
discrepancy = sa.Table(
    "discrepancy",
    metadata,
    sa.Column("discrepancy_id", UUID, primary_key=True),
    sa.Column("gateway", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # What is known here of it, as a code: the payment's state, ``payment_unknown`` …
    sa.Column("reason", sa.Text, nullable=False),
    # The provider's reference; our payment's id where it has none.
    sa.Column("name", sa.Text(collation="C"), nullable=False),
    # Whether it is money in; else it is money given back.
    sa.Column("paid", sa.Boolean, nullable=False),
    sa.Column("shard", sa.SmallInteger),
    sa.Column("account_id", UUID),
    sa.Column("payment_id", UUID),
    sa.Column("stated", sa.BigInteger, nullable=False),
    sa.Column("stated_currency", sa.CHAR(3)),
    sa.Column("stated_at", Timestamp),
    sa.Column("booked", sa.BigInteger, nullable=False),
    sa.Column("booked_currency", sa.CHAR(3)),
    sa.Column("booked_at", Timestamp),
    # Missing here, and nothing but its booking is missing.
    sa.Column("exact", sa.Boolean, nullable=False),
    # What the payer typed as the account: AES-256-GCM, key id and nonce first.
    sa.Column("sealed_account", sa.LargeBinary),
    # Whether the last run that looked at it still saw it: what is not seen any more counts in no figure.
    sa.Column("live", sa.Boolean, nullable=False),
    # A statement has it: it counts in the figures. What a gateway was only asked for does not.
    sa.Column("counted", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("resolution", sa.Text),
    sa.Column("run_id", UUID, nullable=False),
    sa.Column("found_at", Timestamp, nullable=False),
    sa.Column("changed_at", Timestamp, nullable=False),
    one_of("kind", Kind),
    one_of("state", State),
    one_of("resolution", Resolution),
    sa.CheckConstraint("(state = 'resolved') = (resolution IS NOT NULL)", name="resolved"),
    sa.Index("ix_discrepancy_day", "gateway", "day"),
    sa.Index("ix_discrepancy_open", "gateway", "day", postgresql_where=sa.text("state <> 'resolved'")),
    sa.Index(
        "ix_discrepancy_waiting", "day", "name", "discrepancy_id", postgresql_where=sa.text("state <> 'resolved'")
    ),
    sa.Index("ix_discrepancy_all", "day", "name", "discrepancy_id"),
)

#: What was done with a discrepancy, by whom and why. Never changed.
discrepancy_change = sa.Table(
    "discrepancy_change",
    metadata,
    sa.Column("discrepancy_id", UUID, primary_key=True),
    sa.Column("change_id", UUID, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("at", Timestamp, nullable=False),
)

#: A gateway's day in one currency: what it captured less what it gave back, and what the books say of the same.
reconciliation_figure = sa.Table(
    "reconciliation_figure",
    metadata,
    sa.Column("gateway", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("currency", sa.CHAR(3), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("captured", sa.BigInteger, nullable=False),
    sa.Column("fees", sa.BigInteger, nullable=False),
    sa.Column("settled", sa.BigInteger, nullable=False),
    sa.Column("run_id", UUID, nullable=False),
    sa.Column("computed_at", Timestamp, nullable=False),
)
