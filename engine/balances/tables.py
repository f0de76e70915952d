"""Tables of buckets and of the catalogue's history."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import Unit

#: The product code of the main money bucket, which recharges go to.
AIRTIME = "airtime"

#: as Postgres says it back
_DUE = "CASE WHEN amount > 0 THEN expires_at ELSE NULL::timestamp with time zone END"

bucket = sa.Table(
    "bucket",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("bucket_id", UUID, primary_key=True),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("initial", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
    # Traffic categories it may pay for; empty means all.
    sa.Column("categories", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("starts_at", Timestamp, nullable=False),
    sa.Column("expires_at", Timestamp),
    # The bucket whose rest it holds, if it was rolled over.
    sa.Column("rolled_from", UUID),
    # How often what it holds was rolled over.
    sa.Column("rolled", sa.SmallInteger, nullable=False, server_default="0"),
    # When it ends, while it holds anything.
    sa.Column("due_at", Timestamp, sa.Computed(_DUE, persisted=True)),
    one_of("unit", Unit),
    # The last guard: whatever the code believes, nobody spends what is not there.
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("reserved BETWEEN 0 AND amount", name="reserved"),
    sa.ForeignKeyConstraint(["shard", "account_id"], ["account.shard", "account.account_id"]),
    # What the expiry schedule looks for. No index may name the amount, not even in its condition: a change of it could
    # then no longer stay on its page (a heap-only update), and each would write all indexes anew.
    sa.Index("ix_bucket_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
)

#: Every version of a catalogue entry that was ever on sale, so that an old purchase can be explained.
product = sa.Table(
    "product",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("published_at", Timestamp, nullable=False),
)

#: Emergency credit that was given, and what is still owed of it.
advance = sa.Table(
    "advance",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    # The operation that gave it.
    sa.Column("key", UUID, primary_key=True),
    sa.Column("line_id", UUID, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("fee", sa.BigInteger, nullable=False),
    sa.Column("open_amount", sa.BigInteger, nullable=False),
    sa.Column("open_fee", sa.BigInteger, nullable=False),
    sa.Column("given_at", Timestamp, nullable=False),
    sa.CheckConstraint("open_amount BETWEEN 0 AND amount", name="open_amount"),
    sa.CheckConstraint("open_fee BETWEEN 0 AND fee", name="open_fee"),
    sa.Index("ix_advance_open", "shard", "account_id", postgresql_where=sa.text("open_amount + open_fee > 0")),
)


class RenewalState(StrEnum):
    """Whether a product is bought again when it ends."""

    ACTIVE = "active"
    #: given up after the last refusal: a purchase with renewal starts it anew
    GIVEN_UP = "given_up"
    STOPPED = "stopped"


#: A product that a line buys again whenever it ends.
renewal = sa.Table(
    "renewal",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("product", sa.Text, primary_key=True),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # The end that is renewed, how often it was tried, when it is tried next, and which end its owner was told of.
    sa.Column("cycle", Timestamp, nullable=False),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("next_at", Timestamp, nullable=False),
    sa.Column("noticed", Timestamp),
    one_of("state", RenewalState),
    sa.Index("ix_renewal_due", "next_at", postgresql_where=sa.text("state = 'active'")),
)
