"""Tables of payments: where each stands, what was heard of it, its history and its receipt."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import PaymentMethod, PaymentState

#: One payment and the recovery point it has reached. Changes outside the one door move no money.
payment = sa.Table(
    "payment",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("payment_id", UUID, primary_key=True),
    sa.Column("line_id", UUID),
    sa.Column("gateway", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    # The provider's own name for it, once heard; and the first one, which it is asked by where the two differ.
    sa.Column("gateway_ref", sa.Text),
    sa.Column("asked_ref", sa.Text),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    # What the provider says it took for us, once it does.
    sa.Column("captured", sa.BigInteger),
    sa.Column("captured_currency", sa.CHAR(3)),
    # What has gone back since in parts, as far as that is booked: given back by itself, or taken by a bank.
    sa.Column("returned", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("reference", sa.Text, nullable=False),
    # Catalogue code of what is bought with it in the same commit; NULL credits airtime.
    sa.Column("product", sa.Text),
    # Who pays, AES-256-GCM under the account's data key; a provider's token for a card is a secret too.
    sa.Column("sealed_payer", sa.LargeBinary),
    # Who asked and on what: the channel that the confirmation goes to.
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    # When the recovery loop looks at it next; NULL: never.
    sa.Column("next_check_at", Timestamp),
    sa.Column("requested_at", Timestamp),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("changed_at", Timestamp, nullable=False),
    one_of("method", PaymentMethod),
    one_of("state", PaymentState),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("captured > 0", name="captured"),
    sa.CheckConstraint("returned >= 0 AND returned < amount", name="returned"),
    sa.ForeignKeyConstraint(["shard", "account_id"], ["account.shard", "account.account_id"]),
    sa.Index("ix_payment_created_at", "created_at", postgresql_using="brin"),
    sa.Index("ix_payment_review", "created_at", postgresql_where=sa.text("state = 'review'")),
    sa.Index("ix_payment_due", "next_check_at", postgresql_where=sa.text("next_check_at IS NOT NULL")),
    # What staff looks for among millions that went well; a payment that goes well is never in it.
    sa.Index(
        "ix_payment_apart",
        "state",
        "created_at",
        "payment_id",
        postgresql_where=sa.text(
            "state IN ('unknown', 'held', 'refunding', 'refunded', 'charged_back') OR reason = 'unresolved'"
        ),
    ),
)

#: Finds a payment by something else: a provider's reference, a callback's path, what a person quotes. Lives in the
#: shard of the digest. A provider's reference that comes twice is the same payment twice: the primary key says so.
payment_locator = sa.Table(
    "payment_locator",
    metadata,
    shard(),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("owner_shard", sa.SmallInteger, nullable=False),
    sa.Column("account_id", UUID, nullable=False),
    sa.Column("payment_id", UUID, nullable=False),
    # When it may be forgotten; NULL: never. What a provider calls a payment stays, or it could be counted again.
    sa.Column("until", Timestamp),
    sa.Index("ix_payment_locator_until", "until", postgresql_using="brin"),
)

#: Who was asked for how much, as a keyed digest: money that comes by itself may be a push's, told under another name.
#: Several payments have the same one, so it is no locator. Lives in the shard of the digest, for a day.
payment_asked = sa.Table(
    "payment_asked",
    metadata,
    shard(),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("payment_id", UUID, primary_key=True),
    sa.Column("owner_shard", sa.SmallInteger, nullable=False),
    sa.Column("account_id", UUID, nullable=False),
    sa.Column("asked_at", Timestamp, nullable=False),
    sa.Index("ix_payment_asked_at", "asked_at", postgresql_using="brin"),
)

#: What a provider called to say: stored before it is acted on, once for each of its event ids.
gateway_event = sa.Table(
    "gateway_event",
    metadata,
    shard(),
    # Digest of gateway and event id.
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("gateway", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("payload_hash", sa.LargeBinary, nullable=False),
    # The event in our words, without who paid; NULL where it was refused. Never changed.
    sa.Column("body", JSONB),
    # Who paid and what they typed, AES-256-GCM, until it is done: then that stands with the payment.
    sa.Column("sealed", sa.Text),
    sa.Column("received_at", Timestamp, nullable=False),
    # NULL until what it says stands with the payment.
    sa.Column("done_at", Timestamp),
    sa.Column("refused", sa.Text),
    # When the recovery loop looks at it, should whoever took it be gone by then.
    sa.Column("next_check_at", Timestamp),
    sa.Index("ix_gateway_event_open", "next_check_at", postgresql_where=sa.text("done_at IS NULL")),
    sa.Index("ix_gateway_event_received_at", "received_at", postgresql_using="brin"),
)

#: Everything that happened to a payment, in order: the evidence of a dispute. Never changed.
payment_event = sa.Table(
    "payment_event",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("payment_id", UUID, primary_key=True),
    sa.Column("event_id", UUID, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    # ``asked``, ``answered``, ``callback``, ``status``, ``validated``, ``settled`` …
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Index("ix_payment_event_at", "at", postgresql_using="brin"),
)

#: The payment history: one row for each money effect of a payment, written in its commit.
payment_history = sa.Table(
    "payment_history",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("key", UUID, primary_key=True),
    sa.Column("payment_id", UUID, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("gateway", sa.Text, nullable=False),
    sa.Column("gateway_ref", sa.Text),
    sa.Column("booked_at", Timestamp, nullable=False),
    sa.Column("batch_id", UUID, nullable=False),
    sa.CheckConstraint(
        "event IN ('settled', 'set_aside', 'reversed', 'charged_back', 'restored', 'returned', 'part_returned')",
        name="event",
    ),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.Index("ix_payment_history_gateway", "gateway", "booked_at"),
)

#: What the payer was given as proof, as codes and amounts; it is rendered and signed when somebody asks for it.
receipt = sa.Table(
    "receipt",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("key", UUID, primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("issued_at", Timestamp, nullable=False),
    sa.Index("ix_receipt_reference", "reference"),
)
