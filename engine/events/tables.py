"""The log of events."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, shard

#: One event of one account, in order of its id (version 7). Fanned out to whoever subscribed, then kept as history.
event = sa.Table(
    "event",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("event_id", UUID, primary_key=True),
    sa.Column("line_id", UUID),
    sa.Column("operation_key", UUID),
    # ``settlement.completed``, ``provisioning.changed`` …
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    # NULL until it was given to all subscribers' queues.
    sa.Column("fanned_at", Timestamp),
    sa.Index("ix_event_waiting", "created_at", postgresql_where=sa.text("fanned_at IS NULL")),
)
