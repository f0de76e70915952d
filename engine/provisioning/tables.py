"""The table of provisioning rules."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from engine.storage.schema import Timestamp, metadata, shard


class Counter(StrEnum):
    """What the network asks about: policy counters in the sense of 3GPP TS 29.219 §4.1 and TS 29.594 §5.6."""

    VOICE = "voice"
    MESSAGES = "messages"
    DATA = "data"
    #: ``full``, or a step of the operator's fair use
    SPEED = "speed"
    #: the line itself: ``ended`` once it is barred, suspended or over, whatever is left of anything
    LINE = "line"


#: What a line may be served now, one row for each line.
provisioning_rule = sa.Table(
    "provisioning_rule",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    # The operation that said so.
    sa.Column("key", UUID, nullable=False),
    sa.Column("changed_at", Timestamp, nullable=False),
    # One for each policy counter: ``counter status until``, without an end where there is none.
    sa.Column("rules", ARRAY(sa.Text), nullable=False),
)
