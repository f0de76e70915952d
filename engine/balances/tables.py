"""Tables of buckets and of the catalogue's history."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import Unit

#: The product code of the main money bucket, which recharges go to.
AIRTIME = "airtime"

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
    one_of("unit", Unit),
    # The last guard: whatever the code believes, nobody spends what is not there.
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("reserved BETWEEN 0 AND amount", name="reserved"),
    sa.ForeignKeyConstraint(["shard", "account_id"], ["account.shard", "account.account_id"]),
    # What the expiry schedule looks for.
    sa.Index("ix_bucket_due", "expires_at", postgresql_where=sa.text("amount > 0 AND expires_at IS NOT NULL")),
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
