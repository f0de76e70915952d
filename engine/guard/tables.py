"""Tables of the validation layers."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, shard

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
