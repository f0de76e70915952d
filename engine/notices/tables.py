"""Tables of notices: wishes, delivery history, and campaigns. The outbox itself is one of the books."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import Channel, DeliveryState

#: How a line wants to be told things; a line without a row has asked for nothing.
preference = sa.Table(
    "preference",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False, server_default=Channel.SMS),
    # Local times of the operator's zone; both or none.
    sa.Column("quiet_from", sa.Time),
    sa.Column("quiet_to", sa.Time),
    sa.Column("muted", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("opted_out_at", Timestamp),
    one_of("channel", Channel),
    sa.CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name="quiet"),
)

#: Updates of chat apps that were taken: an update that comes again, to whichever process, is left alone.
seen_update = sa.Table(
    "seen_update",
    metadata,
    shard(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("update_id", sa.Text, primary_key=True),
    sa.Column("seen_at", Timestamp, nullable=False),
    sa.Index("ix_seen_update_seen", "seen_at"),
)

#: What happened to a message, one row for each event: insert-only.
delivery = sa.Table(
    "delivery",
    metadata,
    shard(),
    sa.Column("message_id", UUID, primary_key=True),
    sa.Column("event_id", UUID, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    # NULL for what happened before any carrier had it.
    sa.Column("carrier", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("at", Timestamp, nullable=False),
    one_of("state", DeliveryState),
)

#: A carrier's name for a message. A row without a message is a report that came before its attempt was recorded, or
#: under another spelling: it waits. Lives in the shard of the name's digest.
carrier_message = sa.Table(
    "carrier_message",
    metadata,
    shard(),
    sa.Column("carrier", sa.Text, primary_key=True),
    sa.Column("carrier_id", sa.Text, primary_key=True),
    sa.Column("message_shard", sa.SmallInteger),
    sa.Column("message_id", UUID),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    # The carrier's own spelling in the report that waits here under this one.
    sa.Column("reported_as", sa.Text),
    sa.Column("seen_at", Timestamp, nullable=False),
    one_of("state", DeliveryState),
    sa.Index("ix_carrier_message_seen", "seen_at"),
)

#: How often a line was told of a topic on a local day: what frequency caps count.
notice_count = sa.Table(
    "notice_count",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("count", sa.SmallInteger, nullable=False),
    sa.Index("ix_notice_count_day", "day"),
)

#: How far a schedule has come through something that it walks in order.
watermark = sa.Table(
    "watermark",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("at", Timestamp, nullable=False),
    # The last row at that time, where many share one.
    sa.Column("id", UUID, nullable=False),
)

#: One message to many: the same name is the same campaign, however often it is started.
campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("campaign_id", UUID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    # The key of the recipients' digests: it stays, also when keys rotate.
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("started_at", Timestamp, nullable=False),
)

#: Who a campaign was written to. The key refuses a second row for a number; the message stands in the same commit.
campaign_recipient = sa.Table(
    "campaign_recipient",
    metadata,
    shard(),
    sa.Column("campaign_id", UUID, primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("message_shard", sa.SmallInteger, nullable=False),
    sa.Column("message_id", UUID, nullable=False),
    sa.Index("ix_campaign_recipient_campaign", "campaign_id"),
)
