"""The table of favourites: whom a line has recharged by paying. All else is read from the books."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, shard

#: A payment belongs to who is credited. Who asked for it finds it here, in their own shard. It goes with the other
#: traces of payments (``payments.keep_days``).
recharged_other = sa.Table(
    "recharged_other",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    # The intent's idempotency key: once for each.
    sa.Column("key", UUID, primary_key=True),
    sa.Column("line_id", UUID, nullable=False),
    sa.Column("payment_id", UUID, nullable=False),
    sa.Column("other_shard", sa.SmallInteger, nullable=False),
    sa.Column("other_account_id", UUID, nullable=False),
    sa.Column("other_line_id", UUID, nullable=False),
    sa.Column("asked_at", Timestamp, nullable=False),
    sa.Index("ix_recharged_other_line", "shard", "account_id", "line_id", "asked_at"),
    sa.Index("ix_recharged_other_asked_at", "asked_at", postgresql_using="brin"),
)
