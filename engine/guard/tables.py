"""Tables of the validation layers."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import Listed, ListKind, Ruled

#: How many suspicious things of one kind a batch saw: insert-only, summed by a watcher that raises an alarm.
guard_event = sa.Table(
    "guard_event",
    metadata,
    shard(),
    sa.Column("event_id", UUID, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("seen_at", Timestamp, nullable=False),
    sa.Index("ix_guard_event_seen", "kind", "seen_at"),
)

#: What the layers decided of a payment before it was asked for, and over which facts. Never changed.
payment_decision = sa.Table(
    "payment_decision",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("decision_id", UUID, primary_key=True),
    # What was refused has no row in ``payment``.
    sa.Column("payment_id", UUID, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    # The layer that refused, and its code; NULL where none did.
    sa.Column("layer", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("reasons", ARRAY(sa.Text), nullable=False),
    # Codes, counts and amounts: never a number.
    sa.Column("inputs", JSONB, nullable=False),
    # Who was to pay, as a keyed digest: whoever asks "where is my payment?" is recognised by it.
    sa.Column("payer_digest", sa.LargeBinary),
    sa.Column("at", Timestamp, nullable=False),
    one_of("verdict", Ruled),
    sa.Index("ix_payment_decision_at", "at", postgresql_using="brin"),
)

#: Whom staff blocks or trusts, found by a keyed digest. Lives in the shard of the digest.
guard_list = sa.Table(
    "guard_list",
    metadata,
    shard(),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("added_at", Timestamp, nullable=False),
    # NULL: until somebody takes it off.
    sa.Column("until", Timestamp),
    one_of("kind", ListKind),
    one_of("verdict", Listed),
    sa.Index("ix_guard_list_added", "added_at", "digest"),
)

#: A card that a line pays with again: a gateway's token, never a card number. Forgetting deletes the row.
saved_card = sa.Table(
    "saved_card",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("card_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, nullable=False),
    # Only who gave the token can charge it.
    sa.Column("gateway", sa.Text, nullable=False),
    # AES-256-GCM under the account's data key.
    sa.Column("sealed_token", sa.LargeBinary, nullable=False),
    sa.Column("brand", sa.Text, nullable=False),
    sa.Column("last_four", sa.CHAR(4), nullable=False),
    # The first moment at which it is no longer valid.
    sa.Column("expires_at", Timestamp, nullable=False),
    sa.Column("added_at", Timestamp, nullable=False),
    sa.ForeignKeyConstraint(["shard", "account_id"], ["account.shard", "account.account_id"]),
)
