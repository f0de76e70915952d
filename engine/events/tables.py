"""The log of events, who subscribed to it, and what is on its way to them."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard

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


class SendState(StrEnum):
    """Where one event stands with one subscriber."""

    DUE = "due"
    SENT = "sent"
    #: given up after the stated time: staff may send it again
    PARKED = "parked"
    #: the subscription ended before it was sent
    DROPPED = "dropped"


#: Who wants to hear of what: TM Forum's hub (TMF630 REST API Design Guidelines part 1, notifications).
subscription = sa.Table(
    "subscription",
    metadata,
    sa.Column("subscription_id", UUID, primary_key=True),
    sa.Column("callback", sa.Text, nullable=False),
    # The filter as it was given.
    sa.Column("query", sa.Text, nullable=False),
    # Topics, or their first part; empty: all.
    sa.Column("topics", ARRAY(sa.Text), nullable=False),
    # The secret that deliveries are signed with, AES-256-GCM under a key derived from this master key.
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
)

#: One event on its way to one subscriber. Lives in the event's shard.
event_delivery = sa.Table(
    "event_delivery",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("subscription_id", UUID, primary_key=True),
    sa.Column("event_id", UUID, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False),
    sa.Column("due_at", Timestamp, nullable=False),
    sa.Column("made_at", Timestamp, nullable=False),
    sa.Column("done_at", Timestamp),
    # What the last attempt came to.
    sa.Column("error", sa.Text),
    one_of("state", SendState),
    sa.Index("ix_event_delivery_due", "subscription_id", "due_at", postgresql_where=sa.text("state = 'due'")),
    sa.Index("ix_event_delivery_parked", "subscription_id", "made_at", postgresql_where=sa.text("state = 'parked'")),
    sa.Index("ix_event_delivery_done", "done_at", postgresql_where=sa.text("state IN ('sent', 'dropped')")),
)
