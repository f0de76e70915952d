"""Tables of the books: operations with their answers, balanced transfers, totals, and the outbox."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import DeliveryState, Unit


class Ledger(StrEnum):
    """The chart of accounts. ``balance`` is what subscribers own; all others are the operator's."""

    #: what is owed to subscribers, bucket by bucket
    BALANCE = "balance"
    #: face value of vouchers that were sold and not yet redeemed
    VOUCHERS = "vouchers"
    #: money earned from usage
    USAGE = "usage"
    #: money earned from products
    SALES = "sales"
    #: units granted by products
    GRANTS = "grants"
    #: units consumed
    CONSUMED = "consumed"
    #: value that expired unused
    BREAKAGE = "breakage"
    #: corrections by staff
    ADJUSTMENTS = "adjustments"
    #: captured by payment gateways for us, not paid out to us yet
    GATEWAY = "gateway"
    #: taken back by payers' banks and not recovered from the balance
    LOSSES = "losses"
    #: what goes from one subscriber to another, on its way: nets to zero in every batch
    CLEARING = "clearing"
    #: earned from fees for transfers and advances
    FEES = "fees"
    #: advances (emergency credit) given and not repaid
    ADVANCES = "advances"
    #: used beyond what was granted: the network reported late
    OVERRUN = "overrun"
    #: credit extended to postpaid accounts: what they have used and not paid
    CREDIT = "credit"


class BatchVerdict(StrEnum):
    """What was decided of a batch that several databases take part in."""

    COMMIT = "commit"
    ABORT = "abort"


class OutboxState(StrEnum):
    """Where a message stands."""

    DUE = "due"
    SENT = "sent"
    #: given up after the last try: staff may send it again
    PARKED = "parked"
    #: not sent, because the person does not want it or has heard it often enough today
    DROPPED = "dropped"


#: kinds of operations that are not found by their reference
NEVER_QUOTED = ("settle", "session", "usage", "charge", "expire", "release_overdue")

#: One intent, its idempotency key and its answer. Partitioned by time; the account's row lock, not an index over all
#: partitions, makes a key unique (see ``engine.books.store``).
operation = sa.Table(
    "operation",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("key", UUID, primary_key=True),
    sa.Column("booked_at", Timestamp, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    # What was asked, without key, time and source: equal for equal intents.
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("answer", JSONB, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("line_id", UUID),
    sa.Column("batch_id", UUID, nullable=False),
    # The key of the operation that a refund gives back.
    sa.Column("reverses", UUID),
    # What the audit chain has to read next: rows lie in the order in which they came, so a few bytes tell where.
    sa.Index("ix_operation_booked_at", "booked_at", postgresql_using="brin"),
    # What a caller quotes. Settlements are found by their payment, and nobody is told a reference of use.
    sa.Index("ix_operation_reference", "reference", postgresql_where=sa.text(f"kind NOT IN {NEVER_QUOTED}")),
    # What a line chose lately (``engine.favourites``), found without reading all that its sessions did.
    sa.Index(
        "ix_operation_chosen",
        "shard",
        "account_id",
        "line_id",
        "booked_at",
        postgresql_where=sa.text("kind IN ('purchase', 'transfer') AND code = 'ok'"),
    ),
    postgresql_partition_by="RANGE (booked_at)",
)

#: One balanced double entry: ``amount`` of ``unit`` from the debit account to the credit account. It touches exactly
#: one bucket, on the side that says ``balance``.
transfer = sa.Table(
    "transfer",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("key", UUID, primary_key=True),
    sa.Column("leg", sa.SmallInteger, primary_key=True),
    sa.Column("booked_at", Timestamp, primary_key=True),
    sa.Column("debit", sa.Text, nullable=False),
    sa.Column("credit", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("bucket_id", UUID, nullable=False),
    sa.Column("batch_id", UUID, nullable=False),
    one_of("unit", Unit),
    one_of("debit", Ledger),
    one_of("credit", Ledger),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("(debit = 'balance') <> (credit = 'balance')", name="one_bucket"),
    postgresql_partition_by="RANGE (booked_at)",
)

#: What each batch did to each of the operator's accounts: insert-only, so that no settlement updates a shared row.
batch_total = sa.Table(
    "batch_total",
    metadata,
    shard(),
    sa.Column("batch_id", UUID, primary_key=True),
    sa.Column("ledger", sa.Text, primary_key=True),
    sa.Column("unit", sa.Text, primary_key=True),
    sa.Column("booked_at", Timestamp, primary_key=True),
    sa.Column("debits", sa.BigInteger, nullable=False),
    sa.Column("credits", sa.BigInteger, nullable=False),
    one_of("unit", Unit),
    one_of("ledger", Ledger),
    postgresql_partition_by="RANGE (booked_at)",
)

#: What the world must hear of a commit, written in that commit.
outbox = sa.Table(
    "outbox",
    metadata,
    shard(),
    sa.Column("message_id", UUID, primary_key=True),
    # NULL for messages to the operator.
    sa.Column("account_id", UUID),
    sa.Column("line_id", UUID),
    sa.Column("operation_key", UUID),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default=OutboxState.DUE),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("due_at", Timestamp, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("sent_at", Timestamp),
    # 0 goes first: a campaign never stands before an answer (see ``engine.notices.rules``).
    sa.Column("priority", sa.SmallInteger, nullable=False, server_default="1"),
    # The carrier that it was being handed to: while it stands here, nobody knows whether that carrier has it.
    sa.Column("handed_to", sa.Text),
    # How far it has come, as far as is known, with whom, and what went wrong last.
    sa.Column("delivery", sa.Text, nullable=False, server_default=DeliveryState.QUEUED),
    sa.Column("carrier", sa.Text),
    sa.Column("error", sa.Text),
    one_of("state", OutboxState),
    one_of("delivery", DeliveryState),
    sa.Index("ix_outbox_due", "priority", "due_at", postgresql_where=sa.text("state = 'due'")),
    # What a line was told, for whoever looks at its history.
    sa.Index("ix_outbox_account", "shard", "account_id", "created_at"),
    sa.Index("ix_outbox_parked", "created_at", postgresql_where=sa.text("state = 'parked'")),
)

#: What became of a batch that several databases take part in. The first to insert has decided: the batch itself, which
#: says ``commit`` in the very commit of billing, or a recovery, which says ``abort``. The shard is the digest's.
decision = sa.Table(
    "decision",
    metadata,
    shard(),
    sa.Column("batch_id", UUID, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("decided_at", Timestamp, nullable=False),
    one_of("verdict", BatchVerdict),
    sa.Index("ix_decision_decided_at", "decided_at"),
)
